#include "base/clock.h"

#include <errno.h>
#include <time.h>

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

void cprof_sleep_until_ns(int64_t when_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(when_ns / CPROF_NS_PER_S),
		.tv_nsec = (long)(when_ns % CPROF_NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
		EINTR)
		;
}
