#include "cpython/gather.h"

#include "walked-python.h"

/*
 * What was copied of a thread whose stack is root, mid, leaf. A test changes
 * the copies as the thread would have changed its memory meanwhile.
 */
struct scene {
	struct world *w;
	char *mid, *leaf;
	struct cprof_gather *g;
	struct cprof_raw_chain *chain;
};

static struct scene open_scene(uint32_t hexversion)
{
	struct scene s = { .w = open_world_as(hexversion) };
	struct cprof_thread_ref ref = fake_ref(s.w->thread);

	push(s.w, "root", 3);
	s.mid = push(s.w, "mid", 2);
	settled(s.w, "mid@2 root@3");
	s.leaf = push(s.w, "leaf", 1);
	settled(s.w, "leaf@1 mid@2 root@3");
	s.g = calloc(1, sizeof(*s.g));
	s.chain = calloc(1, sizeof(*s.chain));
	CHECK(s.g && s.chain);
	s.g->lay = s.w->py->lay;
	s.g->codes = s.w->codes;
	s.g->peek = s.w->peek;
	cprof__gather_init(s.g, &ref, s.w->hint);
	return s;
}

static void close_scene(struct scene *s)
{
	free(s->g);
	free(s->chain);
	close_world(s->w);
}

static void copy(struct scene *s)
{
	cprof_peek_begin(s->g->peek);
	cprof__gather_want(s->g);
	cprof_peek_run(s->g->peek);
}

/* Write into a copy. Which one, says `element`. */
static void rewrite(struct scene *s, const struct cprof_region *r, int element,
	const char *at, size_t offset, const void *value)
{
	char *bytes = (char *)(uintptr_t)cprof_peek_at(s->g->peek, element);

	CHECK(bytes);
	CHECK(fake_address(at) >= r->address);
	memcpy(bytes + (fake_address(at) - r->address) + offset, &value,
		sizeof(value));
}

/* This frame ran in the first copy of what tells that. */
static void ran_first(struct scene *s, const char *frame)
{
	const struct cprof_layout *lay = s->g->lay;
	const struct cprof_region *r = &s->g->now;
	const char *at = s->w->thread->state + lay->thread.current_frame;

	if (lay->cframe.size) {
		r = &s->g->now_in[0];
		at = s->w->thread->cframe + lay->cframe.current_frame;
	}
	rewrite(s, r, r->copy[0], at, 0, frame);
}

/* In both later copies of the leaf's frame. */
static void became(struct scene *s, size_t offset, const char *value)
{
	for (int i = 0; i < s->g->end_nr; i++) {
		const struct cprof_region *r = &s->g->end[i];

		if (fake_address(s->leaf) - r->address >= r->len)
			continue;
		rewrite(s, r, r->copy[0], s->leaf, offset, value);
		rewrite(s, r, r->copy[1], s->leaf, offset, value);
	}
}

static bool parse(struct scene *s)
{
	struct cprof_missing missing;

	return cprof__gather_parse(s->g, s->chain, &missing) == CPROF_PARSE_OK;
}

static bool is(const struct cprof_raw_frame *f, const char *frame)
{
	return f->frame == fake_address(frame);
}

void test_parse__who_ran_first_is_the_leaf(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);

		copy(&s);
		CHECK(parse(&s));
		CHECK(s.chain->whole && s.chain->stood && s.chain->nr == 3);
		/* It called the leaf since. */
		ran_first(&s, s.mid);
		CHECK(parse(&s));
		CHECK(s.chain->whole && !s.chain->stood && s.chain->nr == 2);
		CHECK(is(&s.chain->frame[0], s.mid) && s.chain->known_nr);
		close_scene(&s);
	}
}

/* Else its time would be its caller's: most looks at it come too late. */
void test_parse__a_call_that_was_over_before_it_was_copied_is_the_leaf(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);

		fake_pop(s.w->thread);
		copy(&s);
		CHECK(parse(&s));
		CHECK(s.chain->whole && s.chain->nr == 2);
		ran_first(&s, s.leaf);
		CHECK(parse(&s));
		CHECK(s.chain->whole && !s.chain->stood && s.chain->nr == 3);
		CHECK(is(&s.chain->frame[0], s.leaf));
		CHECK(is(&s.chain->frame[1], s.mid));
		/* Whom that called is to be looked at. */
		CHECK(s.chain->frame[1].moved);
		CHECK_EQ(s.chain->first, fake_address(s.leaf));
		close_scene(&s);
	}
}

/* A frame object is its call's for long after it; 3.10 did not count as one. */
void test_parse__where_frames_are_objects_later_copies_tell_what_ran(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);
		struct cprof_raw_frame f;

		fake_pop(s.w->thread);
		copy(&s);
		CHECK_EQ(cprof__gather_tell(s.g, fake_address(s.leaf), &f),
			kind[i] < 0x030b0000);
		close_scene(&s);
	}
}

/* Else a stack of which the leaf alone was new lost all of its callers. */
void test_parse__to_find_a_new_frame_forgets_no_known_one(void)
{
	struct scene s = open_scene(0x03090df0);
	struct cprof_missing missing = {
		.frame = fake_address(lone_frame(s.w, "middle", 0)),
		.ran = fake_address(lone_frame(s.w, "first", 0)),
	};
	int nr = s.g->outside_nr;

	CHECK(nr >= 3);
	copy(&s);
	cprof__gather_discover(s.g, &missing);
	CHECK_EQ(s.g->outside_nr, nr + 2);
	close_scene(&s);
}

