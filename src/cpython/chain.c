/* cprof_walk() runs within a tick: no allocation, no lock. */
#include "cpython/chain.h"

#include <stdbool.h>
#include <string.h>

#include "cpython/walker.h"

int cprof_walker_create(const struct cprof_layout *lay, struct cprof_peek *peek,
	struct cprof_codes *codes, struct cprof_callees *callees,
	struct cprof_walker **ret, struct cprof_error *err)
{
	struct cprof_walker *w;

	w = cprof_arena_create_owner(sizeof(*w), sizeof(*w), err);
	if (!w)
		return CPROF_ENOMEM;
	w->lay = lay;
	w->peek = peek;
	w->codes = codes;
	w->callees = callees;
	w->gather.lay = lay;
	w->gather.peek = peek;
	w->gather.codes = codes;
	*ret = w;
	return 0;
}

void cprof_walker_destroy(struct cprof_walker *w)
{
	cprof_arena_destroy_owner(w);
}

const struct cprof_walk_stats *cprof_walker_stats(const struct cprof_walker *w)
{
	return &w->stats;
}

/* Frames from the root that are the same, each calling from the same place. */
static int shared_from_root(
	const struct cprof_raw_chain *a, const struct cprof_raw_chain *b)
{
	int n = 0;

	while (n < a->nr && n < b->nr) {
		const struct cprof_raw_frame *f = &a->frame[a->nr - 1 - n];
		const struct cprof_raw_frame *g = &b->frame[b->nr - 1 - n];

		if (f->frame != g->frame || f->code != g->code)
			break;
		n++;
		if (f->instr != g->instr)
			break;
	}
	return n;
}

static int place_of(const struct cprof_walker *w, int i)
{
	return cprof_codes_place(w->codes, w->chain.frame[i].code);
}

static bool judged(const struct cprof_walker *w, int place)
{
	return w->verdict[place].walk == w->stats.walks;
}

/* Check the content of all places of the chain that are not judged yet. */
static void check_others(struct cprof_walker *w)
{
	int nr = 0;

	cprof_peek_begin(w->peek);
	for (int i = 0; i < w->chain.nr && nr < CPROF_CHECK_MAX; i++) {
		int place = place_of(w, i);

		if (place < 0 || judged(w, place))
			continue;
		w->verdict[place] =
			(struct cprof_verdict){ w->stats.walks, false };
		w->place[nr] = place;
		w->handle[0][nr++] = cprof_codes_want(w->codes, w->peek, place);
	}
	if (!nr)
		return;
	cprof_peek_run(w->peek);
	cprof__walker_judge(w, nr);
}

/* Is the content seen now proof of what frame `i` runs? */
static bool proven(const struct cprof_walker *w, int i, uint32_t tick)
{
	int place = place_of(w, i);

	return place >= 0 && judged(w, place) && w->verdict[place].same &&
	       cprof_codes_steady(w->codes, place, tick);
}

/* Read what is at addresses that we know nothing, or nothing right, of. */
static void learn_others(struct cprof_walker *w, uint32_t tick)
{
	uintptr_t *address = w->address;
	int nr = 0;

	for (int i = 0; i < w->chain.nr && nr < CPROF_LEARN_MAX; i++) {
		uintptr_t code = w->chain.frame[i].code;
		int place = place_of(w, i), n = 0;

		if (place >= 0 && judged(w, place) && w->verdict[place].same)
			continue;
		while (n < nr && address[n] != code)
			n++;
		if (n == nr)
			address[nr++] = code;
		if (place >= 0)
			cprof_codes_changed(w->codes, place);
	}
	if (nr)
		cprof_codes_learn(w->codes, w->peek, address, nr, tick);
}

/*
 * Look once more, with the content of everything unproven before and behind.
 * Returns how many frames from the root of `chain` still stood meanwhile; the
 * leaf of the chain may have moved on within its code, then it is brought up to
 * date.
 */
