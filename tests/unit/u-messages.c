#include "rpc/messages.h"

#include "check.h"
#include "wire.h"

#define NAME "projects/my-project/profiles/123"

static const struct cprof_deployment deployment = {
	.project = "my-project",
	.target = "service-1",
	.label = { { "language", "python" }, { "version", "1.0" } },
	.label_nr = 2,
};

static struct cprof_buffer create_request(const struct cprof_deployment *d)
{
	static const enum cprof_profile_type type[] = { CPROF_PROFILE_CPU,
		CPROF_PROFILE_WALL };
	struct cprof_buffer b = WIRE_INIT;

	CHECK_EQ(cprof_encode_create_request(d, type, 2, &b, NULL), 0);
	return b;
}

static struct cprof_service_request *decode_create(struct cprof_buffer *b)
{
	struct cprof_service_request *req;
	struct cprof_error err;

	if (cprof_decode_create_request(b->data, b->len, &req, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	cprof_buffer_finish(b);
	return req;
}

void test_messages__create_request_says_who_and_what(void)
{
	struct cprof_buffer b = create_request(&deployment);
	struct cprof_service_request *req = decode_create(&b);

	CHECK_STR(req->deployment.project, "my-project");
	CHECK_STR(req->deployment.target, "service-1");
	CHECK_EQ(req->deployment.label_nr, 2);
	CHECK_STR(req->deployment.label[1].name, "version");
	CHECK_STR(req->deployment.label[1].value, "1.0");
	CHECK_EQ(req->wanted_nr, 2);
	CHECK_EQ(req->wanted[0], CPROF_PROFILE_CPU);
	CHECK_EQ(req->wanted[1], CPROF_PROFILE_WALL);
	cprof_service_request_destroy(req);
}

/* Byte by byte, as the API's own numbers demand it. */
void test_messages__create_request_has_the_apis_numbers(void)
{
	struct cprof_deployment d = { .project = "p1",
		.target = "t",
		.label = { { "a", "b" } },
		.label_nr = 1 };
	struct cprof_buffer b = create_request(&d);
	struct cprof_buffer want = WIRE_INIT, part = WIRE_INIT;

	wire_text(&part, 1, "p1");
	wire_text(&part, 2, "t");
	wire_entry(&part, 3, "a", "b");
	wire_part(&want, 1, &part);
	wire_bytes(&want, 2, "\1\2", 2);
	wire_text(&want, 4, "projects/p1");
	CHECK_EQ(b.len, want.len);
	CHECK(!memcmp(b.data, want.data, b.len));
	cprof_buffer_finish(&b);
	cprof_buffer_finish(&want);
}

void test_messages__a_request_in_two_parts_is_one(void)
{
	static const enum cprof_profile_type type = CPROF_PROFILE_HEAP;
	struct cprof_buffer b = WIRE_INIT;
	struct cprof_service_request *req;

	CHECK_EQ(
		cprof_encode_create_request(&deployment, NULL, 0, &b, NULL), 0);
	CHECK_EQ(cprof_encode_create_request(NULL, &type, 1, &b, NULL), 0);
	req = decode_create(&b);
	CHECK_STR(req->deployment.target, "service-1");
	CHECK_EQ(req->wanted_nr, 1);
	CHECK_EQ(req->wanted[0], CPROF_PROFILE_HEAP);
	cprof_service_request_destroy(req);
}

void test_messages__labels_are_made_to_fit(void)
{
	static char long_value[600], half[500];
	struct cprof_deployment d = {
		.project = "my-project",
		.target = "t",
		.label = {
			{ "a", long_value },
			{ "Not-Allowed", "x" },
			{ "b", half },
			{ "empty", "" },
			{ "null", NULL },
			{ "c", half },
			{ "d", "bad \xff" },
		},
		.label_nr = 7,
	};
	struct cprof_service_request *req;
	struct cprof_buffer b;

	/* 511 bytes, then a character of two: cut before it. */
	memset(long_value, 'x', sizeof(long_value) - 1);
	memcpy(long_value + 511, "\xc3\xbc", 2);
	memset(half, 'y', sizeof(half) - 1);
	b = create_request(&d);
	req = decode_create(&b);
	CHECK_EQ(req->deployment.label_nr, 3);
	CHECK_STR(req->deployment.label[0].name, "a");
	CHECK_EQ(strlen(req->deployment.label[0].value), 511);
	CHECK_STR(req->deployment.label[1].name, "b");
	CHECK_STR(req->deployment.label[2].name, "d");
	CHECK_STR(req->deployment.label[2].value, "bad \xef\xbf\xbd");
	cprof_service_request_destroy(req);
}

/* Each bad byte becomes three: the value must be cut again, between them. */
void test_messages__a_label_that_grows_by_repair_is_cut(void)
{
	static char bad[300];
	struct cprof_deployment d = { .project = "my-project",
		.target = "t",
		.label = { { "a", bad } },
		.label_nr = 1 };
	struct cprof_service_request *req;
	struct cprof_buffer b;

	memset(bad, 0xff, sizeof(bad) - 1);
	b = create_request(&d);
	req = decode_create(&b);
	CHECK_EQ(strlen(req->deployment.label[0].value),
		CPROF_MAX_LABEL_BYTES / 3 * 3);
	cprof_service_request_destroy(req);
}

void test_messages__names_that_cannot_be_sent_are_refused(void)
{
	struct cprof_deployment d = deployment;
	struct cprof_buffer b = WIRE_INIT;
	struct cprof_error err;

	d.project = "bad\xff";
	CHECK_EQ(cprof_encode_create_request(&d, NULL, 0, &b, &err),
		CPROF_EINVAL);
	d = deployment;
	d.target = "line\nfeed";
	CHECK_EQ(cprof_encode_create_request(&d, NULL, 0, &b, &err),
		CPROF_EINVAL);
	CHECK_EQ(b.len, 0);
}

/* A reply with what the row gives; a negative number leaves a field out. */
static struct cprof_buffer reply(
	const char *name, int64_t type, int64_t seconds, int64_t nanos)
{
	struct cprof_buffer b = WIRE_INIT, duration = WIRE_INIT;

	if (name)
		wire_text(&b, 1, name);
	if (type >= 0)
		wire_number(&b, 2, (uint64_t)type);
	wire_number(&duration, 1, (uint64_t)seconds);
	wire_number(&duration, 2, (uint64_t)nanos);
	wire_part(&b, 4, &duration);
	return b;
}

void test_messages__hostile_assignments_are_clamped(void)
{
	static const struct {
		int64_t type, seconds, nanos, want_ns;
		enum cprof_profile_type want;
	} row[] = {
		{ 1, 10, 0, 10 * CPROF_NS_PER_S, CPROF_PROFILE_CPU },
		{ 2, 0, 500000000, CPROF_NS_PER_S / 2, CPROF_PROFILE_WALL },
		{ 7, 1, -1, CPROF_NS_PER_S - 1, CPROF_PROFILE_HEAP_ALLOC },
		{ 8, 0, 1, CPROF_MIN_DURATION_NS, CPROF_PROFILE_UNSPECIFIED },
		{ -1, 0, 0, CPROF_DEFAULT_DURATION_NS,
			CPROF_PROFILE_UNSPECIFIED },
		{ INT32_MAX, INT64_MAX, INT32_MAX, CPROF_MAX_DURATION_NS,
			CPROF_PROFILE_UNSPECIFIED },
		{ 1, INT64_MIN, INT32_MIN, CPROF_DEFAULT_DURATION_NS,
			CPROF_PROFILE_CPU },
		{ 1, -5, 0, CPROF_DEFAULT_DURATION_NS, CPROF_PROFILE_CPU },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_buffer b =
			reply(NAME, row[i].type, row[i].seconds, row[i].nanos);
		struct cprof_assignment a;

		cprof_assignment_init(&a);
		CHECK_EQ(cprof_decode_assignment(b.data, b.len, &a, NULL), 0);
		CHECK_STR(a.name, NAME);
		CHECK_EQ(a.duration_ns, row[i].want_ns);
		CHECK_EQ(a.type, row[i].want);
		CHECK_EQ(a.raw.len, b.len);
		cprof_assignment_finish(&a);
		cprof_buffer_finish(&b);
	}
}

void test_messages__an_assignment_without_a_usable_name_is_refused(void)
{
	static char long_name[CPROF_MAX_NAME_BYTES + 2];
	const char *const name[] = { NULL, "", "projects/p", "profiles/x",
		"projects//profiles/x", "projects/p/profiles/",
		"projects/p/profiles/a b", "projects/p/profiles/\xc3\xbc",
		"projects/p/profiles/a\n", long_name };

	memset(long_name, 'x', sizeof(long_name) - 1);
	memcpy(long_name, "projects/p/profiles/", 20);
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		struct cprof_buffer b = reply(name[i], 1, 10, 0);
		struct cprof_error err = { 0 };
		struct cprof_assignment a;

		cprof_assignment_init(&a);
		a.duration_ns = 42;
		CHECK_EQ(cprof_decode_assignment(b.data, b.len, &a, &err),
			CPROF_EFORMAT);
		CHECK(*err.message);
		CHECK_EQ(a.duration_ns, 42);
		CHECK_EQ(a.raw.len, 0);
		cprof_assignment_finish(&a);
		cprof_buffer_finish(&b);
	}
}

void test_messages__an_assignment_can_be_used_again(void)
{
	struct cprof_buffer b = reply(NAME, 1, 10, 0);
	struct cprof_assignment a;

	cprof_assignment_init(&a);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(cprof_decode_assignment(b.data, b.len, &a, NULL), 0);
	CHECK_EQ(a.raw.len, b.len);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&b);
}

