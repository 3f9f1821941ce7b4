#include "sampler/taken.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "sampler/tasks.h"

#define MS CPROF_NS_PER_MS

static struct cprof_taken_one one(int32_t tid, int64_t used_ns, bool busy)
{
	return (struct cprof_taken_one){
		.tid = tid, .live = 7, .used_ns = used_ns, .busy = busy
	};
}

void test_taken__of_none_it_is_none(void)
{
	struct cprof_taken t = { 0 };

	CHECK(!cprof_taken_find(&t, cprof_now_ns()));
}

void test_taken__who_is_busy_and_alone_is_it(void)
{
	struct cprof_taken t = { .nr = 1, .one = { one(1, MS, true) } };

	CHECK(cprof_taken_find(&t, cprof_now_ns()) == &t.one[0]);
}

/* Threads that spin on one CPU with us, which therefore takes it from one. */
struct spinner {
	pthread_t thread;
	atomic_int tid;
	atomic_bool *go_on;
};

static void *spin(void *arg)
{
	struct spinner *s = arg;

	s->tid = (int)syscall(SYS_gettid);
	while (*s->go_on)
		;
	return NULL;
}

static void use_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

/*
 * Whom the clocks name, where they name one: it used CPU while we slept, and
 * of those that did it is the one that had the CPU last.
 */
void test_taken__it_is_who_had_the_cpu_last(void)
{
	enum {
		NR = 3,
		LOOKS = 100
	};
	atomic_bool go_on = true;
	struct spinner s[NR] = { 0 };
	int found = 0, right = 0;

	if (cprof_task_switched_ns((int32_t)syscall(SYS_gettid)) < 0)
		return; /* nobody tells here */
	use_one_cpu();
	for (int i = 0; i < NR; i++) {
		s[i].go_on = &go_on;
		CHECK_EQ(pthread_create(&s[i].thread, NULL, spin, &s[i]), 0);
		while (!s[i].tid)
			sched_yield();
	}
	for (int n = 0; n < LOOKS; n++) {
		struct cprof_taken t = { .nr = NR };
		int64_t before_ns[NR], woke_ns;
		const struct cprof_taken_one *it;
		int ran = -1, ran_nr = 0;

		for (int i = 0; i < NR; i++)
			before_ns[i] = cprof_thread_cpu_ns(s[i].tid);
		/* So short that most often one of them runs, and no other. */
		cprof_sleep_until_ns(cprof_now_ns() + MS / 5);
		woke_ns = cprof_now_ns();
		for (int i = 0; i < NR; i++) {
			t.one[i] = one(s[i].tid, 1, false);
			if (cprof_thread_cpu_ns(s[i].tid) > before_ns[i]) {
				ran = i;
				ran_nr++;
			}
		}
		it = cprof_taken_find(&t, woke_ns);
		if (!it || ran_nr != 1)
			continue;
		found++;
		right += it == &t.one[ran];
	}
	go_on = false;
	for (int i = 0; i < NR; i++)
		pthread_join(s[i].thread, NULL);
	fprintf(stderr, "%d of %d found are right\n", right, found);
	CHECK(found > 0);
	CHECK(right >= found * 9 / 10);
}

/* Threads that could run, but did not as we came. */
void test_taken__who_only_waits_for_a_cpu_is_not_it(void)
{
	int32_t self = (int32_t)syscall(SYS_gettid);
	struct cprof_taken t = { .nr = 2,
		.one = { one(self, 1, false), one(self, 2, false) } };

	if (cprof_task_switched_ns(self) < 0)
		return;
	/* We are on a CPU now: that is not when this would have woken up. */
	CHECK(!cprof_taken_find(&t, cprof_now_ns() - 50 * MS));
}
