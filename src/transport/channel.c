#include "transport/channel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "base/thread.h"
#include "transport/address.h"
#include "transport/args.h"
#include "transport/compat.h"
#include "transport/credentials.h"
#include "transport/message.h"

struct cprof_channel {
	grpc_channel *core;
	grpc_completion_queue *cq;
	size_t max_reply_bytes;
	pthread_mutex_t lock;	/* protects what follows */
	pthread_cond_t changed; /* any of it */
	grpc_call *in_flight;
	bool cancelled, closing;
	bool canceller; /* its thread is there */
};

/*
 * Core writes to descriptors while it cancels, and whoever wishes it may have
 * others by these numbers: so a thread of ours does it.
 */
static void *cancel_when_told(void *arg)
{
	struct cprof_channel *ch = arg;

	cprof_thread_name(CPROF_THREAD_PREFIX "cancel");
	pthread_mutex_lock(&ch->lock);
	while (!ch->cancelled && !ch->closing)
		pthread_cond_wait(&ch->changed, &ch->lock);
	if (ch->in_flight)
		grpc_call_cancel(ch->in_flight, NULL);
	ch->canceller = false;
	pthread_cond_broadcast(&ch->changed);
	pthread_mutex_unlock(&ch->lock);
	return NULL;
}

static void end_canceller(struct cprof_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	ch->closing = true;
	pthread_cond_broadcast(&ch->changed);
	while (ch->canceller)
		pthread_cond_wait(&ch->changed, &ch->lock);
	pthread_mutex_unlock(&ch->lock);
	pthread_cond_destroy(&ch->changed);
	pthread_mutex_destroy(&ch->lock);
}

/* Of `max` bytes at the most. */
static bool is_word(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	return len <= max && cprof_ascii_is_word(s, len);
}

static int check_target(const struct cprof_channel_options *opts,
	char ret[CPROF__MAX_ADDRESS], struct cprof_error *err)
{
	if (opts->security == CPROF_SECURITY_PLAINTEXT)
		return cprof__address_check_local(opts->target, ret, err);
	if (!is_word(opts->target, CPROF__MAX_ADDRESS - 1))
		return cprof_fail(err, CPROF_EINVAL,
			"the address of the service is not host:port");
	snprintf(ret, CPROF__MAX_ADDRESS, "%s", opts->target);
	return 0;
}

static bool is_header_value(const char *s)
{
	grpc_slice slice = grpc_slice_from_copied_string(s);
	bool legal = grpc_header_nonbin_value_is_legal(slice);

	grpc_slice_unref(slice);
	return legal;
}

