/* Runs within a tick: no allocation, no lock. */
#include "cpython/gather.h"

/* A thread may have gone deeper since we learnt how far its chunk reaches. */
#define CHUNK_SLACK 1024U

void cprof__gather_init(struct cprof_gather *g,
	const struct cprof_thread_ref *thread,
	const struct cprof_chain_hint *hint)
{
	g->thread = *thread;
	g->state = (struct cprof_region){ thread->state, g->lay->thread.size,
		{ -1, -1 } };
	g->cframe = (struct cprof_region){ hint->cframe, g->lay->cframe.size,
		{ -1, -1 } };
	g->chunk_nr = hint->chunk_nr;
	for (int i = 0; i < g->chunk_nr; i++)
		g->chunk[i] = (struct cprof_region){ hint->chunk[i].address,
			hint->chunk[i].len, { -1, -1 } };
	g->outside_nr = hint->outside_nr;
	for (int i = 0; i < g->outside_nr; i++)
		g->outside[i] = (struct cprof_region){ hint->outside[i],
			g->lay->frame.size, { -1, -1 } };
}

static void want(struct cprof_gather *g, struct cprof_region *r, int copy)
{
	r->copy[copy] = cprof_peek_add(g->peek, r->address, r->len);
}

void cprof__gather_want(struct cprof_gather *g)
{
	for (int i = g->chunk_nr - 1; i >= 0; i--)
		want(g, &g->chunk[i], 0);
	for (int i = g->outside_nr - 1; i >= 0; i--)
		want(g, &g->outside[i], 0);
	want(g, &g->cframe, 0);
	want(g, &g->state, 0);
	want(g, &g->state, 1);
	want(g, &g->cframe, 1);
	for (int i = 0; i < g->outside_nr; i++)
		want(g, &g->outside[i], 1);
	for (int i = 0; i < g->chunk_nr; i++)
		want(g, &g->chunk[i], 1);
}

/* By subtraction only: sums on foreign numbers wrap round. */
static bool inside(const struct cprof_region *r, uintptr_t address, size_t len)
{
	uintptr_t offset = address - r->address;

	return address >= r->address && offset < r->len &&
		len <= r->len - offset;
}

/* The copy of the frame at `address`; `cursor` is where it is expected. */
static const char *frame_at(
	const struct cprof_gather *g, int copy, uintptr_t address, int *cursor)
{
	const char *base;

	for (int i = 0; i < g->chunk_nr; i++) {
		const struct cprof_region *r = &g->chunk[i];

		if (!inside(r, address, g->lay->frame.size))
			continue;
		base = cprof_peek_at(g->peek, r->copy[copy]);
		return base ? base + (address - r->address) : NULL;
	}
	for (int n = 0; n < g->outside_nr; n++) {
		int i = (*cursor + n) % g->outside_nr;

		if (g->outside[i].address != address)
			continue;
		*cursor = i + 1;
		return cprof_peek_at(g->peek, g->outside[i].copy[copy]);
	}
	return NULL;
}

enum cprof_parse cprof__gather_parse(struct cprof_gather *g, int copy,
	struct cprof_raw_chain *ret, uintptr_t *missing)
{
	const struct cprof_layout *lay = g->lay;
	const char *state = cprof_peek_at(g->peek, g->state.copy[copy]);
	const char *cframe = cprof_peek_at(g->peek, g->cframe.copy[copy]);
	uintptr_t at;
	int cursor = 0;

	ret->nr = 0;
	ret->too_deep = false;
	if (!state || cprof_load_u64(state, lay->thread.id) != g->thread.id ||
		cprof_load_ptr(state, lay->thread.interp) != g->thread.interp)
		return CPROF_PARSE_ENDED;
	at = cprof_load_ptr(state, lay->thread.cframe);
	if (at != g->cframe.address || !cframe) {
		g->cframe.address = at;
		*missing = 0;
		return CPROF_PARSE_UNKNOWN;
	}
	at = cprof_load_ptr(cframe, lay->cframe.current_frame);
	while (at && ret->nr < CPROF_MAX_WALKED_FRAMES) {
		const char *frame = frame_at(g, copy, at, &cursor);

		if (!frame) {
			*missing = at;
			return CPROF_PARSE_UNKNOWN;
		}
		ret->frame[ret->nr++] = (struct cprof_raw_frame){
			.frame = at,
			.code = cprof_load_ptr(frame, lay->frame.f_code),
			.instr = cprof_load_ptr(frame, lay->frame.prev_instr),
			.owner = cprof_load_u8(frame, lay->frame.owner),
		};
		at = cprof_load_ptr(frame, lay->frame.previous);
	}
	ret->too_deep = at != 0;
	return CPROF_PARSE_OK;
}

