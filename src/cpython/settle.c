/* Runs within a tick: no allocation, no lock. */
#include <string.h>

#include "cpython/walker.h"

static void want_hinted(
	struct cprof_walker *w, const struct cprof_chain_hint *hint)
{
	w->callee_handle = -1;
	if (w->callees && hint->callee)
		w->callee_handle = cprof_callees_want(w->callees, hint->callee);
	for (int i = 0; i < hint->place_nr; i++) {
		w->place[i] = (int)hint->place[i];
		w->handle[0][i] =
			cprof_codes_want(w->codes, w->peek, w->place[i]);
	}
}

void cprof__walker_judge(struct cprof_walker *w, int nr)
{
	for (int i = 0; i < nr; i++) {
		struct cprof_verdict *v = &w->verdict[w->place[i]];

		v->same = cprof_codes_same(
			w->codes, w->peek, w->place[i], w->handle[0][i]);
		v->walk = w->stats.walks;
	}
}

/* Leave in `chain` what `now` has from frame `from` on. */
static void keep(struct cprof_walker *w, int from)
{
	struct cprof_raw_chain *c = &w->chain;
	const struct cprof_raw_chain *now = &w->now;

	c->nr = now->nr - from;
	c->settled = 0;
	c->whole = now->whole;
	c->stood = now->stood && !from;
	c->too_deep = now->too_deep;
	c->cframe = now->cframe;
	memcpy(c->frame, now->frame + from,
		(size_t)c->nr * sizeof(now->frame[0]));
}

/*
 * The first frame of `now` that stood and called what ran when that was asked:
 * its caller, or one further below on the data stack.
 */
static int first_below(const struct cprof_walker *w)
{
	const struct cprof_raw_chain *now = &w->now;
	int i = cprof__chain_index(
		now, w->told ? w->leaf.previous : w->asked.caller);

	if (i == now->nr && (!w->told || cprof_frames_are_objects(w->lay)))
		i = 1;
	else if (i == now->nr)
		for (i = 0; i < now->nr; i++)
			if (cprof_frame_is_below(&now->frame[i], &w->leaf))
				break;
	return i > now->settled ? i : now->settled;
}

/* Put what ran before what is there of the chain. */
static void put_apart(struct cprof_walker *w)
{
	struct cprof_raw_chain *c = &w->chain;

	w->apart = w->told && c->nr < CPROF_MAX_WALKED_FRAMES;
	if (!w->apart)
		return;
	memmove(c->frame + 1, c->frame, (size_t)c->nr * sizeof(c->frame[0]));
	c->frame[0] = w->leaf;
	c->nr++;
}

bool cprof__walker_locate(const struct cprof_walker *w, struct cprof_call *call)
{
	int place = cprof_codes_place(w->codes, call->frame.code);

	if (place < 0)
		return false;
	call->place = place;
	call->instr =
		cprof_codes_instr(w->codes, cprof_codes_at(w->codes, place),
			call->frame.code, call->frame.instr);
	return true;
}

/* Set the caller back to its call. False if it is at none. */
static bool set_back(const struct cprof_walker *w,
	const struct cprof_raw_frame *caller, struct cprof_call *ret)
{
	*ret = (struct cprof_call){ .frame = *caller };
	return cprof__walker_locate(w, ret) &&
	       cprof_callees_set_back(w->callees, ret);
}

static bool calls(const void *copy, uintptr_t func)
{
	uintptr_t words[2];

	if (!copy)
		return false;
	cprof_callees_words(copy, words);
	return words[0] == func || words[1] == func;
}

/*
 * A frame was copied a call or so apart from its caller, which moved on. They
 * belong together if the caller stands at a call, or stood shortly before, of
 * that function: what is called stays on the caller's stack for a while. Then
 * the caller is set back there. While it is at that call it is so in each copy.
 */
static bool was_called(struct cprof_walker *w, const struct cprof_raw_frame *f,
	struct cprof_raw_frame *caller)
{
	struct cprof_pair frame, words;
	struct cprof_call call, later;
	int cursor = 0, distance;

	/* These have a caller only while they run, as all have to 3.10. */
	if (f->kind == CPROF_FRAME_GENERATOR || !w->callees)
		return true;
	if (!f->func || !set_back(w, caller, &call) ||
		!calls(cprof__gather_first(
			       &w->gather, call.at, sizeof(call.words)),
			f->func))
		return false;
	caller->instr = call.frame.instr;
	frame = cprof__gather_frame(
		&w->gather, caller->frame, &cursor, &distance);
	words = cprof__gather_memory(&w->gather, call.at, sizeof(call.words));
	for (int n = 0; n < 2 && frame.there && words.there; n++) {
		struct cprof_raw_frame then = cprof_frame_read(
			w->lay, caller->frame, n ? frame.second : frame.first);

		if (set_back(w, &then, &later) && later.at == call.at &&
			later.instr == call.instr &&
			!calls(n ? words.second : words.first, f->func))
			return false;
	}
	return true;
}

