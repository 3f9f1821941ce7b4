/* Runs within a tick: no allocation, no lock. */
#include "cpython/threads.h"

#include <stdbool.h>
#include <string.h>

static void read_state(const struct cprof_layout *lay, const void *at,
	struct cprof_thread_seen *s)
{
	s->next = cprof_load_ptr(at, lay->thread.next);
	s->prev = cprof_load_ptr(at, lay->thread.prev);
	s->interp = cprof_load_ptr(at, lay->thread.interp);
	s->id = cprof_load_u64(at, lay->thread.id);
}

/* Read all the states of the list that is being replaced, in one go. */
static void prefetch(struct cprof_threads *list, struct cprof_peek *peek,
	const struct cprof_layout *lay)
{
	cprof_peek_begin(peek);
	for (int i = 0; i < list->before_nr; i++)
		list->seen[i].element = cprof_peek_add(
			peek, list->before[i].state, lay->thread.id + 8U);
	cprof_peek_run(peek);
	for (int i = 0; i < list->before_nr; i++) {
		struct cprof_thread_seen *s = &list->seen[i];
		const void *at = cprof_peek_at(peek, s->element);

		s->there = at != NULL;
		if (at)
			read_state(lay, at, s);
	}
}

/* `cursor` is where the old list would go on. */
static bool state_at(const struct cprof_threads *list, int *cursor,
	struct cprof_peek *peek, const struct cprof_layout *lay,
	uintptr_t address, struct cprof_thread_seen *ret)
{
	char copy[512];

	for (int i = *cursor; i < list->before_nr; i++) {
		if (list->before[i].state != address)
			continue;
		*cursor = i + 1;
		*ret = list->seen[i];
		return ret->there;
	}
	if (lay->thread.id + 8U > sizeof(copy) ||
		!cprof_peek_one(peek, address, lay->thread.id + 8U, copy))
		return false;
	read_state(lay, copy, ret);
	return true;
}

static int walk_interpreter(struct cprof_threads *list, int *cursor,
	struct cprof_peek *peek, const struct cprof_layout *lay,
	uintptr_t interp, uintptr_t head)
{
	uintptr_t link = interp + lay->interp.threads_head;
	uintptr_t prev = 0;

	for (uintptr_t at = head; at;) {
		struct cprof_thread_seen s;

		if (!state_at(list, cursor, peek, lay, at, &s) ||
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

static int walk_all(struct cprof_threads *list, struct cprof_peek *peek,
	const struct cprof_layout *lay, const struct cprof_roots *roots)
{
	int cursor = 0;
	uintptr_t interp;

	if (roots->first_interpreter)
		interp = (uintptr_t)roots->first_interpreter();
	else if (!cprof_peek_one(
			 peek, roots->interpreters, sizeof(interp), &interp))
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
	return 0;
}

static void copy_refs(struct cprof_thread_ref *to, int *to_nr,
	const struct cprof_thread_ref *from, int nr)
{
	memcpy(to, from, (size_t)nr * sizeof(*to));
	*to_nr = nr;
}

int cprof_threads_update(struct cprof_threads *list, struct cprof_peek *peek,
	const struct cprof_layout *lay, const struct cprof_roots *roots)
{
	int lost = list->lost;

	copy_refs(list->before, &list->before_nr, list->ref, list->nr);
	prefetch(list, peek, lay);
	list->nr = 0;
	list->lost = 0;
	if (!walk_all(list, peek, lay, roots))
		return 0;
	copy_refs(list->ref, &list->nr, list->before, list->before_nr);
	list->lost = lost;
	return -1;
}
