#include "google/token.h"

#include <malloc.h>

#include "fake-http.h"

/* Longer than the other strings of a reply, which come after it. */
#define SECRET "ya29.test-token-of-some-length-with-a-marker"
#define GOOD   "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n"
#define BUSY   "HTTP/1.1 503 Oh\r\nMetadata-Flavor: Google\r\n\r\n" SECRET
#define LIVES(token, s)                                                        \
	"{\"access_token\":\"" token "\",\"expires_in\":" s                    \
	",\"token_type\":\"Bearer\"}"
#define S CPROF_NS_PER_S

void __real_free(void *p);
void *__real_realloc(void *p, size_t len);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t len);

/* Blocks with a secret in them that were given back. */
static atomic_int leftovers;

static void look(void *p)
{
	if (p && memmem(p, malloc_usable_size(p), "marker", 6))
		leftovers++;
}

void __wrap_free(void *p)
{
	look(p);
	__real_free(p);
}

void *__wrap_realloc(void *p, size_t len)
{
	look(p);
	return __real_realloc(p, len);
}

static bool has_secret(const void *p, size_t len)
{
	return memmem(p, len, "marker", 6) != NULL;
}

static int parse(
	const char *json, struct cprof_token *ret, struct cprof_error *err)
{
	/* Of its own size, for the sanitizer; without a NUL. */
	size_t len = strlen(json);
	char *copy = malloc(len ? len : 1);
	int r;

	CHECK(copy);
	memcpy(copy, json, len);
	r = cprof_token_parse(copy, len, 1000 * S, ret, err);
	explicit_bzero(copy, len);
	free(copy);
	return r;
}

void test_token__a_token_is_read(void)
{
	static const struct {
		const char *json, *header;
		int64_t life_ns;
	} row[] = {
		{ LIVES(SECRET, "3599"), "Bearer " SECRET, 3599 * S },
		{ LIVES("a\\u003d\\/", "1"), "Bearer a=/", S },
		{ " \n" LIVES("a", "60") "\r\n ", "Bearer a", 60 * S },
		{ "{\"token_type\":\"bearer\",\"new\":[{}],"
		  "\"expires_in\":1,\"access_token\":\"a\"}",
			"Bearer a", S },
		/* Numbers from outside. */
		{ LIVES("a", "0"), "Bearer a", 0 },
		{ LIVES("a", "-1"), "Bearer a", 0 },
		{ LIVES("a", "-99999999999999999999"), "Bearer a", 0 },
		{ LIVES("a", "86401"), "Bearer a", 86400 * S },
		{ LIVES("a", "9223372036854775807"), "Bearer a", 86400 * S },
		{ LIVES("a", "99999999999999999999"), "Bearer a", 86400 * S },
	};
	struct cprof_token t;

	leftovers = 0;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		memset(&t, 'x', sizeof(t));
		CHECK_EQ(parse(row[i].json, &t, NULL), 0);
		CHECK_STR(t.header, row[i].header);
		CHECK_EQ(t.fetched_ns, 1000 * S);
		CHECK_EQ(t.expires_ns, 1000 * S + row[i].life_ns);
	}
	CHECK_EQ(leftovers, 0);
}

void test_token__what_is_no_token_is_refused(void)
{
	static const char *const json[] = {
		"",
		" ",
		"null",
		"\"" SECRET "\"",
		"[" LIVES(SECRET, "1") "]",
		SECRET,
		"{\"" SECRET "\"",
		"{}",
		"{\"" SECRET "\":1}",
		"{\"error\":\"" SECRET "\"}",
		"{'access_token':'" SECRET "'}",
		LIVES(SECRET, "1") SECRET,
		LIVES(SECRET, "1") LIVES(SECRET, "1"),
		LIVES(SECRET, "01"),
		LIVES(SECRET, "1,"),
		LIVES(SECRET, "1.5"),
		LIVES(SECRET, "1e3"),
		LIVES(SECRET, "\"3599\""),
		LIVES(SECRET, "null"),
		LIVES(SECRET, "{}"),
		LIVES(SECRET, "\"" SECRET),
		LIVES("", "1"),
		LIVES("marker ", "1"),
		LIVES("marker\\n", "1"),
		LIVES("marker\\u0000", "1"),
		LIVES("marker\\u00e9", "1"),
		LIVES("marker\x7f", "1"),
		LIVES("marker\xff", "1"),
		LIVES("marker\xc3\xa9", "1"),
		LIVES("marker\n", "1"),
		"{\"access_token\":\"" SECRET "\",\"expires_in\":1}",
		"{\"access_token\":\"" SECRET "\",\"token_type\":\"Bearer\"}",
		"{\"expires_in\":1,\"token_type\":\"Bearer\"}",
		"{\"access_token\":\"" SECRET "\",\"expires_in\":1,"
		"\"token_type\":\"" SECRET "\"}",
		"{\"access_token\":[\"" SECRET "\"],\"expires_in\":1,"
		"\"token_type\":\"Bearer\"}",
		"{\"a\":[[[[[[[[[[[[\"" SECRET "\"]]]]]]]]]]]]}",
	};

	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
		struct cprof_token t = { .header = "untouched" };
		struct cprof_error err = { 0 };
		int r = parse(json[i], &t, &err);

		if (r != CPROF_EFORMAT)
			CHECK_STR(json[i], "refused");
		CHECK_STR(t.header, "untouched");
		CHECK(strstr(err.message, "access token"));
		CHECK(!has_secret(&err, sizeof(err)));
	}
}

