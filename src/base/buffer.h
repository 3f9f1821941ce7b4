#ifndef CPROF_BASE_BUFFER_H
#define CPROF_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A growing run of bytes with a maximum given at birth. A failed append leaves
 * the buffer as it was.
 *
 * The struct is the caller's; one thread at a time. `data` is NULL as long as
 * `len` is 0.
 */
struct cprof_buffer {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max_bytes;
};

void cprof_buffer_init(struct cprof_buffer *b, size_t max_bytes);

/* Frees the bytes; the buffer is as after init. Accepts a zeroed buffer. */
void cprof_buffer_finish(struct cprof_buffer *b);

/* The same for secrets: the bytes are overwritten before. */
void cprof_buffer_wipe(struct cprof_buffer *b);

/* CPROF_ETOOBIG past `max_bytes`, CPROF_ENOMEM without memory. */
int cprof_buffer_add(struct cprof_buffer *b, const void *data, size_t len,
	struct cprof_error *err);

/*
 * Room for `len` more bytes at the end, which the caller may fill up and then
 * counts in by adding to `len`. The same errors.
 */
int cprof_buffer_reserve(
	struct cprof_buffer *b, size_t len, struct cprof_error *err);

#endif
