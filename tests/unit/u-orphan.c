#include "agent/orphan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "check.h"

/* Exit statuses of the children say who came last. */
#define SAID 40

static atomic_int said;

static void say(void)
{
	said++;
}

static void show(void)
{
	_exit(SAID + said);
}

static void sleep_ms(int ms)
{
	cprof_sleep_until_ns(cprof_now_ns() + ms * CPROF_NS_PER_MS);
}

/* A thread that never ends, as the agent's. */
static void *stay(void *unused)
{
	(void)unused;
	cprof_thread_name(CPROF_THREAD_PREFIX "agent");
	for (;;)
		pause();
	return NULL;
}

static void *work_for_a_while(void *unused)
{
	(void)unused;
	sleep_ms(300);
	_exit(7);
	return NULL;
}

enum way {
	ENDS,
	ENDS_WITH_ANOTHER,
	EXITS
};

static void *fork_and_see(void *arg)
{
	enum way way = *(enum way *)arg;
	int *status = arg;
	pthread_t other;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child) {
		CHECK_EQ(waitpid(child, status, 0), child);
		return NULL;
	}
	cprof_orphan_watch();
	atexit(show);
	CHECK_EQ(cprof_thread_start(stay, NULL, NULL), 0);
	if (way == ENDS_WITH_ANOTHER)
		CHECK_EQ(pthread_create(&other, NULL, work_for_a_while, NULL),
			0);
	if (way == EXITS)
		exit(0);
	return NULL;
}

/* The exit status of a child that a thread forks. */
static int end_of(int way)
{
	pthread_t thread;

	cprof_orphan_prepare(say);
	CHECK_EQ(pthread_create(&thread, NULL, fork_and_see, &way), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(WIFEXITED(way));
	return WEXITSTATUS(way);
}

void test_orphan__a_process_ends_with_its_last_thread_but_ours(void)
{
	CHECK_EQ(end_of(ENDS), SAID + 1);
}

void test_orphan__the_programs_other_threads_are_waited_for(void)
{
	CHECK_EQ(end_of(ENDS_WITH_ANOTHER), 7);
}

void test_orphan__an_exit_is_none_of_it(void)
{
	CHECK_EQ(end_of(EXITS), SAID);
}
