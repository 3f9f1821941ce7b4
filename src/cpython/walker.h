#ifndef CPROF_CPYTHON_WALKER_H
#define CPROF_CPYTHON_WALKER_H

#include <stdbool.h>

#include "base/arena.h"
#include "cpython/gather.h"

/*
 * A walk in two halves: settle.c tries until it knows which frames there were,
 * chain.c what they run. Private to src/cpython. Runs within a tick.
 */

/* How many places one call can check: four elements each, both ends. */
#define CPROF_CHECK_MAX 512

/* What this walk knows of the content at a place. */
struct cprof_verdict {
	uint64_t walk; /* older: nothing */
	bool same;
};

/* In an arena of its own: the program's heap would keep so much. */
struct cprof_walker {
	struct cprof_arena arena;
	const struct cprof_layout *lay;
	struct cprof_peek *peek;
	struct cprof_codes *codes;
	struct cprof_callees *callees;
	struct cprof_walk_stats stats;
	uintptr_t interp; /* of the threads walked so far */
	struct cprof_gather gather;
	/* The chain that counts, and one that is being looked at. */
	struct cprof_raw_chain chain, now;
	/*
	 * Once a try `fixed` the moment: what ran then, if that is `told`; it
	 * is `apart` from the rest of the chain if it is not known whom that
	 * called.
	 */
	struct cprof_raw_frame leaf;
	bool fixed, told, apart;
	uintptr_t untold;	    /* what ran then, and was not copied yet */
	struct cprof_missing asked; /* what was not known then */
	int callee_handle;	    /* of what the leaf called before */
	/* What the last walk met: a guess for a thread that is new. */
	uint16_t met_nr;
	uint32_t met[CPROF_HINT_PLACES];
	uintptr_t met_callee;
	struct cprof_verdict verdict[CPROF_MAX_CODES];
	int handle[2][CPROF_CHECK_MAX];
	int place[CPROF_CHECK_MAX];
	uintptr_t address[CPROF_LEARN_MAX];
};

/*
 * Try until a whole chain stood still. Else leaves in `chain` the longest part
 * from a root that any try found, below what ran if that is `apart`.
 */
enum cprof_walk cprof__walker_settle(
	struct cprof_walker *w, const struct cprof_chain_hint *hint);

/* Write down what `nr` checks of the list that ran came to. */
void cprof__walker_judge(struct cprof_walker *w, int nr);

/* Which code a call's frame runs, and where in it. False if it is not known. */
bool cprof__walker_locate(
	const struct cprof_walker *w, struct cprof_call *call);

#endif
