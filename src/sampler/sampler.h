#ifndef CPROF_SAMPLER_SAMPLER_H
#define CPROF_SAMPLER_SAMPLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "cpython/layout.h"

/*
 * When to look at the program, and whom to charge. Looks from outside: no GIL,
 * no signal, no hook; works from any thread. Between windows nothing of it
 * exists.
 */
enum cprof_sampler_kind {
	CPROF_SAMPLER_CPU, /* CPU time of every thread */
	CPROF_SAMPLER_WALL /* wall time of every thread with a Python state */
};

struct cprof_sampler_options {
	const struct cprof_layout *layout;
	struct cprof_roots roots;
	int64_t period_ns;	   /* between ticks, on average */
	int64_t budget_ppm;	   /* of a core for it all; 0: what it takes */
	bool wall_main;		   /* wall time of the main thread only */
	const atomic_bool *enough; /* true: the window ends; or NULL */
};

/*
 * Sample for `duration_ns` and append the gzipped profile to `out`. Ends early,
 * within 100 ms after `enough` became true, with a profile of what has been,
 * or, after `stop` did (it may be NULL), with CPROF_ECANCELED.
 */
int cprof_sampler_collect(const struct cprof_sampler_options *opts,
	enum cprof_sampler_kind kind, int64_t duration_ns,
	const atomic_bool *stop, struct cprof_buffer *out,
	struct cprof_error *err);

#endif
