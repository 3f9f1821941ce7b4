#include "transport/transport.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "descriptors.h"

#define LONG_NS (30 * CPROF_NS_PER_S) /* never reached when all is well */
/* Only a cancel ends such a call before the test is given up. */
#define FOREVER_NS (3600 * CPROF_NS_PER_S)
#define MIB	   (1 << 20)

static const struct cprof_transport *transport(void)
{
	static const struct cprof_transport *t;

	if (!t) {
		/* The loudest core must be silent too. */
		setenv("GRPC_VERBOSITY", "DEBUG", 0);
		CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &t, NULL), 0);
		CHECK_EQ(t->start(false, NULL), 0);
	}
	return t;
}

static struct cprof_server *serve_at(const char *address)
{
	struct cprof_server_options opts = { .address = address,
		.max_request_bytes = MIB };
	struct cprof_server *s = NULL;

	CHECK_EQ(transport()->server_create(&opts, &s, NULL), 0);
	return s;
}

static struct cprof_channel *channel_at(const char *target)
{
	struct cprof_channel_options opts = { .target = target,
		.user_agent = "u-transport/1",
		.max_reply_bytes = MIB };
	struct cprof_channel *ch = NULL;

	CHECK_EQ(transport()->channel_create(&opts, &ch, NULL), 0);
	return ch;
}

static struct cprof_channel *channel_to(const struct cprof_server *s)
{
	char target[64];

	snprintf(target, sizeof(target), "127.0.0.1:%d",
		transport()->server_port(s));
	return channel_at(target);
}

/* One call from a thread of its own, while the test is the server. */
struct client {
	pthread_t thread;
	struct cprof_channel *ch;
	struct cprof_call call;
	struct cprof_reply reply;
	int r;
	atomic_bool done;
};

static void *client_main(void *arg)
{
	struct client *c = arg;

	c->r = transport()->call(c->ch, &c->call, &c->reply, NULL);
	c->done = true;
	return NULL;
}

static void client_start(struct client *c, struct cprof_channel *ch)
{
	pthread_attr_t attr;

	c->ch = ch;
	c->done = false;
	if (!c->call.method)
		c->call.method = "/test.Service/Echo";
	if (!c->call.timeout_ns)
		c->call.timeout_ns = LONG_NS;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	CHECK_EQ(pthread_create(&c->thread, &attr, client_main, c), 0);
	pthread_attr_destroy(&attr);
}

/* The server goes on with its work until the call has ended. */
static void client_join(struct client *c, struct cprof_server *s)
{
	struct cprof_incoming in;

	while (s && !c->done) {
		CHECK_EQ(
			transport()->server_next(s, CPROF_NS_PER_MS, &in, NULL),
			0);
		CHECK_EQ(in.kind, CPROF_INCOMING_NOTHING);
	}
	pthread_join(c->thread, NULL);
}

static struct cprof_incoming next(
	struct cprof_server *s, enum cprof_incoming_kind kind)
{
	struct cprof_incoming in;

	CHECK_EQ(transport()->server_next(s, LONG_NS, &in, NULL), 0);
	CHECK_EQ(in.kind, kind);
	return in;
}

static void echo(struct cprof_server *s, const struct cprof_incoming *in)
{
	struct cprof_answer answer = { .body = in->body,
		.body_len = in->body_len };

	CHECK_EQ(transport()->server_answer(s, in->call, &answer, NULL), 0);
}

static void check_echo(struct cprof_server *s, struct cprof_channel *ch)
{
	struct client c = { .call = { .body = (const uint8_t *)"a\0b",
				    .body_len = 3 } };
	struct cprof_incoming in;

	client_start(&c, ch);
	in = next(s, CPROF_INCOMING_REQUEST);
	CHECK_STR(in.method, "/test.Service/Echo");
	CHECK_EQ(in.body_len, 3);
	CHECK(in.peer[0]);
	echo(s, &in);
	transport()->incoming_release(&in);
	client_join(&c, s);
	CHECK_EQ(c.r, 0);
	CHECK_EQ(c.reply.status, 0);
	CHECK_EQ(c.reply.body_len, 3);
	CHECK(!memcmp(c.reply.body, "a\0b", 3));
	transport()->reply_release(&c.reply);
}

