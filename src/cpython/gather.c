/* Runs within a tick: no allocation, no lock. */
#include "cpython/gather.h"

#include <string.h>

#include "cpython/glance.h"

/*
 * Frames that are looked at besides those of the last chain: suspended
 * generators, and where all frames are objects of their own, those that ended
 * and will be used again.
 */
#define OTHERS_MAX	   16
#define OTHERS_OBJECTS_MAX 96

/* Of the frame of a generator that runs: with its locals and its stack. */
#define HEAD_BYTES 512U

/* Of the caller's stack: what is called and some arguments. */
#define CALL_BYTES 128U

/* Of the C stack, where C-stack frames are. */
#define CSTACK_BYTES 4096U

/* A C-stack frame and its shim are locals of one C function. */
#define SHIM_NEAR 512U

/* A thread may have gone deeper since we learnt how far its chunk reaches. */
#define CHUNK_SLACK 512U

/* Of the data stack, newest first: twice this and more fits into a peek. */
#define CHUNK_BYTES ((size_t)CPROF_PEEK_BYTES / 8 * 3)

/* The end of the data stack that is copied by itself. */
#define CHUNK_END 1024U

static struct cprof_region region(uintptr_t address, uint32_t len)
{
	return (struct cprof_region){
		.address = address, .len = len, .copy = { -1, -1 }
	};
}

/* The newest chunk is two regions, the end that changes by itself. */
static void add_chunk(struct cprof_gather *g, uintptr_t at, uint32_t used)
{
	uint32_t end = g->lay->frame.size + CHUNK_SLACK + CHUNK_END;

	if (!g->chunk_nr && used > end) {
		g->chunk[g->chunk_nr++] = region(at + used - end, end);
		/* A frame that lies across is in the upper one. */
		used -= end - g->lay->frame.size;
	}
	g->chunk[g->chunk_nr++] = region(at, used);
}

void cprof_chain_hint_begin(struct cprof_chain_hint *hint,
	const struct cprof_layout *lay, const void *state)
{
	uintptr_t at, top;

	if (lay->cframe.size) {
		hint->cframe[0] = cprof_load_ptr(state, lay->thread.cframe);
		hint->cframe_nr = 1;
	}
	if (!lay->chunk.data)
		return;
	at = cprof_load_ptr(state, lay->thread.datastack_chunk);
	top = cprof_load_ptr(state, lay->thread.datastack_top);
	if (!at || top - at > CPROF_MAX_CHUNK_BYTES - CHUNK_SLACK)
		return;
	hint->chunk[0].address = at;
	hint->chunk[0].len = (uint32_t)(top - at) + CHUNK_SLACK;
	hint->chunk_nr = 1;
}

void cprof__gather_init(struct cprof_gather *g,
	const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint)
{
	g->thread = *thread;
	g->state = region(thread->state, g->lay->thread.size);
	g->cframe_nr = hint->cframe_nr;
	for (int i = 0; i < g->cframe_nr; i++)
		g->cframe_at[i] = hint->cframe[i];
	g->chunk_nr = 0;
	for (int i = 0; i < hint->chunk_nr; i++)
		add_chunk(g, hint->chunk[i].address, hint->chunk[i].len);
	g->cut_nr = hint->cut_nr;
	for (int i = 0; i < g->cut_nr; i++)
		g->cut[i] = hint->cut[i];
	g->head_nr = hint->head_nr;
	for (int i = 0; i < g->head_nr; i++)
		g->head[i] = hint->head[i];
	g->visited_nr = 0;
	g->outside_nr = hint->outside_nr;
	for (int i = 0; i < g->outside_nr; i++)
		g->outside[i] = region(hint->outside[i], g->lay->frame.size);
}

static void want(struct cprof_gather *g, struct cprof_region *r, int copy)
{
	r->copy[copy] = cprof_peek_add(g->peek, r->address, r->len);
}

/*
 * A copy runs upwards, through callers before callees in both of its halves. So
 * the end of the data stack is cut in pieces where leaf frames begin: then a
 * leaf and its caller, too, are copied in the one order and back in the other.
 * Without this, a loop that calls two small functions is met with the one's
 * line and the other's frame. A frame that lies across a cut is whole in the
 * lower piece.
 */
