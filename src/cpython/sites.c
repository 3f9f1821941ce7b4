/* Runs within a tick: no allocation, no lock. */
#include "cpython/sites.h"

#include <string.h>

/* What the argument adds to the effect of an instruction. */
enum effect_by {
	BY_NONE,
	BY_PLUS,
	BY_MINUS,
	BY_MINUS_TWICE,
	BY_PLUS_BIT,	/* the lowest one */
	BY_MINUS_BIT,	/* the same */
	BY_MINUS_BIT_2, /* the one that counts 4 */
	BY_MINUS_BITS,	/* how many of the lowest four are set */
	BY_MINUS_IF_3,
	BY_PLUS_BYTES /* the lowest byte, and the rest */
};

enum {
	KNOWN = 1,
	CALLS = 2,
	FORWARD = 4, /* may jump so */
	BACK = 8,
	ENDS = 16,   /* what follows is not reached from it */
	EXTENDS = 32 /* the next one's argument */
};

static const struct cprof_opcode cp311[256] = {
#include "cpython/opcodes/cp311.inc"
};
static const struct cprof_opcode cp312[256] = {
#include "cpython/opcodes/cp312.inc"
};
static const struct cprof_opcode cp313[256] = {
#include "cpython/opcodes/cp313.inc"
};

static const struct cprof_opcode cp314[256] = {
#include "cpython/opcodes/cp314.inc"
};
static const struct cprof_opcode cp315[256] = {
#include "cpython/opcodes/cp315.inc"
};

const struct cprof_opcode *cprof_opcodes(uint16_t version)
{
	switch (version) {
	case 0x030b:
		return cp311;
	case 0x030c:
		return cp312;
	case 0x030d:
		return cp313;
	case 0x030e:
		return cp314;
	case 0x030f:
		return cp315;
	default:
		return NULL;
	}
}

/* A deeper stack than a byte tells is no compiler's, or nobody's to wait for.
 */
#define UNREACHED 255
#define MAX_DEPTH 250

/* Code that is reached from behind it, and from behind that: rarely even 3. */
#define MAX_PASSES 8

static int effect(const struct cprof_opcode *op, uint32_t argument)
{
	/* Any more is too deep, either way. */
	int arg = argument > 0xffff ? 0xffff : (int)argument;

	switch ((enum effect_by)op->by) {
	case BY_NONE:
		break;
	case BY_PLUS:
		return op->effect + arg;
	case BY_MINUS:
		return op->effect - arg;
	case BY_MINUS_TWICE:
		return op->effect - 2 * arg;
	case BY_PLUS_BIT:
		return op->effect + (arg & 1);
	case BY_MINUS_BIT:
		return op->effect - (arg & 1);
	case BY_MINUS_BIT_2:
		return op->effect - (arg >> 2 & 1);
	case BY_MINUS_BITS:
		return op->effect - __builtin_popcount(arg & 15);
	case BY_MINUS_IF_3:
		return op->effect - (arg == 3);
	case BY_PLUS_BYTES:
		return op->effect + (arg & 255) + (arg >> 8);
	}
	return op->effect;
}

struct walk {
	const struct cprof_opcode *op;
	size_t units, at; /* the instruction that is looked at */
	uint8_t *depth;	  /* before each, or UNREACHED */
	bool again;	  /* one before `at` was reached */
};

/* The instruction at `to` is reached with this depth: always the same. */
static bool reach(struct walk *w, size_t to, int depth)
{
	if (to >= w->units || depth < 0 || depth > MAX_DEPTH)
		return false;
	if (w->depth[to] == UNREACHED) {
		w->depth[to] = (uint8_t)depth;
		w->again |= to <= w->at;
	}
	return w->depth[to] == depth;
}

static bool jump(struct walk *w, const struct cprof_opcode *op, size_t next,
	uint32_t arg, int depth)
{
	if (op->flags & FORWARD)
		return arg < w->units && reach(w, next + arg, depth + op->jump);
	if (op->flags & BACK)
		return arg <= next && reach(w, next - arg, depth + op->jump);
	return true;
}

/* One instruction, whose depth is known. */
static bool step(struct walk *w, const struct cprof_opcode *op, size_t next,
	uint32_t arg, uint8_t *site)
{
	int depth = w->depth[w->at] + effect(op, arg);

	/* What it returns lies where what is called lay. */
	if (op->flags & CALLS) {
		if (depth < 1 || depth > MAX_DEPTH)
			return false;
		site[w->at] = (uint8_t)(depth - 1);
	}
	return jump(w, op, next, arg, depth) &&
	       (op->flags & ENDS || reach(w, next, depth));
}

static bool pass(struct walk *w, const uint8_t *code, uint8_t *site)
{
	uint32_t arg = 0;

	for (w->at = 0; w->at < w->units;) {
		const struct cprof_opcode *op = &w->op[code[2 * w->at]];
		size_t next = w->at + 1 + op->caches;

		if (!(op->flags & KNOWN))
			return false;
		arg = arg << 8 | code[2 * w->at + 1];
		if (w->depth[w->at] != UNREACHED) {
			if (op->flags & EXTENDS
					? !reach(w, next, w->depth[w->at])
					: !step(w, op, next, arg, site))
				return false;
		}
		if (!(op->flags & EXTENDS))
			arg = 0;
		w->at = next;
	}
	return true;
}

bool cprof_sites_find(const struct cprof_opcode *op, const uint8_t *code,
	size_t units, uint8_t *depth, uint8_t *site)
{
	struct walk w = { .op = op, .units = units, .depth = depth };

	if (!units)
		return false;
	memset(depth, UNREACHED, units);
	memset(site, CPROF_NO_SITE, units);
	depth[0] = 0;
	w.again = true;
	for (int n = 0; n < MAX_PASSES && w.again; n++) {
		w.again = false;
		if (!pass(&w, code, site))
			return false;
	}
	return true;
}