/* From 3.14 a frame loses its code and its function as its call ends. */
static uintptr_t clear(struct scene *s, char *frame)
{
	const struct cprof_layout *lay = s->g->lay;
	uintptr_t code = (uintptr_t)fake_load(frame, lay->frame.code);

	memset(frame + lay->frame.code, 0, sizeof(uintptr_t));
	memset(frame + lay->frame.func, 0, sizeof(uintptr_t));
	fake_pop(s->w->thread);
	return code & CPROF_OBJECT_MASK;
}

void test_parse__a_call_that_was_cleared_is_known_by_its_instruction(void)
{
	struct scene s = open_scene(0x030f02f0);
	uintptr_t leaf = clear(&s, s.leaf), mid;

	copy(&s);
	ran_first(&s, s.leaf);
	CHECK(parse(&s));
	CHECK(s.chain->whole && s.chain->nr == 3);
	CHECK_EQ(s.chain->known[0].code, leaf);
	CHECK_EQ(s.chain->frame[0].code, leaf);
	mid = clear(&s, s.mid);
	copy(&s);
	ran_first(&s, s.leaf);
	CHECK(parse(&s));
	CHECK(s.chain->whole && s.chain->nr == 3);
	CHECK_EQ(s.chain->frame[1].code, mid);
	/* What is left is of no code that is known. */
	memset(s.leaf + s.g->lay->frame.instr, 0, sizeof(uintptr_t));
	copy(&s);
	ran_first(&s, s.leaf);
	CHECK(parse(&s));
	CHECK_EQ(s.chain->known[0].code, 0);
	close_scene(&s);
}

/* A frame object that returned, and a frame that was nowhere copied. */
void test_parse__a_leaf_whose_caller_is_lost_is_not_its_callers_time(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);

		fake_pop(s.w->thread);
		link_frame(s.w, s.leaf, NULL);
		copy(&s);
		ran_first(&s, s.leaf);
		CHECK(parse(&s));
		CHECK(!s.chain->whole && s.chain->known_nr);
		if (kind[i] < 0x030b0000)
			CHECK(is(&s.chain->frame[s.chain->settled], s.mid));
		close_scene(&s);
	}
}

/* What a copy of a generator says of its caller, before that yielded, too. */
void test_parse__of_a_tower_that_was_taken_down_is_known_what_was_copied(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);
		size_t previous = s.g->lay->frame.previous;
		char *outer = lone_frame(s.w, "outer", 1);
		char *inner = lone_frame(s.w, "inner", 1);
		struct cprof_thread_ref ref = fake_ref(s.w->thread);
		const struct cprof_region *r;
		int first = 0;

		fake_pop(s.w->thread);
		link_frame(s.w, outer, s.mid);
		link_frame(s.w, inner, outer);
		fake_set_leaf(s.w->thread, outer);
		walk_whole(s.w);
		fake_set_leaf(s.w->thread, inner);
		walk_whole(s.w);
		cprof__gather_init(s.g, &ref, s.w->hint);
		link_frame(s.w, outer, NULL);
		link_frame(s.w, inner, NULL);
		fake_set_leaf(s.w->thread, s.mid);
		copy(&s);
		ran_first(&s, inner);
		while (s.g->first[first].address != fake_address(inner))
			first++;
		r = &s.g->first[first];
		rewrite(&s, r, r->copy[0], inner, previous, outer);
		CHECK(parse(&s));
		CHECK(!s.chain->whole);
		CHECK_EQ(s.chain->known_nr, 2);
		CHECK(is(&s.chain->known[0], inner));
		CHECK(is(&s.chain->known[1], outer));
		close_scene(&s);
	}
}

/* A function of the next call, with the code of the last one. */
void test_parse__a_frame_that_was_being_made_is_no_call(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s;

		if (kind[i] < 0x030b0000)
			continue;
		s = open_scene(kind[i]);
		fake_pop(s.w->thread);
		copy(&s);
		ran_first(&s, s.leaf);
		became(&s, s.g->lay->frame.code,
			fake_function(s.w->py, "next"));
		CHECK(parse(&s));
		CHECK(!s.chain->whole && s.chain->known_nr);
		/* Another function has other code. */
		became(&s, s.g->lay->frame.func, s.mid);
		CHECK(parse(&s));
		CHECK(s.chain->whole && s.chain->nr == 3);
		close_scene(&s);
	}
}

/* The leaf of the middle, where another call of the same depth was first. */
void test_parse__the_leaf_has_the_code_that_it_had_first(void)
{
	for (int i = 0; i < KINDS; i++) {
		struct scene s;
		char *next;

		if (kind[i] < 0x030b0000)
			continue;
		s = open_scene(kind[i]);
		next = fake_function(s.w->py, "next");
		copy(&s);
		became(&s, s.g->lay->frame.code, next);
		became(&s, s.g->lay->frame.func, next);
		CHECK(parse(&s));
		CHECK(s.chain->whole && s.chain->nr == 3);
		CHECK(s.chain->frame[0].code != fake_address(next));
		close_scene(&s);
	}
}

void test_parse__any_first_frame_is_survived(void)
{
	static const uintptr_t any[] = { 0, 1, 8, 4096, UINTPTR_MAX,
		UINTPTR_MAX - 7 };

	for (int i = 0; i < KINDS; i++) {
		struct scene s = open_scene(kind[i]);

		copy(&s);
		for (size_t n = 0; n < sizeof(any) / sizeof(any[0]); n++) {
			ran_first(&s, (const char *)any[n]);
			CHECK(parse(&s));
			CHECK(s.chain->nr <= 3);
		}
		/* One within what was copied, at no frame's begin. */
		ran_first(&s, s.mid + 8);
		CHECK(parse(&s));
		CHECK(s.chain->nr <= 3);
		close_scene(&s);
	}
}