void test_messages__the_names_of_types_are_the_apis(void)
{
	CHECK_STR(cprof_profile_type_name(CPROF_PROFILE_CPU), "CPU");
	CHECK_STR(cprof_profile_type_name(CPROF_PROFILE_HEAP_ALLOC),
		"HEAP_ALLOC");
	CHECK_STR(
		cprof_profile_type_name((enum cprof_profile_type)8), "UNKNOWN");
	CHECK_STR(cprof_profile_type_name((enum cprof_profile_type) - 1),
		"UNKNOWN");
}

static void assign(const struct cprof_buffer *b, struct cprof_assignment *a)
{
	cprof_assignment_init(a);
	CHECK_EQ(cprof_decode_assignment(b->data, b->len, a, NULL), 0);
}

void test_messages__an_update_brings_back_the_assignment_and_more(void)
{
	static const struct cprof_label label[] = { { "instance", "i-1" },
		{ "old", "new value" } };
	struct cprof_buffer b = reply(NAME, 2, 10, 0), body = WIRE_INIT;
	struct cprof_service_request *req;
	struct cprof_assignment a;

	/* What the service should not send, but might: ours must win. */
	wire_text(&b, 5, "earlier bytes");
	wire_entry(&b, 6, "old", "old value");
	wire_entry(&b, 6, "kept", "x");
	assign(&b, &a);
	CHECK_EQ(cprof_encode_update_request(&a, label, 2,
			 (const uint8_t *)"profile", 7, &body, NULL),
		0);
	CHECK_EQ(cprof_decode_update_request(body.data, body.len, &req, NULL),
		0);
	CHECK_STR(req->name, NAME);
	CHECK_EQ(req->type, CPROF_PROFILE_WALL);
	CHECK_EQ(req->duration_ns, 10 * CPROF_NS_PER_S);
	CHECK_STR(req->deployment.target, "");
	CHECK_EQ(req->profile_len, 7);
	CHECK(!memcmp(req->profile, "profile", 7));
	CHECK_EQ(req->label_nr, 3);
	CHECK_STR(req->label[0].name, "old");
	CHECK_STR(req->label[0].value, "new value");
	CHECK_STR(req->label[1].name, "kept");
	CHECK_STR(req->label[2].name, "instance");
	CHECK_STR(req->label[2].value, "i-1");
	cprof_service_request_destroy(req);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&body);
	cprof_buffer_finish(&b);
}

