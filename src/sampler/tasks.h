#ifndef CPROF_SAMPLER_TASKS_H
#define CPROF_SAMPLER_TASKS_H

#include <stddef.h>
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

/* How much /proc tells of threads, which differs between systems. */
enum cprof_tasks_told {
	CPROF_TASKS_NOTHING,
	CPROF_TASKS_RUNNING, /* the list, names, and whether one is runnable */
	CPROF_TASKS_CALLS    /* and the system call that one is in */
};

/* As it tells of the calling thread. */
enum cprof_tasks_told cprof_tasks_told(void);

/* The kernel's name of a thread; "" when there is none. */
void cprof_task_name(int32_t tid, char ret[16]);

/* What a thread does, or waits for. */
enum cprof_task_state {
	CPROF_TASK_UNKNOWN, /* it is gone, or /proc does not tell */
	CPROF_TASK_RUNNING, /* on a CPU, or waiting for one */
	CPROF_TASK_GIL,
	CPROF_TASK_LOCK, /* another one */
	CPROF_TASK_IO,
	CPROF_TASK_SLEEP,
	CPROF_TASK_OTHER,
	CPROF_TASK_STATES
};

/*
 * By the system call that it is in; about 4 us. The GIL is in the interpreter's
 * `runtime_bytes` at `runtime`, 0 where they are not known: then, and with
 * musl, whose waiters wait on their own stacks, it is as another lock.
 */
enum cprof_task_state cprof_task_state(
	int32_t tid, uintptr_t runtime, size_t runtime_bytes);

/*
 * When a thread was last on a CPU, by the scheduler's own clock (se.exec_start
 * of its `sched` file); -1 where /proc does not tell. Some 20 us.
 */
int64_t cprof_task_switched_ns(int32_t tid);

#endif