/* The status of a call that no server of ours has to see. */
static int status_of(struct cprof_channel *ch, int64_t timeout_ns)
{
	struct cprof_call call = { .method = "/test.Service/Echo",
		.timeout_ns = timeout_ns };
	struct cprof_reply reply;

	CHECK_EQ(transport()->call(ch, &call, &reply, NULL), 0);
	CHECK(!reply.body);
	return reply.status;
}

/* A client and a server with one call between them, handed out. */
struct pair {
	struct cprof_server *s;
	struct cprof_channel *ch;
	struct client c;
	struct cprof_incoming in;
};

static void pair_open(struct pair *p)
{
	p->s = serve_at("127.0.0.1:0");
	p->ch = channel_to(p->s);
	client_start(&p->c, p->ch);
	p->in = next(p->s, CPROF_INCOMING_REQUEST);
}

static void pair_close(struct pair *p)
{
	transport()->incoming_release(&p->in);
	transport()->reply_release(&p->c.reply);
	transport()->channel_destroy(p->ch);
	transport()->server_destroy(p->s);
}

static int pair_answer(struct pair *p, const struct cprof_answer *answer)
{
	return transport()->server_answer(p->s, p->in.call, answer, NULL);
}

void test_transport__a_missing_file_is_told(void)
{
	const struct cprof_transport *t = NULL;
	struct cprof_error err = { .code = CPROF_OK };

	CHECK_EQ(cprof_transport_load("/nowhere/_transport.so", &t, &err),
		CPROF_EIO);
	CHECK(strstr(err.message, "/nowhere/_transport.so"));
	CHECK(!t);
}

void test_transport__start_twice_and_version(void)
{
	CHECK_EQ(transport()->start(false, NULL), 0);
	CHECK(strchr(transport()->version(), '.'));
}

void test_transport__echo_over_tcp(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);

	CHECK(transport()->server_port(s) > 0);
	check_echo(s, ch);
	check_echo(s, ch);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