/* Frames that moved on count if it is certain whom they called. */
static void weigh_moved(struct cprof_walker *w)
{
	struct cprof_raw_chain *now = &w->now;

	for (int n = now->nr - 1; n > now->settled; n--)
		if (now->frame[n].moved &&
			!was_called(w, &now->frame[n - 1], &now->frame[n])) {
			now->whole = false;
			now->settled = n;
		}
}

/*
 * What ran when it was asked first is the leaf, and if its chain is not whole,
 * only one with such a leaf counts: what stands longer would be met too often.
 */
static void fix_leaf(struct cprof_walker *w)
{
	w->fixed = true;
	w->told = w->now.known_nr;
	w->leaf = w->now.known[0];
	w->untold = w->told ? 0 : w->now.first;
	w->chain.first = w->now.first;
	w->chain.lacking = w->now.lacking;
}

/* What ran when it was asked first may be known a try later. */
static void tell_late(struct cprof_walker *w)
{
	if (!w->untold || !cprof__gather_tell(&w->gather, w->untold, &w->leaf))
		return;
	w->told = true;
	w->untold = 0;
}

/*
 * Where a later try met the call that was the leaf, and all its callers: the
 * same call, or one of the same code from the same frame. `nr` if nowhere.
 */
static int meets_again(const struct cprof_walker *w)
{
	const struct cprof_raw_chain *now = &w->now;
	const struct cprof_raw_frame *leaf = &w->leaf;
	int i = cprof__chain_index(now, leaf->frame);

	return i < now->nr && i >= now->settled && leaf->previous &&
			       now->frame[i].previous == leaf->previous &&
			       now->frame[i].code == leaf->code
		       ? i
		       : now->nr;
}

/*
 * Does a later try tell the callers of what ran? It does if it has that very
 * call below its own leaf, or another call of the same code as its leaf; and
 * where nothing is known of it, if it has just what was lacking.
 */
static bool tells_callers(struct cprof_walker *w)
{
	struct cprof_raw_chain *now = &w->now;
	int i = w->told ? meets_again(w) : now->nr;

	if (i > 0 && i < now->nr) {
		now->whole = true;
		keep(w, i);
		w->chain.frame[0].instr = w->leaf.instr;
		return true;
	}
	if (!now->whole ||
		!(w->told ? now->frame[0].code == w->leaf.code
			  : cprof__gather_has(&w->gather, now, &w->asked)))
		return false;
	keep(w, 0);
	return true;
}

/* Weigh the chain of a try. True if it is the one, and in `chain`. */
static bool accept(struct cprof_walker *w)
{
	struct cprof_raw_chain *now = &w->now;
	int from;

	weigh_moved(w);
	if (w->fixed && tells_callers(w))
		return true;
	if (!w->fixed && now->whole) {
		keep(w, 0);
		return true;
	}
	from = w->fixed ? first_below(w) : now->settled;
	if (!w->fixed)
		fix_leaf(w);
	if (!w->chain.nr && from < now->nr) {
		now->whole = false;
		keep(w, from);
	}
	return false;
}

enum cprof_walk cprof__walker_settle(
	struct cprof_walker *w, const struct cprof_chain_hint *hint)
{
	w->fixed = w->told = w->apart = false;
	w->untold = 0;
	w->asked = (struct cprof_missing){ 0 };
	w->chain.nr = 0;
	w->chain.whole = false;
	w->chain.too_deep = false;
	w->chain.first = w->chain.lacking = 0;
	w->chain.cframe = 0;
	for (int try = 0; try < CPROF_WALK_TRIES; try++) {
		struct cprof_missing missing;
		bool interrupted, first;

		w->stats.tries++;
		cprof_peek_begin(w->peek);
		cprof__gather_want(&w->gather);
		want_hinted(w, hint);
		cprof_peek_run(w->peek);
		interrupted = cprof_peek_interrupted(w->peek);
		if (!interrupted)
			tell_late(w);
		switch (cprof__gather_parse(&w->gather, &w->now, &missing)) {
		case CPROF_PARSE_ENDED:
			return CPROF_WALK_ENDED;
		case CPROF_PARSE_UNKNOWN:
			first = !interrupted && !w->fixed;
			if (first)
				fix_leaf(w);
			missing.ran = w->untold;
			cprof__gather_discover(&w->gather, &missing);
			if (first)
				w->asked = missing;
			break;
		case CPROF_PARSE_OK:
			if (interrupted || !accept(w))
				break;
			cprof__walker_judge(w, hint->place_nr);
			return CPROF_WALK_SETTLED;
		}
	}
	put_apart(w);
	return CPROF_WALK_UNSETTLED;
}
