#ifndef CPROF_CPYTHON_GATHER_H
#define CPROF_CPYTHON_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cpython/chain.h"

/*
 * The memory that one thread's chain of frames lies in: the chunks of its data
 * stack, single frames outside of them (those of generators), its C-stack frame
 * and its state. It is copied twice in one call and parsed into two chains.
 * Private to src/cpython. Runs within a tick.
 */
struct cprof_region {
	uintptr_t address;
	uint32_t len;
	int copy[2]; /* element of the first and the second copy */
};

struct cprof_gather {
	const struct cprof_layout *lay;
	struct cprof_peek *peek;
	struct cprof_thread_ref thread;
	struct cprof_region state, cframe;
	struct cprof_region chunk[CPROF_MAX_STACK_CHUNKS]; /* newest first */
	int chunk_nr;
	struct cprof_region outside[CPROF_MAX_WALKED_FRAMES]; /* leaf first */
	int outside_nr;
};

struct cprof_raw_chain {
	int nr;
	bool too_deep; /* the root was not reached within the limit */
	struct cprof_raw_frame frame[CPROF_MAX_WALKED_FRAMES];
};

/* What a parse came to. */
enum cprof_parse {
	CPROF_PARSE_OK,
	CPROF_PARSE_UNKNOWN, /* `missing` is memory the gather does not have */
	CPROF_PARSE_ENDED    /* the state is not this thread's any more */
};

/* Begin with what the hint knows. */
void cprof__gather_init(struct cprof_gather *g,
	const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint);

/* Put both copies on the list: a palindrome. The caller begins and runs it. */
void cprof__gather_want(struct cprof_gather *g);

/* The chain in copy 0 or 1, of a list that ran. `missing` is set for UNKNOWN. */
enum cprof_parse cprof__gather_parse(struct cprof_gather *g, int copy,
	struct cprof_raw_chain *ret, uintptr_t *missing);

/*
 * Find out where the frame at `missing` lies, and its callers if nobody knows
 * them, for the next try. Overwrites the peek list. False: nothing was learnt.
 */
bool cprof__gather_discover(struct cprof_gather *g, uintptr_t missing);

/* Keep for the next tick where the frames of `chain` lie. */
void cprof__gather_save(const struct cprof_gather *g,
	const struct cprof_raw_chain *chain, struct cprof_chain_hint *hint);

#endif