void test_transport__echo_by_name(void)
{
	struct cprof_server *s = serve_at("localhost:0");
	struct cprof_channel *ch;
	char target[64];

	snprintf(target, sizeof(target), "localhost:%d",
		transport()->server_port(s));
	ch = channel_at(target);
	check_echo(s, ch);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

void test_transport__echo_over_a_unix_socket(void)
{
	char dir[] = "/tmp/u transport%XXXXXX", address[128];
	struct cprof_server *s;
	struct cprof_channel *ch;

	CHECK(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix:%s/sock?et", dir);
	s = serve_at(address);
	CHECK_EQ(transport()->server_port(s), 0);
	CHECK_EQ(access(address + strlen("unix:"), F_OK), 0);
	ch = channel_at(address);
	check_echo(s, ch);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
	CHECK_EQ(rmdir(dir), 0);
}

void test_transport__an_empty_message_is_a_message(void)
{
	struct pair p = { .s = NULL };

	pair_open(&p);
	CHECK_EQ(p.in.body_len, 0);
	echo(p.s, &p.in);
	client_join(&p.c, p.s);
	CHECK_EQ(p.c.reply.status, 0);
	CHECK_EQ(p.c.reply.body_len, 0);
	pair_close(&p);
}

void test_transport__many_polls_are_answered_in_any_order(void)
{
	enum {
		NR = 200
	};
	static struct client c[NR];
	struct cprof_server *s = serve_at("127.0.0.1:0");
	uint64_t call[NR];

	for (int i = 0; i < NR; i++) {
		struct cprof_incoming in;

		client_start(&c[i], channel_to(s));
		in = next(s, CPROF_INCOMING_REQUEST);
		call[i] = in.call;
		transport()->incoming_release(&in);
	}
	for (int i = NR - 1; i >= 0; i--) {
		struct cprof_answer answer = { .body = (uint8_t *)&i,
			.body_len = sizeof(i) };

		CHECK_EQ(transport()->server_answer(s, call[i], &answer, NULL),
			0);
	}
	for (int i = 0; i < NR; i++) {
		client_join(&c[i], s);
		CHECK_EQ(c[i].reply.status, 0);
		CHECK(!memcmp(c[i].reply.body, &i, sizeof(i)));
		transport()->reply_release(&c[i].reply);
		transport()->channel_destroy(c[i].ch);
	}
	transport()->server_destroy(s);
}

void test_transport__a_deadline_ends_the_call(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);

	CHECK_EQ(status_of(ch, CPROF_NS_PER_MS), 4);
	CHECK_EQ(status_of(ch, 0), 4);
	CHECK_EQ(status_of(ch, -1), 4);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

void test_transport__cancel_ends_the_call_and_the_server_knows(void)
{
	struct cprof_answer answer = { .status = 0 };
	struct cprof_incoming in;
	struct pair p = { .c.call.timeout_ns = FOREVER_NS };

	pair_open(&p);
	transport()->channel_cancel(p.ch);
	client_join(&p.c, NULL);
	CHECK_EQ(p.c.r, CPROF_ECANCELED);

	in = next(p.s, CPROF_INCOMING_GONE);
	CHECK_EQ(in.call, p.in.call);
	transport()->incoming_release(&in);
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	pair_close(&p);
}

void test_transport__answering_a_client_that_just_left_is_harmless(void)
{
	struct cprof_answer answer = { .status = 0 };
	struct pair p = { .c.call.timeout_ns = FOREVER_NS };

	pair_open(&p);
	transport()->channel_cancel(p.ch);
	client_join(&p.c, NULL);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	pair_close(&p);
}

void test_transport__cancel_is_for_good(void)
{
	struct cprof_call call = { .method = "/test.Service/Echo",
		.timeout_ns = LONG_NS };
	struct cprof_channel *ch = channel_at("127.0.0.1:1");
	struct cprof_reply reply;

	transport()->channel_cancel(ch);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(transport()->call(ch, &call, &reply, NULL),
			CPROF_ECANCELED);
	transport()->channel_destroy(ch);
}

void test_transport__cancel_finds_a_call_at_any_moment(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");

	for (int i = 0; i < 100; i++) {
		struct client c = { .call.timeout_ns = FOREVER_NS };
		struct cprof_incoming in;

		client_start(&c, channel_to(s));
		for (int spin = 0; spin < i * 100; spin++)
			atomic_load(&c.done);
		transport()->channel_cancel(c.ch);
		pthread_join(c.thread, NULL);
		CHECK_EQ(c.r, CPROF_ECANCELED);
		transport()->channel_destroy(c.ch);
		CHECK_EQ(transport()->server_next(s, 0, &in, NULL), 0);
		transport()->incoming_release(&in);
	}
	transport()->server_destroy(s);
}

void test_transport__the_trailer_arrives(void)
{
	static const uint8_t bytes[] = { 0x0a, 0x00, 0xff, 0x80, 0x7f };
	struct cprof_answer answer = { .status = 10,
		.message = "no profile now",
		.trailer_key = "google.rpc.retryinfo-bin",
		.trailer = bytes,
		.trailer_len = sizeof(bytes) };
	struct pair p = { .c.call.trailer_key = "google.rpc.retryinfo-bin" };

	pair_open(&p);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	client_join(&p.c, p.s);
	CHECK_EQ(p.c.reply.status, 10);
	CHECK_STR(p.c.reply.message, "no profile now");
	CHECK_EQ(p.c.reply.trailer_len, sizeof(bytes));
	CHECK(!memcmp(p.c.reply.trailer, bytes, sizeof(bytes)));
	pair_close(&p);
}

void test_transport__a_trailer_that_does_not_fit_is_left_out(void)
{
	static const uint8_t bytes[257];
	struct cprof_answer answer = { .status = 10,
		.trailer_key = "long-bin",
		.trailer = bytes,
		.trailer_len = sizeof(bytes) };
	struct pair p = { .c.call.trailer_key = "long-bin" };

	pair_open(&p);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	client_join(&p.c, p.s);
	CHECK_EQ(p.c.reply.status, 10);
	CHECK_EQ(p.c.reply.trailer_len, 0);
	pair_close(&p);
}

void test_transport__the_servers_words_are_made_printable(void)
{
	static const struct {
		const char *said, *heard;
	} row[] = {
		{ "a\nb\x1b[0m\x7f", "a?b?[0m?" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
			"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff|\xc3|\xc2\x9b|\xc0\xaf|\xed\xa0\x80|\xe2\x82",
			"?|?|??|??|???|??" },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_answer answer = { .status = 13,
			.message = row[i].said };
		struct pair p = { .s = NULL };

		pair_open(&p);
		CHECK_EQ(pair_answer(&p, &answer), 0);
		client_join(&p.c, p.s);
		CHECK_STR(p.c.reply.message, row[i].heard);
		pair_close(&p);
	}
}

void test_transport__long_words_are_cut_between_characters(void)
{
	char words[2001];
	struct cprof_answer answer = { .status = 13, .message = words };
	struct pair p = { .s = NULL };

	for (int i = 0; i < 2000; i += 2)
		memcpy(words + i, "\xc3\xa9", 3);
	pair_open(&p);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	client_join(&p.c, p.s);
	CHECK_EQ(strlen(p.c.reply.message), 510);
	CHECK(!strncmp(p.c.reply.message, words, 510));
	pair_close(&p);
}

void test_transport__a_reply_that_is_too_big_is_refused(void)
{
	size_t len = 8 * MIB;
	uint8_t *body = calloc(1, len);
	struct cprof_answer answer = { .body = body, .body_len = len };
	struct pair p = { .s = NULL };

	pair_open(&p);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	client_join(&p.c, p.s);
	CHECK_EQ(p.c.r, 0);
	CHECK_EQ(p.c.reply.status, 8);
	CHECK(!p.c.reply.body);
	pair_close(&p);
	free(body);
}

void test_transport__a_request_that_is_too_big_is_not_seen(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);
	size_t len = 2 * MIB;
	uint8_t *body = calloc(1, len);
	struct client c = { .call = { .body = body, .body_len = len } };

	client_start(&c, ch);
	client_join(&c, s);
	CHECK_EQ(c.reply.status, 8);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
	free(body);
}

void test_transport__plain_text_stays_on_this_machine(void)
{
	static const char *const bad[] = { "10.0.0.1:80", "0.0.0.0:80",
		"[::]:80", "example.com:443", "localhost.example.com:1",
		"128.0.0.1:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:1x", "127.0.0.1.example.com:1", "::1:80", "", ":1",
		"unix:", "dns:///127.0.0.1:1", "[::1:80", "[]:1",
		"unix:0123456789012345678901234567890123456789012345678901"
		"23456789012345678901234567890123456789012345678901234567" };
	static const char *const good[] = { "127.0.0.1:1", "127.255.0.9:65535",
		"[::1]:80", "localhost:80", "unix:/x", "unix:x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cprof_channel_options c = { .target = bad[i] };
		struct cprof_server_options s = { .address = bad[i] };
		struct cprof_channel *ch = NULL;
		struct cprof_server *server = NULL;

		CHECK_EQ(transport()->channel_create(&c, &ch, NULL),
			CPROF_EINVAL);
		CHECK_EQ(transport()->server_create(&s, &server, NULL),
			CPROF_EINVAL);
		CHECK(!ch && !server);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		transport()->channel_destroy(channel_at(good[i]));
}

void test_transport__bad_headers_are_refused(void)
{
	static const struct cprof_metadata bad[] = { { "Upper", "x" },
		{ "with space", "x" }, { "", "x" }, { ":path", "x" },
		{ "key", "line\nfeed" }, { "key", "\xc3\xa9" },
		{ "k\xffy", "x" } };
	struct cprof_channel *ch = channel_at("127.0.0.1:1");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cprof_metadata m[] = { { "good", "one" }, bad[i] };
		struct cprof_call call = { .method = "/test.Service/Echo",
			.metadata = m,
			.metadata_nr = 2,
			.timeout_ns = LONG_NS };
		struct cprof_reply reply;

		CHECK_EQ(transport()->call(ch, &call, &reply, NULL),
			CPROF_EINVAL);
	}
	transport()->channel_destroy(ch);
}

void test_transport__bad_methods_and_agents_are_refused(void)
{
	static const char *const bad[] = { "", "x", "/a b", "/a\nb", "/\xff" };
	struct cprof_channel_options opts = { .target = "127.0.0.1:1",
		.user_agent = "two\nlines" };
	struct cprof_channel *ch = NULL;

	CHECK_EQ(transport()->channel_create(&opts, &ch, NULL), CPROF_EINVAL);
	ch = channel_at("127.0.0.1:1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cprof_call call = { .method = bad[i] };
		struct cprof_reply reply;

		CHECK_EQ(transport()->call(ch, &call, &reply, NULL),
			CPROF_EINVAL);
	}
	transport()->channel_destroy(ch);
}

void test_transport__an_answer_is_given_once(void)
{
	struct cprof_answer answer = { .status = 17 };
	struct pair p = { .s = NULL };

	pair_open(&p);
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	answer = (struct cprof_answer){ .status = 3, .trailer_key = "A b" };
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	answer.trailer_key = NULL;
	CHECK_EQ(
		transport()->server_answer(p.s, p.in.call + 100, &answer, NULL),
		CPROF_EINVAL);
	CHECK_EQ(pair_answer(&p, &answer), 0);
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	client_join(&p.c, p.s);
	CHECK_EQ(p.c.reply.status, 3);
	CHECK_EQ(pair_answer(&p, &answer), CPROF_EINVAL);
	pair_close(&p);
}

void test_transport__a_server_that_ends_ends_its_calls(void)
{
	struct pair p = { .s = NULL };

	pair_open(&p);
	transport()->server_destroy(p.s);
	p.s = NULL;
	client_join(&p.c, NULL);
	CHECK_EQ(p.c.r, 0);
	CHECK(p.c.reply.status != 0);
	pair_close(&p);
}

void test_transport__nothing_comes_of_nothing(void)
{
	struct cprof_server *s = serve_at("[::1]:0");
	struct cprof_incoming in;

	CHECK_EQ(transport()->server_next(s, 0, &in, NULL), 0);
	CHECK_EQ(in.kind, CPROF_INCOMING_NOTHING);
	CHECK_EQ(transport()->server_next(s, -1, &in, NULL), 0);
	CHECK_EQ(in.kind, CPROF_INCOMING_NOTHING);
	transport()->server_destroy(s);
	transport()->server_destroy(NULL);
	transport()->channel_destroy(NULL);
}

void test_transport__a_port_has_one_server(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0"), *second = NULL;
	struct cprof_server_options opts;
	struct cprof_error err;
	char address[64];

	snprintf(address, sizeof(address), "127.0.0.1:%d",
		transport()->server_port(s));
	opts = (struct cprof_server_options){ .address = address };
	CHECK_EQ(transport()->server_create(&opts, &second, &err), CPROF_EIO);
	CHECK(strstr(err.message, address));
	CHECK(!second);
	transport()->server_destroy(s);
}

static struct cprof_channel *channel_to_nobody(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);

	transport()->server_destroy(s);
	return ch;
}

