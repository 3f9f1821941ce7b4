#include "cpython/chain.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "walked-python.h"

void test_chain__a_plain_stack_comes_leaf_first(void)
{
	struct world *w = open_world();

	push(w, "root", 3);
	push(w, "mid", 2);
	push(w, "leaf", 1);
	settled(w, "leaf@1 mid@2 root@3");
	fake_pop(w->thread);
	settled(w, "mid@2 root@3");
	CHECK(cprof_walker_stats(w->walker)->walks >= 2);
	CHECK(tries(w) >= cprof_walker_stats(w->walker)->walks);
	close_world(w);
}

void test_chain__each_version_shows_its_stacks(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		char *frame;

		push(w, "root", 3);
		push(w, "mid", 2);
		push(w, "leaf", 1);
		settled(w, "leaf@1 mid@2 root@3");
		fake_pop(w->thread);
		settled(w, "mid@2 root@3");
		/* A generator that runs, called by one that runs. */
		frame = lone_frame(w, "outer", 4);
		link_frame(w, frame, fake_leaf(w->thread));
		fake_set_leaf(w->thread, frame);
		link_frame(w, lone_frame(w, "unused", 4), frame);
		frame = lone_frame(w, "inner", 5);
		link_frame(w, frame, fake_leaf(w->thread));
		fake_set_leaf(w->thread, frame);
		settled(w, "inner@5 outer@4 mid@2 root@3");
		/* It is suspended: a chain that ends there is cut short. */
		link_frame(w, fake_leaf(w->thread), NULL);
		CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
		CHECK_STR(text(w), "inner@5 [unsettled]");
		close_world(w);
	}
}

void test_chain__shims_are_no_frames_of_the_program(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		uint8_t shim = w->py->lay->frame.owned_by_shim;
		char *at = fake_alloc(w->py, 256);
		char *base = fake_alloc(w->py, 256);

		/* One under the root and one between, of no code at all. */
		fake_frame_at(w->py, base, NULL, 0, NULL, shim + 1);
		if (shim)
			fake_set_leaf(w->thread, base);
		push(w, "root", 3);
		fake_frame_at(w->py, at, w->py->code_type, 0,
			fake_leaf(w->thread), shim);
		if (shim)
			fake_set_leaf(w->thread, at);
		push(w, "leaf", 1);
		settled(w, "leaf@1 root@3");
		/* Just before the call returns to C. */
		fake_pop(w->thread);
		settled(w, "root@3");
		close_world(w);
	}
}

/* To 3.10, where frames that ended stay as they were and are used again. */
void test_chain__frames_that_do_not_execute_are_on_no_stack(void)
{
	for (int i = 0; kind[i] < 0x030b0000; i++) {
		struct world *w = open_world_as(kind[i]);
		const struct cprof_layout *lay = w->py->lay;
		uint8_t running = lay->frame.executing;
		char *mid;

		push(w, "root", 3);
		mid = push(w, "mid", 2);
		push(w, "leaf", 1);
		/* The leaf may be about to begin. */
		fake_leaf(w->thread)[lay->frame.state] = (char)(running + 1);
		settled(w, "leaf@1 mid@2 root@3");
		/* One that ended has its callers; what it hides is not known.
		 */
		mid[lay->frame.state] = (char)(running + 1);
		CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
		CHECK_STR(text(w), "leaf@1 [unsettled] root@3");
		/* Without callers, it is not a root. */
		link_frame(w, mid, NULL);
		CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
		CHECK_STR(text(w), "leaf@1 [unsettled]");
		close_world(w);
	}
}

/* A trace function that is told of the call, `__del__` while it unwinds. */
void test_chain__a_frame_that_only_waits_for_its_tracer_is_on_the_stack(void)
{
	for (int i = 0; kind[i] < 0x030b0000; i++) {
		struct world *w = open_world_as(kind[i]);
		const struct cprof_layout *lay = w->py->lay;
		char *mid;

		push(w, "root", 3);
		mid = push(w, "mid", 2);
		push(w, "tracer", 1);
		mid[lay->frame.state] = (char)(lay->frame.executing + 1);
		fake_store(mid, lay->code.ob_type - 8U, 1); /* ob_refcnt */
		settled(w, "tracer@1 mid@2 root@3");
		close_world(w);
	}
}