static void cut_end(struct cprof_gather *g)
{
	uintptr_t from, to, upto;

	g->end_nr = 0;
	if (!g->chunk_nr)
		return;
	from = g->chunk[0].address;
	to = upto = from + g->chunk[0].len;
	for (;;) {
		uintptr_t at = from;

		for (int i = 0; i < g->cut_nr; i++)
			if (g->cut[i] > at && g->cut[i] < upto)
				at = g->cut[i];
		g->end[g->end_nr++] = region(at, (uint32_t)(to - at));
		if (at == from)
			return;
		upto = at;
		to = at + g->lay->frame.size;
		if (to > from + g->chunk[0].len)
			to = from + g->chunk[0].len;
	}
}

/* By subtraction only: sums on foreign numbers wrap round. */
static bool inside(const struct cprof_region *r, uintptr_t address, size_t len)
{
	uintptr_t offset = address - r->address;

	return address >= r->address && offset < r->len &&
	       len <= r->len - offset;
}

/* Where all C-stack frames lie that are not far from the newest. */
static struct cprof_region find_cframes(const struct cprof_gather *g)
{
	uint32_t size = g->lay->cframe.size;
	uintptr_t from = g->cframe_nr ? g->cframe_at[0] : 0, to = from;

	for (int i = 1; i < g->cframe_nr; i++) {
		uintptr_t at = g->cframe_at[i];

		if (at < from && to - at < CSTACK_BYTES)
			from = at;
		if (at > to && at - from < CSTACK_BYTES)
			to = at;
	}
	return region(from, (uint32_t)(to - from) + size);
}

/*
 * A frame that may run. On the data stack it lies right above the stack of its
 * caller, with what is called; elsewhere its own is what may be of interest.
 */
static struct cprof_region head(const struct cprof_gather *g, uintptr_t at)
{
	uint32_t size = g->lay->frame.size;

	if (g->chunk_nr && inside(&g->chunk[0], at, size) &&
		at - g->chunk[0].address >= CALL_BYTES)
		return region(at - CALL_BYTES, CALL_BYTES + size);
	return region(at, HEAD_BYTES);
}

/*
 * Who runs is asked in one read of one word, before anything is touched that
 * the thread writes. What lies there is another call's within some 100 ns, as
 * each call begins where the one before ended. So what comes next are the few
 * words of the frames that were met running lately, and not a whole stack: each
 * line of memory that the thread wrote takes 100 ns to get here.
 */
static void want_first(struct cprof_gather *g)
{
	const struct cprof_layout *lay = g->lay;

	g->now = region(g->thread.state +
				(lay->cframe.size ? lay->thread.cframe
						  : lay->thread.current_frame),
		sizeof(uintptr_t));
	want(g, &g->now, 0);
	for (int i = 0; i < g->cframe_nr; i++) {
		g->now_in[i] =
			region(g->cframe_at[i] + lay->cframe.current_frame,
				sizeof(uintptr_t));
		want(g, &g->now_in[i], 0);
	}
	g->first_nr = 0;
	for (int i = 0; i < g->head_nr; i++)
		g->first[g->first_nr++] = head(g, g->head[i]);
	for (int i = 0; i < g->cframe_nr && g->to_shim; i++)
		g->first[g->first_nr++] =
			region(g->cframe_at[i] + g->to_shim, lay->frame.size);
	if (g->chunk_nr)
		g->first[g->first_nr++] =
			region(g->chunk[0].address, g->chunk[0].len);
	for (int i = 0; i < g->first_nr; i++)
		want(g, &g->first[i], 0);
	want(g, &g->state, 0);
}

static uintptr_t word_of(
	const struct cprof_gather *g, const struct cprof_region *r)
{
	const void *at = cprof_peek_at(g->peek, r->copy[0]);

	return at ? cprof_load_ptr(at, 0) : 0;
}

/* NULL if it is not all in this region, or that was not copied. */
static const void *in_copy(const struct cprof_gather *g,
	const struct cprof_region *r, int copy, uintptr_t address, size_t len)
{
	const char *at = cprof_peek_at(g->peek, r->copy[copy]);

	return at && inside(r, address, len) ? at + (address - r->address)
					     : NULL;
}

bool cprof__gather_top(
	const struct cprof_gather *g, uintptr_t cframe, uintptr_t *ret)
{
	const void *at = in_copy(g, &g->cframes, 1,
		cframe + g->lay->cframe.current_frame, sizeof(*ret));

	if (at)
		*ret = cprof_load_ptr(at, 0);
	return at;
}

void cprof__gather_met_shim(
	struct cprof_gather *g, uintptr_t cframe, uintptr_t shim)
{
	uintptr_t distance = shim - cframe;

	if (distance + SHIM_NEAR < 2 * SHIM_NEAR)
		g->to_shim = distance;
}