static int look_again(struct cprof_walker *w, uint32_t tick)
{
	struct cprof_raw_chain *c = &w->chain;
	const struct cprof_raw_chain *now = &w->now;
	struct cprof_missing missing;
	int nr = 0, standing, stood;

	for (int i = 0; i < c->nr && nr < CPROF_CHECK_MAX; i++) {
		int place = place_of(w, i), n = 0;

		if (place < 0 || proven(w, i, tick))
			continue;
		while (n < nr && w->place[n] != place)
			n++;
		if (n == nr)
			w->place[nr++] = place;
	}
	cprof_peek_begin(w->peek);
	for (int i = 0; i < nr; i++)
		w->handle[0][i] =
			cprof_codes_want(w->codes, w->peek, w->place[i]);
	cprof__gather_want(&w->gather);
	for (int i = 0; i < nr; i++)
		w->handle[1][i] =
			cprof_codes_want(w->codes, w->peek, w->place[i]);
	cprof_peek_run(w->peek);
	for (int i = 0; i < nr; i++) {
		struct cprof_verdict *v = &w->verdict[w->place[i]];

		v->walk = w->stats.walks;
		v->same = cprof_codes_same(w->codes, w->peek, w->place[i],
				  w->handle[0][i]) &&
			  cprof_codes_same(w->codes, w->peek, w->place[i],
				  w->handle[1][i]);
	}
	if (cprof_peek_interrupted(w->peek) ||
		cprof__gather_parse(&w->gather, &w->now, &missing) !=
			CPROF_PARSE_OK)
		return 0;
	standing = shared_from_root(c, now);
	stood = now->nr - now->settled;
	if (standing > stood)
		standing = stood;
	if (standing == 0)
		return 0;
	if (standing == c->nr)
		c->frame[0].instr = now->frame[now->nr - c->nr].instr;
	else if (c->frame[c->nr - standing].instr !=
		 now->frame[now->nr - standing].instr)
		standing--; /* its callee is another one by now */
	return standing;
}

/*
 * The code that frame `i` was proven to run; or its place, for the end of the
 * window to tell; or a pseudo code.
 */
static uint32_t code_of(
	const struct cprof_walker *w, int i, int standing, uint32_t tick)
{
	int place = place_of(w, i);
	bool stood = i >= w->chain.nr - standing;

	if (place < 0 || !judged(w, place) || !w->verdict[place].same)
		return CPROF_CODE_GONE;
	if (stood || cprof_codes_steady(w->codes, place, tick))
		return cprof_codes_at(w->codes, place);
	return cprof_codes_expects(w->codes, place, tick)
		       ? CPROF_PLACE_FIRST + (uint32_t)place
		       : CPROF_CODE_GONE;
}

/* Leaf frames that may be stale: all with all would take milliseconds. */
#define STALE_MAX 16

/* The newest `nr` frames are none of this stack. */
static void cut_leaf(struct cprof_walker *w, int nr)
{
	struct cprof_raw_chain *c = &w->chain;

	w->apart = w->apart && !nr;
	c->nr -= nr;
	memmove(c->frame, c->frame + nr, (size_t)c->nr * sizeof(c->frame[0]));
}

/*
 * While a C-stack frame is being set up it still names the frame that ran there
 * before. That one ended; it shows by lying within the room of a frame that was
 * pushed since. Such frames are cut off at the leaf.
 */
static void cut_stale(struct cprof_walker *w, int standing, uint32_t tick)
{
	struct cprof_raw_chain *c = &w->chain;
	int stale = 0;

	if (!w->lay->cframe.size)
		return;
	for (int i = 1; i < c->nr; i++) {
		const struct cprof_raw_frame *f = &c->frame[i];
		uint32_t code = code_of(w, i, standing, tick);
		uintptr_t room;
		int last;

		if (code == CPROF_CODE_GONE || f->kind == CPROF_FRAME_GENERATOR)
			continue;
		room = cprof_codes_frame_bytes(
			w->codes, cprof_codes_content(w->codes, code));
		last = i - stale > STALE_MAX ? stale + STALE_MAX : i;
		for (int n = last - 1; n >= stale; n--)
			if (c->frame[n].frame > f->frame &&
				c->frame[n].frame - f->frame < room)
				stale = n + 1;
	}
	cut_leaf(w, stale);
}

