#include "agent/agent.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cores.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread.h"
#include "check.h"
#include "descriptors.h"
#include "fake-python.h"
#include "google/given.h"
#include "profile/reader.h"
#include "scripted-transport.h"

#define LONG_NS (30 * CPROF_NS_PER_S) /* never reached when all is well */
#define NAME	"projects/prj/profiles/1"
#define FAILED	"Failed to create profile (will retry after "

/* A forked child leaves to its parent's threads what they held. */
static int leaks_are_meant;

__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
	return leaks_are_meant;
}

static const enum cprof_profile_type wall = CPROF_PROFILE_WALL;

static struct cprof_agent_options options(const char *target)
{
	cprof_cores_map(TRANSPORT_PATH);
	cprof_cores_refill(cprof_cores_copy());
	return (struct cprof_agent_options){
		.link = {
			.profiler = {
				.channel = { .target = target,
					.user_agent = "u-agent/1",
					.max_reply_bytes =
						CPROF_MAX_REPLY_BYTES },
				.deployment = { .project = "prj",
					.target = "shop",
					.label = { { "language", "python" },
						{ "zone", "z1" } },
					.label_nr = 2 },
				.api_client = "gl-python/3.11.0",
				.instance = "here",
			},
		},
		.type = { CPROF_PROFILE_CPU, CPROF_PROFILE_WALL },
		.type_nr = 2,
	};
}

static void start(const char *target)
{
	struct cprof_agent_options opts = options(target);

	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	CHECK(cprof_agent_running());
}

/*
 * How many threads live in the agent's home, and in `ret_tid` the last one's
 * number. A thread has its maker's name for a moment.
 */
static int agent_threads(long *ret_tid)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int nr = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) &&
			!strcmp(comm, CPROF_THREAD_PREFIX "agent\n")) {
			nr++;
			*ret_tid = strtol(entry->d_name, NULL, 10);
		}
		fclose(f);
	}
	closedir(dir);
	return nr;
}

/* For what happens soon and tells nobody: false when it took too long. */
static bool pause_once(int *left)
{
	static const struct timespec ms = { .tv_nsec = CPROF_NS_PER_MS };

	nanosleep(&ms, NULL);
	return --*left > 0;
}

/* One thread serves all agents; returns its number. */
static long the_thread(void)
{
	int left = 10000;
	long tid = 0;

	while (agent_threads(&tid) != 1 && pause_once(&left))
		;
	CHECK_EQ(agent_threads(&tid), 1);
	return tid;
}

static void stop(void)
{
	int64_t before_ns = cprof_now_ns();

	cprof_agent_stop();
	CHECK(cprof_now_ns() - before_ns < CPROF_NS_PER_S);
	CHECK(!cprof_agent_running());
}

static void next_words(struct cprof_log_record *ret)
{
	uint64_t heard = 0;

	while (!cprof_log_pop(ret)) {
		heard = cprof_log_wait(heard);
		CHECK(heard);
	}
}

static void wait_for_words(enum cprof_level level, const char *begin)
{
	struct cprof_log_record r;

	do {
		next_words(&r);
	} while (strncmp(r.text, begin, strlen(begin)));
	CHECK_EQ(r.level, level);
}

/* A port of this machine; who connects is refused, or never answered. */
struct port {
	int fd;
	char target[32];
};

static struct port refusing_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct port p = { .fd = socket(
				  AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	socklen_t len = sizeof(at);

	CHECK(p.fd >= 0);
	CHECK_EQ(bind(p.fd, (struct sockaddr *)&at, len), 0);
	CHECK_EQ(getsockname(p.fd, (struct sockaddr *)&at, &len), 0);
	snprintf(
		p.target, sizeof(p.target), "127.0.0.1:%d", ntohs(at.sin_port));
	return p;
}

static struct port silent_port(void)
{
	struct port p = refusing_port();

	CHECK_EQ(listen(p.fd, 16), 0);
	return p;
}

/* Returns when the agent is there. */
static int meet(const struct port *p)
{
	int fd = accept(p->fd, NULL, NULL);

	CHECK(fd >= 0);
	return fd;
}

/* A service that the test itself is. */
struct server {
	const struct cprof_transport *t;
	struct cprof_server *s;
	char target[32];
};

static struct server serve(void)
{
	struct cprof_server_options opts = { .address = "127.0.0.1:0",
		.max_request_bytes = CPROF_MAX_REQUEST_BYTES };
	struct server server;
	struct cprof_copy copy;

