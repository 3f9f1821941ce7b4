#include "google/http.h"

#include "base/limits.h"
#include "descriptors.h"
#include "fake-http.h"

#define OK     "HTTP/1.0 200 OK\r\n"
#define GOOGLE "Metadata-Flavor: Google\r\n"
#define MAX    100
#define SECRET "hush-hush"

/* One question to a server that answers so. */
static int ask_for_ns(const struct fake_answer *a, int64_t ns,
	struct cprof_http_reply *reply, struct cprof_error *err)
{
	struct fake_http f;
	struct cprof_http_request req = { .to = &f.address,
		.who = "the test's server",
		.path = "/a/path",
		.max_body_bytes = MAX,
		.deadline_ns = cprof_now_ns() + ns };
	int before = open_fds(), r;

	*reply = (struct cprof_http_reply){ 0 };
	*err = (struct cprof_error){ 0 };
	fake_http_start(&f, AF_INET, a, 1, NULL);
	r = cprof_http_get(&req, reply, err);
	fake_http_stop(&f);
	CHECK_EQ(open_fds(), before);
	if (r < 0) {
		CHECK(!reply->raw.data);
		CHECK_EQ(err->code, r);
		CHECK(strstr(err->message, f.address.text));
		CHECK(!strstr(err->message, SECRET));
	} else {
		CHECK(!err->code);
		CHECK(!strncmp(f.request, "GET /a/path HTTP/1.0\r\n", 22));
	}
	return r;
}

static int ask(const char *text, enum fake_manner manner,
	struct cprof_http_reply *reply, struct cprof_error *err)
{
	struct fake_answer a = { text, manner, 0 };

	return ask_for_ns(&a, LONG_NS, reply, err);
}

static void check_reply(struct cprof_http_reply *r, int status, bool is_google,
	const char *body)
{
	CHECK_EQ(r->status, status);
	CHECK_EQ(r->is_google, is_google);
	CHECK_STR(r->body, body);
	CHECK_EQ(r->body_len, strlen(body));
	cprof_http_reply_finish(r);
	CHECK(!r->raw.data && !r->body);
}

static void check_refused(const char *text, enum fake_manner manner,
	enum cprof_code code, const char *words)
{
	struct cprof_http_reply reply;
	struct cprof_error err;

	CHECK_EQ(ask(text, manner, &reply, &err), code);
	if (!strstr(err.message, words))
		CHECK_STR(err.message, words);
}

void test_http__answers_are_read(void)
{
	static const struct {
		const char *text;
		int status;
		bool is_google;
		const char *body;
	} row[] = {
		{ OK GOOGLE "\r\nvalue", 200, true, "value" },
		{ OK "\r\nvalue", 200, false, "value" },
		{ OK "\r\n", 200, false, "" },
		{ "HTTP/1.1 200\r\n\r\nv", 200, false, "v" },
		{ OK "metadata-flavor:\t google \r\n\r\n", 200, true, "" },
		{ OK "Metadata-Flavor: Googles\r\n\r\n", 200, false, "" },
		{ OK "X-Metadata-Flavor: Google\r\n\r\n", 200, false, "" },
		{ OK "Content-Length: 3\r\n\r\nvalue", 200, false, "val" },
		{ OK "content-length:0\r\n\r\nvalue", 200, false, "" },
		{ OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nv", 200,
			false, "v" },
		/* Others have no body for us, however long it is. */
		{ "HTTP/1.1 404 Not Found\r\n" GOOGLE
		  "Content-Length: 99999\r\n\r\nno",
			404, true, "" },
		{ "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", 302,
			false, "" },
		{ "HTTP/1.1 999 Whatever\r\n\r\n", 999, false, "" },
	};
	static const enum fake_manner manner[] = { FAKE_CLOSE, FAKE_DRIP };
	struct cprof_http_reply reply;
	struct cprof_error err;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		for (size_t j = 0; j < 2; j++) {
			CHECK_EQ(ask(row[i].text, manner[j], &reply, &err), 0);
			check_reply(&reply, row[i].status, row[i].is_google,
				row[i].body);
		}
}

void test_http__a_known_length_needs_no_end(void)
{
	struct cprof_http_reply reply;
	struct cprof_error err;

	CHECK_EQ(ask(OK "Content-Length: 5\r\n\r\nvalue", FAKE_HOLD, &reply,
			 &err),
		0);
	check_reply(&reply, 200, false, "value");
	CHECK_EQ(ask("HTTP/1.1 500 Oh\r\n\r\n", FAKE_HOLD, &reply, &err), 0);
	check_reply(&reply, 500, false, "");
}

