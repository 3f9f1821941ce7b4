#ifndef CPROF_BASE_SECRET_H
#define CPROF_BASE_SECRET_H

#include "base/error.h"
#include "base/limits.h"

/* What is before a token in an `authorization` header. */
#define CPROF_BEARER "Bearer "

/*
 * Read a token that a person keeps in a file: one word of CPROF_MIN_TOKEN_BYTES
 * to CPROF_MAX_TOKEN_BYTES of visible ASCII, with blanks and line ends around
 * it. CPROF_EIO with the reason where the file cannot be read, CPROF_EINVAL
 * where that is not in it, in words that quote nothing of it. The caller wipes
 * `ret`.
 */
int cprof_secret_read(const char *path, char ret[CPROF_MAX_TOKEN_BYTES + 1],
	struct cprof_error *err);

#endif