/* What is left on the C stack of a call from C that returned (from 3.11). */
void test_chain__remains_of_shims_are_no_frames(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		char *remains = fake_alloc(w->py, 256);
		char *leaf;

		if (kind[i] < 0x030b0000) {
			close_world(w);
			continue;
		}
		push(w, "root", 3);
		leaf = push(w, "leaf", 1);
		fake_frame_at(w->py, remains, w->py->code_type, 0, remains, 0);
		link_frame(w, leaf, remains);
		CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
		CHECK_STR(text(w), "[unsettled]");
		close_world(w);
	}
}

/* Each interpreter counts its code objects by itself. */
void test_chain__a_second_interpreter_has_the_same_numbers(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		struct fake_thread *first = w->thread;
		struct fake_thread *second =
			fake_thread(w->py, fake_interp(w->py), 2, 0);
		char *name = fake_str(w->py, "old");
		char *code = fake_code(
			w->py, (struct fake_code_is){ .name_str = name });

		fake_push(first, code, 1);
		settled(w, "old@1");
		/* The same addresses and number, and other content. */
		memcpy(name + w->py->lay->str.ascii_data, "new", 3);
		w->thread = second;
		cprof_chain_hint_reset(w->hint);
		fake_push(second, code, 1);
		settled(w, "new@1");
		close_world(w);
	}
}

/* From 3.12 code objects are numbered; before, their content tells. */
void test_chain__each_version_notices_other_code_at_the_same_address(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		char *code =
			fake_code(w->py, (struct fake_code_is){ .name = "old",
						 .first_line = 7 });

		push(w, "root", 3);
		fake_push(w->thread, code, 1);
		settled(w, "old@1 root@3");
		fake_code_at(w->py, code,
			(struct fake_code_is){
				.name = "new", .first_line = 7 });
		settled(w, "new@1 root@3");
		close_world(w);
	}
}

void test_chain__each_version_shows_deep_stacks(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct world *w = open_world_as(kind[i]);
		char *code = fake_function(w->py, "f");

		for (int n = 0; n < 3000; n++)
			fake_push(w->thread, code, 1);
		walk_whole(w);
		walk_whole(w);
		CHECK_EQ(w->stack->nr,
			1 + CPROF_KEPT_LEAF_FRAMES + CPROF_KEPT_ROOT_FRAMES);
		CHECK_EQ(w->stack->frame[CPROF_KEPT_LEAF_FRAMES].code,
			CPROF_CODE_ELIDED);
		close_world(w);
	}
}

void test_chain__a_thread_without_a_frame_says_so(void)
{
	struct world *w = open_world();

	settled(w, "[none]");
	settled(w, "[none]");
	push(w, "root", 0);
	settled(w, "root@0");
	close_world(w);
}

void test_chain__frames_still_being_made_are_left_out(void)
{
	struct world *w = open_world();
	char *late = fake_code(w->py,
		(struct fake_code_is){ .name = "late", .first_traceable = 2 });
	char *frame;

	push(w, "root", 3);
	frame = fake_push(w->thread, late, -1);
	settled(w, "root@3");
	fake_instr(w->py, frame, late, 1);
	settled(w, "root@3");
	fake_instr(w->py, frame, late, 2);
	settled(w, "late@2 root@3");
	/* A generator's frame is whole before its first instruction. */
	fake_frame_at(w->py, frame, late, -1,
		(char *)(uintptr_t)fake_load(frame, w->py->lay->frame.previous),
		GENERATOR);
	settled(w, "late@-1 root@3");
	close_world(w);
}

