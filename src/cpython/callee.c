/* Up to cprof_callees_name(), what runs within a tick: no allocation, no lock.
 */
#include "cpython/callee.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "cpython/sites.h"

#define TABLE_SIZE (2 * CPROF_MAX_CALLEES) /* at most half full */

/* Of the flags of a type (CPython's object.h). */
#define TYPE_IMMUTABLE (1U << 8) /* as no class of Python is */
#define TYPE_HEAP      (1U << 9)

/* One part of a name, and both, with a dot and a zero. */
#define PART_BYTES CPROF_MAX_CALLEE_PART_BYTES
#define NAME_BYTES (2 * (PART_BYTES + 1))

/* A piece of memory that tells what an object is. */
struct span {
	uintptr_t address;
	uint32_t len;
};

/* An object: the pieces, in the order they were followed, and their bytes. */
#define MAX_SPANS  8
#define SPAN_BYTES 256
struct callee {
	uintptr_t address;
	uint32_t name;
	uint32_t first_tick;
	bool method; /* to be called with an object of its type */
	uint32_t span_nr, used;
	struct span span[MAX_SPANS];
	uint8_t bytes[SPAN_BYTES];
};

struct name {
	uint64_t hash;
	char text[NAME_BYTES];
};

struct cprof_callees {
	struct cprof_arena arena; /* all of this and the sites */
	const struct cprof_layout *lay;
	const struct cprof_roots *roots;
	const struct cprof_opcode *opcodes;
	struct cprof_codes *codes;
	struct cprof_peek *peek;
	/* For each code what sites.h says, or `none`; NULL: not read yet. */
	const uint8_t **site;
	struct callee *callee;
	uint32_t callee_nr;
	uint32_t *by_address; /* TABLE_SIZE, callee + 1 */
	struct name *name;
	uint32_t name_nr;
	uint8_t depth[CPROF_MAX_SITE_UNITS];
	uint8_t found[CPROF_MAX_SITE_UNITS];
};

/* The sites of code in which none can be told. */
static const uint8_t none[1];

int cprof_callees_create(const struct cprof_layout *lay,
	const struct cprof_roots *roots, struct cprof_codes *codes,
	struct cprof_peek *peek, struct cprof_callees **ret,
	struct cprof_error *err)
{
	struct cprof_callees *c;

	*ret = NULL;
	if (!cprof_opcodes(lay->version) || !lay->function.m_ml)
		return 0;
	c = cprof_arena_create_owner(CPROF_CALLEE_ARENA_BYTES, sizeof(*c), err);
	if (!c)
		return CPROF_ENOMEM;
	/* The arena is larger than all of these by far: see limits.h. */
	c->site =
		cprof_arena_take(&c->arena, CPROF_MAX_CODES * sizeof(*c->site));
	c->callee = cprof_arena_take(
		&c->arena, CPROF_MAX_CALLEES * sizeof(*c->callee));
	c->by_address = cprof_arena_take(
		&c->arena, TABLE_SIZE * sizeof(*c->by_address));
	c->name = cprof_arena_take(
		&c->arena, CPROF_MAX_CALLEES * sizeof(*c->name));
	c->lay = lay;
	c->roots = roots;
	c->opcodes = cprof_opcodes(lay->version);
	c->codes = codes;
	c->peek = peek;
	*ret = c;
	return 0;
}

void cprof_callees_destroy(struct cprof_callees *c)
{
	cprof_arena_destroy_owner(c);
}

/*
 * Read the instructions of the code at a place, with its content before and
 * behind. What was not the same is read another time.
 */
static void read_sites(
	struct cprof_callees *c, const struct cprof_call *call, uint32_t code)
{
	size_t units = cprof_codes_units(c->codes, code);
	const uint8_t *bytes;
	uint8_t *kept;
	int before, behind, at;

