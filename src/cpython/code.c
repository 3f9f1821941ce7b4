/* Up to cprof_codes_lost(), what runs within a tick: no allocation, no lock. */
#include "cpython/code.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "cpython/linetable.h"

#define TABLE_SIZE (2 * CPROF_MAX_CODES) /* at most half full */

/* A str as it lies in memory: `bytes` of one, two or four a character. */
struct text {
	uint64_t length; /* characters */
	uint32_t state;	 /* kind, compact and ascii, of its state word */
	uint32_t kept;	 /* bytes of it in `data`, at most the limit */
	const uint8_t *data;
};

struct content {
	struct text name, file;
	uint64_t lines_size; /* bytes of the table */
	uint32_t lines_kept; /* the same, or 0 where it is too long */
	const uint8_t *lines;
	uint64_t code_size; /* code units */
	int32_t first_line;
	uint32_t first_traceable;
	uint32_t locals, stack; /* words of a frame besides its head */
	uint64_t hash;
};

/* Where one lies: the pointers of the code object at `address`. */
struct place {
	uintptr_t address, name, file, lines;
	uintptr_t func;	  /* of a call of it; a hint */
	uint32_t version; /* unique for each code object; 0 for none */
	uint32_t code;
	uint32_t first_tick;
	bool changed;
	bool confirmed; /* what was learnt was there to the end */
};

struct cprof_codes {
	struct cprof_arena arena; /* all of this and the contents' bytes */
	const struct cprof_layout *lay;
	uintptr_t code_type;
	bool versions_lie;
	struct content *content;
	uint32_t content_nr;
	struct place *place;
	uint32_t place_nr;
	uint32_t *by_hash;    /* TABLE_SIZE, content + 1 */
	uint32_t *by_address; /* TABLE_SIZE, place + 1 */
	uint32_t lost;
	/* The scratch of one learning. */
	struct {
		struct place place;
		struct content content;
		int slice, name, file, lines;
	} learnt[CPROF_LEARN_MAX];
};

int cprof_codes_create(const struct cprof_layout *lay, uintptr_t code_type,
	struct cprof_codes **ret, struct cprof_error *err)
{
	struct cprof_codes *c;

	c = cprof_arena_create_owner(CPROF_CODE_ARENA_BYTES, sizeof(*c), err);
	if (!c)
		return CPROF_ENOMEM;
	/* The arena is larger than all of these by far: see limits.h. */
	c->content = cprof_arena_take(
		&c->arena, CPROF_MAX_CODES * sizeof(*c->content));
	c->place = cprof_arena_take(
		&c->arena, CPROF_MAX_CODES * sizeof(*c->place));
	c->by_hash =
		cprof_arena_take(&c->arena, TABLE_SIZE * sizeof(*c->by_hash));
	c->by_address = cprof_arena_take(
		&c->arena, TABLE_SIZE * sizeof(*c->by_address));
	c->lay = lay;
	c->code_type = code_type;
	*ret = c;
	return 0;
}

void cprof_codes_destroy(struct cprof_codes *c)
{
	cprof_arena_destroy_owner(c);
}

static uint64_t hash_content(const struct content *k)
{
	uint64_t h = cprof_hash_mix(k->name.length, k->file.length);

	h = cprof_hash_bytes(h, k->name.data, k->name.kept);
	h = cprof_hash_bytes(h, k->file.data, k->file.kept);
	h = cprof_hash_bytes(h, k->lines, k->lines_kept);
	return cprof_hash_mix(
		cprof_hash_mix(h, (uint64_t)k->first_line), k->code_size);
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->length == b->length && a->state == b->state &&
	       !memcmp(a->data, b->data, a->kept);
}

static bool same_content(const struct content *a, const struct content *b)
{
	return a->hash == b->hash && a->first_line == b->first_line &&
	       a->first_traceable == b->first_traceable &&
	       a->locals == b->locals && a->stack == b->stack &&
	       a->code_size == b->code_size && a->lines_size == b->lines_size &&
	       same_text(&a->name, &b->name) && same_text(&a->file, &b->file) &&
	       !memcmp(a->lines, b->lines, a->lines_kept);
}

