#ifndef CPROF_SAMPLER_TAKEN_H
#define CPROF_SAMPLER_TAKEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The sampler needs a CPU itself, and where none was free it took that of a
 * thread that ran. Of the threads that could go on while it looked, which one
 * is it? All others wait for a CPU, or wake up. Private to src/sampler; for
 * ticks.
 */
#define CPROF_MAX_TAKEN 16 /* further ones are not asked about */

struct cprof_taken {
	bool late; /* the sampler had to wait for it */
	int nr;
	struct cprof_taken_one {
		int32_t tid;
		uint32_t live;	 /* the caller's number */
		uint32_t ticks;	 /* that the look at it stands for */
		int64_t used_ns; /* of CPU since the look before; above 0 */
		bool busy;	 /* that is half of the time, or more */
		bool holds_gil;
	} one[CPROF_MAX_TAKEN];
};

/*
 * The one, or NULL if it is none of these. `woke_ns` is when the sampler woke
 * up, of the monotonic clock. Unless there is but one, and busy, the scheduler
 * is asked who had a CPU last, which takes some 20 us for each and for us.
 */
const struct cprof_taken_one *cprof_taken_find(
	const struct cprof_taken *t, int64_t woke_ns);

#endif
