#ifndef CPROF_BASE_WIPE_H
#define CPROF_BASE_WIPE_H

#include <stddef.h>
#include <string.h>

/*
 * Overwrite what was secret. The compiler is told that somebody may look, for
 * it would leave out what nobody reads. explicit_bzero() is the same, but glibc
 * has it from 2.25 on, and wheels are for 2.17.
 */
static inline void cprof_wipe(void *p, size_t len)
{
	memset(p, 0, len);
	__asm__ volatile("" : : "r"(p) : "memory");
}

#endif
