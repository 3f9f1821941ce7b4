#ifndef CPROF_BASE_RANDOM_H
#define CPROF_BASE_RANDOM_H

#include <stdint.h>

/*
 * The next 64 bits of Marsaglia's xorshift64. Good enough for a phase or a
 * jitter, and nothing global: the program's own generators rest. `state` is the
 * caller's and must not be 0.
 */
static inline uint64_t cprof_random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