/* Lengths on both sides of where a varint needs another byte. */
void test_messages__an_update_holds_what_we_do_not_know(void)
{
	static const size_t size[] = { 0, 1, 50, 100, 127, 128, 129, 16300,
		16400, 3 << 20 };
	static uint8_t profile[3 << 20];

	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		struct cprof_buffer b = reply(NAME, 2, 10, 0);
		struct cprof_buffer body = WIRE_INIT, want = WIRE_INIT;
		struct cprof_assignment a;

		wire_text(&b, 1234, "from the future");
		assign(&b, &a);
		CHECK_EQ(cprof_encode_update_request(
				 &a, NULL, 0, profile, size[i], &body, NULL),
			0);
		if (size[i])
			wire_bytes(&b, 5, profile, size[i]);
		wire_part(&want, 1, &b);
		CHECK_EQ(body.len, want.len);
		CHECK(!memcmp(body.data, want.data, want.len));
		cprof_assignment_finish(&a);
		cprof_buffer_finish(&body);
		cprof_buffer_finish(&want);
	}
}

void test_messages__an_update_that_does_not_fit_leaves_nothing(void)
{
	static const uint8_t profile[1000];
	struct cprof_buffer b = reply(NAME, 2, 10, 0);
	struct cprof_buffer body = { .max_bytes = 1000 };
	struct cprof_assignment a;

	assign(&b, &a);
	CHECK_EQ(cprof_encode_update_request(
			 &a, NULL, 0, profile, 1000, &body, NULL),
		CPROF_ETOOBIG);
	CHECK_EQ(body.len, 0);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&body);
	cprof_buffer_finish(&b);
}