	if (units > CPROF_MAX_SITE_UNITS) {
		c->site[code] = none;
		return;
	}
	cprof_peek_begin(c->peek);
	before = cprof_codes_want(c->codes, c->peek, call->place);
	at = cprof_peek_add(c->peek,
		call->frame.code + c->lay->code.code_adaptive, units * 2);
	behind = cprof_codes_want(c->codes, c->peek, call->place);
	cprof_peek_run(c->peek);
	bytes = cprof_peek_at(c->peek, at);
	if (!bytes ||
		!cprof_codes_same(c->codes, c->peek, call->place, before) ||
		!cprof_codes_same(c->codes, c->peek, call->place, behind))
		return;
	c->site[code] = none;
	if (!cprof_sites_find(c->opcodes, bytes, units, c->depth, c->found))
		return;
	kept = cprof_arena_take(&c->arena, units);
	if (!kept)
		return;
	memcpy(kept, c->found, units);
	c->site[code] = kept;
}

bool cprof_callees_where(const struct cprof_callees *c, struct cprof_call *call)
{
	uint32_t code = cprof_codes_at(c->codes, call->place);
	const uint8_t *site = c->site[code];
	size_t locals = cprof_codes_locals(c->codes, code);
	size_t room = cprof_codes_frame_bytes(c->codes, code);
	size_t offset;

	call->at = 0;
	if (!site)
		return call->instr >= 0;
	if (site == none || call->instr < 0 ||
		site[call->instr] == CPROF_NO_SITE)
		return false;
	offset = c->lay->frame.size +
		 (locals + site[call->instr]) * sizeof(void *);
	/* Both words are in the frame. */
	if (offset > room - 2 * sizeof(void *))
		return false;
	call->at = call->frame.frame + offset;
	return true;
}

/* What a thread does of its code within a copy or two, in units. */
#define SINCE_CALL 16

bool cprof_callees_set_back(
	const struct cprof_callees *c, struct cprof_call *call)
{
	const uint8_t *site = c->site[cprof_codes_at(c->codes, call->place)];
	int32_t at = call->instr;

	if (!site || site == none)
		return false;
	while (at >= 0 && call->instr - at < SINCE_CALL &&
		site[at] == CPROF_NO_SITE)
		at--;
	if (at < 0 || call->instr - at == SINCE_CALL)
		return false;
	call->frame.instr -= (int64_t)(call->instr - at) * 2;
	call->instr = at;
	return cprof_callees_where(c, call);
}

bool cprof_callees_waits(const struct cprof_callees *c,
	const struct cprof_call *call, uintptr_t stackpointer)
{
	if (!c->lay->frame.stackpointer)
		return true;
	/* What was returned lies there alone. */
	return stackpointer &&
	       (!call->at ||
		       (stackpointer > call->at &&
			       stackpointer - call->at >= sizeof(call->words)));
}

/*
 * To 3.12 the words are NULL and what is called, or a method and its object;
 * later what is called and NULL, or the same. So both is a method.
 */
static bool has_self(const struct cprof_call *call)
{
	return call->words[0] && call->words[1];
}

/* Read what tells something of the object, and remember it. */
static const void *follow(struct cprof_callees *c, struct callee *found,
	uintptr_t address, size_t len)
{
	uint8_t *to = found->bytes + found->used;

	if (found->span_nr == MAX_SPANS || len > SPAN_BYTES - found->used ||
		!cprof_peek_one(c->peek, address, len, to))
		return NULL;
	found->span[found->span_nr++] = (struct span){ address, (uint32_t)len };
	found->used += (uint32_t)len;
	return to;
}

static bool follow_ptr(struct cprof_callees *c, struct callee *found,
	uintptr_t address, uintptr_t *ret)
{
	const void *at = follow(c, found, address, sizeof(*ret));

	if (!at)
		return false;
	*ret = cprof_load_ptr(at, 0);
	return true;
}

/* What C calls its functions, types and modules. */
static bool is_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
			    (text[i] >= 'A' && text[i] <= 'Z') ||
			    (text[i] >= '0' && text[i] <= '9') ||
			    text[i] == '_' || text[i] == '.'))
			return false;
	return len > 0;
}

#define PAGE_BYTES 4096U

/* A string of C's, which may end where readable memory does. */
static const char *follow_string(
	struct cprof_callees *c, struct callee *found, uintptr_t address)
{
	char text[PART_BYTES + 1];
	size_t here = PAGE_BYTES - address % PAGE_BYTES, len;