void test_transport__a_refused_port_is_unavailable(void)
{
	struct cprof_channel *ch = channel_to_nobody();

	CHECK_EQ(status_of(ch, LONG_NS), 14);
	CHECK_EQ(status_of(ch, LONG_NS), 14);
	transport()->channel_destroy(ch);
}

static void fail_tls_against_plain_text(void)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel_options opts = { .security = CPROF_SECURITY_TLS,
		.max_reply_bytes = MIB };
	struct client c = { .done = false };
	struct cprof_channel *ch = NULL;
	char target[64];

	snprintf(target, sizeof(target), "127.0.0.1:%d",
		transport()->server_port(s));
	opts.target = target;
	CHECK_EQ(transport()->channel_create(&opts, &ch, NULL), 0);
	client_start(&c, ch);
	client_join(&c, s);
	CHECK_EQ(c.r, 0);
	CHECK_EQ(c.reply.status, 14);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

void test_transport__tls_against_plain_text_fails(void)
{
	fail_tls_against_plain_text();
}

static void fail_garbage(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff";
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)transport()->server_port(s)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	CHECK_EQ(write(fd, text, sizeof(text)), sizeof(text));
	check_echo(s, ch);
	close(fd);
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

void test_transport__garbage_does_not_stop_a_server(void)
{
	fail_garbage();
}

