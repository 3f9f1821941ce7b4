#ifndef CPROF_GOOGLE_HTTP_H
#define CPROF_GOOGLE_HTTP_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * One question to a metadata server: GET in plain text, over a connection of
 * its own, to a literal address. No name is looked up, no proxy asked, no
 * redirect followed. The peer is not trusted: all that it sends is bounded.
 *
 * Nothing is shared: any thread, many at once.
 */

/* "[", an IPv6 address, "]:", a port. */
#define CPROF_HTTP_ADDRESS_BYTES (INET6_ADDRSTRLEN + sizeof("[]:65535"))

struct cprof_http_address {
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	};
	socklen_t len;
	char text[CPROF_HTTP_ADDRESS_BYTES]; /* "127.0.0.1:80", "[::1]:80" */
};

struct cprof_http_request {
	const struct cprof_http_address *to;
	const char *who;  /* "the metadata server": for messages */
	const char *path; /* from the first slash on; goes out as it is */
	size_t max_body_bytes;
	int64_t deadline_ns;	 /* for all of it, by the monotonic clock */
	const atomic_bool *stop; /* gives up soon after it is set; or NULL */
};

/*
 * `body` is followed by a NUL, may have others in it, and is empty unless the
 * status is 200: what else a server has to say is not read.
 */
struct cprof_http_reply {
	int status;
	bool is_google; /* it said "Metadata-Flavor: Google" */
	const char *body;
	size_t body_len;
	struct cprof_buffer raw;
};

/*
 * CPROF_EUNAVAILABLE without a whole answer by the deadline, CPROF_ECANCELED
 * after a stop, CPROF_EFORMAT for what is no HTTP or comes in chunks (which
 * HTTP/1.0, as we ask, does not have), CPROF_ETOOBIG. No message has a byte of
 * the answer in it.
 */
int cprof_http_get(const struct cprof_http_request *req,
	struct cprof_http_reply *ret, struct cprof_error *err);

/* Wipes what was received. Accepts a zeroed reply. */
void cprof_http_reply_finish(struct cprof_http_reply *r);

#endif