uintptr_t cprof__gather_now(const struct cprof_gather *g)
{
	uintptr_t at = word_of(g, &g->now);

	if (!g->lay->cframe.size)
		return at;
	for (int i = 0; i < g->cframe_nr; i++)
		if (g->cframe_at[i] == at)
			return word_of(g, &g->now_in[i]);
	return 0;
}

/*
 * Then a palindrome around the state. What changes most is copied next to the
 * middle, so that the least time passes between its two copies: the end of the
 * data stack, then the frames outside of it, callers before callees, then the
 * rest of the data stack.
 */
void cprof__gather_want(struct cprof_gather *g)
{
	g->cframes = g->shims = find_cframes(g);
	want_first(g);
	if (g->cframe_nr)
		want(g, &g->shims, 0);
	for (int i = g->chunk_nr - 1; i > 0; i--)
		want(g, &g->chunk[i], 0);
	for (int i = g->outside_nr - 1; i >= 0; i--)
		want(g, &g->outside[i], 0);
	cut_end(g);
	for (int i = g->end_nr - 1; i >= 0; i--)
		want(g, &g->end[i], 0);
	want(g, &g->state, 1);
	if (g->cframe_nr)
		want(g, &g->cframes, 1);
	for (int i = 0; i < g->end_nr; i++)
		want(g, &g->end[i], 1);
	for (int i = 0; i < g->outside_nr; i++)
		want(g, &g->outside[i], 1);
	for (int i = 1; i < g->chunk_nr; i++)
		want(g, &g->chunk[i], 1);
	if (g->cframe_nr)
		want(g, &g->shims, 1);
}

static struct cprof_pair both(const struct cprof_gather *g,
	const struct cprof_region *r, size_t offset)
{
	struct cprof_pair p = {
		.first = cprof_peek_at(g->peek, r->copy[0]),
		.second = cprof_peek_at(g->peek, r->copy[1]),
	};

	p.there = p.first && p.second;
	if (p.there) {
		p.first += offset;
		p.second += offset;
	}
	return p;
}

struct cprof_pair cprof__gather_in(const struct cprof_gather *g,
	const struct cprof_region *r, uintptr_t address, size_t len)
{
	return inside(r, address, len) ? both(g, r, address - r->address)
				       : (struct cprof_pair){ 0 };
}

struct cprof_pair cprof__gather_memory(
	const struct cprof_gather *g, uintptr_t address, size_t len)
{
	struct cprof_pair p = { 0 };

	for (int i = 0; i < g->end_nr && !p.there; i++)
		p = cprof__gather_in(g, &g->end[i], address, len);
	for (int i = 1; i < g->chunk_nr && !p.there; i++)
		p = cprof__gather_in(g, &g->chunk[i], address, len);
	for (int i = 0; i < g->outside_nr && !p.there; i++)
		p = cprof__gather_in(g, &g->outside[i], address, len);
	return p;
}

const void *cprof__gather_same(
	const struct cprof_gather *g, uintptr_t address, size_t len)
{
	struct cprof_pair p = cprof__gather_memory(g, address, len);

	return p.there && !memcmp(p.first, p.second, len) ? p.first : NULL;
}

struct cprof_pair cprof__gather_frame(
	struct cprof_gather *g, uintptr_t address, int *cursor, int *distance)
{
	*distance = CPROF_AT_THE_END;
	for (int i = 0; i < g->end_nr; i++) {
		const struct cprof_region *r = &g->end[i];

		if (inside(r, address, g->lay->frame.size))
			return both(g, r, address - r->address);
	}
	*distance = CPROF_AT_THE_REST;
	for (int i = 1; i < g->chunk_nr; i++) {
		const struct cprof_region *r = &g->chunk[i];

		if (inside(r, address, g->lay->frame.size))
			return both(g, r, address - r->address);
	}
	for (int n = 0; n < g->outside_nr; n++) {
		int i = (*cursor + n) % g->outside_nr;

		if (g->outside[i].address != address)
			continue;
		*cursor = i + 1;
		*distance = i + 1;
		if (!g->outside[i].visited)
			g->visited[g->visited_nr++] = (uint16_t)i;
		g->outside[i].visited = true;
		return both(g, &g->outside[i], 0);
	}
	if (g->cframe_nr && inside(&g->shims, address, g->lay->frame.size)) {
		*distance = CPROF_AT_THE_CSTACK;
		return both(g, &g->shims, address - g->shims.address);
	}
	return (struct cprof_pair){ 0 };
}