void test_chain__frames_outside_of_the_data_stack_are_found(void)
{
	struct world *w = open_world();
	char *root = push(w, "root", 3);
	char *a = lone_frame(w, "gen_a", 1), *b = lone_frame(w, "gen_b", 2);
	uint64_t before;

	link_frame(w, a, root);
	link_frame(w, b, a);
	fake_set_leaf(w->thread, b);
	settled(w, "gen_b@2 gen_a@1 root@3");
	before = tries(w);
	for (int i = 0; i < 10; i++)
		settled(w, "gen_b@2 gen_a@1 root@3");
	CHECK(tries(w) < before + 10 + INTERRUPTED);
	/* And a call from the innermost one. */
	push(w, "callee", 0);
	settled(w, "callee@0 gen_b@2 gen_a@1 root@3");
	close_world(w);
}

void test_chain__many_generators_are_found(void)
{
	struct world *w = open_world();
	char *last = push(w, "root", 3), *code = fake_function(w->py, "gen");

	for (int i = 0; i < 1000; i++) {
		char *frame = fake_alloc(w->py, w->py->lay->frame.size + 8U);

		fake_frame_at(w->py, frame, code, 1, last, GENERATOR);
		last = frame;
	}
	fake_set_leaf(w->thread, last);
	walk_whole(w);
	CHECK_EQ(w->stack->nr,
		CPROF_KEPT_LEAF_FRAMES + CPROF_KEPT_ROOT_FRAMES + 1);
	walk_whole(w);
	close_world(w);
}

/* The frame of a suspended generator points to nobody. */
void test_chain__a_root_that_is_a_generator_is_no_root(void)
{
	struct world *w = open_world();
	char *root = push(w, "root", 3), *gen = lone_frame(w, "gen", 1);

	link_frame(w, gen, root);
	fake_set_leaf(w->thread, gen);
	settled(w, "gen@1 root@3");
	link_frame(w, gen, NULL);
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	CHECK_STR(text(w), "gen@1 [unsettled]");
	CHECK(cprof_walker_stats(w->walker)->unsettled >= 1);
	/* What was learnt before is not lost by it. */
	link_frame(w, gen, root);
	settled(w, "gen@1 root@3");
	close_world(w);
}

void test_chain__an_ended_thread_is_told(void)
{
	struct world *w = open_world();
	struct cprof_thread_ref ref = fake_ref(w->thread);
	char *hole =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(hole != MAP_FAILED);
	push(w, "root", 3);
	settled(w, "root@3");
	w->stack->nr = 77;
	fake_store(w->thread->state, w->py->lay->thread.id, 2);
	CHECK_EQ(cprof_walk(w->walker, &ref, w->hint, 9, w->stack),
		CPROF_WALK_ENDED);
	CHECK_EQ(w->stack->nr, 77);
	fake_store(w->thread->state, w->py->lay->thread.id, 1);
	fake_store(w->thread->state, w->py->lay->thread.interp, 8);
	CHECK_EQ(cprof_walk(w->walker, &ref, w->hint, 10, w->stack),
		CPROF_WALK_ENDED);
	ref.state = fake_address(hole);
	CHECK_EQ(cprof_walk(w->walker, &ref, w->hint, 11, w->stack),
		CPROF_WALK_ENDED);
	ref.state = 0;
	CHECK_EQ(cprof_walk(w->walker, &ref, w->hint, 12, w->stack),
		CPROF_WALK_ENDED);
	munmap(hole, 4096);
	close_world(w);
}

void test_chain__code_that_went_away_keeps_its_place(void)
{
	struct world *w = open_world();
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	fake_code_at(w->py, page, (struct fake_code_is){ .name = "young" });
	push(w, "root", 3);
	fake_push(w->thread, page, 1);
	push(w, "leaf", 0);
	settled(w, "leaf@0 young@1 root@3");
	/* Known or not: what cannot be read again is not named. */
	CHECK_EQ(munmap(page, 4096), 0);
	settled(w, "leaf@0 [gone] root@3");
	settled(w, "leaf@0 [gone] root@3");
	CHECK(cprof_walker_stats(w->walker)->unnamed_frames >= 2);
	close_world(w);
}

