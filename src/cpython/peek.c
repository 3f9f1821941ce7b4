#include "cpython/peek.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

/* Linux takes this many elements in one call (UIO_MAXIOV). */
#define CALL_ELEMENTS 1024
#define MAX_ELEMENTS  (9 * CALL_ELEMENTS) /* the deepest stack twice */

/*
 * Past this the kernel refuses the whole call instead of one element. On x86
 * the last page is not a user's either.
 */
#if defined(__x86_64__)
#define USER_END (((uintptr_t)1 << 47) - 4096)
#else
#define USER_END ((uintptr_t)1 << 48)
#endif

struct element {
	uint32_t offset; /* in the buffer */
	bool there;
};

struct cprof_peek {
	pid_t pid;
	int memfd; /* -1: process_vm_writev */
	struct stat memfd_is;
	char *buffer;
	size_t used;
	int nr;
	int calls;	 /* of the last run, and ... */
	int64_t took_ns; /* ... their time */
	struct iovec iov[MAX_ELEMENTS];
	struct element element[MAX_ELEMENTS];
};

/* glibc has it since 2.27, musl since 1.1.20; older systems get the number. */
static int make_memfd(void)
{
	return (int)syscall(SYS_memfd_create, "cprof-peek", 1U /* CLOEXEC */);
}

/*
 * Copy elements [from, to) to consecutive room in the buffer. Returns how many
 * bytes arrived; the copy stops at the first byte it cannot read.
 */
static ssize_t copy(struct cprof_peek *p, int from, int to)
{
	size_t offset = p->element[from].offset;
	struct iovec remote = {
		.iov_base = p->buffer + offset,
		.iov_len = p->used - offset,
	};

	if (p->memfd >= 0)
		return pwritev(
			p->memfd, p->iov + from, to - from, (off_t)offset);
	/* Not through libc, whose sanitizers would check the addresses. */
	return syscall(SYS_process_vm_writev, p->pid, p->iov + from,
		(unsigned long)(to - from), &remote, 1UL, 0UL);
}

