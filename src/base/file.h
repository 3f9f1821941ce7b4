#ifndef CPROF_BASE_FILE_H
#define CPROF_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/* What tells one content of a file from another, as far as it shows outside. */
struct cprof_file_stamp {
	dev_t dev;
	ino_t ino;
	int64_t size;
	int64_t changed_ns; /* on the clock of the file system */
};

/* False, with `ret` zeroed, where there is no such file. */
bool cprof_file_stamp(const char *path, struct cprof_file_stamp *ret);

bool cprof_file_stamp_same(
	const struct cprof_file_stamp *a, const struct cprof_file_stamp *b);

/*
 * Append the content of a regular file to `out`; its maximum is the buffer's.
 * CPROF_EIO with the reason, CPROF_ETOOBIG, CPROF_ENOMEM; `out` is then as it
 * was.
 */
int cprof_file_read(
	const char *path, struct cprof_buffer *out, struct cprof_error *err);

#endif
