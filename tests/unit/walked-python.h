#ifndef TESTS_UNIT_WALKED_PYTHON_H
#define TESTS_UNIT_WALKED_PYTHON_H

#include "cpython/chain.h"

#include "check.h"
#include "fake-python.h"

/* A fake interpreter with one thread, and what walks it. */

#define GENERATOR 1

struct world {
	struct fake_python *py;
	struct cprof_peek *peek;
	struct cprof_codes *codes;
	struct cprof_roots roots;
	struct cprof_callees *callees;
	struct cprof_walker *walker;
	struct fake_thread *thread;
	struct cprof_chain_hint *hint;
	struct cprof_stack *stack; /* of its own: a step outside is noticed */
	uint32_t tick;
	char text[8192];
};

/* One release for each way that frames are linked. */
static const uint32_t kind[] = {
	0x03060ff0, /* objects, no id of states */
	0x03090df0, /* objects */
	0x030a0df0, /* objects, positions in units */
	0x030b07f0, /* a data stack, led to by a C-stack frame */
	0x030c01f0, /* and shims */
	0x030d00f0, /* led to by the state */
	0x030f02f0,
};
#define KINDS (int)(sizeof(kind) / sizeof(kind[0]))

static struct world *open_world_as(uint32_t hexversion)
{
	struct world *w = calloc(1, sizeof(*w));

	CHECK(w);
	w->py = fake_python_create_as(hexversion);
	CHECK_EQ(cprof_peek_create(CPROF_PEEK_ANY, &w->peek, NULL), 0);
	CHECK_EQ(cprof_codes_create(w->py->lay, fake_address(w->py->code_type),
			 &w->codes, NULL),
		0);
	w->roots = fake_roots(w->py);
	CHECK_EQ(cprof_callees_create(w->py->lay, &w->roots, w->codes, w->peek,
			 &w->callees, NULL),
		0);
	CHECK_EQ(cprof_walker_create(w->py->lay, w->peek, w->codes, w->callees,
			 &w->walker, NULL),
		0);
	w->thread = fake_thread(w->py, fake_interp(w->py), 1, 0);
	w->hint = calloc(1, cprof_chain_hint_size(w->py->lay));
	w->stack = calloc(1, sizeof(*w->stack));
	CHECK(w->hint && w->stack);
	return w;
}

static inline struct world *open_world(void)
{
	return open_world_as(0x030b07f0);
}

static void close_world(struct world *w)
{
	cprof_walker_destroy(w->walker);
	cprof_callees_destroy(w->callees);
	cprof_codes_destroy(w->codes);
	cprof_peek_destroy(w->peek);
	fake_python_destroy(w->py);
	free(w->hint);
	free(w->stack);
	free(w);
}

static inline enum cprof_walk walk(struct world *w)
{
	struct cprof_thread_ref ref = fake_ref(w->thread);
	enum cprof_walk how =
		cprof_walk(w->walker, &ref, w->hint, ++w->tick, w->stack);

	if (how != CPROF_WALK_ENDED)
		CHECK(w->stack->nr >= 1 &&
			w->stack->nr <= CPROF_MAX_KEPT_FRAMES);
	return how;
}

static inline uint64_t tries(struct world *w)
{
	return cprof_walker_stats(w->walker)->tries;
}

static inline const char *mark(uint32_t code)
{
	switch (code) {
	case CPROF_CODE_GONE:
		return "[gone]";
	case CPROF_CODE_UNSETTLED:
		return "[unsettled]";
	case CPROF_CODE_ELIDED:
		return "[...]";
	case CPROF_CODE_TOO_DEEP:
		return "[deep]";
	case CPROF_CODE_NO_FRAME:
		return "[none]";
	}
	return "[?]";
}

/*
 * "leaf@2 mid@1 root@0", with the index of each frame's instruction; "leaf@?"
 * where the window's end is to tell what it was.
 */
static inline const char *text(struct world *w)
{
	struct cprof_buffer b;

	cprof_buffer_init(&b, sizeof(w->text) - 1);
	for (int i = 0; i < w->stack->nr; i++) {
		const struct cprof_frame *f = &w->stack->frame[i];
		char index[16];

		if (i)
			cprof_buffer_add(&b, " ", 1, NULL);
		if (f->code >= CPROF_CODE_PSEUDO) {
			cprof_buffer_add(
				&b, mark(f->code), strlen(mark(f->code)), NULL);
			continue;
		}
		CHECK_EQ(cprof_codes_name(w->codes,
				 cprof_codes_content(w->codes, f->code), &b,
				 NULL),
			0);
		snprintf(index, sizeof(index),
			cprof_codes_is_place(f->code) ? "@?" : "@%d",
			(int)f->instr);
		cprof_buffer_add(&b, index, strlen(index), NULL);
	}
	memcpy(w->text, b.data, b.len);
	w->text[b.len] = '\0';
	cprof_buffer_finish(&b);
	return w->text;
}

/*
 * A copy that the kernel interrupted is no proof: then a stack is marked, which
 * the next walk mends. A wrong name is never mended.
 */
#define INTERRUPTED 6

static inline bool has_mark(const struct world *w, uint32_t code)
{
	for (int i = 0; i < w->stack->nr; i++)
		if (w->stack->frame[i].code == code)
			return true;
	return false;
}

/* Was a code read too late? */
static inline bool has_late(const struct world *w)
{
	for (int i = 0; i < w->stack->nr; i++)
		if (cprof_codes_is_place(w->stack->frame[i].code))
			return true;
	return has_mark(w, CPROF_CODE_GONE);
}

static inline void settled(struct world *w, const char *want)
{
	for (int i = 0; i < INTERRUPTED; i++) {
		enum cprof_walk how = walk(w);

		CHECK(how != CPROF_WALK_ENDED);
		if (how == CPROF_WALK_SETTLED && !strcmp(text(w), want))
			return;
		if (!has_late(w) && !has_mark(w, CPROF_CODE_UNSETTLED))
			break;
	}
	CHECK_STR(text(w), want);
	CHECK(!"settled");
}

/* Walk until the whole stack has its names. */
static inline void walk_whole(struct world *w)
{
	for (int i = 0; i < INTERRUPTED; i++)
		if (walk(w) == CPROF_WALK_SETTLED && !has_late(w))
			return;
	CHECK(!"settled");
}

static inline char *push(struct world *w, const char *name, int index)
{
	return fake_push(w->thread, fake_function(w->py, name), index);
}

/* A frame in memory of its own, not linked to anything yet. */
static inline char *lone_frame(struct world *w, const char *name, int index)
{
	char *frame = fake_alloc(w->py, w->py->lay->frame.size + 8U);

	fake_frame_at(w->py, frame, fake_function(w->py, name), index, NULL,
		GENERATOR);
	return frame;
}

static inline void link_frame(
	struct world *w, char *frame, const char *previous)
{
	fake_store(frame, w->py->lay->frame.previous, fake_address(previous));
}

#endif
