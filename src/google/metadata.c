#include "google/metadata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

#define WHO "the metadata server"

static const struct {
	const char *name;
	const char *address;
} known[] = {
	{ "metadata", "169.254.169.254" },
	{ "metadata.google.internal", "169.254.169.254" },
	{ "metadata.google.internal.", "169.254.169.254" },
	{ "localhost", "127.0.0.1" },
};

/* "" or ":port". */
static bool parse_port(const char *s, in_port_t *ret)
{
	unsigned port = 0;

	if (!*s) {
		*ret = htons(80);
		return true;
	}
	if (*s++ != ':' || !*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		port = port * 10 + (unsigned)(*s - '0');
		if (port > 65535)
			return false;
	}
	*ret = htons((in_port_t)port);
	return port > 0;
}

static bool parse_four(
	const char *host, in_port_t port, struct cprof_http_address *ret)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcasecmp(host, known[i].name))
			host = known[i].address;
	ret->four =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
	ret->len = sizeof(ret->four);
	snprintf(ret->text, sizeof(ret->text), "%.15s:%u", host, ntohs(port));
	return inet_pton(AF_INET, host, &ret->four.sin_addr) == 1;
}

static bool parse_six(
	const char *host, in_port_t port, struct cprof_http_address *ret)
{
	ret->six = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		.sin6_port = port };
	ret->len = sizeof(ret->six);
	snprintf(ret->text, sizeof(ret->text), "[%.45s]:%u", host, ntohs(port));
	return inet_pton(AF_INET6, host, &ret->six.sin6_addr) == 1;
}

/* Split "host", "host:port", "[six]" or "[six]:port". */
static bool parse_address(const char *s, in_port_t *port, char *host, bool *six)
{
	size_t len;

	*six = *s == '[';
	s += *six;
	len = strcspn(s, *six ? "]" : ":");
	if (len >= INET6_ADDRSTRLEN || (*six && !s[len]))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	return parse_port(s + len + *six, port);
}

int cprof_metadata_address(const char *host, struct cprof_http_address *ret,
	struct cprof_error *err)
{
	struct cprof_http_address a = { 0 };
	char name[INET6_ADDRSTRLEN];
	in_port_t port;
	bool six;

	if (!host || !*host)
		host = "metadata";
	if (!parse_address(host, &port, name, &six) ||
		!(six ? parse_six(name, port, &a) : parse_four(name, port, &a)))
		return cprof_fail(err, CPROF_EINVAL,
			WHO " '%.200s' must be an address, address:port or "
			    "[IPv6]:port: names are not looked up",
			host);
	*ret = a;
	return 0;
}

static int check_reply(const struct cprof_http_reply *r,
	const struct cprof_http_address *from, const char *key,
	struct cprof_error *err)
{
	/* Google's own clients take this at its word, from whomever. */
	if (r->status == 404)
		return cprof_fail(err, CPROF_ENOTFOUND, WHO " %s has no '%s'",
			from->text, key);
	if (r->status == 429 || r->status >= 500)
		return cprof_fail(err, CPROF_EUNAVAILABLE,
			WHO " %s is busy: HTTP status %d for '%s'", from->text,
			r->status, key);
	if (!r->is_google)
		return cprof_fail(err, CPROF_EAUTH,
			"what answers at %s is not Google's metadata server",
			from->text);
	if (r->status != 200)
		return cprof_fail(err, CPROF_EAUTH,
			WHO " %s refuses: HTTP status %d for '%s'", from->text,
			r->status, key);
	return 0;
}

int cprof__metadata_fetch(const struct cprof_http_address *from,
	const char *key, size_t max_bytes, int64_t deadline_ns,
	const atomic_bool *stop, struct cprof_http_reply *ret,
	struct cprof_error *err)
{
	char path[256];
	struct cprof_http_request req = { .to = from,
		.who = WHO,
		.path = path,
		.max_body_bytes = max_bytes,
		.deadline_ns = deadline_ns,
		.stop = stop };
	struct cprof_http_reply reply;
	int r;

	r = snprintf(path, sizeof(path), "/computeMetadata/v1/%s", key);
	if (r < 0 || (size_t)r >= sizeof(path))
		return cprof_fail(err, CPROF_EINVAL, "the key is too long");
	r = cprof_http_get(&req, &reply, err);
	if (r < 0)
		return r;
	r = check_reply(&reply, from, key, err);
	if (r < 0) {
		cprof_http_reply_finish(&reply);
		return r;
	}
	*ret = reply;
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int copy_value(const char *s, size_t len, const char *key, char *ret,
	size_t size, struct cprof_error *err)
{
	for (; len && is_space(s[len - 1]); len--)
		;
	for (; len && is_space(s[0]); len--)
		s++;
	if (!len)
		return cprof_fail(
			err, CPROF_EFORMAT, WHO " has nothing for '%s'", key);
	if (len >= size)
		return cprof_fail(err, CPROF_ETOOBIG,
			WHO " has %zu bytes for '%s'", len, key);
	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return cprof_fail(err, CPROF_EFORMAT,
				WHO " has no plain text for '%s'", key);
	memcpy(ret, s, len);
	ret[len] = '\0';
	return 0;
}

int cprof_metadata_get(const struct cprof_http_address *from, const char *key,
	char *ret, size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err)
{
	struct cprof_http_reply reply;
	int r = cprof__metadata_fetch(from, key, CPROF_MAX_METADATA_BYTES,
		deadline_ns, stop, &reply, err);

	if (r < 0)
		return r;
	r = copy_value(reply.body, reply.body_len, key, ret, size, err);
	cprof_http_reply_finish(&reply);
	return r;
}

int cprof_metadata_project(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err)
{
	return cprof_metadata_get(
		from, "project/project-id", ret, size, deadline_ns, stop, err);
}

int cprof_metadata_zone(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err)
{
	/* projects/123/zones/us-central1-a */
	char path[CPROF_MAX_LABEL_BYTES + 1], *slash;
	int r = cprof_metadata_get(from, "instance/zone", path, sizeof(path),
		deadline_ns, stop, err);

	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	if (slash)
		memmove(path, slash + 1, strlen(slash));
	return copy_value(path, strlen(path), "instance/zone", ret, size, err);
}

int cprof_metadata_instance(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err)
{
	return cprof_metadata_get(
		from, "instance/name", ret, size, deadline_ns, stop, err);
}
