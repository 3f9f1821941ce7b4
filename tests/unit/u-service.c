#include "service/service.h"

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

#define LONG_NS (30 * CPROF_NS_PER_S) /* never reached when all is well */
#define NAME	"projects/prj/profiles/1"
#define TOKEN	"0123456789abcdef"
#define PEM	"-----BEGIN CERTIFICATE-----"
#define TRAILER "google.rpc.retryinfo-bin"

static const struct cprof_deployment deployment = { .project = "prj",
	.target = "shop",
	.label = { { "language", "python" }, { "zone", "z1" } },
	.label_nr = 2 };

/* A service, and a client of it that makes one call from its own thread. */
struct pair {
	const struct cprof_transport *t;
	struct cprof_service *s;
	struct cprof_channel *ch;
	struct cprof_call call;
	struct cprof_reply reply;
	pthread_t thread;
	int r;
	atomic_bool done;
};

static void pair_open_with(struct pair *p, const char *token)
{
	struct cprof_server_options server = { .address = "127.0.0.1:0",
		.token = token };
	struct cprof_channel_options opts = { .max_reply_bytes =
						      CPROF_MAX_REPLY_BYTES };
	char target[64];

	*p = (struct pair){ .call = { .timeout_ns = LONG_NS,
				    .trailer_key = TRAILER } };
	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &p->t, NULL), 0);
	CHECK_EQ(p->t->start(false, NULL), 0);
	CHECK_EQ(cprof_service_create(p->t, &server, &p->s, NULL), 0);
	CHECK(cprof_service_port(p->s) > 0);
	snprintf(target, sizeof(target), "127.0.0.1:%d",
		cprof_service_port(p->s));
	opts.target = target;
	CHECK_EQ(p->t->channel_create(&opts, &p->ch, NULL), 0);
}

static void pair_open(struct pair *p)
{
	pair_open_with(p, NULL);
}

static void pair_close(struct pair *p)
{
	p->t->channel_destroy(p->ch);
	cprof_service_destroy(p->s);
}

static void *client_main(void *arg)
{
	struct pair *p = arg;

	p->r = p->t->call(p->ch, &p->call, &p->reply, NULL);
	p->done = true;
	return NULL;
}

static void call_start(
	struct pair *p, const char *method, const void *body, size_t len)
{
	p->call.method = method;
	p->call.body = body;
	p->call.body_len = len;
	p->done = false;
	CHECK_EQ(pthread_create(&p->thread, NULL, client_main, p), 0);
}

/* The service goes on with its work; nothing of it is seen outside. */
static void call_join(struct pair *p)
{
	struct cprof_service_event event;

	while (!p->done) {
		CHECK_EQ(
			cprof_service_next(p->s, CPROF_NS_PER_MS, &event, NULL),
			0);
		CHECK_EQ(event.kind, CPROF_SERVICE_NOTHING);
	}
	pthread_join(p->thread, NULL);
	CHECK_EQ(p->r, 0);
}

static void create_start(struct pair *p)
{
	static const enum cprof_profile_type wanted[] = { CPROF_PROFILE_CPU,
		CPROF_PROFILE_WALL };
	static struct cprof_buffer body;

	cprof_buffer_init(&body, CPROF_MAX_REQUEST_BYTES);
	CHECK_EQ(cprof_encode_create_request(
			 &deployment, wanted, 2, &body, NULL),
		0);
	call_start(p, CPROF_METHOD_CREATE_PROFILE, body.data, body.len);
}

static struct cprof_service_event next(
	struct pair *p, enum cprof_service_event_kind kind)
{
	struct cprof_service_event event;

	CHECK_EQ(cprof_service_next(p->s, LONG_NS, &event, NULL), 0);
	CHECK_EQ(event.kind, kind);
	return event;
}

static void free_body(struct pair *p)
{
	free((void *)(uintptr_t)p->call.body);
}

