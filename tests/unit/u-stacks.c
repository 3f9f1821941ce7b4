#include "sampler/stacks.h"

#include "base/limits.h"
#include "check.h"

static struct cprof_stacks *create(void)
{
	struct cprof_stacks *s = NULL;

	CHECK_EQ(cprof_stacks_create(&s, NULL), 0);
	return s;
}

static struct cprof_stack stack_of(int nr, uint32_t code, int32_t instr)
{
	struct cprof_stack stack = { .nr = nr };

	for (int i = 0; i < nr; i++)
		stack.frame[i] =
			(struct cprof_frame){ code + (uint32_t)i, instr };
	return stack;
}

void test_stacks__a_new_one_has_only_the_dropped_tally(void)
{
	struct cprof_stacks *s = create();
	const struct cprof_tally *t = cprof_stacks_tally_at(s, 0);
	const struct cprof_frame *f;
	int nr;

	CHECK_EQ(cprof_stacks_tally_nr(s), 1);
	CHECK_EQ(t->thread, CPROF_NO_THREAD);
	CHECK_EQ(t->in[0].ticks, 0);
	f = cprof_stacks_frames(s, t->stack, &nr);
	CHECK_EQ(nr, 1);
	CHECK_EQ(f->code, CPROF_CODE_DROPPED);
	cprof_stacks_destroy(s);
	cprof_stacks_destroy(NULL);
}

void test_stacks__the_same_stack_on_one_thread_is_one_tally(void)
{
	struct cprof_stacks *s = create();
	struct cprof_stack a = stack_of(3, 10, 1), b = stack_of(3, 10, 1);
	struct cprof_tally *t = cprof_stacks_tally(s, 7, &a);

	t->in[0].ticks = 5;
	CHECK(cprof_stacks_tally(s, 7, &b) == t);
	CHECK_EQ(t->in[0].ticks, 5);
	CHECK_EQ(t->thread, 7);
	CHECK_EQ(cprof_stacks_tally_nr(s), 2);
	cprof_stacks_destroy(s);
}

void test_stacks__another_thread_shares_frames_and_not_the_tally(void)
{
	struct cprof_stacks *s = create();
	struct cprof_stack a = stack_of(3, 10, 1);
	struct cprof_tally *t = cprof_stacks_tally(s, 7, &a);
	struct cprof_tally *u = cprof_stacks_tally(s, 8, &a);

	CHECK(t != u);
	CHECK_EQ(t->stack, u->stack);
	cprof_stacks_destroy(s);
}

void test_stacks__any_difference_makes_another_stack(void)
{
	struct cprof_stacks *s = create();
	struct cprof_stack a = stack_of(3, 10, 1), b;
	uint32_t first = cprof_stacks_tally(s, 1, &a)->stack;
	const struct cprof_frame *f;
	int nr;

	b = a;
	b.nr = 2;
	CHECK(cprof_stacks_tally(s, 1, &b)->stack != first);
	b = a;
	b.frame[0].instr = -1;
	CHECK(cprof_stacks_tally(s, 1, &b)->stack != first);
	b = a;
	b.frame[2].code = 99;
	CHECK(cprof_stacks_tally(s, 1, &b)->stack != first);
	f = cprof_stacks_frames(s, first, &nr);
	CHECK_EQ(nr, 3);
	CHECK(!memcmp(f, a.frame, 3 * sizeof(*f)));
	cprof_stacks_destroy(s);
}

void test_stacks__overflow_is_dropped_with_its_weight(void)
{
	struct cprof_stacks *s = create();
	uint64_t ticks = 0;
	uint32_t nr = CPROF_MAX_STACKS + 1000;

	for (uint32_t i = 0; i < nr; i++) {
		struct cprof_stack stack = stack_of(2, i, 0);

		cprof_stacks_tally(s, 1, &stack)->in[0].ticks++;
	}
	CHECK_EQ(cprof_stacks_tally_nr(s), CPROF_MAX_STACKS);
	/* One number is the dropped one's own. */
	CHECK_EQ(cprof_stacks_tally_at(s, 0)->in[0].ticks, 1001);
	for (uint32_t i = 0; i < cprof_stacks_tally_nr(s); i++)
		ticks += cprof_stacks_tally_at(s, i)->in[0].ticks;
	CHECK_EQ(ticks, nr);
	/* What was known before is still told apart. */
	for (uint32_t i = 0; i < 100; i++) {
		struct cprof_stack stack = stack_of(2, i, 0);

		CHECK_EQ(cprof_stacks_tally(s, 1, &stack)->in[0].ticks, 1);
	}
	cprof_stacks_destroy(s);
}

void test_stacks__too_many_threads_on_few_stacks_are_dropped_too(void)
{
	struct cprof_stacks *s = create();
	struct cprof_stack stack = stack_of(2, 5, 0);

	for (uint32_t i = 0; i < CPROF_MAX_STACKS + 7; i++)
		cprof_stacks_tally(s, i, &stack)->in[0].ticks++;
	CHECK_EQ(cprof_stacks_tally_nr(s), CPROF_MAX_STACKS);
	CHECK_EQ(cprof_stacks_tally_at(s, 0)->in[0].ticks, 8);
	cprof_stacks_destroy(s);
}

/* The longest stacks fill the memory for frames before the table. */
void test_stacks__a_full_arena_is_dropped_with_its_weight(void)
{
	struct cprof_stacks *s = create();
	static struct cprof_stack stack;
	uint64_t ticks = 0;

	stack.nr = CPROF_MAX_KEPT_FRAMES;
	for (uint32_t i = 0; i < CPROF_MAX_STACKS / 2; i++) {
		stack.frame[0].code = i;
		cprof_stacks_tally(s, 1, &stack)->in[0].ticks++;
	}
	CHECK(cprof_stacks_tally_nr(s) > 1000);
	CHECK(cprof_stacks_tally_at(s, 0)->in[0].ticks > 0);
	for (uint32_t i = 0; i < cprof_stacks_tally_nr(s); i++)
		ticks += cprof_stacks_tally_at(s, i)->in[0].ticks;
	CHECK_EQ(ticks, CPROF_MAX_STACKS / 2);
	cprof_stacks_destroy(s);
}