	if (here > sizeof(text))
		here = sizeof(text);
	if (!cprof_peek_one(c->peek, address, here, text))
		return NULL;
	len = strnlen(text, here);
	if (len == here && here < sizeof(text)) {
		if (!cprof_peek_one(c->peek, address + here,
			    sizeof(text) - here, text + here))
			return NULL;
		len = strnlen(text, sizeof(text));
	}
	if (len == sizeof(text) || !is_name(text, len))
		return NULL;
	return follow(c, found, address, len + 1);
}

static bool type_of(struct cprof_callees *c, struct callee *found,
	uintptr_t object, uintptr_t *ret)
{
	return follow_ptr(c, found, object + c->lay->code.ob_type, ret);
}

static const char *name_of_type(
	struct cprof_callees *c, struct callee *found, uintptr_t type)
{
	uintptr_t name;

	return follow_ptr(c, found, type + c->lay->type.tp_name, &name)
		       ? follow_string(c, found, name)
		       : NULL;
}

/* What a PyMethodDef, in C's own data, begins with. */
static const char *name_of_def(
	struct cprof_callees *c, struct callee *found, uintptr_t def)
{
	uintptr_t name;

	return follow_ptr(c, found, def, &name) ? follow_string(c, found, name)
						: NULL;
}

/* Copy a module's name, a str, with the zero that it need not have. */
static bool name_of_module(struct cprof_callees *c, struct callee *found,
	uintptr_t str, char text[PART_BYTES + 1])
{
	const struct cprof_layout *lay = c->lay;
	size_t from = lay->str.length;
	const void *head =
		follow(c, found, str + from, lay->str.state + 4 - from);
	uint32_t state;
	uint64_t len;
	const void *at;

	if (!head)
		return false;
	len = cprof_load_u64(head, 0);
	state = cprof_load_u32(head, lay->str.state - from) >>
		lay->str.kind_shift;
	/* One byte each, compact and ascii. */
	if ((state & 31) != (1 | 8 | 16) || len > PART_BYTES)
		return false;
	at = follow(c, found, str + lay->str.ascii_data, (size_t)len);
	if (!at || !is_name(at, (size_t)len))
		return false;
	memcpy(text, at, (size_t)len);
	text[len] = '\0';
	return true;
}

static void join(char to[NAME_BYTES], const char *owner, const char *name)
{
	size_t len = strlen(owner);

	memcpy(to, owner, len);
	to[len] = '.';
	memcpy(to + len + 1, name, strlen(name) + 1);
}

/*
 * A function of a module, or a method together with its object; a class
 * method's is its type.
 */
static bool read_function(
	struct cprof_callees *c, struct callee *found, char text[NAME_BYTES])
{
	const struct cprof_layout *lay = c->lay;
	const void *fields =
		follow(c, found, found->address + lay->function.m_ml,
			(size_t)lay->function.size - lay->function.m_ml);
	uintptr_t self, module, type;
	char owner[PART_BYTES + 1];
	const char *name, *class;

	if (!fields)
		return false;
	self = cprof_load_ptr(
		fields, (size_t)lay->function.m_self - lay->function.m_ml);
	module = cprof_load_ptr(
		fields, (size_t)lay->function.m_module - lay->function.m_ml);
	name = name_of_def(c, found, cprof_load_ptr(fields, 0));
	if (!name)
		return false;
	if (module) {
		if (!name_of_module(c, found, module, owner))
			return false;
		if (!strcmp(owner, "builtins"))
			memcpy(text, name, strlen(name) + 1);
		else
			join(text, owner, name);
		return true;
	}
	if (!type_of(c, found, self, &type))
		return false;
	class = name_of_type(
		c, found, type == c->roots->type_type ? self : type);
	if (class)
		join(text, class, name);
	return class;
}

static bool read_method(
	struct cprof_callees *c, struct callee *found, char text[NAME_BYTES])
{
	const struct cprof_layout *lay = c->lay;
	const void *fields =
		follow(c, found, found->address + lay->method.d_type,
			(size_t)lay->method.size - lay->method.d_type);
	const char *class, *name;
	uintptr_t type, def;