void test_chain__code_that_was_never_there_keeps_its_place(void)
{
	struct world *w = open_world();

	push(w, "root", 3);
	fake_push(w->thread, NULL, 1);
	fake_push(w->thread, w->py->runtime, 1);
	settled(w, "[gone] [gone] root@3");
	close_world(w);
}

void test_chain__other_code_at_the_same_address_gets_its_own_name(void)
{
	static const char *const name[] = { "first", "second", "first",
		"third" };
	struct world *w = open_world();
	char *code = fake_function(w->py, "zero"), want[64];

	push(w, "root", 3);
	fake_push(w->thread, code, 1);
	settled(w, "zero@1 root@3");
	settled(w, "zero@1 root@3");
	for (int n = 0; n < 8; n++) {
		fake_code_at(w->py, code,
			(struct fake_code_is){ .name = name[n % 4] });
		snprintf(want, sizeof(want), "%s@1 root@3", name[n % 4]);
		settled(w, want);
		settled(w, want);
	}
	close_world(w);
}

static void push_deep(struct world *w, int depth)
{
	char *code = fake_function(w->py, "deep");

	push(w, "root", 3);
	for (int i = 1; i < depth; i++)
		fake_push(w->thread, code, i % 16);
}

void test_chain__all_of_a_stack_that_just_fits_is_kept(void)
{
	struct world *w = open_world();
	int kept = CPROF_KEPT_LEAF_FRAMES + CPROF_KEPT_ROOT_FRAMES;

	push_deep(w, kept);
	walk_whole(w);
	CHECK_EQ(w->stack->nr, kept);
	for (int i = 0; i < kept - 1; i++) {
		CHECK(w->stack->frame[i].code < CPROF_CODE_PSEUDO);
		CHECK_EQ(w->stack->frame[i].instr, (kept - 1 - i) % 16);
	}
	close_world(w);
}

/* 448 from the leaf, 64 from the root, the mark between. */
static void elided(struct world *w, int depth)
{
	const struct cprof_frame *f = w->stack->frame;

	walk_whole(w);
	CHECK_EQ(w->stack->nr,
		CPROF_KEPT_LEAF_FRAMES + 1 + CPROF_KEPT_ROOT_FRAMES);
	CHECK_EQ(f[CPROF_KEPT_LEAF_FRAMES].code, CPROF_CODE_ELIDED);
	for (int i = 0; i < CPROF_KEPT_LEAF_FRAMES; i++)
		CHECK_EQ(f[i].instr, (depth - 1 - i) % 16);
	for (int i = 0; i < CPROF_KEPT_ROOT_FRAMES - 1; i++)
		CHECK_EQ(f[w->stack->nr - 1 - 1 - i].instr, (1 + i) % 16);
	CHECK_STR(text(w) + strlen(w->text) - 6, "root@3");
}

void test_chain__the_middle_of_a_deep_stack_is_left_out(void)
{
	static const int depth[] = { 513, 514, 1000, CPROF_MAX_WALKED_FRAMES };

	for (size_t i = 0; i < sizeof(depth) / sizeof(depth[0]); i++) {
		struct world *w = open_world();

		push_deep(w, depth[i]);
		elided(w, depth[i]);
		elided(w, depth[i]);
		close_world(w);
	}
}

void test_chain__a_bottomless_stack_is_marked_too_deep(void)
{
	static const int depth[] = { CPROF_MAX_WALKED_FRAMES + 1, 6000, 20000,
		60000 };

	for (size_t i = 0; i < sizeof(depth) / sizeof(depth[0]); i++) {
		struct world *w = open_world();

		push_deep(w, depth[i]);
		for (int n = 0; n < 2; n++) {
			walk_whole(w);
			CHECK_EQ(w->stack->nr, CPROF_MAX_KEPT_FRAMES - 1);
			CHECK_EQ(w->stack->frame[0].instr, (depth[i] - 1) % 16);
			CHECK_EQ(w->stack->frame[w->stack->nr - 1].code,
				CPROF_CODE_TOO_DEEP);
		}
		close_world(w);
	}
}

