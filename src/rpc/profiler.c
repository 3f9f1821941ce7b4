#include "rpc/profiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/wipe.h"
#include "rpc/status.h"

#define STATUS_DEADLINE_EXCEEDED 4
#define STATUS_ABORTED		 10
#define RETRY_TRAILER		 "google.rpc.retryinfo-bin"

/* An upload is the profile, the assignment as received, and a few labels. */
#define MAX_UPDATE_BYTES                                                       \
	(CPROF_MAX_UPLOAD_BYTES + CPROF_MAX_REPLY_BYTES +                      \
		2 * CPROF_MAX_LABELS_BYTES)

struct cprof_profiler {
	const struct cprof_transport *transport;
	struct cprof_channel *channel;
	struct cprof_buffer deployment; /* CreateProfile, less the types */
	char *api_client;
	char *instance; /* NULL for none */
	char *quota_project;
	int64_t create_timeout_ns;
	char *authorization;
};

/* NULL stays NULL. */
static int copy_string(const char *s, char **ret, struct cprof_error *err)
{
	*ret = s ? strdup(s) : NULL;
	if (s && !*ret)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	return 0;
}

static int copy_strings(struct cprof_profiler *p,
	const struct cprof_profiler_options *opts, struct cprof_error *err)
{
	if (copy_string(opts->instance, &p->instance, err) < 0 ||
		copy_string(opts->quota_project, &p->quota_project, err) < 0)
		return CPROF_ENOMEM;
	if (asprintf(&p->api_client, "%s grpc/%s", opts->api_client,
		    p->transport->version()) < 0) {
		p->api_client = NULL;
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	}
	return 0;
}

static int fill(struct cprof_profiler *p,
	const struct cprof_profiler_options *opts, struct cprof_error *err)
{
	int r;

	r = cprof_encode_create_request(
		&opts->deployment, NULL, 0, &p->deployment, err);
	if (r < 0)
		return r;
	r = copy_strings(p, opts, err);
	if (r < 0)
		return r;
	return p->transport->channel_create(&opts->channel, &p->channel, err);
}

int cprof_profiler_open(const struct cprof_profiler_options *opts,
	struct cprof_profiler **ret, struct cprof_error *err)
{
	struct cprof_profiler *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	p->transport = opts->transport;
	p->create_timeout_ns = opts->create_timeout_ns
				       ? opts->create_timeout_ns
				       : CPROF_CREATE_DEADLINE_NS;
	cprof_buffer_init(&p->deployment, CPROF_MAX_REPLY_BYTES);
	r = fill(p, opts, err);
	if (r < 0) {
		cprof_profiler_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void forget_authorization(struct cprof_profiler *p)
{
	if (p->authorization)
		cprof_wipe(p->authorization, strlen(p->authorization));
	free(p->authorization);
	p->authorization = NULL;
}

void cprof_profiler_close(struct cprof_profiler *p)
{
	if (!p)
		return;
	p->transport->channel_destroy(p->channel);
	cprof_buffer_finish(&p->deployment);
	free(p->api_client);
	free(p->instance);
	free(p->quota_project);
	forget_authorization(p);
	free(p);
}

int cprof_profiler_authorize(
	struct cprof_profiler *p, const char *header, struct cprof_error *err)
{
	forget_authorization(p);
	return copy_string(header, &p->authorization, err);
}

static int call(struct cprof_profiler *p, struct cprof_call *c,
	const struct cprof_buffer *body, struct cprof_reply *ret,
	struct cprof_error *err)
{
	struct cprof_metadata header[3];
	size_t nr = 0;

	header[nr++] =
		(struct cprof_metadata){ "x-goog-api-client", p->api_client };
	if (p->quota_project)
		header[nr++] = (struct cprof_metadata){ "x-goog-user-project",
			p->quota_project };
	if (p->authorization)
		header[nr++] = (struct cprof_metadata){ "authorization",
			p->authorization };
	c->metadata = header;
	c->metadata_nr = nr;
	c->body = body->data;
	c->body_len = body->len;
	return p->transport->call(p->channel, c, ret, err);
}

/* -1 where the reply names no delay that can be used. */
static int64_t retry_delay_ns(const struct cprof_reply *reply)
{
	int64_t delay_ns;

	if (cprof_decode_retry_info(
		    reply->trailer, reply->trailer_len, &delay_ns, NULL) < 0)
		return -1;
	return delay_ns;
}

static int ask(struct cprof_profiler *p, const struct cprof_buffer *body,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err)
{
	struct cprof_call c = {
		.method = CPROF_METHOD_CREATE_PROFILE,
		.timeout_ns = p->create_timeout_ns,
		.trailer_key = RETRY_TRAILER,
	};
	int64_t until_ns = cprof_now_ns() + c.timeout_ns;
	struct cprof_reply reply = { 0 };
	int r = call(p, &c, body, &reply, err);

	if (r < 0)
		return r;
	if (reply.status == STATUS_DEADLINE_EXCEEDED && reply.connected &&
		cprof_now_ns() >= until_ns)
		r = cprof_fail(err, CPROF_EABORTED,
			"CreateProfile: nothing to do within %lld s",
			(long long)(c.timeout_ns / CPROF_NS_PER_S));
	else
		r = cprof_status_fail(
			err, "CreateProfile", reply.status, reply.message);
	if (r == 0)
		r = cprof_decode_assignment(
			reply.body, reply.body_len, ret, err);
	if (reply.status == STATUS_ABORTED)
		*ret_retry_ns = retry_delay_ns(&reply);
	p->transport->reply_release(&reply);
	return r;
}

int cprof_profiler_create_profile(struct cprof_profiler *p,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err)
{
	struct cprof_buffer body;
	int r;

	cprof_buffer_init(&body, CPROF_MAX_REPLY_BYTES);
	r = cprof_buffer_add(&body, p->deployment.data, p->deployment.len, err);
	if (r == 0)
		r = cprof_encode_create_request(
			NULL, type, type_nr, &body, err);
	if (r == 0)
		r = ask(p, &body, ret, ret_retry_ns, err);
	cprof_buffer_finish(&body);
	return r;
}

static int upload(struct cprof_profiler *p, const struct cprof_buffer *body,
	struct cprof_error *err)
{
	struct cprof_call c = {
		.method = CPROF_METHOD_UPDATE_PROFILE,
		.timeout_ns = CPROF_UPDATE_DEADLINE_NS,
	};
	struct cprof_reply reply = { 0 };
	int r = call(p, &c, body, &reply, err);

	if (r < 0)
		return r;
	r = cprof_status_fail(
		err, "UpdateProfile", reply.status, reply.message);
	p->transport->reply_release(&reply);
	return r;
}

int cprof_profiler_update_profile(struct cprof_profiler *p,
	const struct cprof_assignment *a, const uint8_t *profile, size_t len,
	struct cprof_error *err)
{
	char process[16];
	struct cprof_label label[] = { { "process", process },
		{ "instance", p->instance } };
	struct cprof_buffer body;
	int r;

	if (len > CPROF_MAX_UPLOAD_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"a profile of %zu bytes is too large to upload", len);
	snprintf(process, sizeof(process), "%d", (int)getpid());
	cprof_buffer_init(&body, MAX_UPDATE_BYTES);
	r = cprof_encode_update_request(
		a, label, p->instance ? 2 : 1, profile, len, &body, err);
	if (r == 0)
		r = upload(p, &body, err);
	cprof_buffer_finish(&body);
	return r;
}

void cprof_profiler_cancel(struct cprof_profiler *p)
{
	p->transport->channel_cancel(p->channel);
}