static bool keep(struct cprof_codes *c, const uint8_t **data, size_t len)
{
	uint8_t *to = cprof_arena_take(&c->arena, len);

	if (!to)
		return false;
	memcpy(to, *data, len);
	*data = to;
	return true;
}

/* The code with the content of `k`, whose bytes are copied if it is new. */
static int intern_content(struct cprof_codes *c, const struct content *k)
{
	uint32_t slot = (uint32_t)k->hash % TABLE_SIZE;
	struct content *to = &c->content[c->content_nr];

	for (; c->by_hash[slot]; slot = (slot + 1) % TABLE_SIZE) {
		uint32_t code = c->by_hash[slot] - 1;

		if (same_content(&c->content[code], k))
			return (int)code;
	}
	if (c->content_nr == CPROF_MAX_CODES)
		return -1;
	*to = *k;
	if (!keep(c, &to->name.data, k->name.kept) ||
		!keep(c, &to->file.data, k->file.kept) ||
		!keep(c, &to->lines, k->lines_kept))
		return -1;
	c->by_hash[slot] = ++c->content_nr;
	return (int)(c->content_nr - 1);
}

static uint32_t address_slot(const struct cprof_codes *c, uintptr_t address)
{
	uint32_t slot = (uint32_t)(cprof_hash_mix(1, address) % TABLE_SIZE);

	while (c->by_address[slot] &&
		c->place[c->by_address[slot] - 1].address != address)
		slot = (slot + 1) % TABLE_SIZE;
	return slot;
}

int cprof_codes_place(const struct cprof_codes *c, uintptr_t address)
{
	return (int)c->by_address[address_slot(c, address)] - 1;
}

static void set_place(
	struct cprof_codes *c, const struct place *found, uint32_t tick)
{
	uint32_t slot = address_slot(c, found->address);
	struct place *p;

	if (c->by_address[slot]) {
		p = &c->place[c->by_address[slot] - 1];
		p->changed = p->changed || p->code != found->code;
		if (p->version != found->version)
			p->first_tick = tick;
		p->version = found->version;
		p->func = 0;
		p->name = found->name;
		p->file = found->file;
		p->lines = found->lines;
		p->code = found->code;
		return;
	}
	if (c->place_nr == CPROF_MAX_CODES) {
		c->lost++;
		return;
	}
	p = &c->place[c->place_nr++];
	*p = *found;
	p->first_tick = tick;
	c->by_address[slot] = c->place_nr;
}

/* Fill `p` and the numbers of `k` from a code object copied to `slice`. */
static bool read_slice(const struct cprof_codes *c, const uint8_t *slice,
	struct place *p, struct content *k)
{
	const struct cprof_layout *lay = c->lay;

	if (cprof_load_ptr(slice, lay->code.ob_type) != c->code_type)
		return false;
	p->name = cprof_load_ptr(slice, lay->code.name);
	p->file = cprof_load_ptr(slice, lay->code.filename);
	p->lines = cprof_load_ptr(slice, lay->code.linetable);
	k->first_line = (int32_t)cprof_load_u32(slice, lay->code.firstlineno);
	if (lay->code.version && !c->versions_lie)
		p->version = cprof_load_u32(slice, lay->code.version);
	if (!lay->code.ob_size)
		return true;
	k->code_size = cprof_load_u64(slice, lay->code.ob_size);
	k->first_traceable = cprof_load_u32(slice, lay->code.firsttraceable);
	k->locals = cprof_load_u32(slice, lay->code.nlocalsplus);
	k->stack = cprof_load_u32(slice, lay->code.stacksize);
	return true;
}

/* The bits of a state word that tell how the characters lie. */
static uint32_t text_state(const struct cprof_layout *lay, uint32_t state)
{
	return (state >> lay->str.kind_shift) & 31;
}

static uint32_t text_kind(uint32_t state)
{
	return state & 7;
}

