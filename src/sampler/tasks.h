#ifndef CPROF_SAMPLER_TASKS_H
#define CPROF_SAMPLER_TASKS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The kernel's view of this process's threads: who they are, what CPU time they
 * used, whether one is runnable.
 */
struct cprof_task {
	int32_t tid;
	int64_t cpu_ns;
};

/* At most `cap` of the threads there are now; returns how many, sorted by tid.
 */
int cprof_tasks_list(struct cprof_task *ret, int cap);

/* The entry of `tid` in a list of `nr`, or NULL. */
const struct cprof_task *cprof_tasks_find(
	const struct cprof_task *task, int nr, int32_t tid);

/* The kernel's name of a thread; "" when there is none. */
void cprof_task_name(int32_t tid, char ret[16]);

/*
 * Is the thread running or waiting for a CPU, as opposed to blocked? About 4
 * us. False if the thread is gone or /proc does not tell.
 */
bool cprof_task_runnable(int32_t tid);

#endif
