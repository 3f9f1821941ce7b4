/* Runs within a tick: no allocation, no lock. */
#include "cpython/glance.h"

/* A deeper stack is cheaper to walk when it moves than to copy each time. */
#define MAX_BYTES (16U << 10)

static uint32_t bytes_of(
	const struct cprof_layout *lay, const struct cprof_chain_hint *hint)
{
	uint32_t bytes = hint->chain_outside_nr * lay->frame.size;

	for (int i = 0; i < hint->chunk_nr; i++)
		bytes += hint->chunk[i].len;
	return bytes;
}

struct cprof_glance cprof_glance_want(struct cprof_peek *peek,
	const struct cprof_layout *lay, const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint, bool frames)
{
	struct cprof_glance g = {
		.state = cprof_peek_add(peek, thread->state, lay->thread.size),
	};
	int wanted = (lay->cframe.size != 0) + hint->chunk_nr +
		     hint->chain_outside_nr;

	if (!frames || !hint->print || wanted > CPROF_GLANCE_ELEMENTS ||
		bytes_of(lay, hint) > MAX_BYTES)
		return g;
	g.first = g.state + 1;
	if (lay->cframe.size)
		g.frames += cprof_peek_add(peek, hint->cframe[0],
				    lay->cframe.size) >= 0;
	for (int i = 0; i < hint->chunk_nr; i++)
		g.frames += cprof_peek_add(peek, hint->chunk[i].address,
				    hint->chunk[i].len) >= 0;
	for (int i = 0; i < hint->chain_outside_nr; i++)
		g.frames += cprof_peek_add(peek, hint->outside[i],
				    lay->frame.size) >= 0;
	if (g.state < 0 || g.frames != wanted)
		g.frames = 0;
	return g;
}

/* What was copied of the frame at `address`, or NULL. */
static const char *frame_at(const struct cprof_glance *g,
	const struct cprof_peek *peek, const struct cprof_layout *lay,
	const struct cprof_chain_hint *hint, uintptr_t address, int *cursor)
{
	int first = g->first + (lay->cframe.size != 0);

	for (int i = 0; i < hint->chunk_nr; i++) {
		uintptr_t offset = address - hint->chunk[i].address;
		const char *at = cprof_peek_at(peek, first + i);

		if (at && offset < hint->chunk[i].len &&
			lay->frame.size <= hint->chunk[i].len - offset)
			return at + offset;
	}
	/* They were saved in the order of the chain. */
	while (*cursor < hint->chain_outside_nr) {
		int i = (*cursor)++;

		if (hint->outside[i] == address)
			return cprof_peek_at(peek, first + hint->chunk_nr + i);
	}
	return NULL;
}

/* The frame that the state leads to; 0 for none. */
static bool find_top(const struct cprof_glance *g,
	const struct cprof_peek *peek, const struct cprof_layout *lay,
	const struct cprof_chain_hint *hint, uintptr_t *ret)
{
	const void *state = cprof_peek_at(peek, g->state);
	const void *cframe;

	if (!state)
		return false;
	if (!lay->cframe.size) {
		*ret = cprof_load_ptr(state, lay->thread.current_frame);
		return true;
	}
	cframe = cprof_peek_at(peek, g->first);
	if (!cframe ||
		cprof_load_ptr(state, lay->thread.cframe) != hint->cframe[0])
		return false;
	*ret = cprof_load_ptr(cframe, lay->cframe.current_frame);
	return true;
}

bool cprof_glance_same(const struct cprof_glance *g,
	const struct cprof_peek *peek, const struct cprof_layout *lay,
	const struct cprof_chain_hint *hint)
{
	uint64_t print = 1;
	int cursor = 0;
	uintptr_t at;

	if (!g->frames || !find_top(g, peek, lay, hint, &at))
		return false;
	for (int n = 0; at && n < CPROF_MAX_WALKED_FRAMES; n++) {
		const char *copy = frame_at(g, peek, lay, hint, at, &cursor);
		struct cprof_raw_frame f;

		if (!copy)
			return false;
		f = cprof_frame_read(lay, at, copy);
		if (f.kind != CPROF_FRAME_SHIM)
			print = cprof_chain_print(print, &f);
		at = f.previous;
	}
	return !at && print == hint->print;
}
