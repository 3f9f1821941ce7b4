#include "sampler/budget.h"

#include "base/limits.h"

/* Often enough for the shortest windows, and seldom enough to mean something.
 */
#define JUDGE_TICKS 16

/* Less is asked for again only where it would take this much of the budget. */
#define COMFORT_PERCENT 80

/* What may be owed: as much as so many seconds allow. */
#define CREDIT_S 1

void cprof_budget_open(struct cprof_budget *b, int64_t share_ppm,
	int64_t now_ns, int64_t cpu_ns)
{
	*b = (struct cprof_budget){
		.share_ppm = share_ppm,
		.stride = 1,
		.cold_ticks = CPROF_COLD_TICKS,
		.then_ns = now_ns,
		.cpu_ns = cpu_ns,
	};
}

bool cprof_budget_due(struct cprof_budget *b)
{
	return b->share_ppm && ++b->ticks >= JUDGE_TICKS;
}

/* The least stride at which what was `used_ns` at `stride` is allowed. */
static uint32_t fitting(uint32_t stride, int64_t used_ns, int64_t allowed_ns)
{
	for (uint32_t s = 1; s < CPROF_MAX_STRIDE; s++)
		if (used_ns * stride <= allowed_ns * s)
			return s;
	return CPROF_MAX_STRIDE;
}

void cprof_budget_judge(
	struct cprof_budget *b, int64_t now_ns, int64_t cpu_ns, bool any_cold)
{
	int64_t used_ns = cpu_ns - b->cpu_ns;
	int64_t allowed_ns = (now_ns - b->then_ns) * b->share_ppm / 1000000;
	uint32_t calm;

	b->then_ns = now_ns;
	b->cpu_ns = cpu_ns;
	b->ticks = 0;
	b->owed_ns += used_ns - allowed_ns;
	if (b->owed_ns < 0)
		b->owed_ns = 0;
	/* What first looks at many threads took is paid back by and by. */
	if (b->owed_ns > CREDIT_S * b->share_ppm * 1000)
		allowed_ns /= 2;
	if (used_ns > allowed_ns) {
		/* As if all of it were theirs; the next time tells. */
		for (; any_cold && used_ns > allowed_ns &&
			b->cold_ticks < CPROF_MAX_COLD_TICKS;
			used_ns /= 2)
			b->cold_ticks *= 2;
		if (used_ns > allowed_ns)
			b->stride = fitting(b->stride, used_ns, allowed_ns);
		return;
	}
	calm = fitting(b->stride, used_ns, allowed_ns * COMFORT_PERCENT / 100);
	if (calm < b->stride)
		b->stride = calm;
	else if (b->stride == 1 && used_ns < allowed_ns / 2 &&
		 b->cold_ticks > CPROF_COLD_TICKS)
		b->cold_ticks /= 2;
}
