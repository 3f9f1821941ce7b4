/*
 * Core and its resolver draw from libc's rand(), whose one sequence is the
 * program's, and the resolver even seeds it. The linker sends their calls here
 * (--wrap). What the resolver draws becomes the ids of its queries, which
 * nobody shall guess.
 */
#include <linux/random.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

int __wrap_rand(void);
void __wrap_srand(unsigned int seed);

int __wrap_rand(void)
{
	uint64_t value;

	/* Linux before 3.17 has no such call. */
	if (syscall(SYS_getrandom, &value, sizeof(value), GRND_NONBLOCK) !=
		(long)sizeof(value)) {
		value = (uint64_t)cprof_now_ns() | 1;
		cprof_random_next(&value);
	}
	return (int)(value & RAND_MAX);
}

void __wrap_srand(unsigned int seed)
{
	(void)seed;
}
