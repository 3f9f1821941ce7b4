#include "cpython/glance.h"

#include "walked-python.h"

/* Each test is of all kinds of frames. */
#define FOR_EACH_KIND(w)                                                       \
	for (int each_ = 0; each_ < KINDS; each_++)                            \
		for (struct world *w = open_world_as(kind[each_]); w;          \
			close_world(w), w = NULL)

static struct cprof_glance want(struct world *w, bool frames)
{
	struct cprof_thread_ref ref = fake_ref(w->thread);

	cprof_peek_begin(w->peek);
	return cprof_glance_want(w->peek, w->py->lay, &ref, w->hint, frames);
}

/* Does the thread show the chain of the last walk? */
static bool same(struct world *w)
{
	struct cprof_glance g = want(w, true);

	cprof_peek_run(w->peek);
	return cprof_glance_same(&g, w->peek, w->py->lay, w->hint);
}

static void push_three(struct world *w)
{
	push(w, "root", 3);
	push(w, "mid", 2);
	push(w, "leaf", 1);
	walk_whole(w);
}

void test_glance__a_thread_that_did_not_move_shows_its_chain(void)
{
	FOR_EACH_KIND(w)
	{
		CHECK(!same(w)); /* nothing is known of it yet */
		push_three(w);
		CHECK(same(w));
		CHECK(same(w));
		fake_pop(w->thread);
		CHECK(!same(w));
		walk_whole(w);
		CHECK(same(w));
	}
}

void test_glance__any_frame_that_moved_on_is_seen(void)
{
	for (int depth = 0; depth < 3; depth++)
		FOR_EACH_KIND(w)
		{
			char *f = fake_function(w->py, "f"), *frame[3];

			for (int i = 0; i < 3; i++)
				frame[i] = fake_push(w->thread, f, 5 + i);
			walk_whole(w);
			CHECK(same(w));
			fake_instr(w->py, frame[depth], f, 9);
			CHECK(!same(w));
			fake_instr(w->py, frame[depth], f, 5 + depth);
			CHECK(same(w));
		}
}

void test_glance__other_code_or_a_call_more_or_less_is_seen(void)
{
	FOR_EACH_KIND(w)
	{
		push_three(w);
		push(w, "more", 4);
		CHECK(!same(w));
		fake_pop(w->thread);
		CHECK(same(w));
		fake_pop(w->thread);
		push(w, "other", 1);
		CHECK(!same(w));
	}
}

void test_glance__generators_are_in_the_chain(void)
{
	FOR_EACH_KIND(w)
	{
		char *outer, *inner;

		push(w, "root", 3);
		outer = lone_frame(w, "outer", 4);
		link_frame(w, outer, fake_leaf(w->thread));
		inner = lone_frame(w, "inner", 5);
		link_frame(w, inner, outer);
		fake_set_leaf(w->thread, inner);
		walk_whole(w);
		CHECK(same(w));
		fake_set_leaf(w->thread, outer);
		CHECK(!same(w));
		fake_set_leaf(w->thread, inner);
		CHECK(same(w));
		/* It is suspended. */
		link_frame(w, inner, NULL);
		CHECK(!same(w));
	}
}

void test_glance__frames_are_copied_where_that_was_asked_for(void)
{
	FOR_EACH_KIND(w)
	{
		struct cprof_glance g;

		push_three(w);
		g = want(w, false);
		CHECK_EQ(g.frames, 0);
		cprof_peek_run(w->peek);
		CHECK(cprof_peek_at(w->peek, g.state));
		CHECK(!cprof_glance_same(&g, w->peek, w->py->lay, w->hint));
	}
}

void test_glance__a_thread_without_a_frame_is_known_as_such(void)
{
	FOR_EACH_KIND(w)
	{
		CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
		CHECK(w->hint->print);
		push(w, "root", 3);
		CHECK(!same(w));
	}
}

/* A walk costs less than so many bytes at each tick. */
void test_glance__a_deep_chain_is_for_walks(void)
{
	FOR_EACH_KIND(w)
	{
		for (int i = 0; i < 300; i++)
			push(w, "f", 1);
		walk_whole(w);
		CHECK(!same(w));
	}
}

void test_glance__a_chain_that_did_not_stand_is_for_walks(void)
{
	FOR_EACH_KIND(w)
	{
		push_three(w);
		CHECK(same(w));
		link_frame(w, fake_leaf(w->thread), w->py->code_type);
		walk(w);
		CHECK(!w->hint->print);
		CHECK(!same(w));
	}
}
