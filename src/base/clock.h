#ifndef CPROF_BASE_CLOCK_H
#define CPROF_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CPROF_NS_PER_US 1000LL
#define CPROF_NS_PER_MS 1000000LL
#define CPROF_NS_PER_S	1000000000LL

/*
 * Time is nanoseconds in an int64_t. Everything that measures uses the
 * monotonic clock; wall time appears only where a person will read it, and is
 * called `_unix_ns` there.
 */
int64_t cprof_now_ns(void);
int64_t cprof_unix_ns(void);

/* As the monotonic clock, but it goes on while the machine is suspended. */
int64_t cprof_boot_ns(void);

/* CPU time used so far by this process, and by the calling thread. */
int64_t cprof_process_cpu_ns(void);
int64_t cprof_own_cpu_ns(void);

/*
 * CPU time used so far by thread `tid` of this process, or -1 when there is no
 * such thread. A thread id may be reused by the kernel after the thread ended:
 * the caller knows from elsewhere whose id it is.
 */
int64_t cprof_thread_cpu_ns(pid_t tid);

/* Sleep until the monotonic clock shows `when_ns`; signals do not cut it. */
void cprof_sleep_until_ns(int64_t when_ns);

#endif