void test_messages__retry_delays_are_clamped(void)
{
	static const struct {
		int64_t seconds, nanos, want_ns;
		int want;
	} row[] = {
		{ 1980, 5, 1980 * CPROF_NS_PER_S + 5, 0 },
		{ 0, 0, 0, 0 },
		{ 3601, 0, CPROF_BACKOFF_MAX_NS, 0 },
		{ INT64_MAX, INT32_MAX, CPROF_BACKOFF_MAX_NS, 0 },
		{ -1, 0, 0, CPROF_EFORMAT },
		{ 0, -1, 0, CPROF_EFORMAT },
		{ INT64_MIN, INT32_MIN, 0, CPROF_EFORMAT },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_buffer b = WIRE_INIT, delay = WIRE_INIT;
		int64_t got_ns = 0;

		wire_number(&delay, 1, (uint64_t)row[i].seconds);
		wire_number(&delay, 2, (uint64_t)row[i].nanos);
		wire_part(&b, 1, &delay);
		CHECK_EQ(cprof_decode_retry_info(b.data, b.len, &got_ns, NULL),
			row[i].want);
		CHECK_EQ(got_ns, row[i].want_ns);
		cprof_buffer_finish(&b);
	}
}

void test_messages__retry_info_without_a_delay_is_refused(void)
{
	static const uint8_t big[CPROF_MAX_TRAILER_BYTES + 1];
	int64_t got_ns = 42;

	CHECK_EQ(
		cprof_decode_retry_info(NULL, 0, &got_ns, NULL), CPROF_EFORMAT);
	CHECK_EQ(cprof_decode_retry_info(
			 (const uint8_t *)"\xff", 1, &got_ns, NULL),
		CPROF_EFORMAT);
	CHECK_EQ(cprof_decode_retry_info(big, sizeof(big), &got_ns, NULL),
		CPROF_EFORMAT);
	CHECK_EQ(got_ns, 42);
}

void test_messages__what_the_service_says_the_agent_understands(void)
{
	struct cprof_buffer b = WIRE_INIT;
	struct cprof_assignment a;
	int64_t got_ns;

	CHECK_EQ(cprof_encode_profile(NAME, CPROF_PROFILE_CPU, 2500000000,
			 &deployment, &b, NULL),
		0);
	assign(&b, &a);
	CHECK_STR(a.name, NAME);
	CHECK_EQ(a.type, CPROF_PROFILE_CPU);
	CHECK_EQ(a.duration_ns, 2500000000);
	cprof_assignment_finish(&a);
	cprof_buffer_finish(&b);

	CHECK_EQ(cprof_encode_retry_info(1500000000, &b, NULL), 0);
	CHECK_EQ(cprof_decode_retry_info(b.data, b.len, &got_ns, NULL), 0);
	CHECK_EQ(got_ns, 1500000000);
	cprof_buffer_finish(&b);
}

/* A CreateProfile request as a client might send it; NULL leaves a part out. */
static struct cprof_buffer client_request(const char *project,
	const char *target, const char *label, const char *value,
	const char *parent)
{
	struct cprof_buffer b = WIRE_INIT, d = WIRE_INIT;

	wire_text(&d, 1, project);
	wire_text(&d, 2, target);
	if (label)
		wire_entry(&d, 3, label, value);
	wire_part(&b, 1, &d);
	wire_number(&b, 2, 1);
	if (parent)
		wire_text(&b, 4, parent);
	return b;
}