void test_token__a_nul_does_not_end_the_text(void)
{
	static const char json[] = LIVES(SECRET, "1") "\0 x";
	struct cprof_token t;

	CHECK_EQ(cprof_token_parse(json, sizeof(json) - 1, 0, &t, NULL),
		CPROF_EFORMAT);
}

void test_token__a_long_token_is_refused(void)
{
	static char json[2 * CPROF_MAX_TOKEN_REPLY_BYTES];
	struct cprof_token t;

	snprintf(json, sizeof(json), LIVES("%0*d", "1"), CPROF_MAX_TOKEN_BYTES,
		0);
	CHECK_EQ(parse(json, &t, NULL), 0);
	CHECK_EQ(strlen(t.header), strlen("Bearer ") + CPROF_MAX_TOKEN_BYTES);
	snprintf(json, sizeof(json), LIVES("%0*d", "1"),
		CPROF_MAX_TOKEN_BYTES + 1, 0);
	CHECK_EQ(parse(json, &t, NULL), CPROF_ETOOBIG);
	snprintf(json, sizeof(json), LIVES("a", "1") "%*s",
		CPROF_MAX_TOKEN_REPLY_BYTES, "");
	CHECK_EQ(parse(json, &t, NULL), CPROF_ETOOBIG);
}

/* A source with a server that gives these answers. */
struct pair {
	struct fake_http f;
	struct cprof_token_source s;
	struct cprof_error err;
	atomic_bool stop;
	const char *header;
};

static void pair_open(struct pair *p, const struct fake_answer *a, int nr)
{
	leftovers = 0;
	*p = (struct pair){ .header = "untouched" };
	fake_http_start(&p->f, AF_INET, a, nr, NULL);
	cprof_token_source_init(&p->s, &p->f.address);
}

static void pair_close(struct pair *p)
{
	fake_http_stop(&p->f);
	cprof_token_source_finish(&p->s);
	CHECK(!has_secret(&p->s, sizeof(p->s)));
	CHECK(!has_secret(&p->err, sizeof(p->err)));
}

static int get(struct pair *p, int64_t now_ns)
{
	return cprof_token_get(&p->s, now_ns, &p->header, &p->stop, &p->err);
}

static void check_get(
	struct pair *p, int64_t now_ns, const char *want, int calls)
{
	CHECK_EQ(get(p, now_ns), 0);
	CHECK_STR(p->header, want);
	CHECK_EQ(p->f.calls, calls);
	CHECK(!p->err.code);
}

void test_token__a_token_is_kept_until_shortly_before_its_end(void)
{
	static const struct fake_answer a[] = {
		{ GOOD LIVES(SECRET "1", "3600"), FAKE_CLOSE, 0 },
		{ GOOD LIVES(SECRET "2", "100"), FAKE_CLOSE, 0 },
		{ GOOD LIVES(SECRET "3", "3600"), FAKE_CLOSE, 0 },
	};
	struct pair p;

	pair_open(&p, a, 3);
	check_get(&p, 50 * S, "Bearer " SECRET "1", 1);
	check_get(&p, 3350 * S - 1, "Bearer " SECRET "1", 1);
	check_get(&p, 3350 * S, "Bearer " SECRET "2", 2);
	/* It lives for less than 10 minutes: half of that. */
	check_get(&p, 3400 * S - 1, "Bearer " SECRET "2", 2);
	check_get(&p, 3400 * S, "Bearer " SECRET "3", 3);
	pair_close(&p);
	CHECK(!strncmp(p.f.request,
		"GET /computeMetadata/v1/instance/service-accounts/default/"
		"token HTTP/1.0\r\n",
		74));
	CHECK_EQ(leftovers, 0);
}

