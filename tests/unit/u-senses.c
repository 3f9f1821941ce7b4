#include "sampler/senses.h"

#include <sys/resource.h>
#include <time.h>

#include "check.h"

/* What threads' clocks show; see __wrap_clock_gettime below. */
static enum {
	FINE,
	STANDS,	    /* it shows the same, */
	STEPS_ONCE, /* or another from the second reading on */
	REFUSED
} clocks;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	static int readings;

	if (clocks == FINE || id == CLOCK_MONOTONIC)
		return __real_clock_gettime(id, ts);
	*ts = (struct timespec){ .tv_sec = 1 };
	if (id == CLOCK_THREAD_CPUTIME_ID && ++readings > 1)
		ts->tv_sec += clocks == STEPS_ONCE;
	return clocks == REFUSED ? -1 : 0;
}

static const char *words_of(struct cprof_senses senses)
{
	static char words[300];

	cprof_senses_words(&senses, words, sizeof(words));
	CHECK(strlen(words) < sizeof(words) - 1);
	return words;
}

void test_senses__here_nothing_is_lacking(void)
{
	struct cprof_senses senses = cprof_senses_try();

	CHECK_EQ(senses.told, CPROF_TASKS_CALLS);
	CHECK_EQ(senses.clocks, CPROF_CLOCKS_FINE);
	CHECK_STR(words_of(senses), "");
}

void test_senses__a_clock_that_stands_is_coarse(void)
{
	clocks = STANDS;
	CHECK_EQ(cprof_senses_try().clocks, CPROF_CLOCKS_COARSE);
}

void test_senses__one_step_makes_no_fine_clock(void)
{
	clocks = STEPS_ONCE;
	CHECK_EQ(cprof_senses_try().clocks, CPROF_CLOCKS_COARSE);
}

void test_senses__clocks_may_be_refused(void)
{
	clocks = REFUSED;
	CHECK_EQ(cprof_senses_try().clocks, CPROF_CLOCKS_NONE);
}

void test_senses__files_may_be_hidden(void)
{
	struct rlimit old, none;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_max = old.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_EQ(cprof_senses_try().told, CPROF_TASKS_NOTHING);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

void test_senses__each_lack_is_said_and_so_are_two(void)
{
	const struct cprof_senses some = { CPROF_TASKS_RUNNING,
		CPROF_CLOCKS_FINE };
	const struct cprof_senses none = { CPROF_TASKS_NOTHING,
		CPROF_CLOCKS_NONE };
	const struct cprof_senses coarse = { CPROF_TASKS_CALLS,
		CPROF_CLOCKS_COARSE };

	CHECK_STR(words_of(some),
		"/proc does not tell what threads wait for: wall time has no "
		"states but 'running'");
	CHECK_STR(words_of(coarse),
		"the CPU clocks of threads are coarse: shares of CPU time are "
		"rough");
	CHECK(strstr(words_of(none), "/proc tells nothing of threads"));
	CHECK(strstr(words_of(none), "; the CPU clocks of threads cannot be"));
}
