#ifndef CPROF_BASE_UTF8_H
#define CPROF_BASE_UTF8_H

#include <stddef.h>

/*
 * UTF-8 as protobuf demands it of every string: other parsers refuse a whole
 * message for one bad byte in it.
 */

/* Most that cprof_utf8_clean() makes of one byte. */
#define CPROF_UTF8_GROWTH 3

/*
 * How many of the `len` bytes at `s` are one character, or 0 where none is:
 * overlong forms, surrogates and numbers past U+10FFFF are no characters.
 */
size_t cprof_utf8_char(const char *s, size_t len);

/* How many bytes at the start of `s` are good: valid, and not NUL. */
size_t cprof_utf8_good(const char *s, size_t len);

/*
 * Copy `len` bytes with U+FFFD for each one that is not good. `out` has room
 * for CPROF_UTF8_GROWTH times as many. Returns the length; no NUL is added.
 */
size_t cprof_utf8_clean(char *out, const char *s, size_t len);

/* The most bytes of `s`, at most `max`, that do not cut a character. */
size_t cprof_utf8_cut(const char *s, size_t len, size_t max);

#endif
