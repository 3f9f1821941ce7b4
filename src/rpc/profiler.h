#ifndef CPROF_RPC_PROFILER_H
#define CPROF_RPC_PROFILER_H

#include "base/error.h"
#include "rpc/messages.h"
#include "transport/transport.h"

/*
 * The Profiler API as the agent uses it: two calls over one channel, with their
 * deadlines, headers and labels. One thread calls; cancel may come from any.
 */
struct cprof_profiler;

/* Strings are copied, credentials are handed on and not kept. */
struct cprof_profiler_options {
	const struct cprof_transport *transport;
	struct cprof_channel_options channel;
	struct cprof_deployment deployment;
	const char *api_client; /* the header x-goog-api-client, less grpc/ */
	const char *instance;	/* a label of each profile; NULL for none */
	const char *quota_project; /* pays for the calls; NULL: who asks */
	int64_t create_timeout_ns; /* 0: CPROF_CREATE_DEADLINE_NS */
};

/* The transport was started before. */
int cprof_profiler_open(const struct cprof_profiler_options *opts,
	struct cprof_profiler **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_profiler_close(struct cprof_profiler *p);

/*
 * Wait for an assignment. CPROF_EABORTED: the service has nothing for us, or
 * said nothing on a living connection until the time was over; then
 * `ret_retry_ns` is the delay it asks for, or -1 where it names none. Other
 * codes as in cprof_status_fail(). `ret` is initialised, unchanged on failure.
 */
int cprof_profiler_create_profile(struct cprof_profiler *p,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err);

/*
 * From now on calls carry `header` as their `authorization`. In plaintext it
 * goes no farther than the channel, which is to this machine. It is copied, and
 * wiped when the next one comes or with the profiler.
 */
int cprof_profiler_authorize(
	struct cprof_profiler *p, const char *header, struct cprof_error *err);

/*
 * Send the gzipped profile that was asked for, labelled with the number of this
 * process. One try.
 */
int cprof_profiler_update_profile(struct cprof_profiler *p,
	const struct cprof_assignment *a, const uint8_t *profile, size_t len,
	struct cprof_error *err);

/* See channel_cancel: for good, from any thread. */
void cprof_profiler_cancel(struct cprof_profiler *p);

#endif
