#ifndef CPROF_AGENT_BACKOFF_H
#define CPROF_AGENT_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait after CreateProfile failed: full jitter under an envelope
 * that grows by 1.3 from a minute to an hour, as Google's agents do; or what
 * the service asks for.
 */
struct cprof_backoff {
	int64_t min_ns, max_ns;
	int64_t envelope_ns;
};

/* Other bounds than a minute and an hour are for tests; 0 stands for those. */
void cprof_backoff_init(
	struct cprof_backoff *b, int64_t min_ns, int64_t max_ns);

/* After a success: the envelope is small again. */
void cprof_backoff_reset(struct cprof_backoff *b);

/*
 * The next delay. `asked_ns` is the service's wish, below 0 for none; it is
 * clamped and leaves the envelope alone. `random` is any 64 bits.
 */
int64_t cprof_backoff_next(
	struct cprof_backoff *b, int64_t asked_ns, uint64_t random);

#endif