static bool text_compact(uint32_t state)
{
	return state & 8;
}

static bool text_ascii(uint32_t state)
{
	return state & 16;
}

static size_t text_offset(const struct cprof_layout *lay, uint32_t state)
{
	return text_ascii(state) ? lay->str.ascii_data : lay->str.compact_data;
}

/* Read length and state from a str whose head was copied to `head`. */
static bool read_text_head(const struct cprof_layout *lay, const uint8_t *head,
	size_t max_bytes, struct text *t)
{
	uint32_t kind;

	t->length = cprof_load_u64(head, 0);
	t->state = text_state(lay,
		cprof_load_u32(head, lay->str.state - (size_t)lay->str.length));
	kind = text_kind(t->state);
	if (!text_compact(t->state) || (kind != 1 && kind != 2 && kind != 4))
		return false;
	t->kept = t->length > max_bytes / kind ? (uint32_t)max_bytes
					       : (uint32_t)t->length * kind;
	return true;
}

/* A str's copy begins at its length, so that the check covers it. */
static int want_text(const struct cprof_layout *lay, struct cprof_peek *peek,
	uintptr_t address, const struct text *t)
{
	size_t from = lay->str.length;

	return cprof_peek_add(peek, address + from,
		text_offset(lay, t->state) - from + t->kept);
}

static int want_text_head(
	const struct cprof_layout *lay, struct cprof_peek *peek, uintptr_t str)
{
	return cprof_peek_add(peek, str + lay->str.length,
		lay->str.state - (size_t)lay->str.length + 4);
}

static int want_lines(const struct cprof_layout *lay, struct cprof_peek *peek,
	uintptr_t address, uint32_t kept)
{
	size_t from = lay->bytes.ob_size;

	return cprof_peek_add(
		peek, address + from, lay->bytes.data - from + kept);
}

static bool read_heads(const struct cprof_codes *c,
	const struct cprof_peek *peek, int name, int file, int lines,
	struct content *k)
{
	const uint8_t *name_at = cprof_peek_at(peek, name);
	const uint8_t *file_at = cprof_peek_at(peek, file);
	const uint8_t *lines_at = cprof_peek_at(peek, lines);

	if (!name_at || !file_at || !lines_at ||
		!read_text_head(
			c->lay, name_at, CPROF_MAX_CODE_NAME_BYTES, &k->name) ||
		!read_text_head(
			c->lay, file_at, CPROF_MAX_CODE_FILE_BYTES, &k->file))
		return false;
	k->lines_size = cprof_load_u64(lines_at, 0);
	k->lines_kept = k->lines_size > CPROF_MAX_CODE_LINES_BYTES
				? 0
				: (uint32_t)k->lines_size;
	return true;
}

static bool read_bytes(const struct cprof_codes *c,
	const struct cprof_peek *peek, int name, int file, int lines,
	struct content *k)
{
	const struct cprof_layout *lay = c->lay;
	const uint8_t *name_at = cprof_peek_at(peek, name);
	const uint8_t *file_at = cprof_peek_at(peek, file);
	const uint8_t *lines_at = cprof_peek_at(peek, lines);

	if (!name_at || !file_at || !lines_at)
		return false;
	k->name.data =
		name_at + text_offset(lay, k->name.state) - lay->str.length;
	k->file.data =
		file_at + text_offset(lay, k->file.state) - lay->str.length;
	k->lines = lines_at + lay->bytes.data - lay->bytes.ob_size;
	k->hash = hash_content(k);
	return true;
}

