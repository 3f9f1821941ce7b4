#ifndef CPROF_SERVICE_SERVICE_H
#define CPROF_SERVICE_SERVICE_H

#include "base/error.h"
#include "rpc/messages.h"
#include "transport/transport.h"

/*
 * The Profiler API's server side: takes calls in, hands out what they ask, and
 * sends the answers that someone else (the Python side) decides on. Bytes that
 * do not parse and methods we do not have are answered here and never seen
 * outside.
 *
 * One thread at a time.
 */
struct cprof_service;

enum cprof_service_event_kind {
	CPROF_SERVICE_NOTHING, /* the time is over */
	CPROF_SERVICE_CREATE,
	CPROF_SERVICE_UPDATE,
	CPROF_SERVICE_GONE /* the client of an open call went away */
};

/* `request` is NULL but for CREATE and UPDATE, and owned by the caller. */
struct cprof_service_event {
	enum cprof_service_event_kind kind;
	uint64_t call;
	char peer[128];
	struct cprof_service_request *request;
};

/* `opts` less its `max_request_bytes`. */
int cprof_service_create(const struct cprof_transport *transport,
	const struct cprof_server_options *opts, struct cprof_service **ret,
	struct cprof_error *err);

/* Accepts NULL. */
void cprof_service_destroy(struct cprof_service *s);
int cprof_service_port(const struct cprof_service *s);

int cprof_service_next(struct cprof_service *s, int64_t timeout_ns,
	struct cprof_service_event *ret, struct cprof_error *err);

/* Answers, one for each call. CPROF_EINVAL when the call is not open. */
int cprof_service_assign(struct cprof_service *s, uint64_t call,
	const char *name, enum cprof_profile_type type, int64_t duration_ns,
	const struct cprof_deployment *d, struct cprof_error *err);
int cprof_service_postpone(struct cprof_service *s, uint64_t call,
	const char *words, int64_t delay_ns, struct cprof_error *err);
int cprof_service_accept(struct cprof_service *s, uint64_t call,
	const char *name, enum cprof_profile_type type,
	struct cprof_error *err);

/* `status` is gRPC's number, such as 3 (INVALID_ARGUMENT) or 13 (INTERNAL). */
int cprof_service_refuse(struct cprof_service *s, uint64_t call, int status,
	const char *words, struct cprof_error *err);

#endif
