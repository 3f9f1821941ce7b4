#ifndef CPROF_BASE_ARENA_H
#define CPROF_BASE_ARENA_H

#include <stddef.h>

#include "base/error.h"

/*
 * A fixed run of zeroed memory, handed out front to back and given back all at
 * once. The address space is taken at init, but a page costs memory only once
 * it is touched; so an arena may be generous. Taking from it is a few
 * instructions, never a lock or an allocation: it is what ticks write to.
 *
 * The struct is the caller's; one thread at a time.
 */
struct cprof_arena {
	char *base;
	size_t used;
	size_t cap;
};

int cprof_arena_init(
	struct cprof_arena *a, size_t max_bytes, struct cprof_error *err);

/* Accepts a zeroed arena. */
void cprof_arena_finish(struct cprof_arena *a);

/*
 * For what lives in an arena of its own: an owner of `size` zeroed bytes, whose
 * first member is its struct cprof_arena, with the rest of `max_bytes` to take.
 * NULL, with the reason in `err`, where there is none. Given back as a whole by
 * destroy, which accepts NULL.
 */
void *cprof_arena_create_owner(
	size_t max_bytes, size_t size, struct cprof_error *err);
void cprof_arena_destroy_owner(void *owner);

/* `len` zeroed bytes, aligned to 8, or NULL when the arena is full. */
void *cprof_arena_take(struct cprof_arena *a, size_t len);

#endif
