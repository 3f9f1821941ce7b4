#include "sampler/tasks.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
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

void test_tasks__a_blocked_thread_is_not_runnable(void)
{
	struct other o;
	bool runnable = true;

	start(&o, block);
	for (int i = 0; i < 1000000 && runnable; i++) {
		runnable = cprof_task_runnable(o.tid);
		sched_yield();
	}
	CHECK(!runnable);
	for (int i = 0; i < 100; i++)
		CHECK(!cprof_task_runnable(o.tid));
	end(&o);
}

void test_tasks__a_busy_thread_is_runnable(void)
{
	struct other o;

	start(&o, spin);
	for (int i = 0; i < 100; i++)
		CHECK(cprof_task_runnable(o.tid));
	end(&o);
}

void test_tasks__an_ended_thread_is_not_runnable(void)
{
	struct other o;

	start(&o, spin);
	end(&o);
	CHECK(!cprof_task_runnable(o.tid));
	CHECK(!cprof_task_runnable(INT32_MAX));
	CHECK(!cprof_task_runnable(-1));
}