void cprof_codes_learn(struct cprof_codes *c, struct cprof_peek *peek,
	const uintptr_t *address, int nr, uint32_t tick)
{
	const struct cprof_layout *lay = c->lay;
	int left = 0;

	cprof_peek_begin(peek);
	for (int i = 0; i < nr; i++)
		c->learnt[i].slice =
			cprof_peek_add(peek, address[i], lay->code.size);
	cprof_peek_run(peek);
	for (int i = 0; i < nr; i++) {
		const uint8_t *slice = cprof_peek_at(peek, c->learnt[i].slice);
		struct place p = { .address = address[i] };
		struct content k = { 0 };

		if (!slice || !read_slice(c, slice, &p, &k))
			continue;
		c->learnt[left].place = p;
		c->learnt[left++].content = k;
	}

	cprof_peek_begin(peek);
	for (int i = 0; i < left; i++) {
		struct place *p = &c->learnt[i].place;

		c->learnt[i].name = want_text_head(lay, peek, p->name);
		c->learnt[i].file = want_text_head(lay, peek, p->file);
		c->learnt[i].lines = want_lines(lay, peek, p->lines, 0);
	}
	cprof_peek_run(peek);
	nr = left;
	left = 0;
	for (int i = 0; i < nr; i++) {
		if (!read_heads(c, peek, c->learnt[i].name, c->learnt[i].file,
			    c->learnt[i].lines, &c->learnt[i].content))
			continue;
		c->learnt[left].place = c->learnt[i].place;
		c->learnt[left++].content = c->learnt[i].content;
	}

	cprof_peek_begin(peek);
	for (int i = 0; i < left; i++) {
		struct place *p = &c->learnt[i].place;
		struct content *k = &c->learnt[i].content;

		c->learnt[i].name = want_text(lay, peek, p->name, &k->name);
		c->learnt[i].file = want_text(lay, peek, p->file, &k->file);
		c->learnt[i].lines =
			want_lines(lay, peek, p->lines, k->lines_kept);
	}
	cprof_peek_run(peek);
	for (int i = 0; i < left; i++) {
		struct content *k = &c->learnt[i].content;
		int code;

		if (!read_bytes(c, peek, c->learnt[i].name, c->learnt[i].file,
			    c->learnt[i].lines, k))
			continue;
		code = intern_content(c, k);
		if (code < 0) {
			c->lost++;
			continue;
		}
		c->learnt[i].place.code = (uint32_t)code;
		set_place(c, &c->learnt[i].place, tick);
	}
}

int cprof_codes_want(
	const struct cprof_codes *c, struct cprof_peek *peek, int place)
{
	const struct place *p = &c->place[place];
	const struct content *k = &c->content[p->code];
	int first = cprof_peek_add(peek, p->address, c->lay->code.size);

	if (p->version)
		return first;
	/* Four elements in a row, or the first one missing. */
	if (first < 0 || want_text(c->lay, peek, p->name, &k->name) < 0 ||
		want_text(c->lay, peek, p->file, &k->file) < 0 ||
		want_lines(c->lay, peek, p->lines, k->lines_kept) < 0)
		return -1;
	return first;
}

static bool text_unchanged(
	const struct cprof_layout *lay, const uint8_t *at, const struct text *t)
{
	size_t from = lay->str.length;

	return at && cprof_load_u64(at, 0) == t->length &&
	       text_state(lay, cprof_load_u32(at, lay->str.state - from)) ==
		       t->state &&
	       !memcmp(at + text_offset(lay, t->state) - from, t->data,
		       t->kept);
}

bool cprof_codes_same(const struct cprof_codes *c,
	const struct cprof_peek *peek, int place, int handle)
{
	const struct cprof_layout *lay = c->lay;
	const struct place *p = &c->place[place];
	const struct content *k = &c->content[p->code];
	const uint8_t *slice = cprof_peek_at(peek, handle);
	const uint8_t *lines;
	struct place now = { 0 };
	struct content number = { 0 };

	if (handle < 0 || !slice || !read_slice(c, slice, &now, &number) ||
		now.version != p->version || now.name != p->name ||
		now.file != p->file || now.lines != p->lines ||
		number.code_size != k->code_size ||
		number.first_line != k->first_line ||
		number.first_traceable != k->first_traceable ||
		number.locals != k->locals || number.stack != k->stack)
		return false;
	/* The same object ever since, so its strings are the same, too. */
	if (p->version)
		return true;
	lines = cprof_peek_at(peek, handle + 3);
	return text_unchanged(lay, cprof_peek_at(peek, handle + 1), &k->name) &&
	       text_unchanged(lay, cprof_peek_at(peek, handle + 2), &k->file) &&
	       lines && cprof_load_u64(lines, 0) == k->lines_size &&
	       !memcmp(lines + lay->bytes.data - lay->bytes.ob_size, k->lines,
		       k->lines_kept);
}

