#include "sampler/tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

static int by_tid(const void *a, const void *b)
{
	const struct cprof_task *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

int cprof_tasks_list(struct cprof_task *ret, int cap)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		return 0;
	while (nr < cap && (entry = readdir(dir)) != NULL) {
		long tid = strtol(entry->d_name, NULL, 10);
		int64_t cpu_ns;

		if (tid <= 0 || tid > INT32_MAX)
			continue;
		cpu_ns = cprof_thread_cpu_ns((pid_t)tid);
		if (cpu_ns >= 0)
			ret[nr++] = (struct cprof_task){ (int32_t)tid, cpu_ns };
	}
	closedir(dir);
	qsort(ret, (size_t)nr, sizeof(*ret), by_tid);
	return nr;
}

const struct cprof_task *cprof_tasks_find(
	const struct cprof_task *task, int nr, int32_t tid)
{
	struct cprof_task key = { .tid = tid };

	return nr ? bsearch(&key, task, (size_t)nr, sizeof(*task), by_tid)
		  : NULL;
}

/* The first bytes of a file of ours below /proc; returns how many, or -1. */
static ssize_t read_task_file(
	int32_t tid, const char *name, char *ret, size_t cap)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, ret, cap);
	close(fd);
	return n;
}

/* Enough for the lines that are looked at. */
#define TEXT_BYTES 512

/* The same as a string; false where there is nothing. */
static bool read_task_text(int32_t tid, const char *name, char ret[TEXT_BYTES])
{
	ssize_t n = read_task_file(tid, name, ret, TEXT_BYTES - 1);

	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

enum cprof_tasks_told cprof_tasks_told(void)
{
	int32_t tid = (int32_t)syscall(SYS_gettid);
	char byte;

	if (read_task_file(tid, "syscall", &byte, 1) == 1)
		return CPROF_TASKS_CALLS;
	return read_task_file(tid, "stat", &byte, 1) == 1 ? CPROF_TASKS_RUNNING
							  : CPROF_TASKS_NOTHING;
}

void cprof_task_name(int32_t tid, char ret[16])
{
	ssize_t n = read_task_file(tid, "comm", ret, 16);

	/* The kernel's names have at most 15 bytes, then a newline. */
	ret[n > 0 && n <= 16 ? n - 1 : 0] = '\0';
}

/* System calls that wait for something outside, by their numbers here. */
static bool is_io(long number)
{
	static const short known[] = {
#ifdef SYS_poll
		SYS_poll, SYS_select, SYS_epoll_wait, SYS_accept, SYS_open,
#endif
		SYS_ppoll, SYS_pselect6, SYS_epoll_pwait, SYS_accept4,
		SYS_openat, SYS_read, SYS_readv, SYS_pread64, SYS_preadv,
		SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_recvfrom,
		SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg,
		SYS_sendmmsg, SYS_connect, SYS_sendfile, SYS_splice, SYS_fsync,
		SYS_fdatasync, SYS_io_getevents
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == number)
			return true;
	return false;
}

static bool is_sleep(long number, unsigned long first)
{
#ifdef SYS_select
	/* As time.sleep() did up to Python 3.10: for no descriptor. */
	if (number == SYS_select && !first)
		return true;
#endif
	if (number == SYS_pselect6 && !first)
		return true;
	return number == SYS_nanosleep || number == SYS_clock_nanosleep;
}

/* "running", or a system call's number and arguments, or -1 for another wait.
 */
static enum cprof_task_state parse_syscall(
	const char *text, uintptr_t runtime, size_t runtime_bytes)
{
	unsigned long first;
	long number;
	char *end;

	if (!strncmp(text, "running", 7))
		return CPROF_TASK_RUNNING;
	number = strtol(text, &end, 10);
	if (end == text)
		return CPROF_TASK_UNKNOWN;
	first = strtoul(end, NULL, 16);
	if (number == SYS_futex)
		return first - runtime < runtime_bytes ? CPROF_TASK_GIL
						       : CPROF_TASK_LOCK;
	if (is_sleep(number, first))
		return CPROF_TASK_SLEEP;
	return is_io(number) ? CPROF_TASK_IO : CPROF_TASK_OTHER;
}

enum cprof_task_state cprof_task_state(
	int32_t tid, uintptr_t runtime, size_t runtime_bytes)
{
	char text[TEXT_BYTES];
	const char *state;

	if (read_task_text(tid, "syscall", text))
		return parse_syscall(text, runtime, runtime_bytes);
	/* Not there in some kernels and sandboxes. */
	if (!read_task_text(tid, "stat", text))
		return CPROF_TASK_UNKNOWN;
	/* "7 (name) R ...": the name may contain anything, also ")". */
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'R' ? CPROF_TASK_RUNNING
							   : CPROF_TASK_UNKNOWN;
}

int64_t cprof_task_switched_ns(int32_t tid)
{
	char text[TEXT_BYTES], *end;
	const char *at;
	int64_t ms;

	if (!read_task_text(tid, "sched", text))
		return -1;
	at = strstr(text, "se.exec_start");
	at = at ? strchr(at, ':') : NULL;
	if (!at)
		return -1;
	/* Milliseconds, and six digits behind the point. */
	ms = strtol(at + 1, &end, 10);
	return *end == '.' ? ms * CPROF_NS_PER_MS + strtol(end + 1, NULL, 10)
			   : -1;
}