	/* Not the agent's core, whose threads have other descriptors. */
	CHECK_EQ(cprof_copy_create(
			 TRANSPORT_PATH, CPROF_COPY_ON_DISK, &copy, NULL),
		0);
	CHECK_EQ(cprof_copy_load(&copy, 99, &server.t, NULL), 0);
	cprof_copy_close(&copy);
	CHECK_EQ(server.t->start(false, NULL), 0);
	CHECK_EQ(server.t->server_create(&opts, &server.s, NULL), 0);
	snprintf(server.target, sizeof(server.target), "127.0.0.1:%d",
		server.t->server_port(server.s));
	return server;
}

/* The next request, which must be for this method. */
static struct cprof_incoming next(struct server *server, const char *method)
{
	struct cprof_incoming in;

	/* That an earlier one was given up may be heard first. */
	do
		CHECK_EQ(server->t->server_next(server->s, LONG_NS, &in, NULL),
			0);
	while (in.kind == CPROF_INCOMING_GONE);
	CHECK_EQ(in.kind, CPROF_INCOMING_REQUEST);
	CHECK_STR(in.method, method);
	return in;
}

static void answer(struct server *server, struct cprof_incoming *in,
	const struct cprof_answer *answer)
{
	CHECK_EQ(
		server->t->server_answer(server->s, in->call, answer, NULL), 0);
	server->t->incoming_release(in);
}

static const struct cprof_deployment shop = { .project = "prj",
	.target = "shop" };

static void assign(struct server *server, int64_t duration_ns)
{
	struct cprof_incoming in = next(server, CPROF_METHOD_CREATE_PROFILE);
	struct cprof_buffer body;

	cprof_buffer_init(&body, CPROF_MAX_REPLY_BYTES);
	CHECK_EQ(cprof_encode_profile(
			 NAME, wall, duration_ns, &shop, &body, NULL),
		0);
	answer(server, &in,
		&(struct cprof_answer){
			.body = body.data, .body_len = body.len });
	cprof_buffer_finish(&body);
}

void test_agent__it_stops_while_nobody_is_reached(void)
{
	struct port p = refusing_port();

	start(p.target);
	/* From here on it waits for its next try. */
	wait_for_words(CPROF_DEBUG, FAILED);
	stop();
	close(p.fd);
}

void test_agent__it_stops_while_nobody_answers(void)
{
	struct port p = silent_port();
	int fd;

	start(p.target);
	fd = meet(&p);
	stop();
	close(fd);
	close(p.fd);
}

void test_agent__it_stops_while_it_waits_for_an_assignment(void)
{
	struct server server = serve();
	struct cprof_incoming in;

	start(server.target);
	in = next(&server, CPROF_METHOD_CREATE_PROFILE);
	stop();
	server.t->incoming_release(&in);
	server.t->server_destroy(server.s);
}

void test_agent__there_is_only_one(void)
{
	struct port p = silent_port();
	struct cprof_agent_options opts = options(p.target);
	int fd;

	start(p.target);
	CHECK_EQ(cprof_agent_start(&opts, NULL), CPROF_EINVAL);
	CHECK(cprof_agent_running());
	fd = meet(&p);
	the_thread();
	stop();
	close(fd);
	close(p.fd);
}

void test_agent__it_can_start_again_in_the_same_thread(void)
{
	struct port p = silent_port();
	long tid = 0;
	int fd;

	CHECK(!cprof_agent_running());
	cprof_agent_stop();
	for (int i = 0; i < 2; i++) {
		start(p.target);
		fd = meet(&p);
		CHECK(!i || the_thread() == tid);
		tid = the_thread();
		stop();
		cprof_agent_stop();
		close(fd);
	}
	close(p.fd);
}

void test_agent__a_transport_that_is_not_there_is_told(void)
{
	struct cprof_agent_options opts = { .type_nr = 0 };

	cprof_cores_map("/nowhere/_transport.so");
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	wait_for_words(CPROF_ERROR, "Cannot start profiling: ");
	stop();
	/* And it is not in the way of one that works. */
	test_agent__it_stops_while_nobody_answers();
}

/* Core does not say what is wrong with a key; the words must not show it. */
void test_agent__bad_credentials_are_told(void)
{
	struct cprof_agent_options opts = options("127.0.0.1:1");
	struct cprof_channel_options *channel = &opts.link.profiler.channel;
	char path[] = "/tmp/u-agent-XXXXXX";
	struct cprof_log_record r;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK(dprintf(fd, "{\"private_key\": \"s3cr3t\"}"
			  "-----BEGIN CERTIFICATE-----") > 0);
	channel->security = CPROF_SECURITY_TLS;
	channel->credentials = CPROF_CREDENTIALS_SERVICE_ACCOUNT;
	opts.link.key_path = opts.link.root[0] = path;
	opts.link.root_nr = 1;
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	do {
		next_words(&r);
		CHECK(!strstr(r.text, "s3cr3t"));
	} while (r.level != CPROF_WARNING);
	CHECK(strstr(r.text, "the credentials are not those of"));
	stop();
	close(fd);
	unlink(path);
}

/* start(credentials=...) twice: the first one's token is not the second's. */
void test_agent__a_token_given_to_the_last_one_is_forgotten(void)
{
	static const atomic_bool stopped = true;
	char header[64];

	CHECK(cprof_given_put("old", LONG_NS));
	CHECK_EQ(cprof_given_get(header, sizeof(header), &stopped, NULL), 0);
	start("127.0.0.1:1");
	CHECK_EQ(cprof_given_get(header, sizeof(header), &stopped, NULL),
		CPROF_ECANCELED);
	stop();
}

/* Overwritten before it is freed: there is no way to read it by luck. */
static void spoil(const char *s)
{
	memset((char *)(uintptr_t)s, '#', strlen(s));
	free((void *)(uintptr_t)s);
}

static void start_with_strings_that_go(const char *target)
{
	struct cprof_agent_options opts = options(target);
	struct cprof_profiler_options *p = &opts.link.profiler;
	const char **string[] = { &p->channel.target, &p->channel.user_agent,
		&p->api_client, &p->instance, &p->deployment.project,
		&p->deployment.target, &p->deployment.label[0].name,
		&p->deployment.label[0].value, &p->deployment.label[1].name,
		&p->deployment.label[1].value };

	for (size_t i = 0; i < sizeof(string) / sizeof(string[0]); i++) {
		*string[i] = strdup(*string[i]);
		CHECK(*string[i]);
	}
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	for (size_t i = 0; i < sizeof(string) / sizeof(string[0]); i++)
		spoil(*string[i]);
	memset(&opts, '#', sizeof(opts));
}

void test_agent__it_keeps_its_own_copy_of_what_it_was_told(void)
{
	struct server server = serve();
	struct cprof_service_request *req = NULL;
	const struct cprof_deployment *d;
	struct cprof_incoming in;

	start_with_strings_that_go(server.target);
	in = next(&server, CPROF_METHOD_CREATE_PROFILE);
	CHECK_EQ(cprof_decode_create_request(in.body, in.body_len, &req, NULL),
		0);
	d = &req->deployment;
	CHECK_STR(d->project, "prj");
	CHECK_STR(d->target, "shop");
	CHECK_EQ(d->label_nr, 2);
	for (size_t i = 0; i < 2; i++)
		CHECK_STR(d->label[i].value,
			strcmp(d->label[i].name, "zone") ? "python" : "z1");
	CHECK_EQ(req->wanted_nr, 2);
	CHECK_EQ(req->wanted[0], CPROF_PROFILE_CPU);
	CHECK_EQ(req->wanted[1], CPROF_PROFILE_WALL);
	cprof_service_request_destroy(req);
	answer(&server, &in,
		&(struct cprof_answer){ .status = 3, .message = "no, sorry" });
	wait_for_words(CPROF_WARNING, FAILED);
	stop();
	server.t->server_destroy(server.s);
}

static struct fake_python *python_with_a_thread(void)
{
	struct fake_python *py = fake_python_create();
	struct fake_thread *t = fake_thread(py, fake_interp(py), 1, 0);

