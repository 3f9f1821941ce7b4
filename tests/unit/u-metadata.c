#include "google/metadata.h"

#include "base/limits.h"
#include "fake-http.h"

#define GOOD   "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n"
#define FAILED "\r\nMetadata-Flavor: Google\r\n\r\nhush-hush"

typedef int getter(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err);

static int instance_id(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err)
{
	return cprof_metadata_get(
		from, "instance/id", ret, size, deadline_ns, stop, err);
}

/* What `get` makes of this answer; "untouched" when it fails. */
static int get(getter *get, const char *text, size_t len, size_t size,
	char ret[64], struct cprof_error *err)
{
	struct fake_answer a = { text, FAKE_CLOSE, len };
	struct fake_http f;
	int r;

	strncpy(ret, "untouched", 64);
	fake_http_start(&f, AF_INET, &a, 1, NULL);
	r = get(&f.address, ret, size, cprof_now_ns() + LONG_NS, NULL, err);
	fake_http_stop(&f);
	CHECK(strstr(f.request, "\r\nMetadata-Flavor: Google\r\n"));
	if (r < 0) {
		CHECK_STR(ret, "untouched");
		CHECK(!strstr(err->message, "hush"));
	}
	return r;
}

static void check_value(getter *g, const char *text, const char *want)
{
	char value[64];

	CHECK_EQ(get(g, text, 0, sizeof(value), value, NULL), 0);
	CHECK_STR(value, want);
}

static void check_refused(
	getter *g, const char *text, enum cprof_code code, const char *words)
{
	struct cprof_error err = { 0 };
	char value[64];

	CHECK_EQ(get(g, text, 0, sizeof(value), value, &err), code);
	if (!strstr(err.message, words))
		CHECK_STR(err.message, words);
}

void test_metadata__addresses_are_understood(void)
{
	static const struct {
		const char *host, *want;
	} row[] = {
		{ NULL, "169.254.169.254:80" },
		{ "", "169.254.169.254:80" },
		{ "metadata", "169.254.169.254:80" },
		{ "metadata.google.internal", "169.254.169.254:80" },
		{ "Metadata.Google.Internal.:8080", "169.254.169.254:8080" },
		{ "localhost", "127.0.0.1:80" },
		{ "localhost:65535", "127.0.0.1:65535" },
		{ "10.0.0.1", "10.0.0.1:80" },
		{ "10.0.0.1:1", "10.0.0.1:1" },
		{ "[::1]", "[::1]:80" },
		{ "[fd20:ce::254]:8080", "[fd20:ce::254]:8080" },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_http_address a;

		CHECK_EQ(cprof_metadata_address(row[i].host, &a, NULL), 0);
		CHECK_STR(a.text, row[i].want);
		if (a.text[0] == '[') {
			CHECK_EQ(a.any.sa_family, AF_INET6);
			CHECK_EQ(a.len, sizeof(a.six));
		} else {
			CHECK_EQ(a.any.sa_family, AF_INET);
			CHECK_EQ(a.len, sizeof(a.four));
		}
	}
}

void test_metadata__other_addresses_are_refused(void)
{
	static const char *const host[] = { "example.com", "localhost.",
		"metadata.", "127.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:4294967376", "127.0.0.1:8o",
		"127.0.0.1:-1", "127.0.0.1: 80", "127.0.0.1/", ":80", "::1",
		"::1:80", "[::1", "[::1]80", "[127.0.0.1]", "[localhost]", "[]",
		"[::1%lo]", "http://127.0.0.1", "a@127.0.0.1", " 127.0.0.1",
		"127.0.0.1 ",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000" };

	for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++) {
		struct cprof_http_address a = { .text = "untouched" };
		struct cprof_error err;

		CHECK_EQ(cprof_metadata_address(host[i], &a, &err),
			CPROF_EINVAL);
		CHECK_STR(a.text, "untouched");
		CHECK(strstr(err.message, "must be an address"));
		CHECK(strstr(err.message, host[i]));
	}
}

void test_metadata__a_request_is_for_the_key(void)
{
	static const struct {
		getter *get;
		const char *path;
	} row[] = {
		{ instance_id, "instance/id" },
		{ cprof_metadata_project, "project/project-id" },
		{ cprof_metadata_zone, "instance/zone" },
		{ cprof_metadata_instance, "instance/name" },
	};
	static const struct fake_answer a = { GOOD "value", FAKE_CLOSE, 0 };

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		char value[64], want[64];
		struct fake_http f;

		fake_http_start(&f, AF_INET, &a, 1, NULL);
		CHECK_EQ(row[i].get(&f.address, value, sizeof(value),
				 cprof_now_ns() + LONG_NS, NULL, NULL),
			0);
		fake_http_stop(&f);
		CHECK_STR(value, "value");
		snprintf(want, sizeof(want),
			"GET /computeMetadata/v1/%s HTTP/1.0\r\n", row[i].path);
		CHECK(!strncmp(f.request, want, strlen(want)));
	}
}

void test_metadata__blanks_around_a_value_are_no_part_of_it(void)
{
	check_value(instance_id, GOOD "123", "123");
	check_value(instance_id, GOOD "\r\n\t 1 2 3 \v\f\n\n", "1 2 3");
}

