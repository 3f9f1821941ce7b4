#ifndef TESTS_UNIT_FAKE_HTTP_H
#define TESTS_UNIT_FAKE_HTTP_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "google/http.h"

#define LONG_NS (30 * CPROF_NS_PER_S) /* never reached when all is well */

/* What the server does with one connection once a request is there. */
enum fake_manner {
	FAKE_CLOSE,   /* says its text and closes */
	FAKE_HOLD,    /* says its text and waits for the other end to close */
	FAKE_DRIP,    /* says its text byte by byte and closes */
	FAKE_TRICKLE, /* then a byte each 5 ms, until the other end closes */
	FAKE_FLOOD    /* says its text again and again */
};

struct fake_answer {
	const char *text;
	enum fake_manner manner;
	size_t len; /* 0: strlen(text) */
};

/* Gives the answers in turn, one for each connection; the last one for good. */
struct fake_http {
	struct cprof_http_address address;
	const struct fake_answer *answer;
	int nr;
	int fd;
	pthread_t thread;
	atomic_int calls;
	atomic_bool *stop;  /* or NULL; set when a request has come */
	char request[1024]; /* the last one */
};

static inline bool fake_send(int fd, const char *text, size_t len)
{
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

static inline void fake_serve(struct fake_http *f, int fd)
{
	int call = atomic_fetch_add(&f->calls, 1);
	const struct fake_answer *a =
		&f->answer[call < f->nr ? call : f->nr - 1];
	size_t len = a->len ? a->len : strlen(a->text), got = 0;
	ssize_t n;
	char byte;

	do {
		n = recv(fd, f->request + got, sizeof(f->request) - 1 - got, 0);
		if (n <= 0)
			return;
		got += (size_t)n;
		f->request[got] = '\0';
	} while (!strstr(f->request, "\r\n\r\n"));
	if (f->stop)
		*f->stop = true;
	if (a->manner == FAKE_DRIP)
		for (size_t i = 0; i < len; i++)
			if (!fake_send(fd, a->text + i, 1))
				return;
	if (a->manner != FAKE_DRIP && a->manner != FAKE_FLOOD)
		fake_send(fd, a->text, len);
	while (a->manner == FAKE_TRICKLE && fake_send(fd, "x", 1))
		cprof_sleep_until_ns(cprof_now_ns() + 5 * CPROF_NS_PER_MS);
	while (a->manner == FAKE_FLOOD && fake_send(fd, a->text, len))
		;
	while (a->manner == FAKE_HOLD && recv(fd, &byte, 1, 0) > 0)
		;
}

static inline void *fake_main(void *arg)
{
	struct fake_http *f = arg;
	int fd;

	while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
		fake_serve(f, fd);
		close(fd);
	}
	return NULL;
}

/* A socket with a port of its own. Without listen() it refuses connections. */
static inline int fake_bind(struct cprof_http_address *a, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	in_port_t port;

	CHECK(fd >= 0);
	*a = (struct cprof_http_address){ .len = sizeof(a->four) };
	a->any.sa_family = (sa_family_t)family;
	if (family == AF_INET6) {
		a->six.sin6_addr = in6addr_loopback;
		a->len = sizeof(a->six);
	} else {
		a->four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	CHECK_EQ(bind(fd, &a->any, a->len), 0);
	CHECK_EQ(getsockname(fd, &a->any, &a->len), 0);
	port = family == AF_INET6 ? a->six.sin6_port : a->four.sin_port;
	snprintf(a->text, sizeof(a->text), "%s:%u",
		family == AF_INET6 ? "[::1]" : "127.0.0.1", ntohs(port));
	return fd;
}

static inline void fake_http_start(struct fake_http *f, int family,
	const struct fake_answer *answer, int nr, atomic_bool *stop)
{
	*f = (struct fake_http){ .answer = answer, .nr = nr, .stop = stop };
	f->fd = fake_bind(&f->address, family);
	CHECK_EQ(listen(f->fd, 16), 0);
	CHECK_EQ(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

/* After it, `request` may be read. */
static inline void fake_http_stop(struct fake_http *f)
{
	shutdown(f->fd, SHUT_RDWR);
	CHECK_EQ(pthread_join(f->thread, NULL), 0);
	close(f->fd);
}

#endif