	fake_push(t, fake_function(py, "main"), 1);
	return py;
}

static void start_sampling(const char *target, const struct fake_python *py)
{
	struct cprof_agent_options opts = options(target);

	opts.sampler = (struct cprof_sampler_options){ .layout = py->lay,
		.roots = fake_roots(py),
		.period_ns = 5 * CPROF_NS_PER_MS };
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
}

void test_agent__a_profile_that_is_asked_for_arrives(void)
{
	struct fake_python *py = python_with_a_thread();
	struct cprof_service_request *req = NULL;
	struct cprof_read_profile *profile = NULL;
	struct server server = serve();
	struct cprof_incoming in;

	start_sampling(server.target, py);
	assign(&server, CPROF_MIN_DURATION_NS);
	in = next(&server, CPROF_METHOD_UPDATE_PROFILE);
	CHECK_EQ(cprof_decode_update_request(in.body, in.body_len, &req, NULL),
		0);
	CHECK_STR(req->name, NAME);
	CHECK_EQ(req->type, wall);
	CHECK_EQ(req->label_nr, 2);
	CHECK_STR(req->label[1].value, "here");
	CHECK_EQ(cprof_profile_read(
			 req->profile, req->profile_len, &profile, NULL),
		0);
	CHECK_EQ(profile->sample_nr, 1);
	cprof_read_profile_destroy(profile);
	cprof_service_request_destroy(req);
	answer(&server, &in, &(struct cprof_answer){ .status = 0 });
	/* And it comes back for more. */
	in = next(&server, CPROF_METHOD_CREATE_PROFILE);
	stop();
	server.t->incoming_release(&in);
	server.t->server_destroy(server.s);
	fake_python_destroy(py);
}

void test_agent__it_stops_while_it_collects(void)
{
	struct fake_python *py = python_with_a_thread();
	struct server server = serve();

	start_sampling(server.target, py);
	assign(&server, CPROF_MAX_DURATION_NS);
	wait_for_words(CPROF_DEBUG, "Successfully created a WALL profile");
	stop();
	server.t->server_destroy(server.s);
	fake_python_destroy(py);
}

static long sleeps_of(long tid)
{
	static const char key[] = "voluntary_ctxt_switches:";
	char path[64], line[256];
	long nr = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/status", tid);
	f = fopen(path, "re");
	CHECK(f);
	while (nr < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, sizeof(key) - 1))
			nr = strtol(line + sizeof(key) - 1, NULL, 10);
	fclose(f);
	return nr;
}