const void *cprof__gather_first(
	const struct cprof_gather *g, uintptr_t address, size_t len)
{
	const void *ret = NULL;

	for (int i = 0; i < g->first_nr && !ret; i++)
		ret = in_copy(g, &g->first[i], 0, address, len);
	/* The palindrome begins with the rest of the data stack. */
	for (int i = 1; i < g->chunk_nr && !ret; i++)
		ret = in_copy(g, &g->chunk[i], 0, address, len);
	return ret;
}

/* The bytes of a chunk that are in use, the newest one's with some slack. */
static uint32_t chunk_used(const struct cprof_gather *g, uintptr_t at,
	const char *head, uintptr_t top)
{
	const struct cprof_layout *lay = g->lay;
	uint64_t size = cprof_load_u64(head, lay->chunk.size);
	uint64_t used = cprof_load_u64(head, lay->chunk.top);

	if (size > CPROF_MAX_CHUNK_BYTES)
		size = CPROF_MAX_CHUNK_BYTES;
	/* An older chunk notes where it was left, in words of its data. */
	if (g->chunk_nr)
		used = used < size / 8 ? used * 8 + lay->chunk.data : size;
	else
		used = top - at < size ? top - at + CHUNK_SLACK : size;
	return (uint32_t)(used < size ? used : size);
}

/*
 * The chunks as they are now. The newest is used up to the state's
 * datastack_top, older ones up to the `top` they were left with.
 */
static void list_chunks(struct cprof_gather *g)
{
	const struct cprof_layout *lay = g->lay;
	char state[512], head[64];
	size_t left = CHUNK_BYTES;
	uintptr_t at, top;

	g->chunk_nr = 0;
	if (!lay->chunk.data || lay->thread.size > sizeof(state) ||
		lay->chunk.data > sizeof(head))
		return;
	if (!cprof_peek_one(g->peek, g->thread.state, lay->thread.size, state))
		return;
	at = cprof_load_ptr(state, lay->thread.datastack_chunk);
	top = cprof_load_ptr(state, lay->thread.datastack_top);
	while (at && g->chunk_nr < CPROF_MAX_STACK_CHUNKS - 1) {
		uint32_t used;

		if (!cprof_peek_one(g->peek, at, lay->chunk.data, head))
			return;
		used = chunk_used(g, at, head, top);
		if (used > left)
			return;
		left -= used;
		add_chunk(g, at, used);
		at = cprof_load_ptr(head, lay->chunk.previous);
	}
}

static bool in_chunk(const struct cprof_gather *g, uintptr_t address)
{
	for (int i = 0; i < g->chunk_nr; i++)
		if (inside(&g->chunk[i], address, g->lay->frame.size))
			return true;
	return false;
}

/* Where `address` stands among the frames outside; `outside_nr` if nowhere. */
static int index_outside(const struct cprof_gather *g, uintptr_t address)
{
	int i = 0;

	while (i < g->outside_nr && g->outside[i].address != address)
		i++;
	return i;
}

static void reverse(struct cprof_region *r, int nr)
{
	for (int i = 0, n = nr - 1; i < n; i++, n--) {
		struct cprof_region last = r[n];

		r[n] = r[i];
		r[i] = last;
	}
}

/* Bring what begins at `middle` before what is there. */
static void rotate(struct cprof_region *r, int middle, int nr)
{
	reverse(r, middle);
	reverse(r + middle, nr - middle);
	reverse(r, nr);
}

/*
 * Add the frame that is missing and its callers, up to one that is known, and
 * before it: so they stay in the order of calls. Returns the known one, or 0.
 */
static uintptr_t add_outside(struct cprof_gather *g, uintptr_t missing)
{
	uint32_t len = g->lay->frame.size;
	int nr = g->outside_nr, at;
	uintptr_t met = 0;
	char frame[256];

	if (len > sizeof(frame))
		return 0;
	for (; missing && missing != met && !in_chunk(g, missing) &&
		index_outside(g, missing) == g->outside_nr;
		missing = cprof_frame_read(g->lay, missing, frame).previous) {
		if (nr == CPROF_MAX_WALKED_FRAMES ||
			!cprof_peek_one(g->peek, missing, len, frame))
			break;
		/* Frames that go in circles come by here again (Brent). */
		if (!(nr & (nr - 1)))
			met = missing;
		g->outside[nr++] = region(missing, len);
	}
	at = index_outside(g, missing);
	if (at < g->outside_nr)
		rotate(g->outside + at, g->outside_nr - at, nr - at);
	g->outside_nr = nr;
	return missing;
}

