#include "transport/transport.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int cprof_transport_load(const char *path, const struct cprof_transport **ret,
	struct cprof_error *err)
{
	const struct cprof_transport *(*table)(void);
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		return cprof_fail(err, CPROF_EIO,
			"cannot load the transport: %s", dlerror());
	table = (const struct cprof_transport *(*)(void))dlsym(
		object, "cprof_transport_table");
	if (!table) {
		dlclose(object);
		return cprof_fail(err, CPROF_EIO,
			"cannot load the transport: '%s' has no table", path);
	}
	*ret = table();
	return 0;
}

/* From Linux 6.3 on what may be executed is to be said. */
#define CLOEXEC 1U
#define EXEC	16U

static int open_memory(void)
{
	const char *name = "cprof-transport";
	int fd = (int)syscall(SYS_memfd_create, name, CLOEXEC | EXEC);

	return fd < 0 ? (int)syscall(SYS_memfd_create, name, CLOEXEC) : fd;
}

static int open_temporary(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
		      : fd;
}

static int copy(int from, int to, struct cprof_error *err)
{
	struct stat st;
	off_t at = 0;

	if (fstat(from, &st))
		return cprof_fail(err, CPROF_EIO, "%s", strerror(errno));
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return cprof_fail(
				err, CPROF_EIO, "%s", strerror(errno));
	return 0;
}

/*
 * The dynamic linker takes a file for one that it has by its name first: no two
 * copies may have the same.
 */
static void name_copy(char *ret, size_t size, int fd, unsigned int number)
{
	int len = snprintf(ret, size, "/proc/thread-self");

	while (number-- && len + 32 < (int)size)
		len += snprintf(ret + len, size - (size_t)len, "/.");
	snprintf(ret + len, size - (size_t)len, "/fd/%d", fd);
}

int cprof_transport_copy(const char *path, enum cprof_transport_copy_kind kind,
	int *ret, struct cprof_error *err)
{
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to, r;

	if (from < 0)
		return cprof_fail(err, CPROF_EIO, "cannot open '%s': %s", path,
			strerror(errno));
	to = kind == CPROF_COPY_IN_MEMORY ? open_memory() : open_temporary();
	r = to < 0 ? cprof_fail(err, CPROF_EIO, "%s", strerror(errno))
		   : copy(from, to, err);
	close(from);
	if (!r)
		*ret = to;
	else if (to >= 0)
		close(to);
	return r;
}

int cprof_transport_load_copy(int fd, unsigned int number,
	const struct cprof_transport **ret, struct cprof_error *err)
{
	char name[128];

	name_copy(name, sizeof(name), fd, number);
	return cprof_transport_load(name, ret, err);
}
