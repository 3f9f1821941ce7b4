#include "sampler/taken.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/tasks.h"

/* From another's last moment on a CPU to our first, on a slow machine; and how
 * wrong two clocks may be that are read one after the other. */
#define SWITCH_NS (20 * CPROF_NS_PER_US)
#define SKEW_NS	  (5 * CPROF_NS_PER_US)

/*
 * `woke_ns` of the monotonic clock by the scheduler's own; -1 where that does
 * not tell. To read one's own CPU time brings one's entry there up to date, so
 * that both clocks are known for one moment.
 */
static int64_t by_scheduler(int64_t woke_ns)
{
	int64_t now_ns, ours_ns;

	cprof_own_cpu_ns();
	now_ns = cprof_now_ns();
	ours_ns = cprof_task_switched_ns((int32_t)syscall(SYS_gettid));
	return ours_ns < 0 ? -1 : ours_ns - (now_ns - woke_ns);
}

/* Where the scheduler says nothing. */
static const struct cprof_taken_one *guess(const struct cprof_taken *t)
{
	const struct cprof_taken_one *best = NULL;

	for (int i = 0; i < t->nr; i++)
		if ((t->one[i].busy || t->one[i].holds_gil) &&
			(!best || t->one[i].used_ns > best->used_ns))
			best = &t->one[i];
	return best;
}

const struct cprof_taken_one *cprof_taken_find(
	const struct cprof_taken *t, int64_t woke_ns)
{
	const struct cprof_taken_one *best = NULL;
	int64_t last_ns, at_ns;

	if (t->nr == 0 || (t->nr == 1 && t->one[0].busy))
		return t->nr ? t->one : NULL;
	at_ns = by_scheduler(woke_ns);
	if (at_ns < 0)
		return guess(t);
	last_ns = at_ns - SWITCH_NS;
	for (int i = 0; i < t->nr; i++) {
		int64_t off_ns = cprof_task_switched_ns(t->one[i].tid);

		/* Later ones were put on a CPU meanwhile. */
		if (off_ns > last_ns && off_ns <= at_ns + SKEW_NS) {
			last_ns = off_ns;
			best = &t->one[i];
		}
	}
	return best;
}