/* Frames with room for many values: few in a chunk. */
void test_chain__a_data_stack_larger_than_the_buffer_is_no_end(void)
{
	struct world *w = open_world();
	char *code = fake_function(w->py, "wide");

	w->thread->chunk_bytes = CPROF_MAX_CHUNK_BYTES;
	push(w, "root", 3);
	for (int i = 0; i < 40; i++) {
		/* A new chunk for each, as good as full. */
		fake_store(w->thread->state, w->py->lay->thread.datastack_top,
			fake_address(w->thread->chunk) +
				fake_load(w->thread->chunk,
					w->py->lay->chunk.size));
		fake_push(w->thread, code, i % 16);
	}
	CHECK(walk(w) != CPROF_WALK_ENDED);
	CHECK(walk(w) != CPROF_WALK_ENDED);
	close_world(w);
}

void test_chain__frames_in_a_circle_are_bounded(void)
{
	struct world *w = open_world();
	char *a = push(w, "a", 3), *b = push(w, "b", 2);

	link_frame(w, a, b);
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	CHECK_STR(text(w), "[unsettled]");
	/* Chunks, too. */
	fake_store(w->thread->chunk, w->py->lay->chunk.previous,
		fake_address(w->thread->chunk));
	link_frame(w, a, lone_frame(w, "away", 1));
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	close_world(w);
}

void test_chain__a_data_stack_of_several_chunks_is_one_try(void)
{
	struct world *w = open_world();
	uint64_t before;

	w->thread->chunk_bytes = 512;
	push(w, "root", 3);
	for (int i = 0; i < 12; i++)
		push(w, "f", 1);
	walk_whole(w);
	CHECK_EQ(w->stack->nr, 13);
	before = tries(w);
	for (int i = 12; i; i--) {
		fake_pop(w->thread);
		walk_whole(w);
		CHECK_EQ(w->stack->nr, i);
	}
	CHECK(tries(w) < before + 12 + INTERRUPTED);
	close_world(w);
}

void test_chain__a_thread_with_all_memory_gone_is_unsettled(void)
{
	struct world *w = open_world();

	push(w, "root", 3);
	settled(w, "root@3");
	fake_set_leaf(w->thread, (char *)(uintptr_t)4096);
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	CHECK_STR(text(w), "[unsettled]");
	fake_store(w->thread->state, w->py->lay->thread.cframe, UINTPTR_MAX);
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	close_world(w);
}

/* A thread that calls and returns while it is looked at. */
struct mover {
	struct world *w;
	char *root, *root_code, *code[4], *name[2], *frame[4];
	atomic_bool stop;
};

/* Long against the copy of a small stack: as long as real calls take. */
static void dwell(void)
{
	for (volatile int i = 0; i < 1500; i++)
		;
}

/* Shorter than a copy. */
static void pause_briefly(void)
{
	for (volatile int i = 0; i < 100; i++)
		;
}

static void *call_and_return(void *arg)
{
	struct mover *m = arg;
	struct fake_thread *t = m->w->thread;

	while (!atomic_load(&m->stop)) {
		for (int way = 0; way < 2; way++) {
			fake_instr(m->w->py, m->root, m->root_code, 1 + way);
			fake_push(t, m->code[2 * way], 5);
			dwell();
			fake_push(t, m->code[2 * way + 1], 6);
			dwell();
			fake_pop(t);
			dwell();
			fake_pop(t);
			dwell();
		}
	}
	return NULL;
}

static bool is_one_of(const char *stack, const char *const list[], size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(stack, list[i]))
			return true;
	return false;
}

/* Any part of a chain, from the root on, is a true stack of the program. */
static bool legal(const char *stack)
{
	static const char *const chain[] = { "a@5 root@1", "x@6 a@5 root@1",
		"b@5 root@2", "y@6 b@5 root@2", "root@1", "root@2" };

	return is_one_of(stack, chain, sizeof(chain) / sizeof(chain[0]));
}

