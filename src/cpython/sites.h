#ifndef CPROF_CPYTHON_SITES_H
#define CPROF_CPYTHON_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where a code object calls, and what of its frame's stack it calls there. How
 * deep the stack is at an instruction is not written anywhere while a frame
 * runs; but it is the same each time, and follows from the instructions that
 * lead there. What they do to the depth is data: src/cpython/opcodes/, made by
 * scripts/make-opcodes.
 */
struct cprof_opcode {
	int8_t effect;	/* on the depth, with the argument 0 */
	uint8_t by;	/* enum effect_by: what the argument adds to that */
	int8_t jump;	/* what it adds if it jumps */
	uint8_t caches; /* units behind it that are no instructions */
	uint8_t flags;
};

/* The 256 rows of this version (as in a layout), or NULL if it has none. */
const struct cprof_opcode *cprof_opcodes(uint16_t version);

#define CPROF_NO_SITE 255

/*
 * For each of the code units at `code`, set in `site` the index, in the frame's
 * stack, of what is called by the instruction there: of the lower of two
 * words, one of which may be NULL. CPROF_NO_SITE where nothing is called, or
 * where only an exception leads. `depth` is scratch of the same size.
 *
 * The code may be any bytes. False if it is none that a compiler makes, or has
 * instructions that another one (a debugger) hid: then nothing is known.
 */
bool cprof_sites_find(const struct cprof_opcode *op, const uint8_t *code,
	size_t units, uint8_t *depth, uint8_t *site);

#endif