bool cprof_codes_steady(const struct cprof_codes *c, int place, uint32_t tick)
{
	const struct place *p = &c->place[place];

	return (p->version || !p->changed) && p->first_tick < tick;
}

bool cprof_codes_expects(const struct cprof_codes *c, int place, uint32_t tick)
{
	return !c->place[place].changed && c->place[place].first_tick == tick;
}

void cprof_codes_confirm(
	struct cprof_codes *c, struct cprof_peek *peek, uint32_t tick)
{
	int handle[CPROF_LEARN_MAX];

	for (uint32_t from = 0; from < c->place_nr; from += CPROF_LEARN_MAX) {
		uint32_t nr = c->place_nr - from;

		if (nr > CPROF_LEARN_MAX)
			nr = CPROF_LEARN_MAX;
		cprof_peek_begin(peek);
		for (uint32_t i = 0; i < nr; i++) {
			int at = (int)(from + i);
			const struct place *p = &c->place[at];

			handle[i] = -1;
			if (!p->changed && p->first_tick < tick)
				handle[i] = cprof_codes_want(c, peek, at);
		}
		cprof_peek_run(peek);
		for (uint32_t i = 0; i < nr; i++)
			c->place[from + i].confirmed = cprof_codes_same(
				c, peek, (int)(from + i), handle[i]);
	}
}

bool cprof_codes_confirmed(const struct cprof_codes *c, uint32_t code)
{
	return !cprof_codes_is_place(code) ||
	       c->place[code - CPROF_PLACE_FIRST].confirmed;
}

uint32_t cprof_codes_content(const struct cprof_codes *c, uint32_t code)
{
	return cprof_codes_is_place(code)
		       ? c->place[code - CPROF_PLACE_FIRST].code
		       : code;
}

void cprof_codes_distrust_versions(struct cprof_codes *c)
{
	/* What was learnt by number does not fit any more: it is learnt again.
	 */
	c->versions_lie = true;
}

void cprof_codes_changed(struct cprof_codes *c, int place)
{
	c->place[place].changed = true;
}

uint32_t cprof_codes_at(const struct cprof_codes *c, int place)
{
	return c->place[place].code;
}

int32_t cprof_codes_instr(const struct cprof_codes *c, uint32_t code,
	uintptr_t address, int64_t instr)
{
	uintptr_t first = address + c->lay->code.code_adaptive;
	uint64_t index;

	if (c->lay->position == CPROF_POSITION_BYTES)
		return instr < 0 ? -1 : (int32_t)(instr / 2);
	if (c->lay->position == CPROF_POSITION_UNITS)
		return instr < 0 ? -1 : (int32_t)instr;
	if ((uintptr_t)instr < first)
		return -1;
	index = ((uintptr_t)instr - first) / 2;
	return index < c->content[code].code_size && index < INT32_MAX
		       ? (int32_t)index
		       : -1;
}

static bool has_instr(
	const struct cprof_codes *c, const struct place *p, int64_t instr)
{
	return c->lay->position == CPROF_POSITION_POINTER &&
	       cprof_codes_instr(c, p->code, p->address, instr) >= 0;
}

uintptr_t cprof_codes_with_instr(const struct cprof_codes *c, int64_t instr)
{
	for (uint32_t i = 0; i < c->place_nr; i++)
		if (has_instr(c, &c->place[i], instr))
			return c->place[i].address;
	return 0;
}

bool cprof_codes_has_instr(
	const struct cprof_codes *c, uintptr_t address, int64_t instr)
{
	int place = cprof_codes_place(c, address);

	return place >= 0 && has_instr(c, &c->place[place], instr);
}