void test_service__a_create_is_assigned(void)
{
	struct cprof_service_event event;
	struct cprof_assignment a;
	struct pair p;

	pair_open(&p);
	create_start(&p);
	event = next(&p, CPROF_SERVICE_CREATE);
	CHECK(event.peer[0]);
	CHECK_STR(event.request->deployment.project, "prj");
	CHECK_STR(event.request->deployment.target, "shop");
	CHECK_EQ(event.request->deployment.label_nr, 2);
	CHECK_EQ(event.request->wanted_nr, 2);
	CHECK_EQ(cprof_service_assign(p.s, event.call, NAME, CPROF_PROFILE_WALL,
			 3 * CPROF_NS_PER_S, &event.request->deployment, NULL),
		0);
	cprof_service_request_destroy(event.request);
	call_join(&p);
	CHECK_EQ(p.reply.status, 0);

	cprof_assignment_init(&a);
	CHECK_EQ(cprof_decode_assignment(
			 p.reply.body, p.reply.body_len, &a, NULL),
		0);
	CHECK_STR(a.name, NAME);
	CHECK_EQ(a.type, CPROF_PROFILE_WALL);
	CHECK_EQ(a.duration_ns, 3 * CPROF_NS_PER_S);
	cprof_assignment_finish(&a);
	p.t->reply_release(&p.reply);
	free_body(&p);
	pair_close(&p);
}

void test_service__a_create_is_postponed(void)
{
	struct cprof_service_event event;
	int64_t delay_ns = -1;
	struct pair p;

	pair_open(&p);
	create_start(&p);
	event = next(&p, CPROF_SERVICE_CREATE);
	cprof_service_request_destroy(event.request);
	CHECK_EQ(cprof_service_postpone(p.s, event.call, "nothing to do",
			 1500 * CPROF_NS_PER_MS, NULL),
		0);
	call_join(&p);
	CHECK_EQ(p.reply.status, 10);
	CHECK_STR(p.reply.message, "nothing to do");
	CHECK_EQ(cprof_decode_retry_info(
			 p.reply.trailer, p.reply.trailer_len, &delay_ns, NULL),
		0);
	CHECK_EQ(delay_ns, 1500 * CPROF_NS_PER_MS);
	free_body(&p);
	pair_close(&p);
}

static void update_body(struct cprof_buffer *ret)
{
	static const struct cprof_label label = { "instance", "i1" };
	static const uint8_t profile[100000] = { 0x1f, 0x8b };
	struct cprof_buffer raw;
	struct cprof_assignment a;

	cprof_buffer_init(&raw, CPROF_MAX_REPLY_BYTES);
	cprof_assignment_init(&a);
	CHECK_EQ(cprof_encode_profile(NAME, CPROF_PROFILE_CPU, CPROF_NS_PER_S,
			 &deployment, &raw, NULL),
		0);
	CHECK_EQ(cprof_decode_assignment(raw.data, raw.len, &a, NULL), 0);
	cprof_buffer_init(ret, CPROF_MAX_REQUEST_BYTES);
	CHECK_EQ(cprof_encode_update_request(
			 &a, &label, 1, profile, sizeof(profile), ret, NULL),
		0);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&raw);
}

void test_service__an_update_is_accepted(void)
{
	struct cprof_service_event event;
	struct cprof_assignment a;
	struct cprof_buffer body;
	struct pair p;

	pair_open(&p);
	update_body(&body);
	call_start(&p, CPROF_METHOD_UPDATE_PROFILE, body.data, body.len);
	event = next(&p, CPROF_SERVICE_UPDATE);
	CHECK_STR(event.request->name, NAME);
	CHECK_EQ(event.request->type, CPROF_PROFILE_CPU);
	CHECK_EQ(event.request->profile_len, 100000);
	CHECK_EQ(event.request->profile[1], 0x8b);
	CHECK_EQ(event.request->label_nr, 1);
	CHECK_EQ(cprof_service_accept(p.s, event.call, event.request->name,
			 event.request->type, NULL),
		0);
	cprof_service_request_destroy(event.request);
	call_join(&p);
	CHECK_EQ(p.reply.status, 0);

	cprof_assignment_init(&a);
	CHECK_EQ(cprof_decode_assignment(
			 p.reply.body, p.reply.body_len, &a, NULL),
		0);
	CHECK_STR(a.name, NAME);
	CHECK_EQ(a.type, CPROF_PROFILE_CPU);
	cprof_assignment_finish(&a);
	p.t->reply_release(&p.reply);
	cprof_buffer_finish(&body);
	pair_close(&p);
}

