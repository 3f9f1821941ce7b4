#include "agent/link.h"

#include <unistd.h>

#include "check.h"
#include "fake-http.h"
#include "fake-transport.h"
#include "rpc/messages.h"

#define PEM  "-----BEGIN CERTIFICATE-----"
#define OK   "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n\r\n"
#define NO   "HTTP/1.1 404 Not Found\r\nMetadata-Flavor: Google\r\n\r\n"
#define BUSY "HTTP/1.1 429 Too Many Requests\r\nMetadata-Flavor: Google\r\n\r\n"
#define TOKEN(t)                                                               \
	OK "{\"access_token\":\"" t "\",\"expires_in\":3599,"                  \
	   "\"token_type\":\"Bearer\"}"

static const enum cprof_profile_type type = CPROF_PROFILE_CPU;
static atomic_bool stop;
static char roots[] = "/tmp/u-link-XXXXXX";
static char key[] = "/tmp/u-link-XXXXXX";

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	CHECK(f);
	CHECK(fputs(text, f) >= 0);
	CHECK_EQ(fclose(f), 0);
}

static struct cprof_link_options options(void)
{
	int fd = mkstemp(roots);

	CHECK(fd >= 0);
	close(fd);
	write_file(roots, PEM);
	return (struct cprof_link_options){
		.profiler = {
			.transport = &fake_transport_table,
			.channel = { .target = "host:443",
				.security = CPROF_SECURITY_TLS },
			.deployment = { .project = "p-1", .target = "web" },
			.api_client = "c",
			.instance = "i-1",
		},
		.root = { roots },
		.root_nr = 1,
	};
}

static struct cprof_link *open_link(const struct cprof_link_options *opts)
{
	struct cprof_link *l = NULL;

	CHECK_EQ(cprof_link_create(opts, &stop, &l, NULL), 0);
	return l;
}

static void close_link(struct cprof_link *l)
{
	cprof_link_disconnect(l);
	CHECK_EQ(fake_transport.channels, 0);
	cprof_link_destroy(l);
	cprof_buffer_finish(&fake_transport.body);
	unlink(roots);
}

static int create(struct cprof_link *l, int status, struct cprof_error *err)
{
	struct cprof_assignment a;
	int64_t retry_ns;
	int r;

	fake_transport.reply = (struct cprof_reply){ .status = status };
	cprof_assignment_init(&a);
	r = cprof_link_create_profile(l, &type, 1, &a, &retry_ns, err);
	cprof_assignment_finish(&a);
	return r;
}

static struct cprof_service_request *sent(void)
{
	struct cprof_service_request *req = NULL;

	CHECK_EQ(cprof_decode_create_request(fake_transport.body.data,
			 fake_transport.body.len, &req, NULL),
		0);
	return req;
}

void test_link__what_nobody_told_comes_from_the_metadata_server(void)
{
	const struct fake_answer answer[] = { { OK "p-9", FAKE_CLOSE, 0 },
		{ OK "projects/1/zones/europe-west1-b", FAKE_CLOSE, 0 },
		{ NO, FAKE_CLOSE, 0 } };
	struct cprof_link_options opts = options();
	struct cprof_service_request *req;
	struct fake_http server;
	struct cprof_link *l;

	fake_http_start(&server, AF_INET, answer, 3, NULL);
	opts.metadata_host = server.address.text;
	opts.profiler.deployment.project = NULL;
	opts.profiler.instance = NULL;
	opts.zone_wanted = true;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	req = sent();
	CHECK_STR(req->deployment.project, "p-9");
	CHECK_EQ(req->deployment.label_nr, 1);
	CHECK_STR(req->deployment.label[0].name, "zone");
	CHECK_STR(req->deployment.label[0].value, "europe-west1-b");
	cprof_service_request_destroy(req);
	/* Once: they do not change while we live. */
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_EQ(atomic_load(&server.calls), 3);
	close_link(l);
	fake_http_stop(&server);
}

