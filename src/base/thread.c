#include "base/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
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