void test_service__a_call_is_answered_once(void)
{
	struct cprof_service_event event;
	struct pair p;

	pair_open(&p);
	create_start(&p);
	event = next(&p, CPROF_SERVICE_CREATE);
	cprof_service_request_destroy(event.request);
	CHECK_EQ(cprof_service_refuse(p.s, event.call, 0, "fine", NULL),
		CPROF_EINVAL);
	CHECK_EQ(cprof_service_refuse(p.s, event.call, 13, "disk full", NULL),
		0);
	CHECK_EQ(cprof_service_refuse(p.s, event.call, 13, "disk full", NULL),
		CPROF_EINVAL);
	CHECK_EQ(cprof_service_postpone(p.s, event.call, "no", 0, NULL),
		CPROF_EINVAL);
	CHECK_EQ(cprof_service_assign(p.s, event.call, NAME, CPROF_PROFILE_CPU,
			 0, &deployment, NULL),
		CPROF_EINVAL);
	call_join(&p);
	CHECK_EQ(p.reply.status, 13);
	CHECK_STR(p.reply.message, "disk full");
	free_body(&p);
	pair_close(&p);
}

void test_service__a_client_that_goes_is_told(void)
{
	struct cprof_service_event event, gone;
	struct pair p;

	pair_open(&p);
	create_start(&p);
	event = next(&p, CPROF_SERVICE_CREATE);
	cprof_service_request_destroy(event.request);
	p.t->channel_cancel(p.ch);
	pthread_join(p.thread, NULL);
	gone = next(&p, CPROF_SERVICE_GONE);
	CHECK_EQ(gone.call, event.call);
	CHECK(!gone.request);
	CHECK_EQ(cprof_service_postpone(p.s, event.call, "no", 0, NULL),
		CPROF_EINVAL);
	free_body(&p);
	pair_close(&p);
}

void test_service__what_it_does_not_know_is_answered_inside(void)
{
	static const struct {
		const char *method, *body;
		int status;
	} row[] = {
		{ "/google.devtools.cloudprofiler.v2.ProfilerService/Other", "",
			12 },
		{ "/x", "", 12 },
		{ CPROF_METHOD_CREATE_PROFILE, "\xff\xff\xff", 3 },
		{ CPROF_METHOD_UPDATE_PROFILE, "\x0a\x7f", 3 },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pair p;

		pair_open(&p);
		call_start(&p, row[i].method, row[i].body, strlen(row[i].body));
		call_join(&p);
		CHECK_EQ(p.reply.status, row[i].status);
		CHECK(p.reply.message[0]);
		pair_close(&p);
	}
}

void test_service__only_loopback_is_served(void)
{
	struct cprof_server_options opts = { .address = "0.0.0.0:0" };
	const struct cprof_transport *t;
	struct cprof_service *s = NULL;
	struct cprof_error err;

	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &t, NULL), 0);
	CHECK_EQ(cprof_service_create(t, &opts, &s, &err), CPROF_EINVAL);
	CHECK(strstr(err.message, "needs TLS and a token"));
	opts.token = TOKEN;
	CHECK_EQ(cprof_service_create(t, &opts, &s, &err), CPROF_EINVAL);
	opts.token = NULL;
	opts.cert_pem = opts.key_pem = PEM;
	CHECK_EQ(cprof_service_create(t, &opts, &s, &err), CPROF_EINVAL);
	CHECK(!s);
	cprof_service_destroy(s);
}

void test_service__certificate_and_key_must_be_of_use(void)
{
	struct cprof_server_options opts = { .address = "127.0.0.1:0",
		.cert_pem = PEM };
	const struct cprof_transport *t;
	struct cprof_service *s = NULL;
	struct cprof_error err;

	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &t, NULL), 0);
	CHECK_EQ(cprof_service_create(t, &opts, &s, &err), CPROF_EINVAL);
	CHECK(strstr(err.message, "go together"));
	opts.key_pem = PEM;
	CHECK_EQ(cprof_service_create(t, &opts, &s, &err), CPROF_EIO);
	CHECK(strstr(err.message, "are no pair"));
	CHECK(!s);
}