#define SECRET "s3cr3t"

static int create_with(enum cprof_security security,
	enum cprof_credentials credentials, const char *json)
{
	struct cprof_channel_options opts = { .target = "127.0.0.1:1",
		.security = security,
		.credentials = credentials,
		.credentials_json = json };
	struct cprof_error err = { .message = "" };
	struct cprof_channel *ch = NULL;
	int r = transport()->channel_create(&opts, &ch, &err);

	CHECK(!strstr(err.message, SECRET));
	CHECK((r == 0) == (ch != NULL));
	transport()->channel_destroy(ch);
	return r;
}

static void fail_credentials(void)
{
	static const char *const json[] = { "", "\"" SECRET "\"", "{}",
		"{\"private_key\": \"" SECRET "\"}",
		"{\"type\": \"authorized_user\", \"client_secret\": \"" SECRET
		"\"}" };

	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
		CHECK_EQ(create_with(CPROF_SECURITY_TLS,
				 CPROF_CREDENTIALS_SERVICE_ACCOUNT, json[i]),
			CPROF_EAUTH);
	}
}

void test_transport__bad_credentials_are_refused(void)
{
	fail_credentials();
	CHECK_EQ(create_with(CPROF_SECURITY_TLS,
			 CPROF_CREDENTIALS_SERVICE_ACCOUNT, NULL),
		CPROF_EINVAL);
	CHECK_EQ(create_with(CPROF_SECURITY_PLAINTEXT,
			 CPROF_CREDENTIALS_SERVICE_ACCOUNT, "{}"),
		CPROF_EINVAL);
}