	if (!fields)
		return false;
	type = cprof_load_ptr(fields, 0);
	def = cprof_load_ptr(
		fields, (size_t)lay->method.d_method - lay->method.d_type);
	class = name_of_type(c, found, type);
	name = name_of_def(c, found, def);
	if (!class || !name)
		return false;
	join(text, class, name);
	found->method = true;
	return true;
}

/* Only a type that C made: a class of Python runs as Python, mostly. */
static bool read_type(
	struct cprof_callees *c, struct callee *found, char text[NAME_BYTES])
{
	const char *name;
	uintptr_t flags;

	if (!follow_ptr(
		    c, found, found->address + c->lay->type.tp_flags, &flags) ||
		(flags & (TYPE_HEAP | TYPE_IMMUTABLE)) == TYPE_HEAP)
		return false;
	name = name_of_type(c, found, found->address);
	if (name)
		memcpy(text, name, strlen(name) + 1);
	return name;
}

static bool read_object(
	struct cprof_callees *c, struct callee *found, char text[NAME_BYTES])
{
	uintptr_t type;

	if (!type_of(c, found, found->address, &type) || !type)
		return false;
	if (type == c->roots->function_type || type == c->roots->cmethod_type)
		return read_function(c, found, text);
	if (type == c->roots->method_type)
		return read_method(c, found, text);
	return type == c->roots->type_type && read_type(c, found, text);
}

/* The number of this name, or -1 when there is no room. */
static int intern_name(struct cprof_callees *c, const char *text)
{
	size_t len = strlen(text);
	uint64_t hash = cprof_hash_bytes(len, (const uint8_t *)text, len);

	for (uint32_t i = 0; i < c->name_nr; i++)
		if (c->name[i].hash == hash && !strcmp(c->name[i].text, text))
			return (int)i;
	if (c->name_nr == CPROF_MAX_CALLEES)
		return -1;
	c->name[c->name_nr].hash = hash;
	memcpy(c->name[c->name_nr].text, text, len + 1);
	return (int)c->name_nr++;
}

static uint32_t address_slot(const struct cprof_callees *c, uintptr_t address)
{
	uint32_t slot = (uint32_t)(cprof_hash_mix(1, address) % TABLE_SIZE);

	while (c->by_address[slot] &&
		c->callee[c->by_address[slot] - 1].address != address)
		slot = (slot + 1) % TABLE_SIZE;
	return slot;
}

static struct callee *known(const struct cprof_callees *c, uintptr_t address)
{
	uint32_t i = c->by_address[address_slot(c, address)];

	return i ? &c->callee[i - 1] : NULL;
}

/*
 * Read what is at this address. It may have been another object before, or have
 * changed while it was read: then it does not look the same later.
 */
static struct callee *learn(
	struct cprof_callees *c, uintptr_t address, uint32_t tick)
{
	struct callee found = { .address = address, .first_tick = tick };
	uint32_t slot = address_slot(c, address);
	char text[NAME_BYTES];
	int name;

	if (!read_object(c, &found, text))
		return NULL;
	name = intern_name(c, text);
	if (name < 0)
		return NULL;
	found.name = (uint32_t)name;
	if (c->callee_nr == CPROF_MAX_CALLEES) {
		/* Methods with their objects are new ones all the time. */
		memset(c->by_address, 0, TABLE_SIZE * sizeof(*c->by_address));
		c->callee_nr = 0;
		slot = address_slot(c, address);
	}
	if (!c->by_address[slot])
		c->by_address[slot] = ++c->callee_nr;
	c->callee[c->by_address[slot] - 1] = found;
	return &c->callee[c->by_address[slot] - 1];
}

/* Put its pieces on the list: the index of the first one, or -1. */
static int want(struct cprof_callees *c, const struct callee *k)
{
	int first = -1;

	for (uint32_t i = 0; i < k->span_nr; i++) {
		int at = cprof_peek_add(
			c->peek, k->span[i].address, k->span[i].len);

		if (at < 0)
			return -1;
		if (!i)
			first = at;
	}
	return first;
}