void test_http__a_body_may_have_nul_bytes(void)
{
	static const char text[] = OK "\r\na\0b";
	struct fake_answer a = { text, FAKE_CLOSE, sizeof(text) - 1 };
	struct cprof_http_reply reply;
	struct cprof_error err;

	CHECK_EQ(ask_for_ns(&a, LONG_NS, &reply, &err), 0);
	CHECK_EQ(reply.body_len, 3);
	CHECK(!memcmp(reply.body, "a\0b", 4));
	cprof_http_reply_finish(&reply);
}

void test_http__what_is_no_http_is_refused(void)
{
	static const char *const text[] = {
		"\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n\r\n",
		SECRET "\r\n\r\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1  200\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 -20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		OK SECRET "\r\n\r\n",
		OK ": " SECRET "\r\n\r\n",
		OK GOOGLE " folded: " SECRET "\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		check_refused(text[i], FAKE_HOLD, CPROF_EFORMAT, "in HTTP");
	check_refused(OK "A: b\n" SECRET "\r\n\r\n", FAKE_HOLD, CPROF_EFORMAT,
		"control characters");
	check_refused(OK "A: b\r" SECRET "\r\n\r\n", FAKE_HOLD, CPROF_EFORMAT,
		"control characters");
}

void test_http__chunks_are_refused(void)
{
	check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "9\r\n" SECRET "\r\n0\r\n\r\n",
		FAKE_CLOSE, CPROF_EFORMAT, "in chunks");
}

void test_http__bad_lengths_are_refused(void)
{
	static const char *const text[] = {
		OK "Content-Length: \r\n\r\n",
		OK "Content-Length: -1\r\n\r\n",
		OK "Content-Length: 0x10\r\n\r\n",
		OK "Content-Length: 1 2\r\n\r\n",
		OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n" SECRET,
	};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		check_refused(text[i], FAKE_HOLD, CPROF_EFORMAT, "how long");
}

void test_http__long_answers_are_refused(void)
{
	static const char *const length[] = { "101", "18446744073709551616",
		"99999999999999999999999999999999999999999" };
	char text[4 * MAX];

	for (size_t i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
		snprintf(text, sizeof(text), OK "Content-Length: %s\r\n\r\n",
			length[i]);
		check_refused(text, FAKE_HOLD, CPROF_ETOOBIG, "longer answer");
	}
	snprintf(text, sizeof(text), OK "Content-Length: 101\r\n\r\n%0101d", 0);
	check_refused(text, FAKE_CLOSE, CPROF_ETOOBIG, "longer answer");
	snprintf(text, sizeof(text), OK "\r\n%0101d", 0);
	check_refused(text, FAKE_HOLD, CPROF_ETOOBIG, "longer answer");
	check_refused(text, FAKE_DRIP, CPROF_ETOOBIG, "longer answer");
	/* The next answer is the body of the first. */
	check_refused(text, FAKE_FLOOD, CPROF_ETOOBIG, "longer answer");
}

void test_http__the_longest_answer_fits(void)
{
	struct cprof_http_reply reply;
	struct cprof_error err;
	char text[4 * MAX];

	snprintf(text, sizeof(text), OK "\r\n%0100d", 0);
	CHECK_EQ(ask(text, FAKE_CLOSE, &reply, &err), 0);
	CHECK_EQ(reply.body_len, MAX);
	cprof_http_reply_finish(&reply);
	snprintf(text, sizeof(text), OK "Content-Length: 100\r\n\r\n%0100d", 0);
	CHECK_EQ(ask(text, FAKE_HOLD, &reply, &err), 0);
	CHECK_EQ(reply.body_len, MAX);
	cprof_http_reply_finish(&reply);
}

void test_http__long_heads_are_refused(void)
{
	static char text[CPROF_MAX_HEAD_BYTES + 64];
	int fill = CPROF_MAX_HEAD_BYTES - (int)strlen(OK "A: \r\n\r\n");
	struct cprof_http_reply reply;
	struct cprof_error err;

	check_refused("x", FAKE_FLOOD, CPROF_ETOOBIG, "more headers");
	check_refused(OK GOOGLE, FAKE_FLOOD, CPROF_ETOOBIG, "more headers");
	snprintf(text, sizeof(text), OK "A: %0*d\r\n\r\nv", fill + 1, 0);
	check_refused(text, FAKE_CLOSE, CPROF_ETOOBIG, "more headers");
	snprintf(text, sizeof(text), OK "A: %0*d\r\n\r\nv", fill, 0);
	CHECK_EQ(ask(text, FAKE_CLOSE, &reply, &err), 0);
	check_reply(&reply, 200, false, "v");
}

void test_http__an_early_end_is_told(void)
{
	check_refused("", FAKE_CLOSE, CPROF_EUNAVAILABLE, "before it answered");
	check_refused(OK GOOGLE, FAKE_CLOSE, CPROF_EUNAVAILABLE,
		"before it answered");
	check_refused(OK "Content-Length: 6\r\n\r\nvalue", FAKE_CLOSE,
		CPROF_EUNAVAILABLE, "in the middle");
}

