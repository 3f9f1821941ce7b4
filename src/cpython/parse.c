/* Runs within a tick: no allocation, no lock. */
#include "cpython/gather.h"

#include <string.h>

/* The frame at `address` as it was at first; false if it was not copied. */
static bool at_first(const struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame *ret)
{
	const void *copy = cprof__gather_first(g, address, g->lay->frame.size);

	if (copy)
		*ret = cprof_frame_read(g->lay, address, copy);
	return copy;
}

/*
 * A call that has ended was this one. From 3.14 its frame has lost code and
 * function then; what is left is its last instruction, in its code. Looks
 * through all codes.
 */
static void recover(const struct cprof_gather *g, struct cprof_raw_frame *f)
{
	int place;

	if (f->code || f->kind == CPROF_FRAME_SHIM)
		return;
	f->code = cprof_codes_with_instr(g->codes, f->instr);
	place = cprof_codes_place(g->codes, f->code);
	if (place >= 0)
		f->func = cprof_codes_func(g->codes, place);
}

/* Does a later copy show the same call, or what is left of it? */
static bool is_left_of(const struct cprof_gather *g,
	const struct cprof_raw_frame *f, const struct cprof_raw_frame *later)
{
	return later->previous == f->previous &&
	       (later->code ? later->code == f->code
			    : cprof_codes_has_instr(
				      g->codes, f->code, later->instr));
}