void test_service__a_token_that_no_call_can_bring_is_refused(void)
{
	static char long_one[CPROF_MAX_TOKEN_BYTES + 2];
	const char *const bad[] = { "", "two words", "l\xc3\xa4nge", long_one };
	struct cprof_server_options opts = { .address = "127.0.0.1:0" };
	const struct cprof_transport *t;
	struct cprof_service *s = NULL;
	struct cprof_error err;

	memset(long_one, 'x', sizeof(long_one) - 1);
	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &t, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		opts.token = bad[i];
		CHECK_EQ(
			cprof_service_create(t, &opts, &s, &err), CPROF_EINVAL);
		CHECK_STR(
			err.message, "the token is not one word of plain text");
		CHECK(!s);
	}
}

/* What a call ends in that brings these headers, and is not let in. */
static void check_refused(
	const struct cprof_metadata *header, size_t nr, const char *words)
{
	struct pair p;

	pair_open_with(&p, TOKEN);
	p.call.metadata = header;
	p.call.metadata_nr = nr;
	create_start(&p);
	call_join(&p);
	CHECK_EQ(p.reply.status, 16);
	CHECK_STR(p.reply.message, words);
	p.t->reply_release(&p.reply);
	free_body(&p);
	pair_close(&p);
}

void test_service__a_call_without_its_token_is_refused(void)
{
	static const char *const bad[] = { TOKEN, "Bearer", "Basic " TOKEN,
		"Bearer  " TOKEN, "Bearer " TOKEN "1", "Bearer 012345678",
		"Bearer 0123456789abcdeF", "Bearer " TOKEN TOKEN,
		"Bearer " TOKEN ",Bearer " TOKEN };
	static const struct cprof_metadata both[] = { { "authorization",
							      "Bearer " TOKEN },
		{ "authorization", "Bearer another-one" } };

	check_refused(NULL, 0, "this service wants a token");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cprof_metadata m = { "authorization", bad[i] };

		check_refused(&m, 1, "this service wants another token");
	}
	check_refused(both, 2, "this service wants another token");
}

void test_service__a_call_with_its_token_is_served(void)
{
	static const char *const good[] = { "Bearer " TOKEN, "bearer " TOKEN };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct cprof_metadata m = { "authorization", good[i] };
		struct cprof_service_event event;
		struct pair p;

		pair_open_with(&p, TOKEN);
		p.call.metadata = &m;
		p.call.metadata_nr = 1;
		create_start(&p);
		event = next(&p, CPROF_SERVICE_CREATE);
		CHECK_EQ(cprof_service_postpone(p.s, event.call, "later",
				 CPROF_NS_PER_S, NULL),
			0);
		cprof_service_request_destroy(event.request);
		call_join(&p);
		CHECK_EQ(p.reply.status, 10);
		p.t->reply_release(&p.reply);
		free_body(&p);
		pair_close(&p);
	}
}

/* Nor is what it would say: 8 MiB never leave the client. */
void test_service__what_is_not_let_in_is_not_read(void)
{
	size_t len = 8 << 20;
	uint8_t *body = calloc(1, len);
	struct pair p;

	CHECK(body);
	pair_open_with(&p, TOKEN);
	call_start(&p, CPROF_METHOD_UPDATE_PROFILE, body, len);
	call_join(&p);
	CHECK_EQ(p.reply.status, 16);
	p.t->reply_release(&p.reply);
	free(body);
	pair_close(&p);
}

void test_service__headers_have_a_maximum(void)
{
	static char value[CPROF_MAX_HEADERS_BYTES * 2];
	struct cprof_metadata m = { "x-much", value };
	struct pair p;

	memset(value, 'x', sizeof(value) - 1);
	pair_open(&p);
	p.call.metadata = &m;
	p.call.metadata_nr = 1;
	create_start(&p);
	call_join(&p);
	CHECK_EQ(p.reply.status, 8);
	p.t->reply_release(&p.reply);
	free_body(&p);
	pair_close(&p);
}

void test_service__nothing_happens_in_no_time(void)
{
	struct cprof_service_event event;
	struct pair p;

	pair_open(&p);
	CHECK_EQ(cprof_service_next(p.s, 0, &event, NULL), 0);
	CHECK_EQ(event.kind, CPROF_SERVICE_NOTHING);
	CHECK(!event.request);
	pair_close(&p);
}