void test_transport__core_says_nothing(void)
{
	int saved = dup(STDERR_FILENO);
	int fd = memfd_create("stderr", MFD_CLOEXEC);
	struct cprof_channel *ch;
	off_t said;

	transport();
	CHECK(saved >= 0 && fd >= 0);
	CHECK(dup2(fd, STDERR_FILENO) >= 0);
	fail_credentials();
	fail_tls_against_plain_text();
	fail_garbage();
	ch = channel_to_nobody();
	status_of(ch, LONG_NS);
	transport()->channel_destroy(ch);
	said = lseek(fd, 0, SEEK_CUR);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	CHECK_EQ(said, 0);
}

static unsigned long long blocked_in(const char *tid)
{
	char path[300], line[256];
	unsigned long long mask = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "re");
	/* A thread of core may end at any time. */
	if (!f)
		return ~0ULL;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "SigBlk:", 7))
			mask = strtoull(line + 7, NULL, 16);
	fclose(f);
	return mask;
}

void test_transport__cores_threads_take_no_signal(void)
{
	static const int program[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD,
		SIGPROF, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE };
	struct cprof_server *s = serve_at("127.0.0.1:0");
	struct cprof_channel *ch = channel_to(s);
	struct dirent *entry;
	sigset_t mine;
	DIR *dir;
	int crash_open = 0;

	/* No thread of ours: one that just ends may show any mask. */
	status_of(ch, CPROF_NS_PER_MS);
	dir = opendir("/proc/self/task");
	CHECK(dir);
	while ((entry = readdir(dir))) {
		unsigned long long mask;

		if (entry->d_name[0] == '.' || atol(entry->d_name) == getpid())
			continue;
		mask = blocked_in(entry->d_name);
		for (size_t i = 0; i < sizeof(program) / sizeof(int); i++)
			CHECK(mask >> (program[i] - 1) & 1);
		crash_open += !(mask >> (SIGSEGV - 1) & 1);
	}
	closedir(dir);
	CHECK(crash_open > 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	CHECK(!sigismember(&mine, SIGTERM));
	transport()->channel_destroy(ch);
	transport()->server_destroy(s);
}

static void rounds(int nr)
{
	struct cprof_server *s = serve_at("127.0.0.1:0");

	for (int i = 0; i < nr; i++) {
		struct cprof_channel *ch = channel_to(s);

		check_echo(s, ch);
		transport()->channel_destroy(ch);
	}
	transport()->server_destroy(s);
}

void test_transport__channels_leave_no_descriptor(void)
{
	int before;

	rounds(3);
	before = open_fds();
	rounds(50);
	/* Core closes the last sockets a moment later. */
	CHECK(open_fds() <= before + 4);
}