/* Many short sleeps are the ticks of a window. */
static void wait_collecting(void)
{
	long tid = the_thread(), before = sleeps_of(tid);
	int left = 30000;

	while (sleeps_of(tid) < before + 20 && pause_once(&left))
		;
	CHECK(left);
}

static void *finish(void *unused)
{
	(void)unused;
	cprof_agent_finish(LONG_NS);
	return NULL;
}

void test_agent__what_it_has_collected_can_be_kept_at_the_end(void)
{
	struct fake_python *py = python_with_a_thread();
	struct cprof_service_request *req = NULL;
	struct cprof_read_profile *profile = NULL;
	struct server server = serve();
	struct cprof_incoming in;
	pthread_t finisher;

	start_sampling(server.target, py);
	assign(&server, CPROF_MAX_DURATION_NS);
	wait_for_words(CPROF_DEBUG, "Successfully created a WALL profile");
	wait_collecting();
	CHECK_EQ(pthread_create(&finisher, NULL, finish, NULL), 0);
	in = next(&server, CPROF_METHOD_UPDATE_PROFILE);
	CHECK_EQ(cprof_decode_update_request(in.body, in.body_len, &req, NULL),
		0);
	CHECK_EQ(cprof_profile_read(
			 req->profile, req->profile_len, &profile, NULL),
		0);
	CHECK_EQ(profile->sample_nr, 1);
	CHECK(profile->duration_ns < CPROF_MAX_DURATION_NS);
	cprof_read_profile_destroy(profile);
	cprof_service_request_destroy(req);
	answer(&server, &in, &(struct cprof_answer){ .status = 0 });
	/* It does not ask for another one. */
	pthread_join(finisher, NULL);
	CHECK(!cprof_agent_running());
	server.t->server_destroy(server.s);
	fake_python_destroy(py);
}