/* The newest goes to the front, the oldest of `max` away. */
static void add_recent(uintptr_t *at, int *nr, int max, uintptr_t address)
{
	int i = 0;

	while (i < *nr && at[i] != address)
		i++;
	if (i == *nr && *nr < max)
		++*nr;
	if (i == max)
		i--;
	for (; i > 0; i--)
		at[i] = at[i - 1];
	at[0] = address;
}

static void add_leaf(struct cprof_gather *g, uintptr_t address)
{
	add_recent(g->head, &g->head_nr, CPROF_HINT_HEADS, address);
	add_recent(g->cut, &g->cut_nr, CPROF_HINT_CUTS, address);
}

/* What could not be copied is no frame any more. */
static void forget_bad(struct cprof_gather *g)
{
	int nr = 0;

	for (int i = 0; i < g->outside_nr; i++)
		if (cprof_peek_at(g->peek, g->outside[i].copy[0]))
			g->outside[nr++] = g->outside[i];
	g->outside_nr = nr;
	g->visited_nr = 0;
}

void cprof__gather_discover(
	struct cprof_gather *g, struct cprof_missing *missing)
{
	forget_bad(g);
	if (missing->cframe)
		add_recent(g->cframe_at, &g->cframe_nr, CPROF_HINT_CFRAMES,
			missing->cframe);
	/* Where a frame is unknown, the data stack may have grown. */
	if (missing->frame || !g->chunk_nr)
		list_chunks(g);
	missing->caller = add_outside(g, missing->frame);
	add_outside(g, missing->ran);
}

bool cprof__gather_has(const struct cprof_gather *g,
	const struct cprof_raw_chain *chain,
	const struct cprof_missing *missing)
{
	int i = index_outside(g, missing->frame);

	if (missing->cframe)
		return chain->cframe == missing->cframe;
	if (i < g->outside_nr)
		return g->outside[i].visited;
	return cprof__chain_index(chain, missing->frame) < chain->nr;
}

/* The frames of this chain, leaf first, then others that may run again. */
static void save_outside(
	const struct cprof_gather *g, struct cprof_chain_hint *hint)
{
	int others = g->lay->chunk.data ? OTHERS_MAX : OTHERS_OBJECTS_MAX;
	int max = cprof_chain_hint_frames(g->lay);

	hint->outside_nr = 0;
	for (int i = 0; i < g->visited_nr; i++)
		if (hint->outside_nr < max)
			hint->outside[hint->outside_nr++] =
				g->outside[g->visited[i]].address;
	hint->chain_outside_nr = hint->outside_nr;
	for (int i = 0; i < g->outside_nr && others; i++) {
		if (g->outside[i].visited || hint->outside_nr == max)
			continue;
		hint->outside[hint->outside_nr++] = g->outside[i].address;
		others--;
	}
}

void cprof__gather_save(struct cprof_gather *g,
	const struct cprof_raw_chain *chain, struct cprof_chain_hint *hint)
{
	hint->chunk_nr = 0;
	for (int i = 0; i < g->chunk_nr && i < CPROF_HINT_CHUNKS; i++) {
		hint->chunk[i].address = g->chunk[i].address;
		hint->chunk[i].len = g->chunk[i].len;
		hint->chunk_nr++;
	}
	if (chain->cframe)
		add_recent(g->cframe_at, &g->cframe_nr, CPROF_HINT_CFRAMES,
			chain->cframe);
	hint->cframe_nr = 0;
	for (int i = 0; i < g->cframe_nr; i++)
		hint->cframe[hint->cframe_nr++] = g->cframe_at[i];
	hint->print = chain->whole;
	for (int i = 0; i < chain->nr && chain->whole; i++)
		hint->print = cprof_chain_print(hint->print, &chain->frame[i]);
	if (chain->lacking)
		add_recent(
			g->head, &g->head_nr, CPROF_HINT_HEADS, chain->lacking);
	if (chain->nr)
		add_leaf(g, chain->frame[0].frame);
	if (chain->first)
		add_leaf(g, chain->first);
	hint->head_nr = 0;
	for (int i = 0; i < g->head_nr; i++)
		hint->head[hint->head_nr++] = g->head[i];
	hint->cut_nr = 0;
	for (int i = 0; i < g->cut_nr; i++)
		hint->cut[hint->cut_nr++] = g->cut[i];
	save_outside(g, hint);
}