static bool same(const struct cprof_callees *c, const struct callee *k, int at)
{
	const uint8_t *bytes = k->bytes;

	if (at < 0)
		return false;
	for (uint32_t i = 0; i < k->span_nr; i++) {
		const void *now = cprof_peek_at(c->peek, at + (int)i);

		if (!now || memcmp(now, bytes, k->span[i].len) != 0)
			return false;
		bytes += k->span[i].len;
	}
	return true;
}

int cprof_callees_want(struct cprof_callees *c, uintptr_t object)
{
	const struct callee *k = known(c, object);

	return k ? want(c, k) : -1;
}

bool cprof_callees_same(
	const struct cprof_callees *c, uintptr_t object, int handle)
{
	const struct callee *k = known(c, object);

	return k && same(c, k, handle);
}

/* What a look at the frame puts on the list. */
struct look {
	int frame, words;
};

static struct look want_call(
	struct cprof_callees *c, const struct cprof_call *call)
{
	struct look l;

	l.frame =
		cprof_peek_add(c->peek, call->frame.frame, c->lay->frame.size);
	l.words = cprof_peek_add(c->peek, call->at, sizeof(call->words));
	return l;
}

/* Whether the frame is where it was; `words` are what lies there. */
static bool stands(const struct cprof_callees *c, const struct cprof_call *call,
	struct look l, uintptr_t words[2])
{
	const void *frame = cprof_peek_at(c->peek, l.frame);
	const void *at = cprof_peek_at(c->peek, l.words);
	struct cprof_raw_frame now;

	if (!frame || !at)
		return false;
	now = cprof_frame_read(c->lay, call->frame.frame, frame);
	cprof_callees_words(at, words);
	return cprof_frame_same_place(&now, &call->frame) &&
	       cprof_callees_waits(c, call,
		       cprof_load_ptr(frame, c->lay->frame.stackpointer));
}

/* See what the frame calls now, if it still stands. */
static bool look_at_call(struct cprof_callees *c, struct cprof_call *call)
{
	struct look l;

	cprof_peek_begin(c->peek);
	l = want_call(c, call);
	cprof_peek_run(c->peek);
	return stands(c, call, l, call->words);
}

/* Was it that object all the time, and did the frame stand at its call? */
static bool confirm(struct cprof_callees *c, const struct cprof_call *call,
	const struct callee *k)
{
	uintptr_t first[2], second[2];
	struct look before, behind;
	int at;

	cprof_peek_begin(c->peek);
	before = want_call(c, call);
	at = want(c, k);
	behind = want_call(c, call);
	cprof_peek_run(c->peek);
	return same(c, k, at) && stands(c, call, before, first) &&
	       stands(c, call, behind, second) &&
	       !memcmp(first, call->words, sizeof(first)) &&
	       !memcmp(second, call->words, sizeof(second));
}

static bool same_now(struct cprof_callees *c, const struct callee *k)
{
	int at;

	cprof_peek_begin(c->peek);
	at = want(c, k);
	cprof_peek_run(c->peek);
	return same(c, k, at);
}

uint32_t cprof_callees_find(
	struct cprof_callees *c, struct cprof_call *call, uint32_t tick)
{
	uint32_t code = cprof_codes_at(c->codes, call->place);
	const struct callee *k;
	uintptr_t object;

	if (!c->site[code])
		read_sites(c, call, code);
	if (!call->words[0] && !call->words[1] &&
		(!cprof_callees_where(c, call) || !call->at ||
			!look_at_call(c, call)))
		return CPROF_NO_CALLEE;
	object = cprof_callees_object(call);
	k = known(c, object);
	if (!k || k->first_tick >= tick ||
		(call->same != object && !same_now(c, k))) {
		k = learn(c, object, tick);
		if (!k || !confirm(c, call, k))
			return CPROF_NO_CALLEE;
	}
	/* Else it is what another call returned, in the method's place. */
	return k->method || !has_self(call) ? CPROF_CALLEE_FIRST + k->name
					    : CPROF_NO_CALLEE;
}

const char *cprof_callees_name(const struct cprof_callees *c, uint32_t number)
{
	return c->name[number - CPROF_CALLEE_FIRST].text;
}
