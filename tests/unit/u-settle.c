#include "cpython/walker.h"

#include <sys/mman.h>

#include "walked-python.h"

void test_settle__what_it_learnt_makes_one_try_enough(void)
{
	struct world *w = open_world();
	uint64_t before;

	push(w, "root", 3);
	push(w, "leaf", 1);
	settled(w, "leaf@1 root@3");
	before = tries(w);
	for (int i = 0; i < 10; i++) {
		char *frame = push(w, "more", 1);

		settled(w, "more@1 leaf@1 root@3");
		fake_instr(w->py, frame,
			(char *)(uintptr_t)fake_load(
				frame, w->py->lay->frame.code),
			2);
		settled(w, "more@2 leaf@1 root@3");
		fake_pop(w->thread);
	}
	CHECK(tries(w) < before + 20 + INTERRUPTED);
	close_world(w);
}

/* All frames are in the newest chunk of the data stack. */
void test_settle__what_its_state_tells_makes_the_first_try_enough(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		uint64_t before;

		if (!w->py->lay->chunk.data) {
			close_world(w);
			continue;
		}
		for (int n = 0; n < 60; n++)
			push(w, "root", 3);
		CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
		CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
		before = tries(w);
		for (int n = 0; n < 10; n++) {
			cprof_chain_hint_reset(w->hint);
			cprof_chain_hint_begin(
				w->hint, w->py->lay, w->thread->state);
			CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
		}
		CHECK(tries(w) < before + 10 + INTERRUPTED);
		close_world(w);
	}
}

void test_settle__a_wrong_hint_costs_tries_and_nothing_else(void)
{
	struct world *w = open_world();
	char *hole =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(hole != MAP_FAILED);
	push(w, "root", 3);
	push(w, "leaf", 1);
	settled(w, "leaf@1 root@3");
	w->hint->cframe[0] = fake_address(hole);
	for (int i = 0; i < w->hint->chunk_nr; i++)
		w->hint->chunk[i].address = fake_address(hole);
	w->hint->outside_nr = cprof_chain_hint_frames(w->py->lay);
	for (int i = 0; i < cprof_chain_hint_frames(w->py->lay); i++)
		w->hint->outside[i] = fake_address(hole) + (uintptr_t)i;
	settled(w, "leaf@1 root@3");
	munmap(hole, 4096);
	close_world(w);
}

/* All that a hint can name is bad, and yet it is no end of a thread. */
void test_settle__the_worst_hint_does_not_end_a_thread(void)
{
	char *hole =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(hole != MAP_FAILED);
	for (int k = 0; k < KINDS; k++) {
		struct world *w = open_world_as(kind[k]);
		struct cprof_chain_hint *hint = w->hint;

		push(w, "root", 3);
		settled(w, "root@3");
		hint->cframe_nr = CPROF_HINT_CFRAMES;
		for (int i = 0; i < CPROF_HINT_CFRAMES; i++)
			hint->cframe[i] = fake_address(hole) + (uintptr_t)i;
		hint->chunk_nr = CPROF_HINT_CHUNKS;
		for (int i = 0; i < CPROF_HINT_CHUNKS; i++) {
			hint->chunk[i].address = fake_address(hole);
			hint->chunk[i].len = 100;
		}
		hint->outside_nr =
			(uint16_t)cprof_chain_hint_frames(w->py->lay);
		for (int i = 0; i < hint->outside_nr; i++)
			hint->outside[i] = fake_address(hole) + (uintptr_t)i;
		settled(w, "root@3");
		close_world(w);
	}
	munmap(hole, 4096);
}