static void put(struct cprof_stack *s, uint32_t code, int32_t instr)
{
	s->frame[s->nr++] = (struct cprof_frame){ code, instr };
}

/* Frame `i` as one of the stack; false for one to leave out. */
static bool name_frame(struct cprof_walker *w, int i, int standing,
	uint32_t tick, struct cprof_frame *ret)
{
	const struct cprof_raw_frame *f = &w->chain.frame[i];
	uint32_t content;

	*ret = (struct cprof_frame){ code_of(w, i, standing, tick), -1 };
	if (ret->code >= CPROF_PLACE_FIRST)
		w->stats.unnamed_frames++;
	if (ret->code == CPROF_CODE_GONE)
		return true;
	content = cprof_codes_content(w->codes, ret->code);
	ret->instr = cprof_codes_instr(w->codes, content, f->code, f->instr);
	return f->kind == CPROF_FRAME_GENERATOR ||
	       !cprof_codes_incomplete(w->codes, content, ret->instr);
}

static void name_all(struct cprof_walker *w, enum cprof_walk how, int standing,
	uint32_t tick, struct cprof_stack *ret)
{
	const struct cprof_raw_chain *c = &w->chain;
	int skip_from = CPROF_KEPT_LEAF_FRAMES;
	int skip_to = c->nr - CPROF_KEPT_ROOT_FRAMES;

	ret->nr = 0;
	if (how == CPROF_WALK_UNSETTLED && !w->apart)
		put(ret, CPROF_CODE_UNSETTLED, -1);
	for (int i = 0; i < c->nr; i++) {
		struct cprof_frame f;

		if (i == skip_from && skip_to > skip_from) {
			put(ret, CPROF_CODE_ELIDED, -1);
			i = skip_to;
		}
		if (name_frame(w, i, standing, tick, &f))
			put(ret, f.code, f.instr);
		if (w->apart && !i)
			put(ret, CPROF_CODE_UNSETTLED, -1);
	}
	if (c->too_deep)
		put(ret, CPROF_CODE_TOO_DEEP, -1);
	if (!ret->nr)
		put(ret, CPROF_CODE_NO_FRAME, -1);
}

/* Threads that begin together do the same, mostly. */
static void guess(const struct cprof_walker *w, struct cprof_chain_hint *hint)
{
	memcpy(hint->place, w->met, w->met_nr * sizeof(w->met[0]));
	hint->place_nr = w->met_nr;
	hint->callee = w->met_callee;
}

/* And what their code is called as. */
static void save_places(struct cprof_walker *w, struct cprof_chain_hint *hint)
{
	hint->place_nr = 0;
	for (int i = 0; i < w->chain.nr; i++) {
		int place = place_of(w, i), n = 0;

		if (place < 0)
			continue;
		if (w->chain.frame[i].func)
			cprof_codes_met_func(
				w->codes, place, w->chain.frame[i].func);
		while (n < hint->place_nr && (int)hint->place[n] != place)
			n++;
		if (n == hint->place_nr && n < CPROF_HINT_PLACES)
			hint->place[hint->place_nr++] = (uint32_t)place;
	}
	memcpy(w->met, hint->place, hint->place_nr * sizeof(w->met[0]));
	w->met_nr = hint->place_nr;
}

/*
 * What the copies that settled show of a call at the leaf, before the next ones
 * come; false if there is none. The code of the leaf is not proven yet.
 */
