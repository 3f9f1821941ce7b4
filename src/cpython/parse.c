/* Runs within a tick: no allocation, no lock. */
#include "cpython/gather.h"

#include <string.h>

/* Frames that return within a try. */
#define BRIEF_MAX 8

/* The frame at `address` as it was at first; false if it was not copied. */
static bool at_first(const struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame *ret)
{
	const void *copy = cprof__gather_first(g, address, g->lay->frame.size);

	if (copy)
		*ret = cprof_frame_read(g->lay, address, copy);
	return copy;
}

/* Was this call under way at first? Then its line is set back to that. */
static bool was_under_way(
	const struct cprof_gather *g, struct cprof_raw_frame *f)
{
	struct cprof_raw_frame then;

	if (!at_first(g, f->frame, &then))
		return !g->lay->frame.executing;
	if (then.code != f->code || then.previous != f->previous || then.ended)
		return false;
	f->instr = then.instr;
	return true;
}

/* What became of a frame between its two copies. */
enum standing {
	STOOD,
	/* It stood if its caller did, over more than this frame's copies. */
	STOOD_IF_CALLED,
	MOVED_ON, /* in the same call, but its callee is another one */
	CHANGED
};

/*
 * Read a frame. A generator's frame names its caller only while it runs. Then
 * what one copy says is enough, because the object was the same one before and
 * after; but the caller, too, must be known to have stood while that was read:
 * if it was copied further in, it is not.
 */
static enum standing read_frame(const struct cprof_gather *g, uintptr_t at,
	const struct cprof_pair *p, struct cprof_raw_frame *ret)
{
	struct cprof_raw_frame after = cprof_frame_read(g->lay, at, p->second);
	bool generator;

	*ret = cprof_frame_read(g->lay, at, p->first);
	if (ret->code != after.code || ret->kind != after.kind ||
		ret->ended != after.ended)
		return CHANGED;
	generator = ret->kind == CPROF_FRAME_GENERATOR;
	if (generator && !(ret->previous && after.previous)) {
		if (!ret->previous)
			*ret = after;
		return STOOD_IF_CALLED;
	}
	if (ret->previous != after.previous)
		return CHANGED;
	return ret->instr == after.instr ? STOOD : MOVED_ON;
}

/* What the C-stack frame at `address` says who runs, in both copies. */
static bool cframe_at(
	const struct cprof_gather *g, uintptr_t address, struct cprof_pair *ret)
{
	*ret = cprof__gather_in(g, &g->cframes,
		address + g->lay->cframe.current_frame, sizeof(uintptr_t));
	return ret->there;
}

/*
 * The frame that ran in the middle, as the state tells or, where a version has
 * them, its C-stack frame.
 */
static enum cprof_parse find_top(const struct cprof_gather *g,
	const char *state, struct cprof_raw_chain *chain, uintptr_t *ret,
	struct cprof_missing *missing)
{
	const struct cprof_layout *lay = g->lay;
	struct cprof_pair p;
	uintptr_t at;

	if (!lay->cframe.size) {
		*ret = cprof_load_ptr(state, lay->thread.current_frame);
		return CPROF_PARSE_OK;
	}
	at = cprof_load_ptr(state, lay->thread.cframe);
	if (!cframe_at(g, at, &p)) {
		*missing = (struct cprof_missing){ .cframe = at };
		return CPROF_PARSE_UNKNOWN;
	}
	chain->cframe = at;
	*ret = cprof_load_ptr(p.second, 0);
	return CPROF_PARSE_OK;
}

/* The frame that ran at first; 0 if that is not known. */
static uintptr_t find_first(const struct cprof_gather *g, const char *state)
{
	const struct cprof_layout *lay = g->lay;
	struct cprof_pair p;

	if (!lay->cframe.size)
		return cprof_load_ptr(state, lay->thread.current_frame);
	if (!cframe_at(g, cprof_load_ptr(state, lay->thread.cframe), &p))
		return 0;
	return cprof_load_ptr(p.first, 0);
}