/* Was this call under way at first? Then its line is set back to that. */
static bool was_under_way(
	const struct cprof_gather *g, struct cprof_raw_frame *f)
{
	struct cprof_raw_frame then;

	if (!at_first(g, f->frame, &then))
		return !cprof_frames_are_objects(g->lay);
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

/*
 * The frame that ran in the middle, as the state tells or, where a version has
 * them, its C-stack frame.
 */
static enum cprof_parse find_top(const struct cprof_gather *g,
	const char *state, struct cprof_raw_chain *chain, uintptr_t *ret,
	struct cprof_missing *missing)
{
	const struct cprof_layout *lay = g->lay;
	uintptr_t at;

	if (!lay->cframe.size) {
		*ret = cprof_load_ptr(state, lay->thread.current_frame);
		return CPROF_PARSE_OK;
	}
	at = cprof_load_ptr(state, lay->thread.cframe);
	if (!cprof__gather_top(g, at, ret)) {
		*missing = (struct cprof_missing){ .cframe = at };
		return CPROF_PARSE_UNKNOWN;
	}
	chain->cframe = at;
	return CPROF_PARSE_OK;
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

/* What was a frame a moment ago may lead anywhere, or to nothing. */
static bool is_address(uintptr_t at)
{
	return at % sizeof(uintptr_t) == 0 && at <= INTPTR_MAX;
}

/*
 * From 3.11, what is outside of the data stack is a generator's or a shim. Else
 * it is the remains of a C-stack frame, or the data stack grew.
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

/* What the frame was in both later copies; false if one does not have it. */
static bool later_copies(struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame ret[2])
{
	int cursor = 0, distance;
	struct cprof_pair p =
		cprof__gather_frame(g, address, &cursor, &distance);

	if (!p.there)
		return false;
	ret[0] = cprof_frame_read(g->lay, address, p.first);
	ret[1] = cprof_frame_read(g->lay, address, p.second);
	return true;
}

/*
 * Do the later copies allow that the frame was this call at first? One that is
 * being made may have its function already and still the code of the call
 * before. A caller must be there, or what is left of it, in both.
 */
static bool allowed(
	struct cprof_gather *g, const struct cprof_raw_frame *f, bool caller)
{
	struct cprof_raw_frame later[2];

	if (!later_copies(g, f->frame, later))
		return !caller;
	for (int i = 0; i < 2; i++) {
		/* A generator that yielded since has no caller. */
		if (f->kind == CPROF_FRAME_GENERATOR && !later[i].previous &&
			later[i].code == f->code)
			continue;
		if (!is_left_of(g, f, &later[i]) &&
			(caller || later[i].func == f->func))
			return false;
	}
	return true;
}

/* Is it certain that this frame of the chain called what ran at first? */
static bool is_below(
	const struct cprof_gather *g, const struct cprof_raw_chain *c, int i)
{
	struct cprof_raw_frame f = c->frame[i];

	/* Where frames are objects, one that returned has lost its caller. */
	return (cprof_frames_are_objects(g->lay) ||
		       (c->known_nr &&
			       cprof_frame_is_below(&f, &c->known[0]))) &&
	       was_under_way(g, &f);
}

/*
 * A generator that yielded before it was copied says no more who called it;
 * later copies may, if they come while it runs again. Frame objects are soon
 * those of another generator.
 */
static void find_later_caller(struct cprof_gather *g, struct cprof_raw_frame *f)
{
	struct cprof_raw_frame later[2];

	if (f->kind != CPROF_FRAME_GENERATOR || f->previous ||
		cprof_frames_are_objects(g->lay) ||
		!later_copies(g, f->frame, later))
		return;
	for (int i = 0; i < 2 && !f->previous; i++)
		if (later[i].code == f->code)
			f->previous = later[i].previous;
}

/*
 * The callers of the leaf as they were at first, from one to the next, up to a
 * frame that the chain of the middle is known from. Returns where that is;
 * `nr` if nowhere.
 */
static int find_callers(struct cprof_gather *g, struct cprof_raw_chain *c)
{
	struct cprof_raw_frame f = c->known[0];
	uintptr_t at;
	int nr = 0; /* known so far */
	int i;

	if (!c->known_nr)
		return c->nr;
	for (int n = 0; n < 2 * CPROF_MAX_KNOWN_FRAMES; n++) {
		find_later_caller(g, &f);
		if (nr == CPROF_MAX_KNOWN_FRAMES || !allowed(g, &f, nr))
			break;
		if (f.kind != CPROF_FRAME_SHIM) {
			c->known[nr++] = f;
			c->known_nr = nr;
		}
		i = cprof__chain_index(c, f.previous);
		if (i < c->nr && i >= c->settled)
			return i;
		at = f.previous;
		if (!at || (i < c->nr && f.kind != CPROF_FRAME_GENERATOR))
			break;
		if (!at_first(g, at, &f)) {
			c->lacking = at;
			if (!cprof__gather_tell(g, at, &f) ||
				f.kind != CPROF_FRAME_GENERATOR)
				break;
		}
		recover(g, &f);
	}
	return c->nr;
}

/* Is it the call that ran at first, and not another one's at its address? */
static bool is_leaf(const struct cprof_gather *g,
	const struct cprof_raw_chain *c, struct cprof_raw_frame *f)
{
	const struct cprof_raw_frame *leaf = &c->known[0];

	if (!c->known_nr)
		return !cprof_frames_are_objects(g->lay);
	if (leaf->code != f->code || leaf->previous != f->previous ||
		leaf->ended != f->ended)
		return false;
	f->instr = leaf->instr;
	return true;
}

/*
 * Lead the chain of the middle back to the moment of the first copy, when its
 * `first` ran. If that stood on that chain, it was the leaf. Else it has
 * returned since, or its callers have, and it was called by a frame of the
 * chain if the first copies lead to one.
 */
static void lead_back(struct cprof_gather *g, struct cprof_raw_chain *c)
{
	int leaf = cprof__chain_index(c, c->first), i;

	if (leaf < c->nr && !is_leaf(g, c, &c->frame[leaf]))
		leaf = c->nr;
	if (leaf < c->nr && leaf >= c->settled) {
		begin_at(c, leaf);
		return;
	}
	i = find_callers(g, c);
	c->stood = false;
	if (i < c->nr && c->known_nr <= CPROF_MAX_WALKED_FRAMES - c->nr &&
		was_under_way(g, &c->frame[i])) {
		begin_at(c, i);
		memmove(c->frame + c->known_nr, c->frame,
			(size_t)c->nr * sizeof(c->frame[0]));
		memcpy(c->frame, c->known,
			(size_t)c->known_nr * sizeof(c->frame[0]));
		c->nr += c->known_nr;
		c->whole = true;
		for (i = 1; i <= c->known_nr; i++)
			c->frame[i].moved = true;
		return;
	}
	if (i == c->nr)
		i = leaf;
	if (i == c->nr)
		for (i = 0; i < c->nr && !is_below(g, c, i);)
			i++;
	begin_at(c, i);
	c->whole = false;
}

/*
 * An object of its own is not soon another call's: if later copies show the
 * same code twice, it was that before.
 */
bool cprof__gather_tell(const struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame *ret)
{
	struct cprof_raw_frame later;
	struct cprof_pair p =
		cprof__gather_memory(g, address, g->lay->frame.size);

	if (!p.there)
		return false;
	*ret = cprof_frame_read(g->lay, address, p.first);
	later = cprof_frame_read(g->lay, address, p.second);
	return ret->code == later.code &&
	       (cprof_frames_are_objects(g->lay) ||
		       (ret->kind == CPROF_FRAME_GENERATOR &&
			       later.kind == CPROF_FRAME_GENERATOR));
}

/* The frame at `address` as it was at first. */
static bool tell_leaf(const struct cprof_gather *g, uintptr_t address,
	struct cprof_raw_frame *ret)
{
	if (!address)
		return false;
	if (!at_first(g, address, ret))
		return cprof__gather_tell(g, address, ret);
	recover(g, ret);
	return true;
}

/* What ran at first. A shim runs while C calls Python. */
static void find_leaf(const struct cprof_gather *g, struct cprof_raw_chain *c)
{
	struct cprof_raw_frame *leaf = &c->known[0];

	c->first = cprof__gather_now(g);
	c->known_nr = tell_leaf(g, c->first, leaf);
	if (c->known_nr && leaf->kind == CPROF_FRAME_SHIM) {
		c->first = leaf->previous;
		c->known_nr = tell_leaf(g, c->first, leaf) &&
			      leaf->kind != CPROF_FRAME_SHIM;
	}
}

enum cprof_parse cprof__gather_parse(struct cprof_gather *g,
	struct cprof_raw_chain *ret, struct cprof_missing *missing)
{
	struct cprof_pair state =
		cprof__gather_in(g, &g->state, g->thread.state, g->state.len);
	enum cprof_frame_kind kind = CPROF_FRAME_PLAIN;
	enum standing how = STOOD;
	bool ended = false, led, shim = false;
	uintptr_t at, end, met = 0;
	int cursor = 0, distance = 0, walked = 0;
	enum cprof_parse r;

	ret->nr = 0;
	ret->settled = 0;
	ret->whole = true;
	ret->stood = false;
	ret->lacking = 0;
	ret->cframe = 0;
	find_leaf(g, ret);
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

		if (how == STOOD_IF_CALLED && distance <= before)
			unsettle(ret, ret->nr);
		led = how != CHANGED && is_address(at);
		if (p.there)
			how = read_frame(g, at, &p, f);
		if (!p.there || is_no_frame(g, f, distance)) {
			if (led && distance != CPROF_AT_THE_CSTACK) {
				*missing =
					(struct cprof_missing){ .frame = at };
				return CPROF_PARSE_UNKNOWN;
			}
			unsettle(ret, ret->nr);
			at = 0;
			break;
		}
		ended = walked && f->ended;
		if (ended || (distance == CPROF_AT_THE_END && at >= end))
			how = CHANGED;
		/* Links in a circle are no stack (Brent). */
		if (at == met) {
			ret->too_deep = false;
			unsettle(ret, ret->nr);
			return CPROF_PARSE_OK;
		}
		if (!(walked & (walked - 1)))
			met = at;
		if (ret->cframe && !shim && f->kind == CPROF_FRAME_SHIM) {
			cprof__gather_met_shim(g, ret->cframe, at);
			shim = true;
		}
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
	if (ret->first)
		lead_back(g, ret);
	else if (ret->nr) /* by another C-stack frame than is known */
		unsettle(ret, ret->settled ? ret->settled : ret->nr > 1);
	return CPROF_PARSE_OK;
}
