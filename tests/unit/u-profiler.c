#include "rpc/profiler.h"

#include <unistd.h>

#include "check.h"
#include "fake-transport.h"
#include "wire.h"

#define NAME "projects/my-project/profiles/123"

static const enum cprof_profile_type types[] = { CPROF_PROFILE_CPU,
	CPROF_PROFILE_WALL };

static struct cprof_profiler_options options(void)
{
	return (struct cprof_profiler_options){
		.transport = &fake_transport_table,
		.channel = { .target = "host:443" },
		.deployment = {
			.project = "my-project",
			.target = "service",
			.label = { { "language", "python" } },
			.label_nr = 1,
		},
		.api_client = "gl-python/3.11.2 gccl/5.0.0",
		.instance = "i-1",
	};
}

static struct cprof_profiler *open_profiler(void)
{
	struct cprof_profiler_options opts = options();
	struct cprof_profiler *p;

	CHECK_EQ(cprof_profiler_open(&opts, &p, NULL), 0);
	return p;
}

/* Everything that was made is gone; and the fake is new for the next test. */
static void close_profiler(struct cprof_profiler *p)
{
	cprof_profiler_close(p);
	CHECK_EQ(fake_transport.channels, 0);
	CHECK_EQ(fake_transport.released, 0);
	cprof_buffer_finish(&fake_transport.body);
	fake_transport = (struct fake_transport){
		.body = { .max_bytes = fake_transport.body.max_bytes },
	};
}

static void answer(int status, const char *words, struct cprof_buffer *body)
{
	struct cprof_reply *r = &fake_transport.reply;

	*r = (struct cprof_reply){ .status = status };
	snprintf(r->message, sizeof(r->message), "%s", words);
	if (body) {
		r->body = body->data;
		r->body_len = body->len;
	}
}

static struct cprof_buffer assignment(void)
{
	const struct cprof_deployment d = { .project = "my-project",
		.target = "service" };
	struct cprof_buffer b = WIRE_INIT;

	CHECK_EQ(cprof_encode_profile(NAME, CPROF_PROFILE_WALL,
			 3 * CPROF_NS_PER_S, &d, &b, NULL),
		0);
	return b;
}

void test_profiler__create_profile_asks_and_gets_an_assignment(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_buffer b = assignment();
	struct cprof_service_request *req;
	struct cprof_assignment a;
	int64_t retry_ns = 42;

	cprof_assignment_init(&a);
	answer(0, "", &b);
	CHECK_EQ(
		cprof_profiler_create_profile(p, types, 2, &a, &retry_ns, NULL),
		0);
	CHECK_EQ(retry_ns, 42);
	CHECK_STR(a.name, NAME);
	CHECK_EQ(a.type, CPROF_PROFILE_WALL);
	CHECK_EQ(a.duration_ns, 3 * CPROF_NS_PER_S);

	CHECK_STR(fake_transport.target, "host:443");
	CHECK_STR(fake_transport.method, CPROF_METHOD_CREATE_PROFILE);
	CHECK_STR(fake_transport.headers,
		"x-goog-api-client: gl-python/3.11.2 gccl/5.0.0 grpc/29.0.0\n");
	CHECK_STR(fake_transport.trailer, "google.rpc.retryinfo-bin");
	CHECK_EQ(fake_transport.timeout_ns, CPROF_CREATE_DEADLINE_NS);
	CHECK_EQ(cprof_decode_create_request(fake_transport.body.data,
			 fake_transport.body.len, &req, NULL),
		0);
	CHECK_STR(req->deployment.target, "service");
	CHECK_EQ(req->wanted_nr, 2);
	cprof_service_request_destroy(req);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&b);
	close_profiler(p);
}

void test_profiler__each_request_offers_its_own_types(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_service_request *req;
	struct cprof_assignment a;
	int64_t retry_ns;

	cprof_assignment_init(&a);
	answer(14, "down", NULL);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(cprof_profiler_create_profile(
				 p, &types[1], 1, &a, &retry_ns, NULL),
			CPROF_EUNAVAILABLE);
		CHECK_EQ(cprof_decode_create_request(fake_transport.body.data,
				 fake_transport.body.len, &req, NULL),
			0);
		CHECK_EQ(req->wanted_nr, 1);
		CHECK_EQ(req->wanted[0], CPROF_PROFILE_WALL);
		cprof_service_request_destroy(req);
	}
	close_profiler(p);
}