void test_link__without_a_project_there_is_nothing_to_ask_for(void)
{
	struct cprof_link_options opts = options();
	struct cprof_http_address nobody;
	int fd = fake_bind(&nobody, AF_INET);
	struct cprof_error err;
	struct cprof_link *l;

	opts.metadata_host = nobody.text;
	opts.profiler.deployment.project = NULL;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, &err), CPROF_EUNAVAILABLE);
	CHECK_EQ(fake_transport.calls, 0);
	close_link(l);
	close(fd);
}

void test_link__labels_can_be_done_without(void)
{
	struct cprof_link_options opts = options();
	struct cprof_http_address nobody;
	int fd = fake_bind(&nobody, AF_INET);
	struct cprof_link *l;

	opts.metadata_host = nobody.text;
	opts.profiler.instance = NULL;
	opts.zone_wanted = true;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	close_link(l);
	close(fd);
}

void test_link__a_label_that_was_missed_comes_with_the_next_connection(void)
{
	const struct fake_answer answer[] = { { BUSY, FAKE_CLOSE, 0 },
		{ BUSY, FAKE_CLOSE, 0 },
		{ OK "projects/1/zones/europe-west1-b", FAKE_CLOSE, 0 },
		{ TOKEN("one"), FAKE_CLOSE, 0 } };
	struct cprof_link_options opts = options();
	struct cprof_service_request *req;
	struct fake_http server;
	struct cprof_error err;
	struct cprof_link *l;

	fake_http_start(&server, AF_INET, answer, 4, NULL);
	opts.metadata_host = server.address.text;
	opts.token = CPROF_LINK_METADATA_TOKEN;
	opts.zone_wanted = true;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, &err), CPROF_EUNAVAILABLE);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	req = sent();
	CHECK_EQ(req->deployment.label_nr, 1);
	CHECK_STR(req->deployment.label[0].value, "europe-west1-b");
	cprof_service_request_destroy(req);
	/* Now all is known. */
	CHECK_EQ(create(l, 14, &err), CPROF_EUNAVAILABLE);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_EQ(atomic_load(&server.calls), 4);
	close_link(l);
	fake_http_stop(&server);
}

/* At once and without a word: tokens may be taken back early. */
void test_link__a_refused_token_is_replaced(void)
{
	const struct fake_answer answer[] = { { TOKEN("one"), FAKE_CLOSE, 0 },
		{ TOKEN("two"), FAKE_CLOSE, 0 },
		{ TOKEN("three"), FAKE_CLOSE, 0 } };
	struct cprof_link_options opts = options();
	struct fake_http server;
	struct cprof_error err;
	struct cprof_link *l;

	fake_http_start(&server, AF_INET, answer, 3, NULL);
	opts.metadata_host = server.address.text;
	opts.token = CPROF_LINK_METADATA_TOKEN;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK(strstr(fake_transport.headers, "authorization: Bearer one\n"));
	fake_transport.refuse = 1;
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK(strstr(fake_transport.headers, "authorization: Bearer two\n"));
	/* But it is not asked for ever. */
	fake_transport.refuse = 9;
	CHECK_EQ(create(l, 10, &err), CPROF_EAUTH);
	CHECK_EQ(fake_transport.refuse, 7);
	CHECK_EQ(atomic_load(&server.calls), 3);
	close_link(l);
	fake_http_stop(&server);
}

static const char *write_token(const char *text)
{
	static char path[] = "/tmp/u-link-XXXXXX";

	if (path[strlen(path) - 1] == 'X')
		close(mkstemp(path));
	write_file(path, text);
	return path;
}

#define ONE "one-0123456789abcdef"
#define TWO "two-0123456789abcdef"

void test_link__a_token_in_a_file_is_read_for_each_call(void)
{
	struct cprof_link_options opts = options();
	struct cprof_error err;
	struct cprof_link *l;

	opts.token = CPROF_LINK_FILE_TOKEN;
	opts.token_path = write_token(ONE "\n");
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK(strstr(
		fake_transport.headers, "authorization: Bearer " ONE "\n"));
	/* Refused: there is no other one to try at once. */
	fake_transport.calls = 0;
	CHECK_EQ(create(l, 16, &err), CPROF_EAUTH);
	CHECK_EQ(fake_transport.calls, 1);
	write_token(TWO);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK(strstr(
		fake_transport.headers, "authorization: Bearer " TWO "\n"));
	write_token("short");
	CHECK_EQ(create(l, 10, &err), CPROF_EAUTH);
	CHECK(strstr(err.message, "cannot read a token"));
	unlink(opts.token_path);
	CHECK_EQ(create(l, 10, &err), CPROF_EAUTH);
	CHECK(strstr(err.message, opts.token_path));
	close_link(l);
}

