#include "agent/backoff.h"

#include "base/limits.h"

void cprof_backoff_init(struct cprof_backoff *b, int64_t min_ns, int64_t max_ns)
{
	b->min_ns = min_ns > 0 ? min_ns : CPROF_BACKOFF_MIN_NS;
	b->max_ns = max_ns > 0 ? max_ns : CPROF_BACKOFF_MAX_NS;
	if (b->max_ns < b->min_ns)
		b->max_ns = b->min_ns;
	cprof_backoff_reset(b);
}

void cprof_backoff_reset(struct cprof_backoff *b)
{
	b->envelope_ns = b->min_ns;
}

int64_t cprof_backoff_next(
	struct cprof_backoff *b, int64_t asked_ns, uint64_t random)
{
	int64_t delay_ns;

	if (asked_ns >= 0) {
		if (asked_ns < CPROF_MIN_RETRY_NS)
			return CPROF_MIN_RETRY_NS;
		return asked_ns > b->max_ns ? b->max_ns : asked_ns;
	}
	delay_ns = (int64_t)(random % (uint64_t)b->envelope_ns);
	b->envelope_ns += b->envelope_ns * 3 / 10;
	if (b->envelope_ns > b->max_ns)
		b->envelope_ns = b->max_ns;
	return delay_ns;
}