void test_agent__there_is_nothing_to_keep_while_it_waits(void)
{
	struct server server = serve();
	struct cprof_incoming in;

	start(server.target);
	in = next(&server, CPROF_METHOD_CREATE_PROFILE);
	cprof_agent_finish(LONG_NS);
	CHECK(!cprof_agent_running());
	cprof_agent_finish(LONG_NS);
	server.t->incoming_release(&in);
	server.t->server_destroy(server.s);
}

static int told_in_child;

static void in_child(void)
{
	told_in_child++;
}

/* What a forked worker sees: an agent that runs, and that it can stop. */
static void be_a_child(const char *target, bool alone)
{
	struct cprof_agent_options opts = options(target);

	leaks_are_meant = 1;
	CHECK(cprof_agent_running());
	CHECK_EQ(cprof_agent_start(&opts, NULL), CPROF_EINVAL);
	if (!alone)
		wait_for_words(CPROF_INFO, "The forked process ");
	else
		wait_for_words(CPROF_WARNING, FAILED);
	CHECK_EQ(told_in_child, 1);
	stop();
	exit(0);
}

void test_agent__a_forked_child_gets_one_or_is_told_why_not(void)
{
	struct server server = serve();
	struct cprof_agent_options opts = options(server.target);
	struct cprof_incoming in;
	int status = -1, left = 10000;
	pid_t child;

	opts.in_child = in_child;
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	in = next(&server, CPROF_METHOD_CREATE_PROFILE);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		be_a_child(server.target, server.t->alone);
	if (server.t->alone) {
		struct cprof_incoming its =
			next(&server, CPROF_METHOD_CREATE_PROFILE);

		answer(&server, &its,
			&(struct cprof_answer){ .status = 3, .message = "no" });
	}
	while (waitpid(child, &status, WNOHANG) == 0 && pause_once(&left))
		;
	if (!left)
		kill(child, SIGKILL);
	CHECK(left);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);

	/* The parent's agent has not noticed: it hears the answer. */
	CHECK(cprof_agent_running());
	CHECK_EQ(told_in_child, 0);
	answer(&server, &in,
		&(struct cprof_answer){ .status = 3, .message = "no" });
	wait_for_words(CPROF_WARNING, FAILED);
	stop();
	server.t->server_destroy(server.s);
}

static void copy_in_child(void)
{
	struct cprof_copy copy = cprof_cores_copy();

	_exit(copy.fd >= 0 ? 0 : 1);
}

/* A spare is only made beside a core: asked any earlier, it had none. */
void test_agent__the_children_of_a_forked_child_have_a_spare_core(void)
{
	struct cprof_agent_options opts;
	int status = -1;
	pid_t child;

	cprof_cores_map(SCRIPTED_PATH);
	opts = options("unix:nowhere");
	opts.in_child = copy_in_child;
	CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
	/* GCC 12's sanitized malloc(), if at work now, may hang the child. */
	wait_created(the_script(SCRIPTED_PATH), 1);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		for (;;)
			pause();
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	stop();
}

/*
 * Odd rounds stop it at whatever it does first. The port refuses: what was
 * connected and never answered, core keeps for 20 s.
 */
static void rounds(struct server *server, const struct port *p, int nr)
{
	for (int i = 0; i < nr; i++) {
		struct cprof_incoming in;

		if (i % 2) {
			start(p->target);
			stop();
			continue;
		}
		start(server->target);
		in = next(server, CPROF_METHOD_CREATE_PROFILE);
		stop();
		server->t->incoming_release(&in);
	}
}

void test_agent__many_rounds_leave_no_descriptor(void)
{
	struct server server = serve();
	struct port p = refusing_port();
	int before, left = 10000;
	long tid;

	rounds(&server, &p, 4);
	tid = the_thread();
	before = open_fds_of(tid);
	rounds(&server, &p, 30);
	/* Core closes the last sockets a moment later. */
	while (open_fds_of(tid) > before + 4 && pause_once(&left))
		;
	CHECK(open_fds_of(tid) <= before + 4);
	server.t->server_destroy(server.s);
	close(p.fd);
}