static bool works(struct cprof_peek *p)
{
	static const char probe[16] = "cprof-probe";
	long page = sysconf(_SC_PAGESIZE);
	void *gone = mmap(NULL, (size_t)page, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const void *first;
	int a, b, c;

	if (gone == MAP_FAILED)
		return false;
	cprof_peek_begin(p);
	a = cprof_peek_add(p, (uintptr_t)probe, sizeof(probe));
	b = cprof_peek_add(p, (uintptr_t)gone, 8);
	c = cprof_peek_add(p, (uintptr_t)probe, sizeof(probe));
	cprof_peek_run(p);
	munmap(gone, (size_t)page);
	first = cprof_peek_at(p, a);
	return first && !memcmp(first, probe, sizeof(probe)) &&
	       !cprof_peek_at(p, b) && cprof_peek_at(p, c);
}

static int open_memfd(struct cprof_peek *p)
{
	void *at;

	p->memfd = make_memfd();
	if (p->memfd < 0)
		return -1;
	/* Known first: it is how destroy knows what to close. */
	if (fstat(p->memfd, &p->memfd_is) ||
		ftruncate(p->memfd, CPROF_PEEK_BYTES))
		return -1;
	/* In place: what points into the buffer stays valid. */
	at = mmap(p->buffer, CPROF_PEEK_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, p->memfd, 0);
	return at == MAP_FAILED ? -1 : 0;
}

int cprof_peek_create(enum cprof_peek_method method, struct cprof_peek **ret,
	struct cprof_error *err)
{
	struct cprof_peek *p = calloc(1, sizeof(*p));

	if (!p)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	p->pid = getpid();
	p->memfd = -1;
	p->buffer = mmap(NULL, CPROF_PEEK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->buffer == MAP_FAILED) {
		free(p);
		return cprof_fail(err, CPROF_ENOMEM, "cannot map %d bytes",
			CPROF_PEEK_BYTES);
	}
	if (method != CPROF_PEEK_MEMFD && works(p)) {
		*ret = p;
		return 0;
	}
	if (method != CPROF_PEEK_VM_WRITEV && !open_memfd(p) && works(p)) {
		*ret = p;
		return 0;
	}
	cprof_peek_destroy(p);
	return cprof_fail(err, CPROF_EIO,
		"this kernel or sandbox allows neither process_vm_writev nor "
		"memfd_create with pwritev, which reading stacks safely needs");
}

const char *cprof_peek_words(const struct cprof_peek *p)
{
	return p->memfd < 0 ? "process_vm_writev" : "pwritev to a memfd";
}

void cprof_peek_destroy(struct cprof_peek *p)
{
	struct cprof_error ignored;

	if (!p)
		return;
	/* A number that names another file by now is not ours to close. */
	if (p->memfd >= 0 && !cprof_peek_check(p, &ignored))
		close(p->memfd);
	munmap(p->buffer, CPROF_PEEK_BYTES);
	free(p);
}

int cprof_peek_check(struct cprof_peek *p, struct cprof_error *err)
{
	struct stat now;

	if (p->memfd < 0)
		return 0;
	if (!fstat(p->memfd, &now) && now.st_dev == p->memfd_is.st_dev &&
		now.st_ino == p->memfd_is.st_ino)
		return 0;
	return cprof_fail(err, CPROF_EIO,
		"the program closed a descriptor of the profiler");
}

void cprof_peek_begin(struct cprof_peek *p)
{
	p->used = 0;
	p->nr = 0;
}

int cprof_peek_add(struct cprof_peek *p, uintptr_t address, size_t len)
{
	/* Elements lie back to back: one run of the buffer takes all. */
	if (p->nr == MAX_ELEMENTS || !len || len > CPROF_PEEK_BYTES - p->used)
		return -1;
	if (address < 4096 || address > USER_END - len)
		return -1;
	p->iov[p->nr] = (struct iovec){ (void *)address, len };
	p->element[p->nr] = (struct element){ .offset = (uint32_t)p->used };
	p->used += len;
	return p->nr++;
}

/* Mark what `got` bytes from element `from` on cover; returns the first not. */
static int mark(struct cprof_peek *p, int from, int to, ssize_t got)
{
	size_t left = got > 0 ? (size_t)got : 0;

	while (from < to && p->iov[from].iov_len <= left) {
		left -= p->iov[from].iov_len;
		p->element[from++].there = true;
	}
	return from;
}

void cprof_peek_run(struct cprof_peek *p)
{
	int64_t begin_ns = cprof_now_ns();

	p->calls = 0;
	for (int from = 0; from < p->nr; p->calls++) {
		int to = p->nr - from > CALL_ELEMENTS ? from + CALL_ELEMENTS
						      : p->nr;
		int upto = mark(p, from, to, copy(p, from, to));

		/* The bad one stays missing. */
		from = upto + (upto < to);
	}
	p->took_ns = cprof_now_ns() - begin_ns;
}

/* A cold call takes 5 to 10 us, an element 0.05 us, a kilobyte 0.1 us. */
bool cprof_peek_interrupted(const struct cprof_peek *p)
{
	return p->took_ns > 30000 * (int64_t)p->calls + 200 * (int64_t)p->nr +
				    (int64_t)p->used;
}

const void *cprof_peek_at(const struct cprof_peek *p, int i)
{
	if (i < 0 || i >= p->nr || !p->element[i].there)
		return NULL;
	return p->buffer + p->element[i].offset;
}

bool cprof_peek_one(
	struct cprof_peek *p, uintptr_t address, size_t len, void *ret)
{
	const void *at;
	int i;

	cprof_peek_begin(p);
	i = cprof_peek_add(p, address, len);
	cprof_peek_run(p);
	at = cprof_peek_at(p, i);
	if (!at)
		return false;
	memcpy(ret, at, len);
	return true;
}