void test_messages__wrong_requests_are_refused_by_field(void)
{
	static char long_value[CPROF_MAX_LABEL_BYTES + 2];
	static char long_target[CPROF_MAX_TARGET_BYTES + 2];
	const struct {
		const char *project, *target, *label, *value, *parent, *field;
	} row[] = {
		{ "", "t", NULL, NULL, NULL, "deployment.project_id:" },
		{ "1abcde", "t", NULL, NULL, NULL, "deployment.project_id:" },
		{ "abcde-", "t", NULL, NULL, NULL, "deployment.project_id:" },
		{ "ab/../c", "t", NULL, NULL, NULL, "deployment.project_id:" },
		{ "abcdef", "", NULL, NULL, NULL, "deployment.target:" },
		{ "abcdef", "../x", NULL, NULL, NULL, "deployment.target:" },
		{ "abcdef",
			"a\xff"
			"a",
			NULL, NULL, NULL, "deployment.target:" },
		{ "abcdef", long_target, NULL, NULL, NULL,
			"deployment.target:" },
		{ "abcdef", "t", "Zone", "x", NULL, "deployment.labels:" },
		{ "abcdef", "t", "", "x", NULL, "deployment.labels:" },
		{ "abcdef", "t", "zone", "x\n", NULL, "deployment.labels:" },
		{ "abcdef", "t", "zone", "x\xff", NULL, "deployment.labels:" },
		{ "abcdef", "t", "zone", long_value, NULL,
			"deployment.labels:" },
		{ "abcdef", "t", NULL, NULL, "projects/abcdeg", "parent:" },
		{ "abcdef", "t", NULL, NULL, "abcdef", "parent:" },
	};

	memset(long_value, 'x', sizeof(long_value) - 1);
	memset(long_target, 'x', sizeof(long_target) - 1);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_buffer b =
			client_request(row[i].project, row[i].target,
				row[i].label, row[i].value, row[i].parent);
		struct cprof_service_request *req = NULL;
		struct cprof_error err = { 0 };

		CHECK_EQ(cprof_decode_create_request(b.data, b.len, &req, &err),
			CPROF_EFORMAT);
		CHECK(!strncmp(
			err.message, row[i].field, strlen(row[i].field)));
		CHECK(!req);
		cprof_buffer_finish(&b);
	}
}

void test_messages__right_requests_are_accepted(void)
{
	static const char *const project[] = { "local", "my-project-1",
		"example.com:project" };

	for (size_t i = 0; i < sizeof(project) / sizeof(project[0]); i++) {
		struct cprof_buffer b = client_request(
			project[i], "a.b_c-d", "zone", "gr\xc3\xbcn", NULL);
		struct cprof_service_request *req = decode_create(&b);

		CHECK_STR(req->deployment.project, project[i]);
		CHECK_STR(req->deployment.label[0].value, "gr\xc3\xbcn");
		cprof_service_request_destroy(req);
	}
}

void test_messages__only_known_types_are_wanted_and_once(void)
{
	struct cprof_buffer b = client_request("abcdef", "t", NULL, NULL, NULL);
	struct cprof_service_request *req = NULL;
	struct cprof_error err;

	for (int round = 0; round < 100; round++) {
		for (uint64_t type = 0; type < 20; type++)
			wire_number(&b, 2, type);
	}
	req = decode_create(&b);
	CHECK_EQ(req->wanted_nr, 7);
	cprof_service_request_destroy(req);

	req = NULL;
	wire_number(&b, 4, 1);
	CHECK_EQ(cprof_decode_create_request(b.data, b.len, &req, &err),
		CPROF_EFORMAT);
	CHECK(!req);
	cprof_buffer_finish(&b);
}

void test_messages__too_many_labels_are_refused(void)
{
	struct cprof_service_request *req = NULL;
	struct cprof_error err;

	for (int nr = CPROF_MAX_LABELS; nr <= CPROF_MAX_LABELS + 1; nr++) {
		struct cprof_buffer b = WIRE_INIT, profile = WIRE_INIT;

		wire_text(&profile, 1, NAME);
		for (int i = 0; i < nr; i++) {
			char name[16];

			snprintf(name, sizeof(name), "l%d", i);
			wire_entry(&profile, 6, name, "twice");
			wire_entry(&profile, 6, name, "");
		}
		wire_part(&b, 1, &profile);
		CHECK_EQ(cprof_decode_update_request(b.data, b.len, &req, &err),
			nr > CPROF_MAX_LABELS ? CPROF_EFORMAT : 0);
		cprof_buffer_finish(&b);
	}
	CHECK_EQ(req->label_nr, CPROF_MAX_LABELS);
	CHECK_STR(req->label[0].value, "");
	cprof_service_request_destroy(req);
}

