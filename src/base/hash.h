#ifndef CPROF_BASE_HASH_H
#define CPROF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * A quick hash for tables in memory: multiply by 2^64 over the golden ratio
 * (Knuth's multiplicative method), and fold. Not for keys that an enemy
 * chooses.
 */
static inline uint64_t cprof_hash_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

static inline uint64_t cprof_hash_bytes(
	uint64_t h, const uint8_t *data, size_t len)
{
	uint64_t v;

	for (; len >= 8; data += 8, len -= 8) {
		__builtin_memcpy(&v, data, 8);
		h = cprof_hash_mix(h, v);
	}
	for (; len; data++, len--)
		h = cprof_hash_mix(h, *data);
	return h;
}

#endif
