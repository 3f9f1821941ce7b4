#ifndef CPROF_CPYTHON_PEEK_H
#define CPROF_CPYTHON_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The one door to the interpreter's memory. Nothing of it is ever loaded: the
 * kernel copies a list of (address, length) into a buffer of ours in one system
 * call, in which an address that went away is a missing element and not a
 * signal.
 *
 * First choice is process_vm_writev() on our own process with the foreign
 * addresses as its local side: ordinary fault-safe copies, no descriptor. Where
 * a sandbox refuses it, pwritev() into a mapped memfd does the same.
 *
 * One thread at a time. After creation: no allocation, no lock.
 */
struct cprof_peek;

enum cprof_peek_method {
	CPROF_PEEK_ANY, /* the first that works */
	CPROF_PEEK_VM_WRITEV,
	CPROF_PEEK_MEMFD
};

/* CPROF_EIO when this kernel or sandbox has no way to do it. */
int cprof_peek_create(enum cprof_peek_method method, struct cprof_peek **ret,
	struct cprof_error *err);

/* How it copies, for a person. */
const char *cprof_peek_words(const struct cprof_peek *p);

/* Accepts NULL. */
void cprof_peek_destroy(struct cprof_peek *p);

/*
 * Before a series of copies: make sure that the memfd, if one is used, is still
 * ours; programs close descriptors they do not own.
 */
int cprof_peek_check(struct cprof_peek *p, struct cprof_error *err);

/* Forget the list. */
void cprof_peek_begin(struct cprof_peek *p);

/*
 * Put `len` bytes at `address` on the list; returns the element's index, or -1
 * when the list or the buffer is full or the address cannot be a user's. The
 * element after a refused one still fits or is refused by itself.
 */
int cprof_peek_add(struct cprof_peek *p, uintptr_t address, size_t len);

/* Copy all of the list, in its order. Elements that cannot be are missing. */
void cprof_peek_run(struct cprof_peek *p);

/*
 * Whether the last run took so long that this thread must have been interrupted
 * in it. Then the program had time to change and to change back: what is the
 * same in two copies proves nothing.
 */
bool cprof_peek_interrupted(const struct cprof_peek *p);

/*
 * What element `i` (as given by add; -1 is allowed) was copied to, or NULL if
 * it is missing. Valid until the next begin. Not aligned: use the loads below.
 */
const void *cprof_peek_at(const struct cprof_peek *p, int i);

/* One element by itself: begin, add, run. False if it cannot be copied. */
bool cprof_peek_one(
	struct cprof_peek *p, uintptr_t address, size_t len, void *ret);

/* Fields of copied memory, wherever they are. */
static inline uintptr_t cprof_load_ptr(const void *base, size_t offset)
{
	uintptr_t v;

	__builtin_memcpy(&v, (const char *)base + offset, sizeof(v));
	return v;
}

static inline uint64_t cprof_load_u64(const void *base, size_t offset)
{
	uint64_t v;

	__builtin_memcpy(&v, (const char *)base + offset, sizeof(v));
	return v;
}

static inline uint32_t cprof_load_u32(const void *base, size_t offset)
{
	uint32_t v;

	__builtin_memcpy(&v, (const char *)base + offset, sizeof(v));
	return v;
}

static inline uint8_t cprof_load_u8(const void *base, size_t offset)
{
	return ((const uint8_t *)base)[offset];
}

#endif
