/* Runs within a tick: no allocation, no lock. */
#include "cpython/threads.h"

#include <stdbool.h>
#include <string.h>

struct state {
	uintptr_t next, prev, interp;
	uint64_t id;
	bool there;
};

/* Only the thread that samples comes here: its scratch may be static. */
static struct {
	struct cprof_threads next;
	struct state seen[CPROF_MAX_THREADS];
} scratch;

static void read_state(
	const struct cprof_layout *lay, const void *at, struct state *s)
{
	s->next = cprof_load_ptr(at, lay->thread.next);
	s->prev = cprof_load_ptr(at, lay->thread.prev);
	s->interp = cprof_load_ptr(at, lay->thread.interp);
	s->id = cprof_load_u64(at, lay->thread.id);
}

/* Read all the states that the old list names, in one go. */
static void prefetch(const struct cprof_threads *old, struct cprof_peek *peek,
	const struct cprof_layout *lay)
{
	static int element[CPROF_MAX_THREADS];

	cprof_peek_begin(peek);
	for (int i = 0; i < old->nr; i++)
		element[i] = cprof_peek_add(
			peek, old->ref[i].state, lay->thread.id + 8U);
	cprof_peek_run(peek);
	for (int i = 0; i < old->nr; i++) {
		const void *at = cprof_peek_at(peek, element[i]);

		scratch.seen[i].there = at != NULL;
		if (at)
			read_state(lay, at, &scratch.seen[i]);
	}
}

/* `cursor` is where the old list would go on. */
static bool state_at(const struct cprof_threads *old, int *cursor,
	struct cprof_peek *peek, const struct cprof_layout *lay,
	uintptr_t address, struct state *ret)
{
	char copy[512];

	for (int i = *cursor; i < old->nr; i++) {
		if (old->ref[i].state != address)
			continue;
		*cursor = i + 1;
		*ret = scratch.seen[i];
		return ret->there;
	}
	if (lay->thread.id + 8U > sizeof(copy) ||
		!cprof_peek_one(peek, address, lay->thread.id + 8U, copy))
		return false;
	read_state(lay, copy, ret);
	return true;
}

static int walk_interpreter(const struct cprof_threads *old, int *cursor,
	struct cprof_peek *peek, const struct cprof_layout *lay,
	uintptr_t interp, uintptr_t head)
{
	struct cprof_threads *list = &scratch.next;
	uintptr_t link = interp + lay->interp.threads_head;
	uintptr_t prev = 0;

	for (uintptr_t at = head; at;) {
		struct state s;

		if (!state_at(old, cursor, peek, lay, at, &s) ||
			s.interp != interp || s.prev != prev)
			return -1;
		if (list->nr == CPROF_MAX_THREADS) {
			/* A list that goes in circles ends here as well. */
			list->lost++;
			return 0;
		}
		list->ref[list->nr++] =
			(struct cprof_thread_ref){ at, interp, link, s.id };
		link = at + lay->thread.next;
		prev = at;
		at = s.next;
	}
	return 0;
}

int cprof_threads_update(struct cprof_threads *list, struct cprof_peek *peek,
	const struct cprof_layout *lay, uintptr_t runtime)
{
	struct cprof_threads *next = &scratch.next;
	int cursor = 0;
	uintptr_t interp;

	prefetch(list, peek, lay);
	next->nr = 0;
	next->lost = 0;
	if (!cprof_peek_one(peek, runtime + lay->runtime.interpreters_head,
		    sizeof(interp), &interp))
		return -1;
	for (int i = 0; interp && i < CPROF_MAX_INTERPRETERS; i++) {
		uintptr_t head, following;

		if (!cprof_peek_one(peek, interp + lay->interp.threads_head,
			    sizeof(head), &head) ||
			!cprof_peek_one(peek, interp + lay->interp.next,
				sizeof(following), &following) ||
			walk_interpreter(
				list, &cursor, peek, lay, interp, head) < 0)
			return -1;
		interp = following;
	}
	list->nr = next->nr;
	list->lost = next->lost;
	memcpy(list->ref, next->ref, (size_t)next->nr * sizeof(next->ref[0]));
	return 0;
}
