#ifndef CPROF_CPYTHON_GATHER_H
#define CPROF_CPYTHON_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cpython/chain.h"

/*
 * The memory that one thread's chain of frames lies in: the chunks of its data
 * stack, single frames outside of them (those of generators), its C-stack frame
 * and its state. It is copied twice in one call and parsed (parse.c) into one
 * chain. Before that comes what tells the leaf, and where leaf frames lie.
 * Private to src/cpython. Runs within a tick.
 */
struct cprof_region {
	uintptr_t address;
	uint32_t len;
	int copy[2];  /* element of the first and the second copy */
	bool visited; /* by the last parse */
};

struct cprof_gather {
	const struct cprof_layout *lay;
	struct cprof_peek *peek;
	const struct cprof_codes *codes;
	struct cprof_thread_ref thread;
	struct cprof_region state; /* copied first, and in the middle */
	/*
	 * C-stack frames, newest first, and the piece of the C stack that the
	 * newest and others near it lie in: copied with the state in the
	 * middle, and as frames are, since shims lie there, too.
	 */
	uintptr_t cframe_at[CPROF_HINT_CFRAMES];
	int cframe_nr;
	struct cprof_region cframes, shims;
	struct cprof_region chunk[CPROF_MAX_STACK_CHUNKS]; /* newest first */
	int chunk_nr;
	/* chunk[0] in pieces, the newest first, cut where leaf frames begin. */
	struct cprof_region end[CPROF_HINT_CUTS + 1];
	int end_nr;
	uintptr_t cut[CPROF_HINT_CUTS];
	int cut_nr;
	/*
	 * Before all that, once: the word that tells who runs, or for each
	 * C-stack frame what it says of that; frames that ran lately, or called
	 * those; and chunk[0].
	 */
	struct cprof_region now, now_in[CPROF_HINT_CFRAMES];
	uintptr_t head[CPROF_HINT_HEADS];
	int head_nr;
	struct cprof_region first[CPROF_HINT_HEADS + CPROF_HINT_CFRAMES + 1];
	int first_nr;
	/* From a C-stack frame to its shim, as the interpreter was compiled; 0
	 * until one was met. */
	uintptr_t to_shim;
	struct cprof_region outside[CPROF_MAX_WALKED_FRAMES]; /* leaf first */
	int outside_nr;
	/* Of these, those that the last parse went through, leaf first. */
	uint16_t visited[CPROF_MAX_WALKED_FRAMES];
	int visited_nr;
};

/* Calls that were under way at first and return within a try. */
#define CPROF_MAX_KNOWN_FRAMES 8

/*
 * The frames of the moment when the state was first copied, leaf first. Those
 * from `settled` on stood up to the root; `whole` is a stack of which all stood
 * and the leaf was the leaf.
 */
struct cprof_raw_chain {
	int nr;
	int settled;
	bool whole;
	bool stood;	 /* the leaf, at the same instruction in both copies */
	uintptr_t first; /* the frame that ran at first; 0: not known */
	uintptr_t lacking; /* a caller of that which was not copied then */
	/* Whole or not: the leaf, if that is known, and who called it. */
	int known_nr;
	struct cprof_raw_frame known[CPROF_MAX_KNOWN_FRAMES];
	uintptr_t cframe; /* that told who ran, if the version has them */
	bool too_deep;	  /* the root was not reached within the limit */
	struct cprof_raw_frame frame[CPROF_MAX_WALKED_FRAMES];
};

/* Where the frame at `address` is in the chain; `nr` if it is not. */
static inline int cprof__chain_index(
	const struct cprof_raw_chain *c, uintptr_t address)
{
	int i = 0;

	while (i < c->nr && c->frame[i].frame != address)
		i++;
	return i;
}

/* What a parse came to. */
enum cprof_parse {
	CPROF_PARSE_OK,
	CPROF_PARSE_UNKNOWN, /* `missing` is memory the gather does not have */
	CPROF_PARSE_ENDED    /* the state is not this thread's any more */
};

/* The C-stack frame or the frame at this address is not in the gather. */
struct cprof_missing {
	uintptr_t cframe, frame;
	uintptr_t ran;	  /* at first, and was not copied either; or 0 */
	uintptr_t caller; /* a known one that it led to, once discovered */
};

/* Begin with what the hint knows. */
void cprof__gather_init(struct cprof_gather *g,
	const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint);

/* Put all copies on the list. The caller begins and runs it. */
void cprof__gather_want(struct cprof_gather *g);

/* Both copies of something; `there` is false if one of them is missing. */
struct cprof_pair {
	const char *first, *second;
	bool there;
};

/* None if not all of it is in this region. */
struct cprof_pair cprof__gather_in(const struct cprof_gather *g,
	const struct cprof_region *r, uintptr_t address, size_t len);

/* How far from the middle a frame was copied. */
#define CPROF_AT_THE_END    0
#define CPROF_AT_THE_REST   (CPROF_MAX_WALKED_FRAMES + 1)
#define CPROF_AT_THE_CSTACK (CPROF_MAX_WALKED_FRAMES + 2)

/*
 * The copies of the frame at `address`. `cursor` is where it is expected among
 * those outside. Of two frames, the one with the greater `distance` was copied
 * further from the middle.
 */
struct cprof_pair cprof__gather_frame(
	struct cprof_gather *g, uintptr_t address, int *cursor, int *distance);

/* The frame that ran in the middle, as this C-stack frame said. False if that
 * was not copied. */
bool cprof__gather_top(
	const struct cprof_gather *g, uintptr_t cframe, uintptr_t *ret);

/* The first shim on the chain that `cframe` leads to is that one's own. */
void cprof__gather_met_shim(
	struct cprof_gather *g, uintptr_t cframe, uintptr_t shim);

/* The frame that ran at first; 0 if that is not known. */
uintptr_t cprof__gather_now(const struct cprof_gather *g);

/* The copy of this memory that came soonest after; NULL if there is none. */
const void *cprof__gather_first(
	const struct cprof_gather *g, uintptr_t address, size_t len);

/*
 * The frame that ran at an earlier first look, by later copies of it. False
 * where it may be another call's since.
 */
bool cprof__gather_tell(const struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame *ret);

/* The chain in a list that ran. `missing` is set for UNKNOWN. */
enum cprof_parse cprof__gather_parse(struct cprof_gather *g,
	struct cprof_raw_chain *ret, struct cprof_missing *missing);

/*
 * Find out where what is missing lies, and a frame's callers if nobody knows
 * them, for the next try. Overwrites the peek list.
 */
void cprof__gather_discover(
	struct cprof_gather *g, struct cprof_missing *missing);

/* Both copies of this memory. */
struct cprof_pair cprof__gather_memory(
	const struct cprof_gather *g, uintptr_t address, size_t len);

/* What is the same in both; NULL if it is not there, or not the same. */
const void *cprof__gather_same(
	const struct cprof_gather *g, uintptr_t address, size_t len);

/* Does the chain of the last parse have in it what an earlier one lacked? */
bool cprof__gather_has(const struct cprof_gather *g,
	const struct cprof_raw_chain *chain,
	const struct cprof_missing *missing);

/* Keep for the next tick where the frames of `chain`, and others, lie. */
void cprof__gather_save(struct cprof_gather *g,
	const struct cprof_raw_chain *chain, struct cprof_chain_hint *hint);

#endif
