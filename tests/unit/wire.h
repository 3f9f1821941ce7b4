#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "check.h"

/*
 * Protobuf's wire format by hand, so that tests can write what no encoder of
 * ours would, and a generator whose numbers are the same in every run.
 */
#define WIRE_INIT { .max_bytes = 64 << 20 }

static inline void wire_varint(struct cprof_buffer *b, uint64_t x)
{
	uint8_t byte;

	do {
		byte = (uint8_t)(x >= 0x80 ? x | 0x80 : x);
		CHECK_EQ(cprof_buffer_add(b, &byte, 1, NULL), 0);
		x >>= 7;
	} while (x);
}

static inline void wire_number(struct cprof_buffer *b, int field, uint64_t x)
{
	wire_varint(b, (uint64_t)field << 3);
	wire_varint(b, x);
}

static inline void wire_bytes(
	struct cprof_buffer *b, int field, const void *data, size_t len)
{
	wire_varint(b, (uint64_t)field << 3 | 2);
	wire_varint(b, len);
	CHECK_EQ(cprof_buffer_add(b, data, len, NULL), 0);
}

static inline void wire_text(struct cprof_buffer *b, int field, const char *s)
{
	wire_bytes(b, field, s, strlen(s));
}

/* Add `part` as a submessage, and release it. */
static inline void wire_part(
	struct cprof_buffer *b, int field, struct cprof_buffer *part)
{
	wire_bytes(b, field, part->data, part->len);
	cprof_buffer_finish(part);
}

/* An entry of a map of texts. */
static inline void wire_entry(
	struct cprof_buffer *b, int field, const char *key, const char *value)
{
	struct cprof_buffer entry = WIRE_INIT;

	wire_text(&entry, 1, key);
	wire_text(&entry, 2, value);
	wire_part(b, field, &entry);
}

static inline uint32_t wire_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/*
 * A copy of `b` with a few bytes changed, cut out, doubled or cut off at the
 * end: in memory of exactly its size, so that a sanitizer sees a step too far.
 */
static inline uint8_t *wire_mutate(
	const struct cprof_buffer *b, uint64_t *state, size_t *ret_len)
{
	size_t len = b->len, at, nr;
	uint8_t *data = malloc(2 * len + 8), *exact;

	CHECK(data);
	memcpy(data, b->data, len);
	for (uint32_t i = wire_random(state) % 4 + 1; i && len > 1; i--) {
		at = wire_random(state) % len;
		nr = wire_random(state) % 8 % (len - at);
		switch (wire_random(state) % 6) {
		case 0:
			data[at] = (uint8_t)wire_random(state);
			break;
		case 1:
			data[at] ^= (uint8_t)(1u << wire_random(state) % 8);
			break;
		case 2:
			data[at] = wire_random(state) % 2 ? 0xff : 0;
			break;
		case 3:
			memmove(data + at, data + at + nr, len - at - nr);
			len -= nr;
			break;
		case 4:
			if (len + nr > 2 * b->len)
				break;
			memmove(data + at + nr, data + at, len - at);
			len += nr;
			break;
		default:
			if (wire_random(state) % 8 == 0)
				len = at + 1;
		}
	}
	exact = malloc(len);
	CHECK(exact);
	memcpy(exact, data, len);
	free(data);
	*ret_len = len;
	return exact;
}

#endif