/* What a mark has below it; NULL without one. What is before is cut off. */
static char *cut_at_mark(char *stack)
{
	char *mark = strstr(stack, "[unsettled]");

	if (!mark)
		return NULL;
	*mark = '\0';
	return mark + (mark[11] ? 12 : 11);
}

static void prepare(struct mover *m, struct world *w)
{
	static const char *const name[] = { "a", "x", "b", "y" };

	*m = (struct mover){ .w = w };
	m->root_code = fake_function(w->py, "root");
	m->root = fake_push(w->thread, m->root_code, 1);
	for (int i = 0; i < 4; i++)
		m->code[i] = fake_function(w->py, name[i]);
	m->name[0] = fake_str(w->py, "even");
	m->name[1] = fake_str(w->py, "odd");
}

void test_chain__a_settled_stack_of_a_running_thread_is_a_true_one(void)
{
	static struct mover m;
	struct world *w = open_world();
	int settled_nr = 0, gone_nr = 0, leaf_nr[2] = { 0 };
	pthread_t thread;

	prepare(&m, w);
	CHECK_EQ(pthread_create(&thread, NULL, call_and_return, &m), 0);
	for (int i = 0; i < 20000; i++) {
		const char *at;
		bool whole = walk(w) == CPROF_WALK_SETTLED;

		at = text(w);
		settled_nr += whole;
		if (!whole) {
			/* What ran, if that is known, is apart. */
			at = cut_at_mark(w->text);
			CHECK(at);
		}
		/* At first sight a code may go before it is known. */
		if (strstr(at, "[gone]") || strstr(at, "@?"))
			gone_nr++;
		else if (*at && !legal(at))
			CHECK_STR(at, "a true stack");
		leaf_nr[0] += *at == 'x';
		leaf_nr[1] += *at == 'y';
	}
	atomic_store(&m.stop, true);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(settled_nr > 1000);
	CHECK(gone_nr < 1000);
	CHECK(leaf_nr[0] > 0 && leaf_nr[1] > 0);
	close_world(w);
}

static void resume(struct world *w, char *generator, const char *caller)
{
	link_frame(w, generator, caller);
	fake_set_leaf(w->thread, generator);
	pause_briefly();
}

static void yield_to(struct world *w, char *generator, const char *caller)
{
	fake_set_leaf(w->thread, caller);
	link_frame(w, generator, NULL);
	pause_briefly();
}

/* Two towers of two generators in turn, each hung up and taken down often. */
static void *resume_and_yield(void *arg)
{
	struct mover *m = arg;
	struct world *w = m->w;

	while (!atomic_load(&m->stop)) {
		for (int way = 0; way < 2; way++) {
			char *outer = m->frame[2 * way];
			char *inner = m->frame[2 * way + 1];

			for (int n = 0; n < 20; n++) {
				resume(w, outer, m->root);
				resume(w, inner, outer);
				yield_to(w, inner, outer);
				yield_to(w, outer, m->root);
			}
			/* Its line is of a moment after that of who ran. */
			for (int n = 0; n < 10; n++)
				dwell();
			fake_instr(w->py, m->root, m->root_code, 2 - way);
			for (int n = 0; n < 10; n++)
				dwell();
		}
	}
	return NULL;
}

/* A part of a tower, from what ran on. */
static bool legal_part(const char *stack)
{
	static const char *const part[] = { "", "x@6 a@5 ", "x@6 ", "a@5 ",
		"y@6 b@5 ", "y@6 ", "b@5 ", "root@1 ", "root@2 " };

	return is_one_of(stack, part, sizeof(part) / sizeof(part[0]));
}

