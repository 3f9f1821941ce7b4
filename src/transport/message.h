#ifndef CPROF_TRANSPORT_MESSAGE_H
#define CPROF_TRANSPORT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "transport/compat.h"

/* What travels in a call, between core's types and plain memory. */

/* A message of a copy of `data`; freed by grpc_byte_buffer_destroy(). */
grpc_byte_buffer *cprof__message_create(const uint8_t *data, size_t len);

/*
 * The bytes of `message` in memory from malloc(); NULL for an empty message.
 * CPROF_ETOOBIG past `max_bytes`.
 */
int cprof__message_copy(grpc_byte_buffer *message, size_t max_bytes,
	uint8_t **ret, size_t *ret_len, struct cprof_error *err);

/*
 * The other side's words as a C string of at most `cap` bytes that may be
 * printed: control characters and bytes that are not UTF-8 become '?'. Cut, but
 * not inside of a character.
 */
void cprof__text_copy(grpc_slice words, char *ret, size_t cap);

/*
 * Copies of `key` and `value` for core, which ends the process when it is given
 * bytes that may not stand in a header: those are CPROF_EINVAL here. The value
 * of a key that ends in "-bin" may be any bytes.
 */
int cprof__metadata_init(grpc_metadata *m, const char *key, const void *value,
	size_t value_len, struct cprof_error *err);
void cprof__metadata_finish(grpc_metadata *m);

#endif
