#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/thread.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return -1;
	return (int64_t)ts.tv_sec * CPROF_NS_PER_S + ts.tv_nsec;
}

int64_t cprof_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t cprof_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t cprof_unix_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t cprof_process_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t cprof_own_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t cprof_thread_cpu_ns(pid_t tid)
{
	/*
	 * The kernel's own encoding of a per-thread CPU clock (see
	 * include/linux/posix-timers_types.h): complement of the id, then
	 * bit 2 for "thread" and 2 for "scheduler clock". The libc call
	 * pthread_getcpuclockid() would have to load from a thread
	 * descriptor that may be gone.
	 */
	return read_clock((clockid_t)((~(unsigned int)tid << 3) | 6));
}

/*
 * Where a sandbox refuses clock_nanosleep(): some know nanosleep() only, which
 * has been a call of it since glibc 2.31. There is no program without futexes.
 */
static void wait_until(const struct timespec *when)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never;

	cprof_cond_init(&never);
	pthread_mutex_lock(&lock);
	while (!pthread_cond_timedwait(&never, &lock, when))
		;
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&never);
}

void cprof_sleep_until_ns(int64_t when_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(when_ns / CPROF_NS_PER_S),
		.tv_nsec = (long)(when_ns % CPROF_NS_PER_S),
	};

	int r;

	do
		r = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	while (r == EINTR);
	if (r)
		wait_until(&ts);
}