void test_http__silence_ends_at_the_deadline(void)
{
	static const struct fake_answer silent = { "", FAKE_HOLD, 0 },
					half = { OK "\r\nval", FAKE_HOLD, 0 };
	struct cprof_http_reply reply;
	struct cprof_error err;

	CHECK_EQ(ask_for_ns(&silent, 100 * CPROF_NS_PER_MS, &reply, &err),
		CPROF_EUNAVAILABLE);
	CHECK(!strncmp(
		err.message, "no answer from the test's server 127.", 37));
	CHECK(strstr(err.message, "within 0.1 s"));
	CHECK_EQ(ask_for_ns(&half, 100 * CPROF_NS_PER_MS, &reply, &err),
		CPROF_EUNAVAILABLE);
	CHECK(!strncmp(err.message, "no complete answer from", 23));
	CHECK_EQ(ask_for_ns(&silent, 0, &reply, &err), CPROF_EUNAVAILABLE);
	CHECK_EQ(ask_for_ns(&silent, -LONG_NS, &reply, &err),
		CPROF_EUNAVAILABLE);
}

/* One byte after the other, for ever: the deadline is for all of it. */
void test_http__a_trickle_ends_at_the_deadline(void)
{
	static const struct fake_answer slow = { OK, FAKE_TRICKLE, 0 };
	struct cprof_http_reply reply;
	struct cprof_error err;

	CHECK_EQ(ask_for_ns(&slow, 100 * CPROF_NS_PER_MS, &reply, &err),
		CPROF_EUNAVAILABLE);
	CHECK(!strncmp(err.message, "no complete answer from", 23));
}

void test_http__a_stop_ends_the_wait(void)
{
	static const struct fake_answer answer[] = {
		{ "", FAKE_HOLD, 0 },
		{ OK "\r\nval", FAKE_HOLD, 0 },
	};

	for (int i = 0; i < 2; i++) {
		struct fake_http f;
		atomic_bool stop = false;
		struct cprof_http_request req = { .to = &f.address,
			.who = "it",
			.path = "/",
			.max_body_bytes = MAX,
			.deadline_ns = INT64_MAX,
			.stop = &stop };
		struct cprof_http_reply reply;
		struct cprof_error err;

		fake_http_start(&f, AF_INET, &answer[i], 1, &stop);
		CHECK_EQ(cprof_http_get(&req, &reply, &err), CPROF_ECANCELED);
		CHECK(!strncmp(err.message, "stopped", 7));
		fake_http_stop(&f);
	}
}

void test_http__a_refused_connection_is_told(void)
{
	struct cprof_http_address nobody;
	int fd = fake_bind(&nobody, AF_INET);
	struct cprof_http_request req = { .to = &nobody,
		.who = "it",
		.path = "/",
		.deadline_ns = cprof_now_ns() + LONG_NS };
	struct cprof_http_reply reply;
	struct cprof_error err;
	char want[128];

	CHECK_EQ(cprof_http_get(&req, &reply, &err), CPROF_EUNAVAILABLE);
	snprintf(want, sizeof(want),
		"cannot connect to it %s: Connection refused", nobody.text);
	CHECK_STR(err.message, want);
	CHECK_EQ(cprof_http_get(&req, &reply, NULL), CPROF_EUNAVAILABLE);
	close(fd);
}

void test_http__an_address_may_be_ipv6(void)
{
	static const struct fake_answer answer = { OK "\r\nsix", FAKE_CLOSE,
		0 };
	struct cprof_http_reply reply;
	struct fake_http f;
	struct cprof_http_request req = { .to = &f.address,
		.who = "it",
		.path = "/",
		.max_body_bytes = MAX,
		.deadline_ns = cprof_now_ns() + LONG_NS };
	char want[256];

	fake_http_start(&f, AF_INET6, &answer, 1, NULL);
	CHECK_EQ(cprof_http_get(&req, &reply, NULL), 0);
	fake_http_stop(&f);
	check_reply(&reply, 200, false, "six");
	snprintf(want, sizeof(want),
		"GET / HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n" GOOGLE
		"\r\n",
		f.address.text);
	CHECK_STR(f.request, want);
}

void test_http__a_path_that_is_too_long_is_not_cut(void)
{
	struct cprof_http_address a;
	int fd = fake_bind(&a, AF_INET);
	struct cprof_http_request req = {
		.to = &a, .who = "it", .deadline_ns = cprof_now_ns() + LONG_NS
	};
	struct cprof_http_reply reply;
	char path[600];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	req.path = path;
	CHECK_EQ(listen(fd, 1), 0);
	CHECK_EQ(cprof_http_get(&req, &reply, NULL), CPROF_EINVAL);
	close(fd);
}
