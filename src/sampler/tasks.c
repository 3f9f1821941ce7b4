#include "sampler/tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void cprof_task_name(int32_t tid, char ret[16])
{
	ssize_t n = read_task_file(tid, "comm", ret, 16);

	/* The kernel's names have at most 15 bytes, then a newline. */
	ret[n > 0 && n <= 16 ? n - 1 : 0] = '\0';
}

bool cprof_task_runnable(int32_t tid)
{
	static const char running[] = "running";
	char text[512];
	ssize_t n = read_task_file(tid, "syscall", text, sizeof(text) - 1);
	const char *state;

	if (n > 0)
		return (size_t)n >= sizeof(running) - 1 &&
		       !memcmp(text, running, sizeof(running) - 1);
	/* Not there in some kernels and sandboxes. */
	n = read_task_file(tid, "stat", text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* "7 (name) R ...": the name may contain anything, also ")". */
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'R';
}