void test_profiler__aborted_tells_the_delay_if_there_is_one(void)
{
	static const struct {
		const char *trailer;
		size_t len;
		int64_t want_ns;
	} row[] = {
		{ "\x0a\x02\x08\x21", 4, 33 * CPROF_NS_PER_S },
		{ "\x0a\x00", 2, 0 },
		{ "", 0, -1 },
		{ "\xff", 1, -1 },
	};
	struct cprof_profiler *p = open_profiler();
	struct cprof_assignment a;
	struct cprof_error err;

	cprof_assignment_init(&a);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int64_t retry_ns = 42;

		answer(10, "backoff for 33s", NULL);
		memcpy(fake_transport.reply.trailer, row[i].trailer,
			row[i].len);
		fake_transport.reply.trailer_len = row[i].len;
		CHECK_EQ(cprof_profiler_create_profile(
				 p, types, 2, &a, &retry_ns, &err),
			CPROF_EABORTED);
		CHECK_EQ(retry_ns, row[i].want_ns);
		CHECK_STR(
			err.message, "CreateProfile: ABORTED: backoff for 33s");
	}
	close_profiler(p);
}

void test_profiler__a_reply_that_does_not_parse_changes_nothing(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_buffer b = WIRE_INIT;
	struct cprof_assignment a;
	struct cprof_error err;
	int64_t retry_ns = 42;

	cprof_assignment_init(&a);
	wire_text(&b, 1, "no such name");
	answer(0, "", &b);
	CHECK_EQ(
		cprof_profiler_create_profile(p, types, 2, &a, &retry_ns, &err),
		CPROF_EFORMAT);
	CHECK_EQ(a.raw.len, 0);
	CHECK_EQ(retry_ns, 42);
	cprof_buffer_finish(&b);
	close_profiler(p);
}

static void check_process(const struct cprof_label *label)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	CHECK_STR(label->name, "process");
	CHECK_STR(label->value, pid);
}

void test_profiler__an_upload_carries_assignment_bytes_and_labels(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_buffer b = assignment();
	struct cprof_service_request *req;
	struct cprof_assignment a;

	cprof_assignment_init(&a);
	CHECK_EQ(cprof_decode_assignment(b.data, b.len, &a, NULL), 0);
	answer(0, "", NULL);
	CHECK_EQ(cprof_profiler_update_profile(
			 p, &a, (const uint8_t *)"gzip", 4, NULL),
		0);
	CHECK_STR(fake_transport.method, CPROF_METHOD_UPDATE_PROFILE);
	CHECK_EQ(fake_transport.timeout_ns, CPROF_UPDATE_DEADLINE_NS);
	CHECK_EQ(cprof_decode_update_request(fake_transport.body.data,
			 fake_transport.body.len, &req, NULL),
		0);
	CHECK_STR(req->name, NAME);
	CHECK_EQ(req->profile_len, 4);
	CHECK_EQ(req->label_nr, 2);
	check_process(&req->label[0]);
	CHECK_STR(req->label[1].name, "instance");
	CHECK_STR(req->label[1].value, "i-1");
	cprof_service_request_destroy(req);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&b);
	close_profiler(p);
}

void test_profiler__an_upload_past_the_limit_is_not_sent(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_assignment a;
	struct cprof_error err;
	uint8_t byte = 0;

	cprof_assignment_init(&a);
	CHECK_EQ(cprof_profiler_update_profile(
			 p, &a, &byte, CPROF_MAX_UPLOAD_BYTES + 1, &err),
		CPROF_ETOOBIG);
	CHECK_EQ(fake_transport.calls, 0);
	close_profiler(p);
}

void test_profiler__a_refused_upload_says_why(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_assignment a;
	struct cprof_error err;

	cprof_assignment_init(&a);
	answer(7, "no role", NULL);
	CHECK_EQ(cprof_profiler_update_profile(
			 p, &a, (const uint8_t *)"x", 1, &err),
		CPROF_EDENIED);
	CHECK_STR(err.message, "UpdateProfile: PERMISSION_DENIED: no role");
	close_profiler(p);
}

