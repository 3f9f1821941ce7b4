#include "service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

/* gRPC's numbers for what is answered here. */
enum status {
	STATUS_OK = 0,
	STATUS_INVALID_ARGUMENT = 3,
	STATUS_RESOURCE_EXHAUSTED = 8,
	STATUS_ABORTED = 10,
	STATUS_UNIMPLEMENTED = 12
};

struct cprof_service {
	const struct cprof_transport *transport;
	struct cprof_server *server;
};

int cprof_service_create(const struct cprof_transport *transport,
	const struct cprof_server_options *opts, struct cprof_service **ret,
	struct cprof_error *err)
{
	struct cprof_server_options bounded = *opts;
	struct cprof_service *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return cprof_fail(err, CPROF_ENOMEM, "no memory for a service");
	r = transport->start(false, err);
	if (r < 0)
		goto fail_service;
	bounded.max_request_bytes = CPROF_MAX_REQUEST_BYTES;
	r = transport->server_create(&bounded, &s->server, err);
	if (r < 0)
		goto fail_service;
	s->transport = transport;
	*ret = s;
	return 0;

fail_service:
	free(s);
	return r;
}

void cprof_service_destroy(struct cprof_service *s)
{
	if (!s)
		return;
	s->transport->server_destroy(s->server);
	free(s);
}

int cprof_service_port(const struct cprof_service *s)
{
	return s->transport->server_port(s->server);
}

struct method {
	const char *name;
	enum cprof_service_event_kind kind;
	int (*decode)(const uint8_t *data, size_t len,
		struct cprof_service_request **ret, struct cprof_error *err);
};

static const struct method *find_method(const char *name)
{
	static const struct method method[] = {
		{ CPROF_METHOD_CREATE_PROFILE, CPROF_SERVICE_CREATE,
			cprof_decode_create_request },
		{ CPROF_METHOD_UPDATE_PROFILE, CPROF_SERVICE_UPDATE,
			cprof_decode_update_request },
	};

	for (size_t i = 0; i < sizeof(method) / sizeof(method[0]); i++)
		if (!strcmp(method[i].name, name))
			return &method[i];
	return NULL;
}

/* Answers a request that is of no use, or makes an event of it. */
static int take_request(struct cprof_service *s,
	const struct cprof_incoming *in, struct cprof_service_event *ret,
	struct cprof_error *err)
{
	const struct method *method = find_method(in->method);
	struct cprof_error why = { .message = "no such method" };
	int r;

	if (!method)
		return cprof_service_refuse(
			s, in->call, STATUS_UNIMPLEMENTED, why.message, err);
	r = method->decode(in->body, in->body_len, &ret->request, &why);
	if (r < 0)
		return cprof_service_refuse(s, in->call,
			r == CPROF_ENOMEM ? STATUS_RESOURCE_EXHAUSTED
					  : STATUS_INVALID_ARGUMENT,
			why.message, err);
	ret->kind = method->kind;
	ret->call = in->call;
	snprintf(ret->peer, sizeof(ret->peer), "%s", in->peer);
	return 0;
}

static int take(struct cprof_service *s, const struct cprof_incoming *in,
	struct cprof_service_event *ret, struct cprof_error *err)
{
	switch (in->kind) {
	case CPROF_INCOMING_REQUEST:
		return take_request(s, in, ret, err);
	case CPROF_INCOMING_GONE:
		ret->kind = CPROF_SERVICE_GONE;
		ret->call = in->call;
		return 0;
	case CPROF_INCOMING_NOTHING:
		break;
	}
	return 0;
}

int cprof_service_next(struct cprof_service *s, int64_t timeout_ns,
	struct cprof_service_event *ret, struct cprof_error *err)
{
	struct cprof_service_event event = { .kind = CPROF_SERVICE_NOTHING };
	int64_t begin_ns = cprof_now_ns(), left_ns = timeout_ns;
	struct cprof_incoming in;
	int r;

	do {
		r = s->transport->server_next(s->server, left_ns, &in, err);
		if (r < 0)
			return r;
		r = take(s, &in, &event, err);
		s->transport->incoming_release(&in);
		if (r < 0)
			return r;
		left_ns = timeout_ns - (cprof_now_ns() - begin_ns);
	} while (event.kind == CPROF_SERVICE_NOTHING && left_ns > 0);
	*ret = event;
	return 0;
}

/* The answer is a Profile. */
static int answer_profile(struct cprof_service *s, uint64_t call,
	const char *name, enum cprof_profile_type type, int64_t duration_ns,
	const struct cprof_deployment *d, struct cprof_error *err)
{
	struct cprof_answer answer = { .status = STATUS_OK };
	struct cprof_buffer body;
	int r;

	cprof_buffer_init(&body, CPROF_MAX_REPLY_BYTES);
	r = cprof_encode_profile(name, type, duration_ns, d, &body, err);
	if (r < 0)
		goto finish_body;
	answer.body = body.data;
	answer.body_len = body.len;
	r = s->transport->server_answer(s->server, call, &answer, err);
finish_body:
	cprof_buffer_finish(&body);
	return r;
}

int cprof_service_assign(struct cprof_service *s, uint64_t call,
	const char *name, enum cprof_profile_type type, int64_t duration_ns,
	const struct cprof_deployment *d, struct cprof_error *err)
{
	return answer_profile(s, call, name, type, duration_ns, d, err);
}

int cprof_service_accept(struct cprof_service *s, uint64_t call,
	const char *name, enum cprof_profile_type type, struct cprof_error *err)
{
	static const struct cprof_deployment none = { .project = "",
		.target = "" };

	return answer_profile(s, call, name, type, 0, &none, err);
}

int cprof_service_postpone(struct cprof_service *s, uint64_t call,
	const char *words, int64_t delay_ns, struct cprof_error *err)
{
	struct cprof_answer answer = { .status = STATUS_ABORTED,
		.message = words,
		.trailer_key = "google.rpc.retryinfo-bin" };
	struct cprof_buffer info;
	int r;

	cprof_buffer_init(&info, CPROF_MAX_TRAILER_BYTES);
	r = cprof_encode_retry_info(delay_ns, &info, err);
	if (r < 0)
		goto finish_info;
	answer.trailer = info.data;
	answer.trailer_len = info.len;
	r = s->transport->server_answer(s->server, call, &answer, err);
finish_info:
	cprof_buffer_finish(&info);
	return r;
}

int cprof_service_refuse(struct cprof_service *s, uint64_t call, int status,
	const char *words, struct cprof_error *err)
{
	struct cprof_answer answer = { .status = status, .message = words };

	if (status == STATUS_OK)
		return cprof_fail(
			err, CPROF_EINVAL, "a refusal with the status OK");
	return s->transport->server_answer(s->server, call, &answer, err);
}
