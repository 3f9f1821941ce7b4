#include "transport/copy.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

int cprof_copy_create(const char *path, enum cprof_copy_where where,
	struct cprof_copy *ret, struct cprof_error *err)
{
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to, r;

	if (from < 0)
		return cprof_fail(err, CPROF_EIO, "cannot open '%s': %s", path,
			strerror(errno));
	to = where == CPROF_COPY_IN_MEMORY ? open_memory() : open_temporary();
	r = to < 0 ? cprof_fail(err, CPROF_EIO, "%s", strerror(errno))
		   : copy(from, to, err);
	if (r < 0 && to >= 0)
		close(to);
	if (r < 0)
		close(from);
	else
		*ret = (struct cprof_copy){ .fd = to, .original = from };
	return r;
}

static uintptr_t page_up(uintptr_t at, uintptr_t page)
{
	return (at + page - 1) / page * page;
}

/*
 * One segment from the original in place of the copy's. It is of the same bytes
 * and nobody is in it yet. What may refuse the mapping does so before the old
 * one goes.
 */
static void share_segment(const struct cprof_copy *copy, uintptr_t base,
	const ElfW(Phdr) * segment)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = segment->p_offset / page * page;
	uintptr_t end = segment->p_offset + segment->p_filesz;
	uintptr_t at = base + segment->p_vaddr / page * page;
	int prot = PROT_READ | (segment->p_flags & PF_X ? PROT_EXEC : 0);

	if (mmap((void *)at, end - first, prot, MAP_PRIVATE | MAP_FIXED,
		    copy->original, (off_t)first) == MAP_FAILED)
		return;
	/* The pages at its ends may be another's, too. */
	first = page_up(segment->p_offset, page);
	end = end / page * page;
	if (end > first)
		fallocate(copy->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)first, (off_t)(end - first));
}

/* All that is only read, once the dynamic linker has done its work. */
static void share_segments(const struct cprof_copy *copy, const void *within)
{
	const ElfW(Ehdr) * head;
	const ElfW(Phdr) * segment;
	Dl_info info;

	if (!dladdr(within, &info))
		return;
	head = info.dli_fbase;
	segment = (const void *)((const char *)info.dli_fbase + head->e_phoff);
	for (int i = 0; i < head->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD &&
			!(segment[i].p_flags & PF_W))
			share_segment(copy, (uintptr_t)head, &segment[i]);
}

int cprof_copy_load(const struct cprof_copy *copy, unsigned int number,
	const struct cprof_transport **ret, struct cprof_error *err)
{
	char name[128];
	int r;

	name_copy(name, sizeof(name), copy->fd, number);
	r = cprof_transport_load(name, ret, err);
	if (!r)
		share_segments(copy, *ret);
	return r;
}

void cprof_copy_close(const struct cprof_copy *copy)
{
	if (copy->fd < 0)
		return;
	close(copy->fd);
	close(copy->original);
}
