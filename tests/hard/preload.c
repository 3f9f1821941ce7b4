/*
 * A libc that has less: thread clocks that go on by CPROF_TEST_STEP_NS, and
 * CPROF_TEST_THREADS threads at a time. For programs that tests run.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : otherwise;
}

/* The calling thread's, or that of a thread by its id. */
static int is_of_a_thread(clockid_t id)
{
	return id == CLOCK_THREAD_CPUTIME_ID || (id < 0 && (id & 7) == 6);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long r = syscall(SYS_clock_gettime, id, ts);

	if (!r && is_of_a_thread(id))
		ts->tv_nsec -= ts->tv_nsec % number("CPROF_TEST_STEP_NS", 1);
	return (int)r;
}

static atomic_long alive;
static pthread_key_t counted;

static void end(void *unused)
{
	(void)unused;
	alive--;
}

static void __attribute__((constructor)) get_ready(void)
{
	pthread_key_create(&counted, end);
}

struct start {
	void *(*body)(void *);
	void *arg;
};

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	pthread_setspecific(counted, &counted);
	return start.body(start.arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
	void *(*body)(void *), void *arg)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		void *) = dlsym(RTLD_NEXT, "pthread_create");
	struct start *start = malloc(sizeof(*start));

	if (alive++ >= number("CPROF_TEST_THREADS", 1000)) {
		alive--;
		free(start);
		return EAGAIN;
	}
	*start = (struct start){ body, arg };
	return create(thread, attr, run, start);
}
