#ifndef CPROF_TRANSPORT_COPY_H
#define CPROF_TRANSPORT_COPY_H

#include "transport/transport.h"

/*
 * A copy of a transport's file, for another core beside the first: the dynamic
 * linker maps a file once. It costs memory for what core writes to, not for
 * its code.
 */

enum cprof_copy_where {
	CPROF_COPY_IN_MEMORY,
	CPROF_COPY_ON_DISK /* a temporary file without a name */
};

struct cprof_copy {
	int fd, original; /* descriptors; `fd` is -1 for none */
};

/* Copy the file at `path`. CPROF_EIO when that cannot be. */
int cprof_copy_create(const char *path, enum cprof_copy_where where,
	struct cprof_copy *ret, struct cprof_error *err);

/*
 * As cprof_transport_load(), of a copy, once. `number`, from 1, tells the
 * copies of a process and its parents apart.
 */
int cprof_copy_load(const struct cprof_copy *copy, unsigned int number,
	const struct cprof_transport **ret, struct cprof_error *err);

/* What was loaded stays. Accepts none. */
void cprof_copy_close(const struct cprof_copy *copy);

#endif