static bool is_this_thread(const struct cprof_gather *g, const char *state)
{
	return cprof_load_u64(state, g->lay->thread.id) == g->thread.id &&
	       cprof_load_ptr(state, g->lay->thread.interp) == g->thread.interp;
}

/* Frames below `nr` do not count: what they were called by is not known. */
static void unsettle(struct cprof_raw_chain *chain, int nr)
{
	chain->settled = nr;
	chain->whole = false;
}

/*
 * From 3.11, what is outside of the data stack is a generator's or a shim. Else
 * it is the remains of a C-stack frame.
 */
static bool is_no_frame(const struct cprof_gather *g,
	const struct cprof_raw_frame *f, int distance)
{
	return g->lay->chunk.data && distance != CPROF_AT_THE_END &&
	       distance != CPROF_AT_THE_REST && f->kind == CPROF_FRAME_PLAIN;
}

/* The state's end of the data stack; above it are only frames that ended. */
static uintptr_t data_end(const struct cprof_gather *g, const char *state)
{
	return g->lay->chunk.data
		       ? cprof_load_ptr(state, g->lay->thread.datastack_top)
		       : UINTPTR_MAX;
}

/* Make frame `i` the leaf; frames that it called have no part in it. */
static void begin_at(struct cprof_raw_chain *c, int i)
{
	if (!i)
		return;
	c->nr -= i;
	memmove(c->frame, c->frame + i, (size_t)c->nr * sizeof(c->frame[0]));
	c->settled = c->settled > i ? c->settled - i : 0;
	c->whole = !c->settled;
	c->stood = false;
}

/*
 * Do the later copies allow that the frame was this call at first? One that is
 * being made may have its function already and still the code of the call
 * before. A caller must be there, or what is left of it, in both.
 */
static bool allowed(
	struct cprof_gather *g, const struct cprof_raw_frame *f, bool caller)
{
	int cursor = 0, distance;
	struct cprof_pair p =
		cprof__gather_frame(g, f->frame, &cursor, &distance);

	if (!p.there)
		return !caller;
	for (int i = 0; i < 2; i++) {
		struct cprof_raw_frame later = cprof_frame_read(
			g->lay, f->frame, i ? p.second : p.first);

		if ((later.code != f->code || later.previous != f->previous) &&
			(caller || later.func == f->func))
			return false;
	}
	return true;
}

/*
 * Frames that ran at first and have returned since, from `first` on, leaf
 * first: those up to frame `caller` of the chain. `nr` is 0 where they are not
 * known. Where frames are objects, one that returned has lost its caller: then
 * it is one that was executing.
 */
struct brief {
	int nr, caller;
	struct cprof_raw_frame frame[BRIEF_MAX];
};

static void find_brief(struct cprof_gather *g, const struct cprof_raw_chain *c,
	uintptr_t first, struct brief *ret)
{
	struct cprof_raw_frame frame;

	ret->nr = 0;
	while (first && ret->nr < BRIEF_MAX &&
		at_first(g, first, &ret->frame[ret->nr]) &&
		allowed(g, &ret->frame[ret->nr], ret->nr)) {
		first = ret->frame[ret->nr++].previous;
		ret->caller = cprof__chain_index(c, first);
		if (ret->caller < c->nr)
			return;
	}
	ret->nr = 0;
	ret->caller = g->lay->frame.executing ? 0 : c->nr;
	while (ret->caller < c->nr) {
		frame = c->frame[ret->caller];
		if (was_under_way(g, &frame))
			return;
		ret->caller++;
	}
}

/*
 * Lead the chain of the middle back to the moment of the first copy, when
 * `first` ran. If it is on that chain, it was the leaf. Else it has returned
 * since, and is the leaf if it was called by a frame of the chain.
 */
static void lead_back(
	struct cprof_gather *g, struct cprof_raw_chain *c, uintptr_t first)
{
	struct cprof_raw_frame leaf;
	struct brief brief;
	int i = cprof__chain_index(c, first);

