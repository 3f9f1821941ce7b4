#include "sampler/sampler.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"
#include "sampler/window.h"

/* How long a sleep may be before the stop flag is looked at again. */
#define MAX_SLEEP_NS (100 * CPROF_NS_PER_MS)

static bool is_set(const atomic_bool *flag)
{
	return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

/* Cut short by both flags; false if it was by `stop`. */
static bool sleep_until(
	int64_t when_ns, const atomic_bool *enough, const atomic_bool *stop)
{
	int64_t now_ns = cprof_now_ns();

	while (now_ns < when_ns && !is_set(enough) && !is_set(stop)) {
		cprof_sleep_until_ns(when_ns - now_ns > MAX_SLEEP_NS
					     ? now_ns + MAX_SLEEP_NS
					     : when_ns);
		now_ns = cprof_now_ns();
	}
	return !is_set(stop);
}

static void keep_budget(struct cprof_window *w)
{
	if (cprof_budget_due(&w->budget))
		cprof_budget_judge(&w->budget, cprof_now_ns(),
			cprof_own_cpu_ns(), w->threads->nr > CPROF_HOT_THREADS);
}

/*
 * One tick in each period, or in as many as the budget says, at a random phase,
 * so that a program with a rhythm of its own is not always met at the same
 * place. Periods that are over before their tick came are missed; the next
 * tick's weight covers them.
 */
static bool run_ticks(
	struct cprof_window *w, int64_t duration_ns, const atomic_bool *stop)
{
	const atomic_bool *enough = w->opts->enough;
	int64_t period_ns = w->opts->period_ns;
	uint64_t random = (uint64_t)w->start_ns | 1;
	int64_t ticks = duration_ns / period_ns, over = 0;

	for (int64_t i = 0, stride; i < ticks && !is_set(enough); i += stride) {
		int64_t due_ns = w->start_ns + i * period_ns, span_ns;

		stride = w->budget.stride;
		if (stride > ticks - i)
			stride = ticks - i;
		span_ns = stride * period_ns;
		if (cprof_now_ns() >= due_ns + span_ns) {
			w->missed_ticks += (uint32_t)stride;
			continue;
		}
		due_ns += (int64_t)(cprof_random_next(&random) %
				    (uint64_t)span_ns);
		if (!sleep_until(due_ns, enough, stop))
			return false;
		w->skipped_ticks += (uint32_t)stride - 1;
		cprof__window_tick(w, due_ns, cprof_now_ns(),
			(uint32_t)(i + stride - over));
		over = i + stride;
		keep_budget(w);
	}
	if (!sleep_until(w->start_ns + duration_ns, enough, stop))
		return false;
	/* What has not been charged yet belongs to somebody, too. */
	w->closing = true;
	for (int nr = 0; !nr || nr < w->threads->nr; nr += CPROF_DUE_THREADS) {
		int64_t now_ns = cprof_now_ns();

		cprof__window_tick(w, now_ns, now_ns, nr == 0);
	}
	return true;
}

int cprof_sampler_collect(const struct cprof_sampler_options *opts,
	enum cprof_sampler_kind kind, int64_t duration_ns,
	const atomic_bool *stop, struct cprof_buffer *out,
	struct cprof_error *err)
{
	struct cprof_window w;
	int r = cprof__window_open(opts, kind, &w, err);

	if (r < 0)
		return r;
	if (run_ticks(&w, duration_ns, stop))
		r = cprof__window_report(&w, out, err);
	else
		r = cprof_fail(err, CPROF_ECANCELED, "stopped");
	cprof__window_close(&w);
	return r;
}