/* Plaintext is for this machine only, and a service of one's own may be here.
 */
void test_link__only_a_token_in_a_file_is_sent_in_plaintext(void)
{
	static const enum cprof_link_token googles[] = {
		CPROF_LINK_METADATA_TOKEN, CPROF_LINK_GIVEN_TOKEN
	};
	struct cprof_link_options opts = options();
	struct cprof_link *l = NULL;

	opts.profiler.channel.security = CPROF_SECURITY_PLAINTEXT;
	for (size_t i = 0; i < 2; i++) {
		struct cprof_error err;

		opts.token = googles[i];
		CHECK_EQ(cprof_link_create(&opts, &stop, &l, &err),
			CPROF_EINVAL);
		CHECK(strstr(err.message, "over TLS only"));
		CHECK(!l);
	}
	opts.token = CPROF_LINK_FILE_TOKEN;
	opts.token_path = write_token(ONE);
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK(strstr(
		fake_transport.headers, "authorization: Bearer " ONE "\n"));
	unlink(opts.token_path);
	close_link(l);
}

void test_link__a_rotated_key_file_is_read_again(void)
{
	struct cprof_link_options opts = options();
	int fd = mkstemp(key);
	struct cprof_link *l;

	CHECK(fd >= 0);
	close(fd);
	write_file(key, "one");
	opts.key_path = key;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_STR(fake_transport.key, "one");
	CHECK_EQ(fake_transport.made, 1);
	write_file(key, "another");
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_STR(fake_transport.key, "another");
	CHECK_EQ(fake_transport.made, 2);
	unlink(key);
	close_link(l);
}

void test_link__after_a_failure_all_is_found_anew(void)
{
	struct cprof_link_options opts = options();
	struct cprof_error err;
	struct cprof_link *l;

	l = open_link(&opts);
	CHECK_EQ(create(l, 14, NULL), CPROF_EUNAVAILABLE);
	CHECK_STR(fake_transport.roots, PEM "\n");
	write_file(roots, PEM "2");
	CHECK_EQ(create(l, 10, NULL), CPROF_EABORTED);
	CHECK_STR(fake_transport.roots, PEM "2\n");
	CHECK_EQ(fake_transport.made, 2);

	CHECK_EQ(create(l, 14, NULL), CPROF_EUNAVAILABLE);
	write_file(roots, "");
	CHECK_EQ(create(l, 10, &err), CPROF_EAUTH);
	CHECK(strstr(err.message, "no CA certificates found"));
	CHECK_EQ(fake_transport.made, 2);
	close_link(l);
}

void test_link__a_metadata_server_that_hangs_does_not_delay_a_stop(void)
{
	const struct fake_answer answer[] = { { "", FAKE_HOLD, 0 } };
	struct cprof_link_options opts = options();
	struct fake_http server;
	struct cprof_link *l;
	int64_t begin_ns = cprof_now_ns();

	fake_http_start(&server, AF_INET, answer, 1, &stop);
	opts.metadata_host = server.address.text;
	opts.profiler.deployment.project = NULL;
	l = open_link(&opts);
	CHECK_EQ(create(l, 10, NULL), CPROF_ECANCELED);
	CHECK(cprof_now_ns() - begin_ns < CPROF_NS_PER_S * 4);
	close_link(l);
	fake_http_stop(&server);
}

void test_link__an_address_that_is_none_is_refused(void)
{
	struct cprof_link_options opts = options();
	struct cprof_link *l = NULL;
	struct cprof_error err;

	opts.metadata_host = "metadata.example.test";
	CHECK_EQ(cprof_link_create(&opts, &stop, &l, &err), CPROF_EINVAL);
	CHECK(!l);
	unlink(roots);
}
