#ifndef CPROF_SAMPLER_STACKS_H
#define CPROF_SAMPLER_STACKS_H

#include <stdint.h>

#include "base/error.h"
#include "cpython/chain.h"
#include "sampler/tasks.h"

/*
 * The stacks of a window, each once, and a tally for each (thread, stack). All
 * memory is taken at creation; what does not fit goes to one tally of a stack
 * named CPROF_CODE_DROPPED, with its weight. One thread at a time.
 */
struct cprof_stacks;

/* By looks that came in time, and by those that had to wait for a CPU. */
struct cprof_punctual {
	uint32_t timely, late;
};

struct cprof_tally {
	uint32_t thread; /* a number of the caller's */
	uint32_t stack;
	/* That looks which saw it on a CPU stand for. */
	struct cprof_punctual cpu_ticks;
	struct {
		uint32_t ticks;	 /* of all looks that saw it so, ... */
		int64_t wall_ns; /* ... and time that these stand for */
	} in[CPROF_TASK_STATES];
};

/* The thread of a tally that had no room for it. */
#define CPROF_NO_THREAD UINT32_MAX

int cprof_stacks_create(struct cprof_stacks **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_stacks_destroy(struct cprof_stacks *s);

/* The tally of this stack on this thread; never NULL. For ticks. */
struct cprof_tally *cprof_stacks_tally(struct cprof_stacks *s, uint32_t thread,
	const struct cprof_stack *stack);

/* All tallies, the dropped one among them, and the frames of a stack. */
uint32_t cprof_stacks_tally_nr(const struct cprof_stacks *s);
struct cprof_tally *cprof_stacks_tally_at(struct cprof_stacks *s, uint32_t i);
const struct cprof_frame *cprof_stacks_frames(
	const struct cprof_stacks *s, uint32_t stack, int *ret_nr);

#endif
