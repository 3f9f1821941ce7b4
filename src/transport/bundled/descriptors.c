/*
 * What core and its resolver do with descriptors; the linker sends their calls
 * here (--wrap). It matters where the program's threads share the table, which
 * is so in a server, and for an agent where a sandbox refuses us one of our
 * own: there a child can be freed of what it inherits, and a program that
 * closes what is not its own does not make core abort it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/core.h"

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_wait(int fd, struct epoll_event *event, int cap, int ms);
int __wrap_epoll_wait(int fd, struct epoll_event *event, int cap, int ms);
int __real_eventfd(unsigned int value, int flags);
int __wrap_eventfd(unsigned int value, int flags);
int __real_close(int fd);
int __wrap_close(int fd);

/* A client has six; a server's many are not for children either. */
#define MAX_KNOWN 64

static struct {
	atomic_int fd_plus_1; /* 0: free */
	dev_t dev;
	ino_t ino;
} known[MAX_KNOWN];

static int keep(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fd;
	for (int i = 0; i < MAX_KNOWN; i++) {
		int none = 0;

		if (!atomic_compare_exchange_strong(
			    &known[i].fd_plus_1, &none, fd + 1))
			continue;
		known[i].dev = st.st_dev;
		known[i].ino = st.st_ino;
		break;
	}
	return fd;
}

/* In one step: a program that starts another has no time to leave it open. */
int __wrap_socket(int domain, int type, int protocol)
{
	return keep(__real_socket(domain, type | SOCK_CLOEXEC, protocol));
}

int __wrap_epoll_create1(int flags)
{
	return keep(__real_epoll_create1(flags));
}

int __wrap_eventfd(unsigned int value, int flags)
{
	return keep(__real_eventfd(value, flags));
}

int __wrap_close(int fd)
{
	for (int i = 0; i < MAX_KNOWN; i++) {
		int ours = fd + 1;

		if (atomic_compare_exchange_strong(
			    &known[i].fd_plus_1, &ours, 0))
			break;
	}
	return __real_close(fd);
}

/* Core ends the process when its poller is gone; this ends its thread's work.
 */
int __wrap_epoll_wait(int fd, struct epoll_event *event, int cap, int ms)
{
	int nr = __real_epoll_wait(fd, event, cap, ms);

	while (nr < 0 && (errno == EBADF || errno == EINVAL))
		pause();
	return nr;
}

void cprof__descriptors_close(void)
{
	struct stat st;

	for (int i = 0; i < MAX_KNOWN; i++) {
		int fd = known[i].fd_plus_1 - 1;

		/* A number that names another file by now is not ours. */
		if (fd >= 0 && !fstat(fd, &st) && st.st_dev == known[i].dev &&
			st.st_ino == known[i].ino)
			__real_close(fd);
	}
}
