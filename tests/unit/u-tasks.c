#include "sampler/tasks.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static int32_t own_tid(void)
{
	return (int32_t)syscall(SYS_gettid);
}

/* A thread that reads from a pipe, or spins, until it is told to end. */
struct other {
	pthread_t thread;
	int pipe[2];
	atomic_int tid;
	atomic_bool stop;
	pid_t child;
};

static void *block(void *arg)
{
	struct other *o = arg;
	char byte;

	pthread_setname_np(pthread_self(), "blocked (x) y");
	atomic_store(&o->tid, own_tid());
	CHECK_EQ(read(o->pipe[0], &byte, 1), 1);
	return NULL;
}

static void *spin(void *arg)
{
	struct other *o = arg;

	pthread_setname_np(pthread_self(), "fifteen-letters");
	atomic_store(&o->tid, own_tid());
	while (!atomic_load(&o->stop))
		;
	return NULL;
}

static void start(struct other *o, void *(*body)(void *))
{
	*o = (struct other){ 0 };
	CHECK_EQ(pipe(o->pipe), 0);
	CHECK_EQ(pthread_create(&o->thread, NULL, body, o), 0);
	while (!atomic_load(&o->tid))
		sched_yield();
}

static void end(struct other *o)
{
	atomic_store(&o->stop, true);
	CHECK_EQ(write(o->pipe[1], "x", 1), 1);
	CHECK_EQ(pthread_join(o->thread, NULL), 0);
	close(o->pipe[0]);
	close(o->pipe[1]);
}

void test_tasks__the_list_has_every_thread_in_order(void)
{
	static struct cprof_task task[64];
	struct other o;
	int nr;

	start(&o, block);
	nr = cprof_tasks_list(task, 64);
	CHECK(nr >= 2);
	for (int i = 1; i < nr; i++)
		CHECK(task[i - 1].tid < task[i].tid);
	CHECK(cprof_tasks_find(task, nr, own_tid()));
	CHECK(cprof_tasks_find(task, nr, own_tid())->cpu_ns > 0);
	CHECK(cprof_tasks_find(task, nr, o.tid));
	CHECK(!cprof_tasks_find(task, nr, INT32_MAX));
	CHECK(!cprof_tasks_find(task, 0, own_tid()));
	CHECK_EQ(cprof_tasks_list(task, 1), 1);
	CHECK_EQ(cprof_tasks_list(task, 0), 0);
	end(&o);
}

void test_tasks__names_are_the_kernels(void)
{
	struct other a, b;
	char name[16];

	start(&a, block);
	start(&b, spin);
	cprof_task_name(a.tid, name);
	CHECK_STR(name, "blocked (x) y");
	cprof_task_name(b.tid, name);
	CHECK_STR(name, "fifteen-letters");
	cprof_task_name(INT32_MAX, name);
	CHECK_STR(name, "");
	end(&a);
	end(&b);
}

static uint32_t word; /* what some wait for; it never changes */

static void *wait_for_word(void *arg)
{
	struct other *o = arg;
	const struct timespec soon = { .tv_nsec = 1000000 };

	atomic_store(&o->tid, own_tid());
	while (!atomic_load(&o->stop))
		syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &soon, NULL,
			0);
	return NULL;
}

static void *doze(void *arg)
{
	struct other *o = arg;
	const struct timespec soon = { .tv_nsec = 1000000 };

	atomic_store(&o->tid, own_tid());
	while (!atomic_load(&o->stop))
		nanosleep(&soon, NULL);
	return NULL;
}

static void *doze_by_select(void *arg)
{
	struct other *o = arg;

	atomic_store(&o->tid, own_tid());
	while (!atomic_load(&o->stop)) {
		struct timeval soon = { .tv_usec = 1000 };

		select(0, NULL, NULL, NULL, &soon);
	}
	return NULL;
}

static void *wait_for_a_child(void *arg)
{
	struct other *o = arg;
	siginfo_t info;

	atomic_store(&o->tid, own_tid());
	waitid(P_PID, (id_t)o->child, &info, WEXITED);
	return NULL;
}

/* The state that it is mostly in. */
static enum cprof_task_state state_of(int32_t tid, size_t runtime_bytes)
{
	int seen[CPROF_TASK_STATES] = { 0 };
	int most = 0;

	for (int i = 0; i < 200; i++) {
		seen[cprof_task_state(tid, (uintptr_t)&word, runtime_bytes)]++;
		usleep(200);
	}
	for (int i = 1; i < CPROF_TASK_STATES; i++)
		if (seen[i] > seen[most])
			most = i;
	return (enum cprof_task_state)most;
}

/* On a busy machine it may take a while to begin with it. */
static bool comes_to(
	int32_t tid, size_t runtime_bytes, enum cprof_task_state want)
{
	for (int i = 0; i < 20; i++)
		if (state_of(tid, runtime_bytes) == want)
			return true;
	return false;
}

void test_tasks__what_a_thread_waits_for_is_told_by_its_system_call(void)
{
	static const struct {
		void *(*body)(void *);
		size_t runtime_bytes;
		enum cprof_task_state want;
	} row[] = {
		{ spin, 0, CPROF_TASK_RUNNING },
		{ block, 0, CPROF_TASK_IO },
		{ doze, 0, CPROF_TASK_SLEEP },
		{ doze_by_select, 0, CPROF_TASK_SLEEP },
		{ wait_for_word, 0, CPROF_TASK_LOCK },
		{ wait_for_word, 4, CPROF_TASK_GIL },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct other o;

		start(&o, row[i].body);
		CHECK(comes_to(o.tid, row[i].runtime_bytes, row[i].want));
		end(&o);
	}
}

void test_tasks__other_waits_are_called_so(void)
{
	struct other o = { .child = fork() };

	if (!o.child) {
		pause();
		_exit(0);
	}
	CHECK(o.child > 0);
	CHECK_EQ(pthread_create(&o.thread, NULL, wait_for_a_child, &o), 0);
	while (!atomic_load(&o.tid))
		sched_yield();
	CHECK_EQ(state_of(o.tid, 0), CPROF_TASK_OTHER);
	kill(o.child, SIGKILL);
	CHECK_EQ(pthread_join(o.thread, NULL), 0);
}

void test_tasks__nothing_is_known_of_an_ended_thread(void)
{
	struct other o;

	start(&o, spin);
	end(&o);
	CHECK_EQ(cprof_task_state(o.tid, 0, 0), CPROF_TASK_UNKNOWN);
	CHECK_EQ(cprof_task_state(INT32_MAX, 0, 0), CPROF_TASK_UNKNOWN);
	CHECK_EQ(cprof_task_state(-1, 0, 0), CPROF_TASK_UNKNOWN);
}