/* Half of the looks at quick generators had lost the callers of what ran. */
void test_chain__generators_that_yield_all_the_time_have_their_callers(void)
{
	static struct mover m;
	struct world *w = open_world();
	int settled_nr = 0;
	pthread_t thread;

	prepare(&m, w);
	m.frame[0] = lone_frame(w, "a", 5);
	m.frame[1] = lone_frame(w, "x", 6);
	m.frame[2] = lone_frame(w, "b", 5);
	m.frame[3] = lone_frame(w, "y", 6);
	CHECK_EQ(pthread_create(&thread, NULL, resume_and_yield, &m), 0);
	for (int i = 0; i < 20000; i++) {
		bool whole = walk(w) == CPROF_WALK_SETTLED;
		const char *at = text(w), *rest;

		if (strstr(at, "[gone]") || strstr(at, "@?"))
			continue;
		settled_nr += whole;
		rest = cut_at_mark(w->text);
		CHECK(whole == !rest);
		if (rest) {
			if (!legal_part(at))
				CHECK_STR(at, "a part of a true stack");
			at = rest;
		}
		if (*at && !legal(at))
			CHECK_STR(at, "a true stack");
	}
	atomic_store(&m.stop, true);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(settled_nr > 1000);
	close_world(w);
}

/* Two codes at one address in turn, as reloading a module makes them. */
static void *replace_code(void *arg)
{
	struct mover *m = arg;
	const struct cprof_layout *lay = m->w->py->lay;

	for (unsigned int i = 0; !atomic_load(&m->stop); i++) {
		fake_store(m->code[0], lay->code.name,
			fake_address(m->name[i % 2]));
		fake_push(m->w->thread, m->code[0], 2 + (int)(i % 2));
		/* As long as it takes to make a code object, and to run it. */
		for (int n = 0; n < 20; n++)
			dwell();
		fake_pop(m->w->thread);
	}
	return NULL;
}

void test_chain__a_reused_code_object_is_never_misnamed(void)
{
	static struct mover m;
	struct world *w = open_world();
	int named_nr = 0;
	pthread_t thread;

	prepare(&m, w);
	/* A place is taken for a steady one until its content changed once. */
	fake_push(w->thread, m.code[0], 1);
	settled(w, "a@1 root@1");
	fake_store(m.code[0], w->py->lay->code.name, fake_address(m.name[0]));
	settled(w, "even@1 root@1");
	fake_pop(w->thread);
	CHECK_EQ(pthread_create(&thread, NULL, replace_code, &m), 0);
	for (int i = 0; i < 20000; i++) {
		bool whole = walk(w) == CPROF_WALK_SETTLED;
		const char *at = text(w);

		if (!whole || !strcmp(at, "root@1") ||
			!strcmp(at, "[gone] root@1"))
			continue;
		/* Each name has its own instruction. */
		if (strcmp(at, "even@2 root@1") && strcmp(at, "odd@3 root@1"))
			CHECK_STR(at, "a true stack");
		named_nr++;
	}
	atomic_store(&m.stop, true);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(named_nr > 100);
	close_world(w);
}

