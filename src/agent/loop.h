#ifndef CPROF_AGENT_LOOP_H
#define CPROF_AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "rpc/messages.h"

/*
 * The life of the agent: wait for an assignment, collect, upload, repeat. It
 * knows the outside world only through this table: production fills it in
 * agent.c, tests from a script.
 */
struct cprof_loop_ops {
	/* As cprof_profiler_create_profile() and _update_profile(). */
	int (*create_profile)(void *ctx, struct cprof_assignment *ret,
		int64_t *ret_retry_ns, struct cprof_error *err);
	int (*update_profile)(void *ctx, const struct cprof_assignment *a,
		const uint8_t *profile, size_t len, struct cprof_error *err);

	/* Append the gzipped profile of this kind to `out`. */
	int (*collect)(void *ctx, enum cprof_profile_type type,
		int64_t duration_ns, struct cprof_buffer *out,
		struct cprof_error *err);

	/* Wait for `delay_ns`; false when it is time to stop. */
	bool (*wait)(void *ctx, int64_t delay_ns);

	uint64_t (*random)(void *ctx);
};

/*
 * Run until one of the ops answers CPROF_ECANCELED or `wait` false. No answer
 * of the service ends it. Assignments of a type not among `type` are declined.
 * The bounds of the backoff are as in cprof_backoff_init().
 */
void cprof_loop_run(const struct cprof_loop_ops *ops, void *ctx,
	const enum cprof_profile_type *type, size_t type_nr,
	int64_t backoff_min_ns, int64_t backoff_max_ns);

#endif