static bool find_call(const struct cprof_walker *w,
	const struct cprof_chain_hint *hint, struct cprof_call *ret)
{
	const struct cprof_raw_frame *leaf = &w->chain.frame[0];
	const void *at;

	if (!w->callees || !w->chain.nr || !w->chain.stood)
		return false;
	*ret = (struct cprof_call){ .frame = *leaf };
	if (cprof__walker_locate(w, ret) &&
		!cprof_callees_where(w->callees, ret))
		return false;
	/* To 3.13 it is another word of the frame, and does not count. */
	at = cprof__gather_same(&w->gather,
		leaf->frame + w->lay->frame.stackpointer, sizeof(uintptr_t));
	if (!at || !cprof_callees_waits(w->callees, ret, cprof_load_ptr(at, 0)))
		return false;
	at = ret->at ? cprof__gather_same(
			       &w->gather, ret->at, sizeof(ret->words))
		     : NULL;
	if (at)
		cprof_callees_words(at, ret->words);
	if (cprof_callees_same(w->callees, hint->callee, w->callee_handle))
		ret->same = hint->callee;
	return true;
}

/*
 * The C function that the leaf calls, once it is known what the leaf runs.
 * False if it calls none.
 */
static bool put_callee(struct cprof_walker *w, struct cprof_call *call,
	int standing, uint32_t tick, struct cprof_stack *ret)
{
	const struct cprof_raw_frame *leaf = &w->chain.frame[0];
	uint32_t callee;

	if (!w->chain.nr || !cprof_frame_same_place(leaf, &call->frame) ||
		code_of(w, 0, standing, tick) == CPROF_CODE_GONE ||
		!cprof__walker_locate(w, call))
		return false;
	callee = cprof_callees_find(w->callees, call, tick);
	if (callee == CPROF_NO_CALLEE)
		return false;
	memmove(ret->frame + 1, ret->frame,
		(size_t)ret->nr * sizeof(ret->frame[0]));
	ret->frame[0] = (struct cprof_frame){ callee, -1 };
	ret->nr++;
	return true;
}

enum cprof_walk cprof_walk(struct cprof_walker *w,
	const struct cprof_thread_ref *thread, struct cprof_chain_hint *hint,
	uint32_t tick, struct cprof_stack *ret)
{
	uint64_t unnamed = w->stats.unnamed_frames;
	struct cprof_call call;
	bool calls;
	enum cprof_walk how;
	int standing = 0;

	w->stats.walks++;
	if (w->interp && w->interp != thread->interp)
		cprof_codes_distrust_versions(w->codes);
	w->interp = thread->interp;
	if (!hint->place_nr)
		guess(w, hint);
	cprof__gather_init(&w->gather, thread, hint);
	how = cprof__walker_settle(w, hint);
	if (how == CPROF_WALK_ENDED)
		return how;
	calls = how == CPROF_WALK_SETTLED && find_call(w, hint, &call);
	check_others(w);
	for (int i = 0; i < w->chain.nr; i++) {
		if (proven(w, i, tick))
			continue;
		learn_others(w, tick);
		standing = look_again(w, tick);
		break;
	}
	if (how == CPROF_WALK_UNSETTLED)
		w->stats.unsettled++;
	cprof__gather_save(&w->gather, &w->chain, hint);
	save_places(w, hint);
	cut_stale(w, standing, tick);
	/* What was no frame any more has no code, either. */
	if (w->apart && code_of(w, 0, standing, tick) == CPROF_CODE_GONE)
		cut_leaf(w, 1);
	name_all(w, how, standing, tick, ret);
	calls = calls && put_callee(w, &call, standing, tick, ret);
	hint->callee = calls ? cprof_callees_object(&call) : 0;
	w->met_callee = hint->callee;
	/* To be walked again: it may have its names then. */
	if (w->stats.unnamed_frames != unnamed)
		hint->print = 0;
	return how;
}
