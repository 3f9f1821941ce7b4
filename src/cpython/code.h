#ifndef CPROF_CPYTHON_CODE_H
#define CPROF_CPYTHON_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/limits.h"
#include "cpython/layout.h"
#include "cpython/peek.h"

/*
 * Code objects seen in a window. The address of a code object proves nothing:
 * dead ones, their names and their line tables are replaced at the same
 * addresses all the time. So a code is known by its content (name, file, line
 * table, first line), copied here as raw bytes; and an address is only ever a
 * hint at what content to expect there, checked again with each walk.
 *
 * Two numberings: a *code* is a distinct content, what a sample refers to; a
 * *place* is an address where a code was found. One thread at a time; nothing
 * is allocated after creation.
 */
struct cprof_codes;

/* `code_type` is the address of PyCode_Type. */
int cprof_codes_create(const struct cprof_layout *lay, uintptr_t code_type,
	struct cprof_codes **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_codes_destroy(struct cprof_codes *c);

/* The place at `address`, or -1 if none was learnt. */
int cprof_codes_place(const struct cprof_codes *c, uintptr_t address);

/*
 * Read what is at `nr` addresses (at most CPROF_LEARN_MAX) into places, new or
 * known. This is a guess: it takes three copies after each other, and the code
 * may have died before the first. Overwrites the list of `peek`. Addresses
 * where no code can be read get no place, or keep the old one.
 */
#define CPROF_LEARN_MAX 256
void cprof_codes_learn(struct cprof_codes *c, struct cprof_peek *peek,
	const uintptr_t *address, int nr, uint32_t tick);

/*
 * Put what tells the content at `place` on the list of `peek`; returns a handle
 * for cprof_codes_same(), which says whether what came is the content expected.
 */
int cprof_codes_want(
	const struct cprof_codes *c, struct cprof_peek *peek, int place);
bool cprof_codes_same(const struct cprof_codes *c,
	const struct cprof_peek *peek, int place, int handle);

/*
 * A place is steady if it showed one content only, and first in a tick before
 * `tick`. There, seeing that content once more after a frame was read is proof
 * enough; elsewhere the frame must be seen standing around it. From 3.12 on,
 * code objects have numbers of their own, and the content is not looked at
 * again: a place is steady when it had this number in an earlier tick.
 */
bool cprof_codes_steady(const struct cprof_codes *c, int place, uint32_t tick);

/*
 * A frame that was gone before its code was read for the first time has this
 * number from there, instead of a code's. What was read counts if the place
 * shows it in all of the window: code that comes and goes does not last.
 */
#define CPROF_PLACE_FIRST 0x80000000u
static inline bool cprof_codes_is_place(uint32_t code)
{
	return code >= CPROF_PLACE_FIRST &&
	       code - CPROF_PLACE_FIRST < CPROF_MAX_CODES;
}

/* May a frame that was met in `tick` have it? */
bool cprof_codes_expects(const struct cprof_codes *c, int place, uint32_t tick);

/*
 * After the last tick, `tick`: look once more at the places that may have been
 * given for a code. Overwrites the list of `peek`.
 */
void cprof_codes_confirm(
	struct cprof_codes *c, struct cprof_peek *peek, uint32_t tick);

/* Of a place's number: did it stay? Of a code: true. */
bool cprof_codes_confirmed(const struct cprof_codes *c, uint32_t code);

/* The code that a place's number now stands for; of a code, itself. */
uint32_t cprof_codes_content(const struct cprof_codes *c, uint32_t code);

/*
 * There is more than one interpreter: each counts its code objects by itself
 * (from 3.13), so their numbers prove nothing for the rest of the window.
 */
void cprof_codes_distrust_versions(struct cprof_codes *c);

/* The content was not what it should be. */
void cprof_codes_changed(struct cprof_codes *c, int place);

/* The code expected at `place`. */
uint32_t cprof_codes_at(const struct cprof_codes *c, int place);

/*
 * The index, in code units, of a frame's instruction (`instr`, as the layout's
 * `position` says) in the code object at `address`: -1 before the first one or
 * where it cannot be.
 */
int32_t cprof_codes_instr(const struct cprof_codes *c, uint32_t code,
	uintptr_t address, int64_t instr);

/*
 * The address of the known code object that has this instruction, where frames
 * have the address of one; else 0. Looks through all places.
 */
uintptr_t cprof_codes_with_instr(const struct cprof_codes *c, int64_t instr);

/* Is it in the known code object at `address`? */
bool cprof_codes_has_instr(
	const struct cprof_codes *c, uintptr_t address, int64_t instr);

/*
 * The function object that a frame of the code at `place` was last seen to be a
 * call of; 0 if none was. A hint.
 */
void cprof_codes_met_func(struct cprof_codes *c, int place, uintptr_t func);
uintptr_t cprof_codes_func(const struct cprof_codes *c, int place);

/* Its instructions, in code units, and the words that its frames begin with. */
size_t cprof_codes_units(const struct cprof_codes *c, uint32_t code);
size_t cprof_codes_locals(const struct cprof_codes *c, uint32_t code);

/* The room that a frame of this code takes on the data stack. */
size_t cprof_codes_frame_bytes(const struct cprof_codes *c, uint32_t code);

/*
 * Whether a frame at instruction `index` was still being made: CPython itself
 * does not count such frames (_PyFrame_IsIncomplete).
 */
bool cprof_codes_incomplete(
	const struct cprof_codes *c, uint32_t code, int32_t index);

/* Content that did not fit into the fixed memory. */
uint32_t cprof_codes_lost(const struct cprof_codes *c);

/* For after the window: append the name and file as UTF-8. */
int cprof_codes_name(const struct cprof_codes *c, uint32_t code,
	struct cprof_buffer *out, struct cprof_error *err);
int cprof_codes_file(const struct cprof_codes *c, uint32_t code,
	struct cprof_buffer *out, struct cprof_error *err);
int32_t cprof_codes_first_line(const struct cprof_codes *c, uint32_t code);
int32_t cprof_codes_line(
	const struct cprof_codes *c, uint32_t code, int32_t index);

#endif