void cprof_codes_met_func(struct cprof_codes *c, int place, uintptr_t func)
{
	c->place[place].func = func;
}

uintptr_t cprof_codes_func(const struct cprof_codes *c, int place)
{
	return c->place[place].func;
}

size_t cprof_codes_units(const struct cprof_codes *c, uint32_t code)
{
	return c->content[code].code_size;
}

size_t cprof_codes_locals(const struct cprof_codes *c, uint32_t code)
{
	return c->content[code].locals;
}

size_t cprof_codes_frame_bytes(const struct cprof_codes *c, uint32_t code)
{
	const struct content *k = &c->content[code];

	return c->lay->frame.size +
	       ((size_t)k->locals + k->stack) * sizeof(void *);
}

bool cprof_codes_incomplete(
	const struct cprof_codes *c, uint32_t code, int32_t index)
{
	return c->lay->code.firsttraceable &&
	       (index < 0 ||
		       (uint32_t)index < c->content[code].first_traceable);
}

uint32_t cprof_codes_lost(const struct cprof_codes *c)
{
	return c->lost;
}

static uint32_t character(const struct text *t, size_t i, uint32_t kind)
{
	const uint8_t *at = t->data + i * kind;
	uint16_t two;

	if (kind == 1)
		return *at;
	if (kind == 4)
		return cprof_load_u32(at, 0);
	memcpy(&two, at, sizeof(two));
	return two;
}

/* What cannot be encoded (a lone surrogate, as in undecodable paths) is "?". */
static size_t encode_utf8(uint32_t ch, uint8_t out[4])
{
	if (ch < 0x80) {
		out[0] = (uint8_t)ch;
		return 1;
	}
	if (ch < 0x800) {
		out[0] = (uint8_t)(0xc0 | ch >> 6);
		out[1] = (uint8_t)(0x80 | (ch & 63));
		return 2;
	}
	if (ch > 0x10ffff || (ch >= 0xd800 && ch < 0xe000)) {
		out[0] = '?';
		return 1;
	}
	if (ch < 0x10000) {
		out[0] = (uint8_t)(0xe0 | ch >> 12);
		out[1] = (uint8_t)(0x80 | ((ch >> 6) & 63));
		out[2] = (uint8_t)(0x80 | (ch & 63));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | ch >> 18);
	out[1] = (uint8_t)(0x80 | ((ch >> 12) & 63));
	out[2] = (uint8_t)(0x80 | ((ch >> 6) & 63));
	out[3] = (uint8_t)(0x80 | (ch & 63));
	return 4;
}

static int add_utf8(
	const struct text *t, struct cprof_buffer *out, struct cprof_error *err)
{
	uint32_t kind = text_kind(t->state);
	int r;

	if (text_ascii(t->state))
		return cprof_buffer_add(out, t->data, t->kept, err);
	for (size_t i = 0; i < t->kept / kind; i++) {
		uint8_t utf8[4];
		size_t n = encode_utf8(character(t, i, kind), utf8);

		r = cprof_buffer_add(out, utf8, n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cprof_codes_name(const struct cprof_codes *c, uint32_t code,
	struct cprof_buffer *out, struct cprof_error *err)
{
	return add_utf8(&c->content[code].name, out, err);
}

int cprof_codes_file(const struct cprof_codes *c, uint32_t code,
	struct cprof_buffer *out, struct cprof_error *err)
{
	return add_utf8(&c->content[code].file, out, err);
}

int32_t cprof_codes_first_line(const struct cprof_codes *c, uint32_t code)
{
	return c->content[code].first_line;
}

int32_t cprof_codes_line(
	const struct cprof_codes *c, uint32_t code, int32_t index)
{
	const struct content *k = &c->content[code];

	/* Like CPython, which answers with the `def` before the first one. */
	if (index < 0)
		return k->first_line;
	return cprof_line_at(c->lay->lines, k->lines, k->lines_kept,
		k->first_line, (uint32_t)index);
}
