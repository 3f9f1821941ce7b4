#ifndef CPROF_CPYTHON_THREADS_H
#define CPROF_CPYTHON_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cpython/layout.h"
#include "cpython/peek.h"

/*
 * The threads that have a Python state, read from the interpreters' own lists
 * without their lock. A thread is known by (address of its state, id):
 * addresses are reused, ids never.
 */
struct cprof_thread_ref {
	uintptr_t state;
	uintptr_t interp;
	uintptr_t link; /* the word that must point to `state` while it lives */
	uint64_t id;
};

struct cprof_threads {
	int nr;
	int lost; /* over CPROF_MAX_THREADS, at the last update */
	struct cprof_thread_ref ref[CPROF_MAX_THREADS];

	/* The list that the last update replaced. */
	int before_nr;
	struct cprof_thread_ref before[CPROF_MAX_THREADS];

	/* For updates only: the states of `before` as they are now. */
	struct cprof_thread_seen {
		uintptr_t next, prev, interp;
		uint64_t id;
		int element;
		bool there;
	} seen[CPROF_MAX_THREADS];
};

/*
 * Bring the list up to date. The old
 * list serves as a guess at what to read, so that mostly one call does. Returns
 * 0, or -1 when the lists changed under our eyes: then `list` is as it was and
 * the next tick will do. Runs within a tick.
 */
int cprof_threads_update(struct cprof_threads *list, struct cprof_peek *peek,
	const struct cprof_layout *lay, const struct cprof_roots *roots);

#endif
