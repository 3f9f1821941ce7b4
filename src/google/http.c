#include "google/http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"

/* A question under way, and what is known of the answer. */
struct exchange {
	const struct cprof_http_request *req;
	int64_t began_ns;
	int fd;
	/* All that came; of full size, for growing leaves copies behind. */
	struct cprof_buffer in;
	size_t head_len;
	int status;
	bool is_google;
	bool has_length;
	size_t length; /* saturates */
};

/* Bytes of a head; not terminated. */
struct span {
	const char *at;
	size_t len;
};

static int unfinished(const struct exchange *x, struct cprof_error *err)
{
	int64_t ns = x->req->deadline_ns - x->began_ns;

	return cprof_fail(err, CPROF_EUNAVAILABLE,
		"no %sanswer from %s %s within %.1f s",
		x->in.len ? "complete " : "", x->req->who, x->req->to->text,
		ns > 0 ? (double)ns / CPROF_NS_PER_S : 0.0);
}

static int lost(const struct exchange *x, const char *what, int error,
	struct cprof_error *err)
{
	return cprof_fail(err, CPROF_EUNAVAILABLE, "cannot %s %s %s: %s", what,
		x->req->who, x->req->to->text, strerror(error));
}

static int refuse(const struct exchange *x, enum cprof_code code,
	const char *what, struct cprof_error *err)
{
	return cprof_fail(
		err, code, "%s %s %s", x->req->who, x->req->to->text, what);
}

static int wait_for(
	const struct exchange *x, short events, struct cprof_error *err)
{
	const struct cprof_http_request *req = x->req;
	struct pollfd p = { .fd = x->fd, .events = events };
	int64_t left_ns;
	int r;

	do {
		if (req->stop &&
			atomic_load_explicit(req->stop, memory_order_relaxed))
			return cprof_fail(err, CPROF_ECANCELED,
				"stopped while waiting for %s %s", req->who,
				req->to->text);
		left_ns = req->deadline_ns - cprof_now_ns();
		if (left_ns <= 0)
			return unfinished(x, err);
		if (left_ns > CPROF_HTTP_LOOK_NS)
			left_ns = CPROF_HTTP_LOOK_NS;
		/* Rounded up: 0 would be a busy loop. */
		r = poll(&p, 1,
			(int)((left_ns + CPROF_NS_PER_MS - 1) /
				CPROF_NS_PER_MS));
	} while (!r || (r < 0 && errno == EINTR));
	if (r < 0)
		return cprof_fail(err, CPROF_EIO, "cannot poll a socket: %s",
			strerror(errno));
	return 0;
}

static int connect_to(struct exchange *x, struct cprof_error *err)
{
	const struct cprof_http_address *to = x->req->to;
	socklen_t len = sizeof(int);
	int r, error = 0;

	x->fd = socket(to->any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (x->fd < 0)
		return cprof_fail(err, CPROF_EIO, "cannot make a socket: %s",
			strerror(errno));
	if (!connect(x->fd, &to->any, to->len))
		return 0;
	if (errno != EINPROGRESS)
		return lost(x, "connect to", errno, err);
	r = wait_for(x, POLLOUT, err);
	if (r < 0)
		return r;
	if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error ? lost(x, "connect to", error, err) : 0;
}

static int send_request(const struct exchange *x, struct cprof_error *err)
{
	const char *host = x->req->to->text, *end = strrchr(host, ':');
	char text[512];
	size_t done = 0, len;
	ssize_t n;
	int r;

	/* As browsers do: some that imitate the server compare the name. */
	if (strcmp(end, ":80"))
		end += strlen(end);
	r = snprintf(text, sizeof(text),
		"GET %s HTTP/1.0\r\nHost: %.*s\r\nConnection: close\r\n"
		"Metadata-Flavor: Google\r\n\r\n",
		x->req->path, (int)(end - host), host);
	len = (size_t)r;
	if (r < 0 || len >= sizeof(text))
		return cprof_fail(err, CPROF_EINVAL, "the path is too long");
	while (done < len) {
		r = wait_for(x, POLLOUT, err);
		if (r < 0)
			return r;
		n = send(x->fd, text + done, len - done, MSG_NOSIGNAL);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return lost(x, "write to", errno, err);
	}
	return 0;
}

/* Take in what there is. Returns 0 at the end, 1 before it. */
static int receive(struct exchange *x, struct cprof_error *err)
{
	ssize_t n;
	int r;

	do {
		r = wait_for(x, POLLIN, err);
		if (r < 0)
			return r;
		n = recv(x->fd, x->in.data + x->in.len,
			x->in.cap - 1 - x->in.len, 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n < 0)
		return lost(x, "read from", errno, err);
	x->in.len += (size_t)n;
	return n > 0;
}

static int receive_head(struct exchange *x, struct cprof_error *err)
{
	size_t seen = 0;
	const uint8_t *end;
	int r;

	do {
		r = receive(x, err);
		if (r < 0)
			return r;
		if (!r)
			return refuse(x, CPROF_EUNAVAILABLE,
				"closed the connection before it answered",
				err);
		end = memmem(
			x->in.data + seen, x->in.len - seen, "\r\n\r\n", 4);
		x->head_len = end ? (size_t)(end - x->in.data) + 4 : x->in.len;
		if (x->head_len > CPROF_MAX_HEAD_BYTES)
			return refuse(x, CPROF_ETOOBIG,
				"answered with more headers than allowed", err);
		seen = x->in.len > 3 ? x->in.len - 3 : 0;
	} while (!end);
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next line, without its end. False when it has a control character. */
static bool take_line(struct span *rest, struct span *ret)
{
	const char *end = memmem(rest->at, rest->len, "\r\n", 2);

	*ret = (struct span){ rest->at, (size_t)(end - rest->at) };
	rest->at += ret->len + 2;
	rest->len -= ret->len + 2;
	for (size_t i = 0; i < ret->len; i++)
		if ((unsigned char)ret->at[i] < ' ' && ret->at[i] != '\t')
			return false;
	return true;
}

/* "HTTP/1.1 200 OK": 200, or 0. */
static int status_of(struct span line)
{
	const char *s = line.at;

	if (line.len < 12 || memcmp(s, "HTTP/1.", 7) || !is_digit(s[7]) ||
		s[8] != ' ' || s[9] < '1' || s[9] > '9' || !is_digit(s[10]) ||
		!is_digit(s[11]) || (line.len > 12 && s[12] != ' '))
		return 0;
	return (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
}

/* Split "name: value". */
static bool split_header(
	struct span line, struct span *name, struct span *value)
{
	const char *colon = memchr(line.at, ':', line.len);

	if (!colon || colon == line.at || is_blank(line.at[0]))
		return false;
	*name = (struct span){ line.at, (size_t)(colon - line.at) };
	*value = (struct span){ colon + 1, line.len - name->len - 1 };
	while (value->len && is_blank(value->at[0]))
		*value = (struct span){ value->at + 1, value->len - 1 };
	while (value->len && is_blank(value->at[value->len - 1]))
		value->len--;
	return true;
}

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && !strncasecmp(s.at, word, s.len);
}

static bool parse_length(struct span s, size_t *ret)
{
	size_t v = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.at[i]))
			return false;
		if (v <= SIZE_MAX / 16)
			v = v * 10 + (size_t)(s.at[i] - '0');
	}
	*ret = v;
	return s.len > 0;
}

