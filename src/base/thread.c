#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* What a TLS handshake needs, with room; the default may be 128 KiB (musl). */
#define STACK_BYTES (1 << 20)

void cprof_signals_block(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

void cprof_signals_unblock(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* The kernel's struct sched_attr, as Linux 3.14 has it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void cprof_thread_set_slice(int64_t slice_ns)
{
	struct attributes a;

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0 ||
		a.policy != SCHED_OTHER)
		return;
	a.runtime = (uint64_t)slice_ns;
	syscall(SYS_sched_setattr, 0, &a, 0);
}

/* The agent's and the log's; a new one takes the place of the oldest. */
static _Atomic int32_t own_tid[4];
static atomic_uint own_nr;

void cprof_thread_name(const char *name)
{
	own_tid[own_nr++ % 4] = (int32_t)syscall(SYS_gettid);
	pthread_setname_np(pthread_self(), name);
}

bool cprof_thread_is_ours(int32_t tid)
{
	for (int i = 0; i < 4; i++)
		if (own_tid[i] == tid)
			return true;
	return false;
}

void cprof_thread_abandon(void)
{
	for (int i = 0; i < 4; i++)
		own_tid[i] = 0;
}

/* Headers may be older than the kernel: include/uapi/linux/close_range.h */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define UNSHARE (1U << 1)

/* Where close_range is not known: one by one. */
static void close_from(int first)
{
	DIR *dir = opendir("/proc/thread-self/fd");
	struct dirent *entry;

	for (int fd = first; !dir && fd < 65536; fd++)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd >= first && fd != dirfd(dir))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

/* So that no socket gets a number that libraries write words to. */
static void occupy_standard_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (i != fd && (i < 2 || fcntl(i, F_GETFD) < 0))
			dup3(fd, i, O_CLOEXEC);
	if (fd > 2)
		close(fd);
}

int cprof_thread_own_descriptors(struct cprof_error *err)
{
	if (syscall(SYS_close_range, 3U, ~0U, UNSHARE)) {
		if (unshare(CLONE_FILES))
			return cprof_fail(err, CPROF_EUNSUPPORTED,
				"no table of descriptors for ourselves: %s",
				strerror(errno));
		close_from(3);
	}
	occupy_standard_descriptors();
	return 0;
}

int cprof_thread_start(
	void *(*body)(void *), void *arg, struct cprof_error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t old;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	cprof_signals_block(&old);
	r = pthread_create(&thread, &attr, body, arg);
	cprof_signals_unblock(&old);
	pthread_attr_destroy(&attr);
	if (r)
		return cprof_fail(err, CPROF_EIO, "cannot start a thread: %s",
			strerror(r));
	return 0;
}

void cprof_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

bool cprof_cond_wait_until(
	pthread_cond_t *cond, pthread_mutex_t *lock, int64_t when_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(when_ns / CPROF_NS_PER_S),
		.tv_nsec = (long)(when_ns % CPROF_NS_PER_S),
	};

	return pthread_cond_timedwait(cond, lock, &ts) != ETIMEDOUT;
}