void test_profiler__after_cancel_every_call_is_cancelled(void)
{
	struct cprof_profiler *p = open_profiler();
	struct cprof_assignment a;
	struct cprof_error err;
	int64_t retry_ns;

	cprof_assignment_init(&a);
	cprof_profiler_cancel(p);
	CHECK_EQ(
		cprof_profiler_create_profile(p, types, 2, &a, &retry_ns, &err),
		CPROF_ECANCELED);
	CHECK_EQ(cprof_profiler_update_profile(
			 p, &a, (const uint8_t *)"x", 1, &err),
		CPROF_ECANCELED);
	close_profiler(p);
}

void test_profiler__no_strings_of_the_options_are_needed_later(void)
{
	struct cprof_profiler_options opts = options();
	char project[] = "my-project", client[] = "client", instance[] = "i-2";
	struct cprof_service_request *req;
	struct cprof_assignment a;
	struct cprof_profiler *p;
	int64_t retry_ns;

	opts.deployment.project = project;
	opts.api_client = client;
	opts.instance = instance;
	CHECK_EQ(cprof_profiler_open(&opts, &p, NULL), 0);
	memset(project, 'x', 5);
	memset(client, 'x', 5);
	memset(instance, 'x', 3);
	cprof_assignment_init(&a);
	answer(14, "", NULL);
	cprof_profiler_create_profile(p, types, 2, &a, &retry_ns, NULL);
	CHECK_STR(fake_transport.headers,
		"x-goog-api-client: client grpc/29.0.0\n");
	CHECK_EQ(cprof_decode_create_request(fake_transport.body.data,
			 fake_transport.body.len, &req, NULL),
		0);
	CHECK_STR(req->deployment.project, "my-project");
	cprof_service_request_destroy(req);
	close_profiler(p);
}

void test_profiler__without_instance_there_is_no_such_label(void)
{
	struct cprof_profiler_options opts = options();
	struct cprof_buffer b = assignment();
	struct cprof_service_request *req;
	struct cprof_assignment a;
	struct cprof_profiler *p;

	opts.instance = NULL;
	CHECK_EQ(cprof_profiler_open(&opts, &p, NULL), 0);
	cprof_assignment_init(&a);
	CHECK_EQ(cprof_decode_assignment(b.data, b.len, &a, NULL), 0);
	answer(0, "", NULL);
	CHECK_EQ(cprof_profiler_update_profile(
			 p, &a, (const uint8_t *)"x", 1, NULL),
		0);
	CHECK_EQ(cprof_decode_update_request(fake_transport.body.data,
			 fake_transport.body.len, &req, NULL),
		0);
	CHECK_EQ(req->label_nr, 1);
	check_process(&req->label[0]);
	cprof_service_request_destroy(req);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&b);
	close_profiler(p);
}

void test_profiler__opening_fails_whole(void)
{
	struct cprof_profiler_options opts = options();
	struct cprof_profiler *p = NULL;
	struct cprof_error err;

	fake_transport.channel_result = CPROF_EINVAL;
	CHECK_EQ(cprof_profiler_open(&opts, &p, &err), CPROF_EINVAL);
	fake_transport.channel_result = 0;
	opts.deployment.target = "bad\xff";
	CHECK_EQ(cprof_profiler_open(&opts, &p, &err), CPROF_EINVAL);
	CHECK(!p);
	CHECK_EQ(fake_transport.channels, 0);
	cprof_profiler_close(NULL);
}

void test_profiler__headers_say_who_asks_and_who_pays(void)
{
	struct cprof_profiler_options opts = options();
	struct cprof_assignment a;
	struct cprof_profiler *p;
	int64_t retry_ns;

	opts.channel.security = CPROF_SECURITY_TLS;
	opts.quota_project = "payer";
	CHECK_EQ(cprof_profiler_open(&opts, &p, NULL), 0);
	cprof_assignment_init(&a);
	answer(14, "", NULL);
	for (const char *token = "one"; token;
		token = strcmp(token, "one") ? NULL : "two") {
		char header[32];

		snprintf(header, sizeof(header), "Bearer %s", token);
		CHECK_EQ(cprof_profiler_authorize(p, header, NULL), 0);
		memset(header, '#', sizeof(header));
		cprof_profiler_create_profile(p, types, 2, &a, &retry_ns, NULL);
		CHECK(strstr(fake_transport.headers,
			"\nx-goog-user-project: payer\nauthorization: "
			"Bearer "));
		CHECK(strstr(fake_transport.headers, token));
	}
	close_profiler(p);
}