static int parse_header(
	struct exchange *x, struct span line, struct cprof_error *err)
{
	struct span name, value;
	size_t length;

	if (!split_header(line, &name, &value))
		return refuse(x, CPROF_EFORMAT, "does not answer in HTTP", err);
	if (is(name, "Metadata-Flavor") && is(value, "Google"))
		x->is_google = true;
	if (is(name, "Transfer-Encoding"))
		return refuse(x, CPROF_EFORMAT,
			"answers in chunks, which it was not asked for", err);
	if (!is(name, "Content-Length"))
		return 0;
	if (!parse_length(value, &length) ||
		(x->has_length && x->length != length))
		return refuse(x, CPROF_EFORMAT,
			"does not know how long its answer is", err);
	x->has_length = true;
	x->length = length;
	return 0;
}

static int parse_head(struct exchange *x, struct cprof_error *err)
{
	/* Without the empty line at the end. */
	struct span rest = { (const char *)x->in.data, x->head_len - 2 }, line;
	int r;

	if (take_line(&rest, &line))
		x->status = status_of(line);
	if (!x->status)
		return refuse(x, CPROF_EFORMAT, "does not answer in HTTP", err);
	while (rest.len) {
		if (!take_line(&rest, &line))
			return refuse(x, CPROF_EFORMAT,
				"has control characters in its headers", err);
		r = parse_header(x, line, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int too_long(const struct exchange *x, struct cprof_error *err)
{
	return refuse(
		x, CPROF_ETOOBIG, "has a longer answer than allowed", err);
}

/* Until all of it is there, which is when `length` is known. */
static int receive_body(struct exchange *x, struct cprof_error *err)
{
	size_t len = x->in.len - x->head_len, max = x->req->max_body_bytes;
	int r = 1;

	if (x->has_length && x->length > max)
		return too_long(x, err);
	while (r && (!x->has_length || len < x->length)) {
		if (len > max)
			return too_long(x, err);
		r = receive(x, err);
		if (r < 0)
			return r;
		len = x->in.len - x->head_len;
	}
	if (!x->has_length)
		x->length = len;
	if (len < x->length)
		return refuse(x, CPROF_EUNAVAILABLE,
			"closed the connection in the middle of its answer",
			err);
	return 0;
}

static int ask(struct exchange *x, struct cprof_error *err)
{
	int r = connect_to(x, err);

	if (r < 0)
		return r;
	r = send_request(x, err);
	if (r < 0)
		return r;
	r = receive_head(x, err);
	if (r < 0)
		return r;
	r = parse_head(x, err);
	if (r < 0)
		return r;
	if (x->status == 200)
		return receive_body(x, err);
	x->length = 0;
	return 0;
}

int cprof_http_get(const struct cprof_http_request *req,
	struct cprof_http_reply *ret, struct cprof_error *err)
{
	struct exchange x = {
		.req = req, .began_ns = cprof_now_ns(), .fd = -1
	};
	/* One more to see that there is more, and one for the NUL. */
	size_t max = CPROF_MAX_HEAD_BYTES + req->max_body_bytes + 2;
	int r;

	cprof_buffer_init(&x.in, max);
	r = cprof_buffer_reserve(&x.in, max, err);
	if (r < 0)
		return r;
	r = ask(&x, err);
	if (x.fd >= 0)
		close(x.fd);
	if (r < 0) {
		cprof_buffer_wipe(&x.in);
		return r;
	}
	x.in.data[x.head_len + x.length] = '\0';
	*ret = (struct cprof_http_reply){ .status = x.status,
		.is_google = x.is_google,
		.body = (const char *)x.in.data + x.head_len,
		.body_len = x.length,
		.raw = x.in };
	return 0;
}

void cprof_http_reply_finish(struct cprof_http_reply *r)
{
	cprof_buffer_wipe(&r->raw);
	*r = (struct cprof_http_reply){ 0 };
}
