#include "sampler/senses.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* Reading a clock takes less than one; a coarse one stands for thousands. */
#define MAX_STAND_NS (25 * CPROF_NS_PER_US)

static bool goes_on(void)
{
	int64_t begin_ns = cprof_now_ns(), cpu_ns = cprof_own_cpu_ns();

	while (cprof_own_cpu_ns() == cpu_ns)
		if (cprof_now_ns() - begin_ns > MAX_STAND_NS)
			return false;
	return true;
}

static enum cprof_clocks try_clocks(void)
{
	if (cprof_thread_cpu_ns((pid_t)syscall(SYS_gettid)) < 0)
		return CPROF_CLOCKS_NONE;
	/* Once it may be a coarse one's step. */
	return goes_on() && goes_on() ? CPROF_CLOCKS_FINE : CPROF_CLOCKS_COARSE;
}

struct cprof_senses cprof_senses_try(void)
{
	return (struct cprof_senses){
		.told = cprof_tasks_told(),
		.clocks = try_clocks(),
	};
}

void cprof_senses_words(const struct cprof_senses *s, char *ret, size_t size)
{
	static const char *const told[] = {
		[CPROF_TASKS_NOTHING] =
			"/proc tells nothing of threads: they have no names "
			"and no states, and CPU time outside of Python is "
			"[not sampled]",
		[CPROF_TASKS_RUNNING] =
			"/proc does not tell what threads wait for: wall time "
			"has no states but 'running'",
		[CPROF_TASKS_CALLS] = "",
	};
	static const char *const clocks[] = {
		[CPROF_CLOCKS_NONE] = "the CPU clocks of threads cannot be "
				      "read: all CPU time is [not sampled]",
		[CPROF_CLOCKS_COARSE] = "the CPU clocks of threads are coarse: "
					"shares of CPU time are rough",
		[CPROF_CLOCKS_FINE] = "",
	};
	const char *a = told[s->told], *b = clocks[s->clocks];

	snprintf(ret, size, "%s%s%s", a, *a && *b ? "; " : "", b);
}
