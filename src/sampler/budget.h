#ifndef CPROF_SAMPLER_BUDGET_H
#define CPROF_SAMPLER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Keeps a window's own CPU time within a share of one core: first threads that
 * rest are looked at more seldom, then every so many periods have one tick.
 * What a look stands for grows with it. Private to src/sampler; for ticks.
 */
struct cprof_budget {
	int64_t share_ppm; /* of one core; 0: as much as it takes */
	uint32_t stride;   /* periods to a tick, 1 to CPROF_MAX_STRIDE */
	/* Ticks from one look at a thread that rests to the next, at most;
	 * CPROF_COLD_TICKS or up to CPROF_MAX_COLD_TICKS. */
	uint32_t cold_ticks;
	/* When it was judged last, and how many ticks there were since. */
	int64_t then_ns, cpu_ns;
	int64_t owed_ns; /* used beyond the share so far */
	uint32_t ticks;
};

/* `cpu_ns` is what the thread's own clock shows, now and later. */
void cprof_budget_open(struct cprof_budget *b, int64_t share_ppm,
	int64_t now_ns, int64_t cpu_ns);

/* After a tick: is it time for cprof_budget_judge()? */
bool cprof_budget_due(struct cprof_budget *b);

/* Set `stride` and `cold_ticks` by what was used since the last time. */
void cprof_budget_judge(
	struct cprof_budget *b, int64_t now_ns, int64_t cpu_ns, bool any_cold);

#endif
