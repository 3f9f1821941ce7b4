#ifndef CPROF_AGENT_ROOTS_H
#define CPROF_AGENT_ROOTS_H

#include <stddef.h>

#include "base/buffer.h"

/*
 * The certificates of the first of `nr` files and folders that has any, as one
 * PEM text with its final NUL. CPROF_EAUTH, in words that say what to do, where
 * none has.
 */
int cprof_roots_read(const char *const *path, size_t nr,
	struct cprof_buffer *out, struct cprof_error *err);

/* How many certificates there are in a PEM text. */
size_t cprof_roots_count(const char *pem);

#endif
