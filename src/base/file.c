#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define READ_BYTES 16384

bool cprof_file_stamp(const char *path, struct cprof_file_stamp *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (stat(path, &st))
		return false;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = st.st_size;
	ret->changed_ns =
		st.st_mtim.tv_sec * CPROF_NS_PER_S + st.st_mtim.tv_nsec;
	return true;
}

bool cprof_file_stamp_same(
	const struct cprof_file_stamp *a, const struct cprof_file_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed_ns == b->changed_ns;
}

static int read_all(int fd, const char *path, struct cprof_buffer *out,
	struct cprof_error *err)
{
	for (;;) {
		ssize_t got;
		int r = cprof_buffer_reserve(out, READ_BYTES, err);

		if (r < 0)
			return r;
		got = read(fd, out->data + out->len, READ_BYTES);
		if (got == 0)
			return 0;
		if (got > 0)
			out->len += (size_t)got;
		else if (errno != EINTR)
			return cprof_fail(err, CPROF_EIO,
				"cannot read '%s': %s", path, strerror(errno));
	}
}

int cprof_file_read(
	const char *path, struct cprof_buffer *out, struct cprof_error *err)
{
	/* A pipe or device of that name must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t before = out->len;
	struct stat st;
	int r;

	if (fd < 0)
		return cprof_fail(err, CPROF_EIO, "cannot open '%s': %s", path,
			strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		r = cprof_fail(
			err, CPROF_EIO, "'%s' is not a regular file", path);
	else
		r = read_all(fd, path, out, err);
	close(fd);
	if (r < 0)
		out->len = before;
	return r;
}
