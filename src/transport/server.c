#include "transport/server.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/limits.h"
#include "transport/address.h"
#include "transport/args.h"
#include "transport/bearer.h"
#include "transport/compat.h"
#include "transport/credentials.h"
#include "transport/session.h"

struct cprof_server {
	grpc_server *core;
	grpc_completion_queue *cq;
	size_t max_request_bytes;
	char token[CPROF_MAX_TOKEN_BYTES + 1]; /* "" for none */
	int port;
	bool closing;
	bool waits; /* a session, for the next call */
	uint64_t next_id;
	struct cprof__session *session[CPROF_MAX_OPEN_CALLS];
	size_t session_nr;
	size_t pending; /* sessions that core knows, listed above or not */
};

static bool find(const struct cprof_server *s, uint64_t id, size_t *ret)
{
	for (size_t i = 0; i < s->session_nr; i++) {
		if (s->session[i]->id == id) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void unlist(struct cprof_server *s, const struct cprof__session *x)
{
	size_t i;

	if (find(s, x->id, &i))
		s->session[i] = s->session[--s->session_nr];
}

static void settle(struct cprof_server *s, struct cprof__session *x)
{
	if (x->pending)
		return;
	unlist(s, x);
	cprof__session_destroy(x);
	s->pending--;
}

/* Core hands a call out only to a session that waits for it. */
static int invite(struct cprof_server *s, struct cprof_error *err)
{
	struct cprof__session *x;
	int r;

	if (s->waits)
		return 0;
	x = cprof__session_create(++s->next_id);
	if (!x)
		return cprof_fail(err, CPROF_ENOMEM, "no memory for a call");
	s->pending++;
	r = cprof__session_accept(x, s->core, s->cq, err);
	s->waits = r == 0;
	settle(s, x);
	return r;
}

static void accepted(struct cprof_server *s, struct cprof__session *x)
{
	const char *refusal = NULL;

	if (cprof__session_watch(x, NULL) < 0)
		return;
	if (*s->token)
		refusal = cprof__bearer_refusal(&x->headers, s->token);
	if (refusal) {
		cprof__session_refuse(x, GRPC_STATUS_UNAUTHENTICATED, refusal);
		return;
	}
	if (s->session_nr == CPROF_MAX_OPEN_CALLS) {
		cprof__session_refuse(x, GRPC_STATUS_RESOURCE_EXHAUSTED,
			"too many calls are open");
		return;
	}
	s->session[s->session_nr++] = x;
	cprof__session_receive(x, NULL);
}

static void received(struct cprof_server *s, struct cprof__session *x,
	struct cprof_incoming *ret)
{
	struct cprof_error err;

	if (x->state != CPROF__SESSION_OPENING)
		return;
	if (!x->request) {
		cprof__session_refuse(x, GRPC_STATUS_INVALID_ARGUMENT,
			"a call without a message");
		return;
	}
	if (cprof__session_describe(x, s->max_request_bytes, ret, &err) < 0) {
		cprof__session_refuse(
			x, GRPC_STATUS_RESOURCE_EXHAUSTED, err.message);
		return;
	}
	/* It was copied: a call that waits for an hour needs it no more. */
	grpc_byte_buffer_destroy(x->request);
	x->request = NULL;
	x->state = CPROF__SESSION_OPEN;
}

static void closed(struct cprof__session *x, struct cprof_incoming *ret)
{
	if (x->state == CPROF__SESSION_OPEN) {
		ret->kind = CPROF_INCOMING_GONE;
		ret->call = x->id;
	}
	if (x->state != CPROF__SESSION_ANSWERED)
		x->state = CPROF__SESSION_GONE;
}

/* What one call does wrong ends that call, and not the server. */
static void take(struct cprof_server *s, const grpc_event *event,
	struct cprof_incoming *ret)
{
	struct cprof__mark *mark = event->tag;
	struct cprof__session *x = mark->session;

	x->pending--;
	switch (mark->event) {
	case CPROF__ACCEPTED:
		s->waits = false;
		if (event->success && !s->closing)
			accepted(s, x);
		break;
	case CPROF__RECEIVED:
		if (!s->closing)
			received(s, x, ret);
		break;
	case CPROF__CLOSED:
		closed(x, ret);
		break;
	case CPROF__SENT:
	case CPROF__EVENTS:
		break;
	}
	settle(s, x);
}

int cprof__server_next(struct cprof_server *s, int64_t timeout_ns,
	struct cprof_incoming *ret, struct cprof_error *err)
{
	int64_t wait_ns = timeout_ns > 0 ? timeout_ns : 0;
	int64_t begin_ns = cprof_now_ns();
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
		gpr_time_from_nanos(wait_ns, GPR_TIMESPAN));
	struct cprof_incoming in = { .kind = CPROF_INCOMING_NOTHING };

	do {
		grpc_event event;
		int r = invite(s, err);

		if (r < 0)
			return r;
		event = grpc_completion_queue_next(s->cq, deadline, NULL);
		if (event.type != GRPC_OP_COMPLETE)
			break;
		take(s, &event, &in);
	} while (in.kind == CPROF_INCOMING_NOTHING &&
		 cprof_now_ns() - begin_ns <= wait_ns);
	*ret = in;
	return 0;
}

int cprof__server_answer(struct cprof_server *s, uint64_t id,
	const struct cprof_answer *answer, struct cprof_error *err)
{
	size_t i;

	if (!find(s, id, &i) || s->session[i]->state != CPROF__SESSION_OPEN)
		return cprof_fail(err, CPROF_EINVAL, "the call is not open");
	return cprof__session_answer(s->session[i], answer, err);
}

static grpc_server *create_core(const struct cprof_server_options *opts)
{
	struct cprof__args args = { .nr = 0 };
	grpc_channel_args view;

	cprof__args_add(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
		(int64_t)opts->max_request_bytes);
	cprof__args_add(
		&args, GRPC_ARG_MAX_CONCURRENT_STREAMS, CPROF_MAX_OPEN_CALLS);
	cprof__args_add(
		&args, GRPC_ARG_MAX_METADATA_SIZE, CPROF_MAX_HEADERS_BYTES);
	/* Who connects and says nothing holds a descriptor. */
	cprof__args_add_ns(&args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
		CPROF_HANDSHAKE_NS);
	/* A compressed message grows before its size is looked at. */
	cprof__args_add(&args,
		GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
		1U << GRPC_COMPRESS_NONE);
	/* Two services on one port would each get half of the calls. */
	cprof__args_add(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
	cprof__args_add(&args, GRPC_ARG_ENABLE_CHANNELZ, 0);
	cprof__args_add(
		&args, GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
	view = cprof__args_view(&args);
	return grpc_server_create(&view, NULL);
}

/* Others are let near only where nobody overhears, and with a secret. */
static int check_address(const struct cprof_server_options *opts,
	char ret[CPROF__MAX_ADDRESS], struct cprof_error *err)
{
	int r = cprof__address_check_local(opts->address, ret, err);

	if (r < 0 && opts->cert_pem && opts->token &&
		strncmp(opts->address, "unix:", 5) != 0)
		return cprof__address_check(opts->address, ret, err);
	return r;
}

static int listen_at(struct cprof_server *s,
	const struct cprof_server_options *opts, struct cprof_error *err)
{
	char address[CPROF__MAX_ADDRESS];
	grpc_server_credentials *who;
	int r, port;

	r = check_address(opts, address, err);
	if (r < 0)
		return r;
	who = cprof__server_credentials_create(opts);
	if (!who)
		return cprof_fail(
			err, CPROF_ENOMEM, "no memory for a certificate");
	port = grpc_server_add_http2_port(s->core, address, who);
	grpc_server_credentials_release(who);
	if (!port)
		return cprof_fail(err, CPROF_EIO,
			"cannot listen at '%.200s': it is in use or not ours%s",
			opts->address,
			opts->cert_pem ? ", or certificate and key are no pair"
				       : "");
	s->port = strncmp(opts->address, "unix:", 5) ? port : 0;
	return 0;
}

static int check_secrets(
	const struct cprof_server_options *opts, struct cprof_error *err)
{
	const char *token = opts->token;

	if (!opts->cert_pem != !opts->key_pem)
		return cprof_fail(err, CPROF_EINVAL,
			"a certificate and its key go together");
	if (opts->cert_pem && !strncmp(opts->address, "unix:", 5))
		return cprof_fail(err, CPROF_EINVAL,
			"a unix socket is spoken to in plaintext, without a "
			"certificate");
	if (token && (strlen(token) > CPROF_MAX_TOKEN_BYTES ||
			     !cprof_ascii_is_word(token, strlen(token))))
		return cprof_fail(err, CPROF_EINVAL,
			"the token is not one word of plain text");
	return 0;
}

/* Shuts down, and waits until core has sent its last event. */
static void drain(struct cprof_server *s)
{
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	struct cprof_incoming in;
	bool down = false;

	s->closing = true;
	grpc_server_shutdown_and_notify(s->core, s->cq, s);
	grpc_server_cancel_all_calls(s->core);
	while (!down || s->pending) {
		grpc_event event =
			grpc_completion_queue_next(s->cq, never, NULL);

		if (event.tag == s)
			down = true;
		else
			take(s, &event, &in);
	}
	grpc_server_destroy(s->core);
	grpc_completion_queue_shutdown(s->cq);
	grpc_completion_queue_next(s->cq, never, NULL);
	grpc_completion_queue_destroy(s->cq);
}

int cprof__server_create(const struct cprof_server_options *opts,
	struct cprof_server **ret, struct cprof_error *err)
{
	struct cprof_server *s;
	int r;

	r = check_secrets(opts, err);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return cprof_fail(err, CPROF_ENOMEM, "no memory for a server");
	snprintf(s->token, sizeof(s->token), "%s",
		opts->token ? opts->token : "");
	s->max_request_bytes = opts->max_request_bytes;
	s->core = create_core(opts);
	s->cq = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(s->core, s->cq, NULL);
	r = listen_at(s, opts, err);
	if (r < 0)
		goto drain_server;
	grpc_server_start(s->core);
	r = invite(s, err);
	if (r < 0)
		goto drain_server;
	*ret = s;
	return 0;

drain_server:
	drain(s);
	free(s);
	return r;
}

int cprof__server_port(const struct cprof_server *s)
{
	return s->port;
}

void cprof__server_destroy(struct cprof_server *s)
{
	if (!s)
		return;
	drain(s);
	free(s);
}

void cprof__incoming_release(struct cprof_incoming *in)
{
	free(in->body);
	in->body = NULL;
	in->body_len = 0;
}