void test_messages__labels_too_long_together_are_refused(void)
{
	static char half[CPROF_MAX_LABELS_BYTES / 2 + 1];
	struct cprof_buffer b = WIRE_INIT, profile = WIRE_INIT;
	struct cprof_service_request *req = NULL;
	struct cprof_error err;

	memset(half, 'x', sizeof(half) - 1);
	wire_text(&profile, 1, NAME);
	wire_entry(&profile, 6, "a", half);
	wire_entry(&profile, 6, "b", half);
	wire_part(&b, 1, &profile);
	CHECK_EQ(cprof_decode_update_request(b.data, b.len, &req, &err),
		CPROF_EFORMAT);
	CHECK(!req);
	cprof_buffer_finish(&b);
}

void test_messages__an_update_without_profile_or_name_is_refused(void)
{
	struct cprof_buffer b = WIRE_INIT, profile = WIRE_INIT;
	struct cprof_service_request *req = NULL;
	struct cprof_error err;

	CHECK_EQ(cprof_decode_update_request(NULL, 0, &req, &err),
		CPROF_EFORMAT);
	CHECK_STR(err.message, "profile: missing");
	wire_text(&profile, 1, "projects/p/profiles/");
	wire_part(&b, 1, &profile);
	CHECK_EQ(cprof_decode_update_request(b.data, b.len, &req, &err),
		CPROF_EFORMAT);
	CHECK(!strncmp(err.message, "profile.name:", 13));
	CHECK(!req);
	cprof_buffer_finish(&b);
}

/* Empty labels take two bytes on the wire each, a struct in memory. */
void test_messages__a_swarm_of_empty_messages_is_stopped(void)
{
	struct cprof_buffer b = WIRE_INIT, d = WIRE_INIT;
	struct cprof_service_request *req = NULL;
	struct cprof_error err;

	for (int i = 0; i < 500000; i++)
		wire_bytes(&d, 3, "", 0);
	wire_part(&b, 1, &d);
	CHECK_EQ(cprof_decode_create_request(b.data, b.len, &req, &err),
		CPROF_ETOOBIG);
	CHECK(!req);
	cprof_buffer_finish(&b);
}

static volatile size_t sink;

/* Touch everything that was handed out, and let it go. */
static void walk(struct cprof_service_request *req)
{
	if (!req)
		return;
	sink += strlen(req->deployment.project);
	sink += strlen(req->deployment.target);
	for (size_t i = 0; i < req->deployment.label_nr; i++)
		sink += strlen(req->deployment.label[i].value);
	for (size_t i = 0; i < req->label_nr; i++)
		sink += strlen(req->label[i].name);
	for (size_t i = 0; i < req->profile_len; i++)
		sink += req->profile[i];
	cprof_service_request_destroy(req);
}

static void decode_all(const uint8_t *data, size_t len)
{
	struct cprof_service_request *create = NULL, *update = NULL;
	struct cprof_assignment a;
	struct cprof_error err;
	int64_t delay_ns = 0;

	cprof_assignment_init(&a);
	if (cprof_decode_assignment(data, len, &a, &err) == 0) {
		CHECK(a.duration_ns >= CPROF_MIN_DURATION_NS);
		CHECK(a.duration_ns <= CPROF_MAX_DURATION_NS);
		CHECK(strlen(a.name) <= CPROF_MAX_NAME_BYTES);
	}
	cprof_assignment_finish(&a);
	cprof_decode_create_request(data, len, &create, &err);
	walk(create);
	cprof_decode_update_request(data, len, &update, &err);
	walk(update);
	cprof_decode_retry_info(data, len, &delay_ns, &err);
	CHECK(delay_ns >= 0 && delay_ns <= CPROF_BACKOFF_MAX_NS);
}

void test_messages__no_mutation_of_a_message_does_harm(void)
{
	struct cprof_buffer seed[4] = { create_request(&deployment), WIRE_INIT,
		WIRE_INIT, WIRE_INIT };
	struct cprof_assignment a;
	uint64_t state = 1;

	CHECK_EQ(cprof_encode_profile(NAME, CPROF_PROFILE_CPU, 2500000000,
			 &deployment, &seed[1], NULL),
		0);
	assign(&seed[1], &a);
	CHECK_EQ(cprof_encode_update_request(&a, deployment.label, 2,
			 (const uint8_t *)"profile", 7, &seed[2], NULL),
		0);
	cprof_assignment_finish(&a);
	CHECK_EQ(cprof_encode_retry_info(1500000000, &seed[3], NULL), 0);

	for (int i = 0; i < 20000; i++) {
		size_t len;
		uint8_t *data = wire_mutate(&seed[i % 4], &state, &len);

		decode_all(data, len);
		free(data);
	}
	for (int i = 0; i < 4; i++)
		cprof_buffer_finish(&seed[i]);
}
