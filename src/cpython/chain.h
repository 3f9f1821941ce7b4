#ifndef CPROF_CPYTHON_CHAIN_H
#define CPROF_CPYTHON_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "cpython/callee.h"
#include "cpython/code.h"
#include "cpython/frame.h"
#include "cpython/layout.h"
#include "cpython/peek.h"
#include "cpython/threads.h"

/*
 * The stack of another thread, copied while it runs: no GIL, no lock, nothing
 * loaded. docs/sampling.md has the argument; in short:
 *
 * - Who runs is read first. Then all memory that the chain of frames lies in is
 *   copied twice in one system call, outermost memory first, then the thread's
 *   state, and back out. The chain is the one of the moment in the middle: it
 *   starts at the state's frame of then, and each frame counts only if it was
 *   the same before and after. Its leaf is who ran first.
 * - A chain that ends in a generator's frame is a chain cut short: a suspended
 *   generator's frame points to nobody. One that was seen running in one copy
 *   only is called by whom that copy names.
 * - A frame gets a name only if the content of its code object is what it was
 *   before (see cprof_codes_steady), or was read while the frame and all its
 *   callers stood. If it was read too late for that, it is what the window's
 *   end tells (cprof_codes_confirm); else CPROF_CODE_GONE, where it was.
 * - A leaf frame that stood at a call of a C function has that function above
 *   it, as a frame of a number that cpython/callee.h knows.
 */

/* Frames that are not code of the program; numbers no code has. */
enum cprof_pseudo_code {
	CPROF_CODE_PSEUDO = 0xffffff00u,     /* all of them are at least this */
	CPROF_CODE_GONE = CPROF_CODE_PSEUDO, /* died before it was read */
	CPROF_CODE_UNSETTLED, /* stood never still: the rest is not known */
	CPROF_CODE_ELIDED,    /* left out of a deep stack */
	CPROF_CODE_TOO_DEEP,  /* deeper than what is walked */
	CPROF_CODE_NO_FRAME,  /* a thread with a state and no frame */
	CPROF_CODE_DROPPED,   /* no room for its stack */
	CPROF_CODE_EXITED,    /* CPU of threads that ended unseen */
	CPROF_CODE_UNSAMPLED, /* CPU of threads never met on a CPU */
	CPROF_CODE_NATIVE,    /* a thread without a Python state */
	CPROF_CODE_PROFILER   /* our own threads */
};

struct cprof_frame {
	uint32_t code; /* or a place, a C function or a pseudo code */
	int32_t instr; /* index in code units; -1 before the first */
};

/* And three marks: UNSETTLED, or else a C function; ELIDED, TOO_DEEP. */
#define CPROF_MAX_KEPT_FRAMES                                                  \
	(CPROF_KEPT_LEAF_FRAMES + CPROF_KEPT_ROOT_FRAMES + 3)

/* Leaf first. */
struct cprof_stack {
	int nr;
	struct cprof_frame frame[CPROF_MAX_KEPT_FRAMES];
};

/*
 * What the last walk of a thread taught about where its memory lies. A guess
 * and nothing more: a wrong one costs a second try.
 */
#define CPROF_HINT_CFRAMES 8
#define CPROF_HINT_CUTS	   4
#define CPROF_HINT_HEADS   8
#define CPROF_HINT_CHUNKS  16
#define CPROF_HINT_PLACES  64
struct cprof_chain_hint {
	/* C-stack frames met lately, the newest first. */
	uintptr_t cframe[CPROF_HINT_CFRAMES];
	/* Where leaf frames were met lately, the newest first. */
	uintptr_t cut[CPROF_HINT_CUTS];
	/* These, and others that called them. */
	uintptr_t head[CPROF_HINT_HEADS];
	uint16_t cut_nr, head_nr;
	uint16_t cframe_nr, chunk_nr, outside_nr, place_nr;
	struct {
		uintptr_t address;
		uint32_t len;
	} chunk[CPROF_HINT_CHUNKS];
	uint32_t place[CPROF_HINT_PLACES]; /* where its codes lie */
	uintptr_t callee; /* the object of the C function at its leaf, or 0 */
	/* All frames of the chain as a number (cpython/glance.h); 0 if it was
	 * not whole, or not all of its code was known. */
	uint64_t print;
	/* Frames outside of chunks, the first of them the chain's, leaf first;
	 * the memory past `outside_nr` is unused. */
	uint16_t chain_outside_nr;
	uintptr_t outside[];
};

/* Where all frames are objects of their own, all of a deep stack's are there.
 */
static inline int cprof_chain_hint_frames(const struct cprof_layout *lay)
{
	return lay->chunk.data ? 512 : CPROF_MAX_WALKED_FRAMES;
}

/* The bytes of a hint. */
static inline size_t cprof_chain_hint_size(const struct cprof_layout *lay)
{
	return sizeof(struct cprof_chain_hint) +
	       (size_t)cprof_chain_hint_frames(lay) * sizeof(uintptr_t);
}

/* For a new thread; cheaper than to zero all of it. */
static inline void cprof_chain_hint_reset(struct cprof_chain_hint *hint)
{
	*hint = (struct cprof_chain_hint){ 0 };
}

/* What the state alone, copied at `state`, tells before the first walk. */
void cprof_chain_hint_begin(struct cprof_chain_hint *hint,
	const struct cprof_layout *lay, const void *state);

enum cprof_walk {
	CPROF_WALK_SETTLED,   /* the whole stack */
	CPROF_WALK_UNSETTLED, /* a part from the root, marked; or just a mark */
	CPROF_WALK_ENDED      /* there is no such thread any more */
};

struct cprof_walk_stats {
	uint64_t walks, tries, unsettled, unnamed_frames;
};

struct cprof_walker;

/*
 * Borrows all of its arguments for its life. Without `callees` (NULL) stacks
 * end with Python frames.
 */
int cprof_walker_create(const struct cprof_layout *lay, struct cprof_peek *peek,
	struct cprof_codes *codes, struct cprof_callees *callees,
	struct cprof_walker **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_walker_destroy(struct cprof_walker *w);

/* Runs within a tick. `tick` only ever grows. `ret` is set unless ENDED. */
enum cprof_walk cprof_walk(struct cprof_walker *w,
	const struct cprof_thread_ref *thread, struct cprof_chain_hint *hint,
	uint32_t tick, struct cprof_stack *ret);

const struct cprof_walk_stats *cprof_walker_stats(const struct cprof_walker *w);

#endif