void test_metadata__other_values_are_refused(void)
{
	check_refused(instance_id, GOOD "", CPROF_EFORMAT, "nothing for");
	check_refused(instance_id, GOOD " \r\n", CPROF_EFORMAT, "nothing for");
	check_refused(instance_id, GOOD "hush\nhush", CPROF_EFORMAT,
		"no plain text for 'instance/id'");
	check_refused(instance_id, GOOD "hush\x1b[0m", CPROF_EFORMAT, "plain");
	check_refused(instance_id, GOOD "hush\x7f", CPROF_EFORMAT, "plain");
	check_refused(instance_id, GOOD "hush\xc3\xa9", CPROF_EFORMAT, "plain");
}

void test_metadata__a_nul_does_not_end_a_value(void)
{
	static const char text[] = GOOD "a\0b";
	char value[64];

	CHECK_EQ(get(instance_id, text, sizeof(text) - 1, sizeof(value), value,
			 &(struct cprof_error){ 0 }),
		CPROF_EFORMAT);
}

void test_metadata__a_value_fits_or_is_refused(void)
{
	struct cprof_error err;
	char value[64];

	CHECK_EQ(get(instance_id, GOOD "123\n", 0, 4, value, &err), 0);
	CHECK_STR(value, "123");
	CHECK_EQ(get(instance_id, GOOD "1234\n", 0, 4, value, &err),
		CPROF_ETOOBIG);
	CHECK_STR(err.message,
		"the metadata server has 4 bytes for 'instance/id'");
	CHECK_EQ(
		get(cprof_metadata_zone, GOOD "p/z/123", 0, 4, value, &err), 0);
	CHECK_STR(value, "123");
	CHECK_EQ(get(cprof_metadata_zone, GOOD "p/z/1234", 0, 4, value, &err),
		CPROF_ETOOBIG);
	CHECK_STR(err.message,
		"the metadata server has 4 bytes for 'instance/zone'");
}

void test_metadata__a_flood_is_refused(void)
{
	static const struct fake_answer a[] = { { GOOD, FAKE_FLOOD, 0 } };
	struct fake_http f;
	char value[64];

	fake_http_start(&f, AF_INET, a, 1, NULL);
	CHECK_EQ(instance_id(&f.address, value, sizeof(value),
			 cprof_now_ns() + LONG_NS, NULL, NULL),
		CPROF_ETOOBIG);
	fake_http_stop(&f);
}

void test_metadata__a_zone_is_the_end_of_its_path(void)
{
	check_value(cprof_metadata_zone,
		GOOD "projects/123/zones/us-central1-a\n", "us-central1-a");
	check_value(cprof_metadata_zone, GOOD "us-central1-a", "us-central1-a");
	check_refused(cprof_metadata_zone, GOOD "projects/hush/zones/",
		CPROF_EFORMAT, "nothing for 'instance/zone'");
}

void test_metadata__each_refusal_has_its_code(void)
{
	static const struct {
		const char *text;
		enum cprof_code code;
		const char *words;
	} row[] = {
		{ "HTTP/1.1 404 No" FAILED, CPROF_ENOTFOUND,
			"has no 'instance/id'" },
		{ "HTTP/1.1 404 No\r\n\r\n", CPROF_ENOTFOUND, "has no" },
		{ "HTTP/1.1 429 Slow" FAILED, CPROF_EUNAVAILABLE,
			"is busy: HTTP status 429 for 'instance/id'" },
		{ "HTTP/1.1 500 Oh" FAILED, CPROF_EUNAVAILABLE, "500" },
		{ "HTTP/1.1 503 Oh\r\n\r\n", CPROF_EUNAVAILABLE, "503" },
		{ "HTTP/1.1 302 Hm\r\nLocation: http://hush/" FAILED,
			CPROF_EAUTH, "refuses: HTTP status 302" },
		{ "HTTP/1.1 100 Hm" FAILED, CPROF_EAUTH, "100" },
		{ "HTTP/1.1 204 Hm" FAILED, CPROF_EAUTH, "204" },
		{ "HTTP/1.1 400 Hm" FAILED, CPROF_EAUTH, "400" },
		{ "HTTP/1.1 403 Hm" FAILED, CPROF_EAUTH, "403" },
		{ "HTTP/1.1 302 Hm\r\n\r\n", CPROF_EAUTH, "not Google's" },
		{ "HTTP/1.1 200 OK\r\n\r\nhush", CPROF_EAUTH, "not Google's" },
		{ "HTTP/1.1 200 OK\r\nMetadata-Flavor: Other\r\n\r\nhush",
			CPROF_EAUTH, "not Google's" },
		{ "hush\r\n\r\n", CPROF_EFORMAT, "the metadata server 127." },
		{ "", CPROF_EUNAVAILABLE, "the metadata server 127." },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		check_refused(
			instance_id, row[i].text, row[i].code, row[i].words);
}

void test_metadata__a_stop_is_passed_on(void)
{
	static const struct fake_answer a = { "", FAKE_HOLD, 0 };
	atomic_bool stop = false;
	struct fake_http f;
	char value[64];

	fake_http_start(&f, AF_INET, &a, 1, &stop);
	CHECK_EQ(cprof_metadata_zone(&f.address, value, sizeof(value),
			 INT64_MAX, &stop, NULL),
		CPROF_ECANCELED);
	fake_http_stop(&f);
}