static void fill_args(
	struct cprof__args *a, const struct cprof_channel_options *opts)
{
	if (opts->user_agent)
		cprof__args_add_string(a, GRPC_ARG_PRIMARY_USER_AGENT_STRING,
			opts->user_agent);
	if (opts->keepalive_ns > 0) {
		cprof__args_add_ns(
			a, GRPC_ARG_KEEPALIVE_TIME_MS, opts->keepalive_ns);
		cprof__args_add_ns(a, GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
			opts->keepalive_timeout_ns);
	}
	cprof__args_add(a, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
	cprof__args_add_ns(
		a, GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, CPROF_CHANNEL_IDLE_NS);
	cprof__args_add_ns(a, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
		CPROF_RECONNECT_MIN_NS);
	cprof__args_add_ns(
		a, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, CPROF_RECONNECT_MAX_NS);
	cprof__args_add(a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
		(int64_t)opts->max_reply_bytes);
	/*
	 * A compressed message grows before its size is looked at, and before
	 * core looks whether we allow the algorithm: it may not unpack at all.
	 */
	cprof__args_add(a, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
	cprof__args_add(a, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
		1U << GRPC_COMPRESS_NONE);
	cprof__args_add(a, GRPC_ARG_ENABLE_RETRIES, 0);
	/* The program's own channels of the same core are none of ours. */
	cprof__args_add(a, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
	cprof__args_add(a, GRPC_ARG_ENABLE_CHANNELZ, 0);
	cprof__args_add(a, GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
	cprof__args_add(a, GRPC_ARG_DNS_ENABLE_SRV_QUERIES, 0);
	/* Which proxy counts is decided where the environment is read. */
	if (opts->proxy && opts->security == CPROF_SECURITY_TLS)
		cprof__args_add_string(a, GRPC_ARG_HTTP_PROXY, opts->proxy);
	else
		cprof__args_add(a, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
}

static int create_core(const char *target,
	const struct cprof_channel_options *opts, grpc_channel **ret,
	struct cprof_error *err)
{
	struct cprof__args args = { .nr = 0 };
	grpc_channel_credentials *who;
	grpc_channel_args view;
	grpc_channel *core;
	int r;

	r = cprof__credentials_create(opts, &who, err);
	if (r < 0)
		return r;
	fill_args(&args, opts);
	view = cprof__args_view(&args);
	core = grpc_channel_create(target, who, &view);
	grpc_channel_credentials_release(who);
	if (!core)
		return cprof_fail(err, CPROF_ENOMEM, "cannot make a channel");
	*ret = core;
	return 0;
}

int cprof__channel_create(const struct cprof_channel_options *opts,
	struct cprof_channel **ret, struct cprof_error *err)
{
	char target[CPROF__MAX_ADDRESS];
	struct cprof_channel *ch;
	int r;

	r = check_target(opts, target, err);
	if (r < 0)
		return r;
	if (opts->user_agent && !is_header_value(opts->user_agent))
		return cprof_fail(err, CPROF_EINVAL,
			"bytes in the user agent that may not be there");

	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return cprof_fail(err, CPROF_ENOMEM, "no memory for a channel");
	pthread_mutex_init(&ch->lock, NULL);
	pthread_cond_init(&ch->changed, NULL);
	ch->canceller = true;
	r = cprof_thread_start(cancel_when_told, ch, err);
	if (r < 0) {
		ch->canceller = false;
		goto fail;
	}
	r = create_core(target, opts, &ch->core, err);
	if (r < 0)
		goto fail;
	ch->max_reply_bytes = opts->max_reply_bytes;
	ch->cq = grpc_completion_queue_create_for_next(NULL);
	*ret = ch;
	return 0;

fail:
	end_canceller(ch);
	free(ch);
	return r;
}

void cprof__channel_destroy(struct cprof_channel *ch)
{
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);

	if (!ch)
		return;
	end_canceller(ch);
	grpc_channel_destroy(ch->core);
	grpc_completion_queue_shutdown(ch->cq);
	while (grpc_completion_queue_next(ch->cq, never, NULL).type !=
		GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(ch->cq);
	free(ch);
}

void cprof__channel_cancel(struct cprof_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	ch->cancelled = true;
	pthread_cond_broadcast(&ch->changed);
	pthread_mutex_unlock(&ch->lock);
}

/* From here until call_ended() a cancel reaches the call. */
static int call_begins(
	struct cprof_channel *ch, grpc_call *call, struct cprof_error *err)
{
	int r = 0;

	pthread_mutex_lock(&ch->lock);
	if (ch->cancelled)
		r = cprof_fail(err, CPROF_ECANCELED, "cancelled");
	else if (ch->in_flight)
		r = cprof_fail(err, CPROF_EINVAL, "a call is in flight");
	else
		ch->in_flight = call;
	pthread_mutex_unlock(&ch->lock);
	return r;
}

static bool call_ended(struct cprof_channel *ch)
{
	bool cancelled;

	pthread_mutex_lock(&ch->lock);
	ch->in_flight = NULL;
	cancelled = ch->cancelled;
	pthread_mutex_unlock(&ch->lock);
	return cancelled;
}

/* What a call sends and receives; `metadata` is as long as the call's. */
struct exchange {
	grpc_metadata *metadata;
	size_t metadata_nr;
	grpc_byte_buffer *request;
	grpc_metadata_array headers, trailers;
	grpc_byte_buffer *reply;
	grpc_status_code status;
	grpc_slice words;
};

static void exchange_finish(struct exchange *x)
{
	for (size_t i = 0; i < x->metadata_nr; i++)
		cprof__metadata_finish(&x->metadata[i]);
	free(x->metadata);
	grpc_byte_buffer_destroy(x->request);
	grpc_metadata_array_destroy(&x->headers);
	grpc_metadata_array_destroy(&x->trailers);
	grpc_byte_buffer_destroy(x->reply);
	grpc_slice_unref(x->words);
}

static int exchange_init(struct exchange *x, const struct cprof_call *call,
	struct cprof_error *err)
{
	*x = (struct exchange){ .words = grpc_empty_slice() };
	grpc_metadata_array_init(&x->headers);
	grpc_metadata_array_init(&x->trailers);
	if (call->metadata_nr) {
		x->metadata = calloc(call->metadata_nr, sizeof(*x->metadata));
		if (!x->metadata)
			return cprof_fail(
				err, CPROF_ENOMEM, "no memory for headers");
	}
	for (size_t i = 0; i < call->metadata_nr; i++) {
		const struct cprof_metadata *m = &call->metadata[i];
		int r = cprof__metadata_init(&x->metadata[i], m->key, m->value,
			strlen(m->value), err);

		if (r < 0)
			return r;
		x->metadata_nr++;
	}
	x->request = cprof__message_create(call->body, call->body_len);
	return 0;
}

/* All of it as one batch, which ends when the status has come. */
static grpc_call_error exchange_start(
	struct exchange *x, grpc_call *call, void *tag)
{
	grpc_op op[] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
		{ .op = GRPC_OP_RECV_INITIAL_METADATA },
		{ .op = GRPC_OP_RECV_MESSAGE },
		{ .op = GRPC_OP_RECV_STATUS_ON_CLIENT },
	};

	op[0].data.send_initial_metadata.count = x->metadata_nr;
	op[0].data.send_initial_metadata.metadata = x->metadata;
	op[1].data.send_message.send_message = x->request;
	op[3].data.recv_initial_metadata.recv_initial_metadata = &x->headers;
	op[4].data.recv_message.recv_message = &x->reply;
	op[5].data.recv_status_on_client.trailing_metadata = &x->trailers;
	op[5].data.recv_status_on_client.status = &x->status;
	op[5].data.recv_status_on_client.status_details = &x->words;
	return grpc_call_start_batch(
		call, op, sizeof(op) / sizeof(op[0]), tag, NULL);
}

static void find_trailer(const grpc_metadata_array *trailers, const char *key,
	struct cprof_reply *reply)
{
	for (size_t i = 0; i < trailers->count; i++) {
		const grpc_metadata *m = &trailers->metadata[i];
		size_t len = GRPC_SLICE_LENGTH(m->value);

		if (grpc_slice_str_cmp(m->key, key))
			continue;
		if (len <= sizeof(reply->trailer)) {
			memcpy(reply->trailer, GRPC_SLICE_START_PTR(m->value),
				len);
			reply->trailer_len = len;
		}
		return;
	}
}

static int exchange_take(const struct exchange *x, const char *trailer_key,
	size_t max_bytes, struct cprof_reply *ret, struct cprof_error *err)
{
	struct cprof_reply reply = { .status = (int)x->status };
	int r;

	cprof__text_copy(x->words, reply.message, sizeof(reply.message));
	if (trailer_key)
		find_trailer(&x->trailers, trailer_key, &reply);
	if (x->status == GRPC_STATUS_OK && !x->reply) {
		reply.status = GRPC_STATUS_INTERNAL;
		snprintf(reply.message, sizeof(reply.message),
			"a reply without a message");
	}
	if (reply.status == GRPC_STATUS_OK) {
		r = cprof__message_copy(
			x->reply, max_bytes, &reply.body, &reply.body_len, err);
		if (r < 0)
			return r;
	}
	*ret = reply;
	return 0;
}

static grpc_call *create_call(
	struct cprof_channel *ch, const struct cprof_call *call)
{
	int64_t ns = call->timeout_ns > 0 ? call->timeout_ns : 0;
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
		gpr_time_from_nanos(ns, GPR_TIMESPAN));
	grpc_slice method = grpc_slice_from_copied_string(call->method);
	grpc_call *core = grpc_channel_create_call(ch->core, NULL,
		GRPC_PROPAGATE_DEFAULTS, ch->cq, method, NULL, deadline, NULL);

	grpc_slice_unref(method);
	return core;
}

int cprof__channel_call(struct cprof_channel *ch, const struct cprof_call *call,
	struct cprof_reply *ret, struct cprof_error *err)
{
	struct exchange x;
	grpc_call *core;
	grpc_call_error e;
	int r;

	if (call->method[0] != '/' || !is_word(call->method, 255))
		return cprof_fail(err, CPROF_EINVAL, "a method without a name");
	r = exchange_init(&x, call, err);
	if (r < 0)
		goto finish_exchange;
	core = create_call(ch, call);
	if (!core) {
		r = cprof_fail(err, CPROF_ENOMEM, "cannot make a call");
		goto finish_exchange;
	}
	r = call_begins(ch, core, err);
	if (r < 0)
		goto unref_call;

	e = exchange_start(&x, core, ch);
	if (e == GRPC_CALL_OK)
		grpc_completion_queue_next(
			ch->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	if (call_ended(ch))
		r = cprof_fail(err, CPROF_ECANCELED, "cancelled");
	else if (e != GRPC_CALL_OK)
		r = cprof_fail(err, CPROF_EINVAL, "cannot start a call: %s",
			grpc_call_error_to_string(e));
	else
		r = exchange_take(
			&x, call->trailer_key, ch->max_reply_bytes, ret, err);
	if (!r)
		ret->connected = grpc_channel_check_connectivity_state(
					 ch->core, 0) == GRPC_CHANNEL_READY;

unref_call:
	grpc_call_unref(core);
finish_exchange:
	exchange_finish(&x);
	return r;
}

void cprof__reply_release(struct cprof_reply *reply)
{
	free(reply->body);
	reply->body = NULL;
	reply->body_len = 0;
}
