#ifndef CPROF_TRANSPORT_SESSION_H
#define CPROF_TRANSPORT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/compat.h"
#include "transport/transport.h"

/*
 * One call on the server's side, from the wish for it to the last event that
 * core sends of it. Core writes into it for as long as events are pending, so
 * it lives until then, whatever became of its client.
 *
 * Its events come out of the server's queue as pointers to its `mark`s.
 */
enum cprof__event {
	CPROF__ACCEPTED, /* a call came for it; or the server shuts down */
	CPROF__RECEIVED, /* the request, or none */
	CPROF__CLOSED,	 /* answered, or the client is gone */
	CPROF__SENT,	 /* the answer is on its way */
	CPROF__EVENTS
};

enum cprof__session_state {
	CPROF__SESSION_OPENING,
	CPROF__SESSION_OPEN, /* handed out, waits for its answer */
	CPROF__SESSION_ANSWERED,
	CPROF__SESSION_GONE
};

struct cprof__session;
struct cprof__mark {
	enum cprof__event event;
	struct cprof__session *session;
};

struct cprof__session {
	uint64_t id;
	enum cprof__session_state state;
	unsigned int pending;
	struct cprof__mark mark[CPROF__EVENTS];
	grpc_call *core; /* NULL until accepted */
	grpc_call_details details;
	grpc_metadata_array headers;
	grpc_byte_buffer *request, *reply;
	grpc_metadata trailer;
	bool has_trailer;
	int cancelled;
};

/* NULL without memory. */
struct cprof__session *cprof__session_create(uint64_t id);

/* Accepts NULL. Nothing may be pending. */
void cprof__session_destroy(struct cprof__session *x);

/* Ask core for the next call. */
int cprof__session_accept(struct cprof__session *x, grpc_server *server,
	grpc_completion_queue *cq, struct cprof_error *err);

/*
 * Of an accepted call: ask for its request; and to be told of its end. A call
 * for which this fails is cancelled.
 */
int cprof__session_receive(struct cprof__session *x, struct cprof_error *err);
int cprof__session_watch(struct cprof__session *x, struct cprof_error *err);

/* The answer, once. After CPROF_EINVAL another one can still be tried. */
int cprof__session_answer(struct cprof__session *x,
	const struct cprof_answer *answer, struct cprof_error *err);

/* The same, from us and not from whoever uses the server. */
void cprof__session_refuse(
	struct cprof__session *x, grpc_status_code status, const char *words);

/* What is handed out of it: method, peer, and a copy of the request. */
int cprof__session_describe(const struct cprof__session *x, size_t max_bytes,
	struct cprof_incoming *ret, struct cprof_error *err);

#endif
