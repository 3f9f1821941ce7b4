#include "base/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int cprof_arena_init(
	struct cprof_arena *a, size_t max_bytes, struct cprof_error *err)
{
	void *p = mmap(NULL, max_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return cprof_fail(err, CPROF_ENOMEM, "cannot map %zu bytes: %s",
			max_bytes, strerror(errno));
	*a = (struct cprof_arena){ .base = p, .cap = max_bytes };
	return 0;
}

void cprof_arena_finish(struct cprof_arena *a)
{
	if (a->base)
		munmap(a->base, a->cap);
	*a = (struct cprof_arena){ 0 };
}

void *cprof_arena_take(struct cprof_arena *a, size_t len)
{
	void *p;

	if (len > a->cap - a->used)
		return NULL;
	p = a->base + a->used;
	/* `used` never passes `cap`: the rounding is clamped. */
	len = (len + 7) & ~(size_t)7;
	a->used = len > a->cap - a->used ? a->cap : a->used + len;
	return p;
}

void *cprof_arena_create_owner(
	size_t max_bytes, size_t size, struct cprof_error *err)
{
	struct cprof_arena arena, *owner;

	if (cprof_arena_init(&arena, max_bytes, err) < 0)
		return NULL;
	owner = cprof_arena_take(&arena, size);
	*owner = arena;
	return owner;
}

void cprof_arena_destroy_owner(void *owner)
{
	struct cprof_arena arena;

	if (!owner)
		return;
	arena = *(struct cprof_arena *)owner; /* it is in its own memory */
	cprof_arena_finish(&arena);
}
