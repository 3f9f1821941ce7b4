#ifndef CPROF_CPYTHON_GLANCE_H
#define CPROF_CPYTHON_GLANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpython/chain.h"

/*
 * One copy of a thread's state, and of the memory that its chain of frames lay
 * in at its last walk; many threads share a call. It tells that a thread which
 * waits for the GIL shows the same chain as before. Of a thread that runs it
 * tells nothing: what one copy shows of that is not one moment. Runs within a
 * tick.
 */
struct cprof_glance {
	int state;	   /* the element of the state */
	int first, frames; /* those of the frames; none where it is 0 */
};

/* Elements that the frames of a glance take at most. */
#define CPROF_GLANCE_ELEMENTS 80

/* Put it on the list; `frames` are wanted or not. */
struct cprof_glance cprof_glance_want(struct cprof_peek *peek,
	const struct cprof_layout *lay, const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint, bool frames);

/*
 * Does the list that ran show the chain that the last walk found whole? All its
 * frames, what code they run, and where.
 */
bool cprof_glance_same(const struct cprof_glance *g,
	const struct cprof_peek *peek, const struct cprof_layout *lay,
	const struct cprof_chain_hint *hint);

/*
 * A chain as a number, never 0, leaf first: begin with 1, add each frame but
 * shims.
 */
static inline uint64_t cprof_chain_print(
	uint64_t print, const struct cprof_raw_frame *f)
{
	const uint64_t odd = 0x9e3779b97f4a7c15u; /* Knuth's golden ratio */

	print = (print ^ f->frame) * odd;
	print = (print ^ print >> 29 ^ f->code) * odd;
	print = (print ^ print >> 29 ^ (uint64_t)f->instr) * odd;
	return (print ^ print >> 29) | 1;
}

#endif