	if (!first)
		return;
	if (!i && c->nr) {
		leaf = c->frame[0];
		if (c->settled != 1 && was_under_way(g, &leaf))
			return;
		/* Another call's is there by now. */
		i = c->nr;
	}
	if (i < c->nr) {
		begin_at(c, i);
		was_under_way(g, &c->frame[0]);
		return;
	}
	if (!cprof__gather_first(g, first, g->lay->frame.size))
		return;
	find_brief(g, c, first, &brief);
	begin_at(c, brief.caller);
	c->brief = first;
	c->stood = false;
	c->whole = c->nr && !c->settled && brief.nr &&
		   brief.nr <= CPROF_MAX_WALKED_FRAMES - c->nr &&
		   was_under_way(g, &c->frame[0]);
	if (!c->whole)
		return;
	memmove(c->frame + brief.nr, c->frame,
		(size_t)c->nr * sizeof(c->frame[0]));
	memcpy(c->frame, brief.frame, (size_t)brief.nr * sizeof(c->frame[0]));
	c->nr += brief.nr;
	for (i = 1; i <= brief.nr; i++)
		c->frame[i].moved = true;
}

enum cprof_parse cprof__gather_parse(struct cprof_gather *g,
	struct cprof_raw_chain *ret, struct cprof_missing *missing)
{
	struct cprof_pair state =
		cprof__gather_in(g, &g->state, g->thread.state, g->state.len);
	enum cprof_frame_kind kind = CPROF_FRAME_PLAIN;
	enum standing how = STOOD;
	bool ended = false;
	uintptr_t at, end, met = 0;
	int cursor = 0, distance = 0, walked = 0;
	enum cprof_parse r;

	ret->nr = 0;
	ret->settled = 0;
	ret->whole = true;
	ret->stood = false;
	ret->brief = 0;
	ret->cframe = 0;
	for (int i = 0; i < g->outside_nr; i++)
		g->outside[i].visited = false;
	g->visited_nr = 0;
	if (!state.there || !is_this_thread(g, state.first) ||
		!is_this_thread(g, state.second))
		return CPROF_PARSE_ENDED;
	r = find_top(g, state.second, ret, &at, missing);
	if (r != CPROF_PARSE_OK)
		return r;
	end = data_end(g, state.second);
	for (; at && walked < CPROF_MAX_WALKED_FRAMES; walked++) {
		struct cprof_raw_frame *f = &ret->frame[ret->nr];
		int before = distance;
		struct cprof_pair p =
			cprof__gather_frame(g, at, &cursor, &distance);

		if (!p.there) {
			*missing = (struct cprof_missing){ .frame = at };
			return CPROF_PARSE_UNKNOWN;
		}
		if (how == STOOD_IF_CALLED && distance <= before)
			unsettle(ret, ret->nr);
		how = read_frame(g, at, &p, f);
		ended = walked && f->ended;
		if (ended || (distance == CPROF_AT_THE_END && at >= end))
			how = CHANGED;
		/* Unless the data stack grew: then this shows it. */
		if (is_no_frame(g, f, distance)) {
			*missing = (struct cprof_missing){ .frame = at };
			return CPROF_PARSE_UNKNOWN;
		}
		/* Links in a circle are no stack (Brent). */
		if (at == met) {
			ret->too_deep = false;
			unsettle(ret, ret->nr);
			return CPROF_PARSE_OK;
		}
		if (!(walked & (walked - 1)))
			met = at;
		kind = f->kind;
		at = f->previous;
		if (!walked)
			ret->stood = how == STOOD && kind != CPROF_FRAME_SHIM;
		if (how == CHANGED)
			unsettle(ret, ret->nr + (kind != CPROF_FRAME_SHIM));
		else if (how == MOVED_ON && walked) {
			f->moved = was_under_way(g, f);
			if (!f->moved)
				unsettle(ret, ret->nr);
		}
		ret->nr += kind != CPROF_FRAME_SHIM;
	}
	ret->too_deep = at != 0;
	/* What is suspended or ended has no caller: the root is missing. */
	if ((kind == CPROF_FRAME_GENERATOR || ended) && !ret->too_deep)
		unsettle(ret, ret->nr);
	lead_back(g, ret, find_first(g, state.first));
	return CPROF_PARSE_OK;
}
