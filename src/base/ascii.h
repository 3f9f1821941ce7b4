#ifndef CPROF_BASE_ASCII_H
#define CPROF_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `len` bytes are one word: visible ASCII, and at least one of it. */
static inline bool cprof_ascii_is_word(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len > 0;
}

#endif