/*
 * The chunks as they are now. The newest is used up to the state's
 * datastack_top, older ones up to the `top` they were left with.
 */
static void list_chunks(struct cprof_gather *g)
{
	const struct cprof_layout *lay = g->lay;
	char state[512], head[64];
	uintptr_t at, top;

	g->chunk_nr = 0;
	if (lay->thread.size > sizeof(state) || lay->chunk.data > sizeof(head))
		return;
	if (!cprof_peek_one(
		    g->peek, g->thread.state, lay->thread.size, state))
		return;
	at = cprof_load_ptr(state, lay->thread.datastack_chunk);
	top = cprof_load_ptr(state, lay->thread.datastack_top);
	while (at && g->chunk_nr < CPROF_MAX_STACK_CHUNKS) {
		uint64_t size, used;

		if (!cprof_peek_one(g->peek, at, lay->chunk.data, head))
			return;
		size = cprof_load_u64(head, lay->chunk.size);
		if (size > CPROF_MAX_CHUNK_BYTES)
			size = CPROF_MAX_CHUNK_BYTES;
		if (g->chunk_nr == 0)
			used = top - at < size ? top - at + CHUNK_SLACK : size;
		else
			used = cprof_load_u64(head, lay->chunk.top) <
					size / sizeof(void *)
				? cprof_load_u64(head, lay->chunk.top) *
						sizeof(void *) +
					lay->chunk.data
				: size;
		g->chunk[g->chunk_nr++] = (struct cprof_region){ at,
			(uint32_t)(used < size ? used : size), { -1, -1 } };
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

static bool known(const struct cprof_gather *g, uintptr_t address)
{
	for (int i = 0; i < g->outside_nr; i++)
		if (g->outside[i].address == address)
			return true;
	return in_chunk(g, address);
}

bool cprof__gather_discover(struct cprof_gather *g, uintptr_t missing)
{
	const struct cprof_layout *lay = g->lay;
	char frame[256];

	if (!missing) {
		/* A new C-stack frame; without chunks this is a first walk. */
		if (!g->chunk_nr)
			list_chunks(g);
		return true;
	}
	list_chunks(g);
	if (lay->frame.size > sizeof(frame))
		return false;
	while (missing && !known(g, missing)) {
		if (g->outside_nr == CPROF_MAX_WALKED_FRAMES ||
			!cprof_peek_one(
				g->peek, missing, lay->frame.size, frame))
			return false;
		g->outside[g->outside_nr++] = (struct cprof_region){ missing,
			lay->frame.size, { -1, -1 } };
		missing = cprof_load_ptr(frame, lay->frame.previous);
	}
	return true;
}

void cprof__gather_save(const struct cprof_gather *g,
	const struct cprof_raw_chain *chain, struct cprof_chain_hint *hint)
{
	hint->cframe = g->cframe.address;
	hint->chunk_nr = 0;
	for (int i = 0; i < g->chunk_nr && i < CPROF_HINT_CHUNKS; i++) {
		hint->chunk[i].address = g->chunk[i].address;
		hint->chunk[i].len = g->chunk[i].len;
		hint->chunk_nr++;
	}
	hint->outside_nr = 0;
	hint->leaf_nr = 0;
	for (int i = 0; i < chain->nr; i++) {
		const struct cprof_raw_frame *f = &chain->frame[i];

		if (i < CPROF_HINT_LEAVES)
			hint->leaf[hint->leaf_nr++] = *f;
		if (hint->outside_nr < CPROF_HINT_FRAMES &&
			!in_chunk(g, f->frame))
			hint->outside[hint->outside_nr++] = f->frame;
	}
}