void test_token__an_old_token_serves_on_while_the_server_is_away(void)
{
	static const struct fake_answer a[] = {
		{ GOOD LIVES(SECRET "1", "3600"), FAKE_CLOSE, 0 },
		{ BUSY, FAKE_CLOSE, 0 },
		{ SECRET, FAKE_CLOSE, 0 },
		{ GOOD SECRET, FAKE_CLOSE, 0 },
		{ GOOD LIVES(SECRET "4", "0"), FAKE_CLOSE, 0 },
		{ BUSY, FAKE_CLOSE, 0 },
		{ GOOD LIVES(SECRET "6", "3600"), FAKE_CLOSE, 0 },
	};
	struct pair p;

	pair_open(&p, a, 7);
	check_get(&p, 0, "Bearer " SECRET "1", 1);
	check_get(&p, 3400 * S, "Bearer " SECRET "1", 2);
	check_get(&p, 3500 * S, "Bearer " SECRET "1", 3);
	check_get(&p, 3500 * S, "Bearer " SECRET "1", 4);
	check_get(&p, 3600 * S - 1, "Bearer " SECRET "1", 5);
	CHECK_EQ(get(&p, 3600 * S), CPROF_EUNAVAILABLE);
	CHECK_EQ(p.err.code, CPROF_EUNAVAILABLE);
	CHECK(!has_secret(&p, sizeof(p)));
	p.err = (struct cprof_error){ 0 };
	check_get(&p, 3600 * S, "Bearer " SECRET "6", 7);
	pair_close(&p);
}

void test_token__a_token_that_is_dropped_is_gone(void)
{
	static const struct fake_answer a[] = {
		{ GOOD LIVES(SECRET "1", "3600"), FAKE_CLOSE, 0 },
		{ GOOD LIVES(SECRET "2", "3600"), FAKE_CLOSE, 0 },
	};
	struct pair p;

	pair_open(&p, a, 2);
	check_get(&p, 0, "Bearer " SECRET "1", 1);
	cprof_token_drop(&p.s);
	CHECK(!has_secret(&p.s, sizeof(p.s)));
	check_get(&p, 0, "Bearer " SECRET "2", 2);
	pair_close(&p);
}

void test_token__without_a_token_each_failure_has_its_code(void)
{
	static const struct {
		const char *text;
		enum cprof_code code;
	} row[] = {
		{ BUSY, CPROF_EUNAVAILABLE },
		{ "HTTP/1.1 404 No\r\n\r\n" SECRET, CPROF_ENOTFOUND },
		{ "HTTP/1.1 403 No\r\nMetadata-Flavor: Google\r\n\r\n" SECRET,
			CPROF_EAUTH },
		{ "HTTP/1.1 200 OK\r\n\r\n" LIVES(SECRET, "1"), CPROF_EAUTH },
		{ "HTTP/1.1 200 OK\r\n" SECRET "\r\n\r\n", CPROF_EFORMAT },
		{ GOOD SECRET, CPROF_EFORMAT },
		{ GOOD LIVES(SECRET, "0"), CPROF_EUNAVAILABLE },
		{ GOOD "{\"access_token\":\"" SECRET, CPROF_EFORMAT },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fake_answer a = { row[i].text, FAKE_CLOSE, 0 };
		struct pair p;

		pair_open(&p, &a, 1);
		CHECK_EQ(get(&p, 0), row[i].code);
		CHECK_EQ(p.err.code, row[i].code);
		CHECK_STR(p.header, "untouched");
		CHECK(!p.s.token.header[0]);
		pair_close(&p);
	}
}

void test_token__megabytes_are_refused(void)
{
	static const struct fake_answer a = { GOOD SECRET, FAKE_FLOOD, 0 };
	struct pair p;

	pair_open(&p, &a, 1);
	CHECK_EQ(get(&p, 0), CPROF_ETOOBIG);
	pair_close(&p);
	CHECK_EQ(leftovers, 0);
}

void test_token__a_stop_is_no_failure_to_go_on_after(void)
{
	static const struct fake_answer a[] = {
		{ GOOD LIVES(SECRET "1", "3600"), FAKE_CLOSE, 0 },
		{ "", FAKE_HOLD, 0 },
	};
	struct pair p;

	pair_open(&p, a, 2);
	check_get(&p, 0, "Bearer " SECRET "1", 1);
	p.stop = true;
	CHECK_EQ(get(&p, 3500 * S), CPROF_ECANCELED);
	CHECK_STR(p.s.token.header, "Bearer " SECRET "1");
	p.err = (struct cprof_error){ 0 };
	pair_close(&p);
}
