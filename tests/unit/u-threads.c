#include "cpython/threads.h"

#include <sys/mman.h>

#include "check.h"
#include "fake-python.h"

struct world {
	struct fake_python *py;
	struct cprof_peek *peek;
	struct cprof_threads *list;
};

static struct world open_world(void)
{
	struct world w = { .py = fake_python_create() };

	CHECK_EQ(cprof_peek_create(CPROF_PEEK_ANY, &w.peek, NULL), 0);
	w.list = calloc(1, sizeof(*w.list));
	CHECK(w.list);
	return w;
}

static void close_world(struct world *w)
{
	free(w->list);
	cprof_peek_destroy(w->peek);
	fake_python_destroy(w->py);
}

static int update(struct world *w)
{
	struct cprof_roots roots = fake_roots(w->py);

	return cprof_threads_update(w->list, w->peek, w->py->lay, &roots);
}

/* The ids on the list must be these, up to a 0; and links must hold. */
static void lists(struct world *w, const uint64_t *id)
{
	int nr = 0;

	for (; id[nr]; nr++) {
		const struct cprof_thread_ref *ref = &w->list->ref[nr];

		CHECK(nr < w->list->nr);
		CHECK_EQ(ref->id, id[nr]);
		CHECK_EQ(fake_load((void *)ref->link, 0), ref->state);
		CHECK_EQ(fake_load(
				 (void *)ref->state, w->py->lay->thread.interp),
			ref->interp);
	}
	CHECK_EQ(w->list->nr, nr);
}

#define LISTS(w, ...) lists(w, (const uint64_t[]){ __VA_ARGS__, 0 })

void test_threads__new_ones_come_at_the_head(void)
{
	struct world w = open_world();
	char *interp = fake_interp(w.py);

	CHECK_EQ(update(&w), 0);
	CHECK_EQ(w.list->nr, 0);
	fake_thread(w.py, interp, 1, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 1);
	fake_thread(w.py, interp, 2, 0);
	fake_thread(w.py, interp, 3, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 3, 2, 1);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 3, 2, 1);
	CHECK_EQ(w.list->lost, 0);
	close_world(&w);
}

void test_threads__ended_ones_go_from_anywhere(void)
{
	struct world w = open_world();
	char *interp = fake_interp(w.py);
	struct fake_thread *t[6];

	for (uint64_t i = 0; i < 6; i++)
		t[i] = fake_thread(w.py, interp, i + 1, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 6, 5, 4, 3, 2, 1);
	fake_thread_unlink(t[2]);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 6, 5, 4, 2, 1);
	fake_thread_unlink(t[5]);
	fake_thread_unlink(t[0]);
	fake_thread(w.py, interp, 7, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 7, 5, 4, 2);
	for (int i = 1; i < 5; i++)
		if (i != 2)
			fake_thread_unlink(t[i]);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 7);
	close_world(&w);
}

/* The address of a dead state serves the next thread. */
void test_threads__a_new_thread_in_an_old_state_has_its_own_id(void)
{
	struct world w = open_world();
	char *interp = fake_interp(w.py);
	struct fake_thread *a = fake_thread(w.py, interp, 1, 0);

	fake_thread(w.py, interp, 2, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 2, 1);
	fake_store(a->state, w.py->lay->thread.id, 3);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 2, 3);
	close_world(&w);
}

void test_threads__all_interpreters_are_walked(void)
{
	struct world w = open_world();
	char *main_interp = fake_interp(w.py), *sub;

	fake_thread(w.py, main_interp, 1, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 1);
	sub = fake_interp(w.py);
	fake_interp(w.py); /* has no thread yet */
	fake_thread(w.py, sub, 2, 0);
	fake_thread(w.py, sub, 3, 0);
	fake_thread(w.py, main_interp, 4, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 3, 2, 4, 1);
	CHECK_EQ(w.list->ref[0].interp, fake_address(sub));
	CHECK_EQ(w.list->ref[2].interp, fake_address(main_interp));
	close_world(&w);
}

/* What a list must not look like, in turn; each leaves the old list. */
void test_threads__a_list_that_cannot_be_is_refused(void)
{
	struct world w = open_world();
	const struct cprof_layout *lay = w.py->lay;
	char *interp = fake_interp(w.py), *other = fake_interp(w.py);
	struct fake_thread *t[3];
	char *hole =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct {
		void *base;
		size_t offset;
		uint64_t value;
	} row[8];
	int nr = 0;

	CHECK(hole != MAP_FAILED);
	for (uint64_t i = 0; i < 3; i++)
		t[i] = fake_thread(w.py, interp, i + 1, 0);
	CHECK_EQ(update(&w), 0);
	LISTS(&w, 3, 2, 1);

#define ROW(base_, offset_, value_)                                            \
	(row[nr].base = (base_), row[nr].offset = (offset_),                   \
		row[nr++].value = (uint64_t)(uintptr_t)(value_))
	ROW(t[1]->state, lay->thread.prev, t[0]->state);
	ROW(t[1]->state, lay->thread.prev, 0);
	ROW(t[1]->state, lay->thread.interp, other);
	ROW(t[1]->state, lay->thread.next, hole);
	ROW(t[1]->state, lay->thread.next, t[2]->state);
	ROW(t[1]->state, lay->thread.next, t[1]->state);
	ROW(interp, lay->interp.threads_head, UINTPTR_MAX - 3);
	ROW(interp, lay->interp.next, hole);
#undef ROW
	for (int i = 0; i < nr; i++) {
		uint64_t was = fake_load(row[i].base, row[i].offset);

		fake_store(row[i].base, row[i].offset, row[i].value);
		CHECK_EQ(update(&w), -1);
		CHECK_EQ(w.list->nr, 3);
		CHECK_EQ(w.list->ref[0].id, 3);
		fake_store(row[i].base, row[i].offset, was);
		CHECK_EQ(update(&w), 0);
		LISTS(&w, 3, 2, 1);
	}
	munmap(hole, 4096);
	close_world(&w);
}

void test_threads__no_runtime_is_refused(void)
{
	struct world w = open_world();
	struct cprof_roots roots = { 0 };

	CHECK_EQ(cprof_threads_update(w.list, w.peek, w.py->lay, &roots), -1);
	roots.interpreters = UINTPTR_MAX - 8;
	CHECK_EQ(cprof_threads_update(w.list, w.peek, w.py->lay, &roots), -1);
	close_world(&w);
}

void test_threads__interpreters_in_a_circle_are_bounded(void)
{
	struct world w = open_world();
	char *interp = fake_interp(w.py);

	fake_thread(w.py, interp, 1, 0);
	fake_store(interp, w.py->lay->interp.next, fake_address(interp));
	if (!update(&w))
		CHECK(w.list->nr <= CPROF_MAX_INTERPRETERS);
	close_world(&w);
}

void test_threads__too_many_are_counted(void)
{
	struct world w = open_world();
	char *interp = fake_interp(w.py);

	for (uint64_t i = 1; i <= CPROF_MAX_THREADS; i++)
		fake_thread(w.py, interp, i, 0);
	CHECK_EQ(update(&w), 0);
	CHECK_EQ(w.list->nr, CPROF_MAX_THREADS);
	CHECK_EQ(w.list->lost, 0);
	fake_thread(w.py, interp, CPROF_MAX_THREADS + 1, 0);
	CHECK_EQ(update(&w), 0);
	CHECK_EQ(w.list->nr, CPROF_MAX_THREADS);
	CHECK(w.list->lost > 0);
	/* The newest are those that are kept. */
	CHECK_EQ(w.list->ref[0].id, CPROF_MAX_THREADS + 1);
	close_world(&w);
}
