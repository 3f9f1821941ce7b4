#include "agent/backoff.h"

#include "base/limits.h"

void cprof_backoff_init(struct cprof_backoff *b)
{
	b->envelope_ns = CPROF_BACKOFF_MIN_NS;
}

void cprof_backoff_reset(struct cprof_backoff *b)
{
	cprof_backoff_init(b);
}

int64_t cprof_backoff_next(
	struct cprof_backoff *b, int64_t asked_ns, uint64_t random)
{
	int64_t delay_ns;

	if (asked_ns >= 0) {
		if (asked_ns < CPROF_MIN_RETRY_NS)
			return CPROF_MIN_RETRY_NS;
		return asked_ns > CPROF_BACKOFF_MAX_NS ? CPROF_BACKOFF_MAX_NS
						       : asked_ns;
	}
	delay_ns = (int64_t)(random % (uint64_t)b->envelope_ns);
	b->envelope_ns += b->envelope_ns * 3 / 10;
	if (b->envelope_ns > CPROF_BACKOFF_MAX_NS)
		b->envelope_ns = CPROF_BACKOFF_MAX_NS;
	return delay_ns;
}
