#ifndef CPROF_CPYTHON_FRAME_H
#define CPROF_CPYTHON_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cpython/layout.h"
#include "cpython/peek.h"

/* A frame as it was copied, before it is known whose it is. */
enum cprof_frame_kind {
	CPROF_FRAME_PLAIN,
	CPROF_FRAME_GENERATOR, /* or a coroutine's: has a caller only now */
	CPROF_FRAME_SHIM       /* links C to Python, and is no call */
};

struct cprof_raw_frame {
	uintptr_t frame, code, previous;
	uintptr_t func; /* from 3.11: the function object it is a call of */
	/* As the layout's `position` says: an address, or -1 or more. */
	int64_t instr;
	enum cprof_frame_kind kind;
	bool ended; /* or not begun: only the leaf may be so */
	bool moved; /* on, while it was copied: see cprof__gather_parse() */
};

/* Objects are aligned to this; 3.14 keeps tags in the bits below. */
#define CPROF_OBJECT_MASK (~(uintptr_t)7)

/* Up to 3.10 each frame is an object, of a call that keeps its own for long. */
static inline bool cprof_frames_are_objects(const struct cprof_layout *lay)
{
	return !lay->frame.owner;
}

/* The frame at `address`, of which `copy` has `frame.size` bytes. */
static inline struct cprof_raw_frame cprof_frame_read(
	const struct cprof_layout *lay, uintptr_t address, const void *copy)
{
	struct cprof_raw_frame f = {
		.frame = address,
		.code = cprof_load_ptr(copy, lay->frame.code) &
			CPROF_OBJECT_MASK,
		.previous = cprof_load_ptr(copy, lay->frame.previous),
	};
	uint8_t owner;

	if (lay->position == CPROF_POSITION_POINTER)
		f.instr = (int64_t)cprof_load_u64(copy, lay->frame.instr);
	else
		f.instr = (int32_t)cprof_load_u32(copy, lay->frame.instr);
	if (cprof_frames_are_objects(lay)) {
		f.kind = cprof_load_ptr(copy, lay->frame.f_gen)
				 ? CPROF_FRAME_GENERATOR
				 : CPROF_FRAME_PLAIN;
		/*
		 * It does not execute either while a trace function is told of
		 * its call or (3.10) return, and while an exception unwinds
		 * it. But then it has references; one in a free list has none.
		 */
		f.ended = cprof_load_u8(copy, lay->frame.state) !=
				  lay->frame.executing &&
			  !cprof_load_ptr(copy, lay->code.ob_type - 8U);
		return f;
	}
	f.func = cprof_load_ptr(copy, lay->frame.func) & CPROF_OBJECT_MASK;
	owner = cprof_load_u8(copy, lay->frame.owner);
	if (owner == lay->frame.owned_by_generator)
		f.kind = CPROF_FRAME_GENERATOR;
	else if (lay->frame.owned_by_shim && owner >= lay->frame.owned_by_shim)
		f.kind = CPROF_FRAME_SHIM;
	return f;
}

/*
 * Does the frame lie further down on the data stack than the leaf, so that it
 * is one of its callers? False for generators' frames, which lie elsewhere.
 */
static inline bool cprof_frame_is_below(
	const struct cprof_raw_frame *f, const struct cprof_raw_frame *leaf)
{
	return f->kind == CPROF_FRAME_PLAIN &&
	       leaf->kind == CPROF_FRAME_PLAIN && f->frame < leaf->frame &&
	       leaf->frame - f->frame < CPROF_MAX_CHUNK_BYTES;
}

/* The same call at the same place. */
static inline bool cprof_frame_same_place(
	const struct cprof_raw_frame *a, const struct cprof_raw_frame *b)
{
	return a->frame == b->frame && a->code == b->code &&
	       a->instr == b->instr;
}

#endif