/* All three marks at once, around the most frames that are kept. */
void test_chain__the_longest_unsettled_stack_fits(void)
{
	struct world *w = open_world();

	push_deep(w, CPROF_MAX_WALKED_FRAMES + 100);
	/* A leaf above the data stack's top is one that ended. */
	fake_store(w->thread->state, w->py->lay->thread.datastack_top,
		fake_address(fake_leaf(w->thread)));
	CHECK_EQ(walk(w), CPROF_WALK_UNSETTLED);
	CHECK_EQ(w->stack->nr, CPROF_MAX_KEPT_FRAMES);
	CHECK_EQ(w->stack->frame[0].code, CPROF_CODE_UNSETTLED);
	CHECK_EQ(w->stack->frame[1 + CPROF_KEPT_LEAF_FRAMES].code,
		CPROF_CODE_ELIDED);
	CHECK_EQ(w->stack->frame[w->stack->nr - 1].code, CPROF_CODE_TOO_DEEP);
	close_world(w);
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Words that memory may hold by accident, in the places that are read. */
static uint64_t wild(uint64_t *x, char *const *place, size_t nr)
{
	static const uint64_t fixed[] = { 0, 1, 8, 4096, INT64_MAX, 1ull << 63,
		UINT64_MAX, UINT64_MAX - 7, 1ull << 47, (1ull << 47) - 8,
		0xffff800000000000ull, 1ull << 32, UINT32_MAX };
	uint64_t choice = next_random(x) % 10;

	if (choice < 4)
		return fixed[next_random(x) %
			     (sizeof(fixed) / sizeof(fixed[0]))];
	if (choice < 8)
		return fake_address(place[next_random(x) % nr]) +
		       next_random(x) % 64;
	if (choice == 8)
		return next_random(x) % 100000;
	return next_random(x);
}

static void walk_wild_memory(uint32_t hexversion)
{
	struct world *w = open_world_as(hexversion);
	char *place[40];
	size_t bytes[40], nr = 0;
	uint64_t x = 0x2545f4914f6cdd1d, undo_value[8];
	char *undo_at[8];

	w->thread->chunk_bytes = 512;
	push(w, "root", 3);
	for (int i = 0; i < 8; i++)
		push(w, "f", 1);
	link_frame(w, lone_frame(w, "gen", 1), fake_leaf(w->thread));
#define PLACE(at, len) (place[nr] = (at), bytes[nr++] = (len))
	PLACE(w->thread->state, w->py->lay->thread.size);
	if (w->py->lay->cframe.size)
		PLACE(w->thread->cframe, w->py->lay->cframe.size);
	for (char *c = w->thread->chunk; c;
		c = (char *)(uintptr_t)fake_load(c, w->py->lay->chunk.previous))
		PLACE(c, 512);
	for (char *f = fake_leaf(w->thread); f;
		f = (char *)(uintptr_t)fake_load(
			f, w->py->lay->frame.previous)) {
		char *code =
			(char *)(uintptr_t)fake_load(f, w->py->lay->frame.code);

		PLACE(f, w->py->lay->frame.size);
		PLACE(code, w->py->lay->code.size);
		PLACE((char *)(uintptr_t)fake_load(code, w->py->lay->code.name),
			40);
		PLACE((char *)(uintptr_t)fake_load(
			      code, w->py->lay->code.linetable),
			32);
	}
#undef PLACE
	CHECK(nr <= 40);
	for (int i = 0; i < 2000; i++) {
		struct cprof_thread_ref ref = fake_ref(w->thread);
		uint64_t before = tries(w);
		int hits = 1 + (int)(next_random(&x) % 8);

		for (int n = 0; n < hits; n++) {
			size_t p = next_random(&x) % nr;

			undo_at[n] =
				place[p] + next_random(&x) % (bytes[p] / 8) * 8;
			undo_value[n] = fake_load(undo_at[n], 0);
			fake_store(undo_at[n], 0, wild(&x, place, nr));
		}
		if (next_random(&x) % 50 == 0)
			cprof_chain_hint_reset(w->hint);
		cprof_walk(w->walker, &ref, w->hint, ++w->tick, w->stack);
		CHECK(tries(w) <= before + CPROF_WALK_TRIES);
		CHECK(w->stack->nr >= 0 &&
			w->stack->nr <= CPROF_MAX_KEPT_FRAMES);
		while (hits--)
			fake_store(undo_at[hits], 0, undo_value[hits]);
	}
	/* A code object whose strings were wild is another one now. */
	for (char *f = fake_leaf(w->thread); f;
		f = (char *)(uintptr_t)fake_load(f, w->py->lay->frame.previous))
		fake_code_renumber(w->py, (char *)(uintptr_t)fake_load(
						  f, w->py->lay->frame.code));
	/* Nothing of it stays. */
	walk_whole(w);
	CHECK_STR(text(w), "f@1 f@1 f@1 f@1 f@1 f@1 f@1 f@1 root@3");
	close_world(w);
}

void test_chain__no_memory_makes_a_walk_fail_or_last(void)
{
	for (int i = 0; i < KINDS; i++)
		walk_wild_memory(kind[i]);
}
