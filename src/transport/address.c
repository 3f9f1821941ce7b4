#include "transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define MAX_HOST 256 /* a name of the DNS has 253 bytes at most */

/* Of names and of IPv4 addresses. */
static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789.-_";

static bool is_port(const char *s)
{
	long port = 0;
	size_t nr = 0;

	for (; s[nr] >= '0' && s[nr] <= '9' && nr < 5; nr++)
		port = port * 10 + (s[nr] - '0');
	return nr && !s[nr] && port <= 65535;
}

/* "host:port", with its host in `ret`. */
static bool split(const char *address, char ret[MAX_HOST])
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (!len || len >= MAX_HOST || !is_port(colon + 1))
		return false;
	memcpy(ret, address, len);
	ret[len] = '\0';
	return true;
}

/* An IPv6 address stands in brackets. */
static bool read_six(const char *host, struct in6_addr *ret)
{
	size_t len = strlen(host);
	char inner[INET6_ADDRSTRLEN];

	if (len < 3 || len - 2 >= sizeof(inner) || host[0] != '[' ||
		host[len - 1] != ']')
		return false;
	memcpy(inner, host + 1, len - 2);
	inner[len - 2] = '\0';
	return inet_pton(AF_INET6, inner, ret) == 1;
}

static bool is_loopback(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (!strcmp(host, "localhost"))
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return read_six(host, &six) && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || strchr("/-._~", c);
}

/*
 * Core takes "unix:path" for a URI, and what is no URI for a host name that it
 * looks up in the DNS.
 */
static int escape_unix(
	const char *path, char ret[CPROF__MAX_ADDRESS], struct cprof_error *err)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	size_t len = strlen(path), at = strlen("unix:");

	if (!len || len > max)
		return cprof_fail(err, CPROF_EINVAL,
			"the path of a unix socket has 1 to %zu bytes, not %zu",
			max, len);
	memcpy(ret, "unix:", at);
	for (size_t i = 0; i < len; i++) {
		if (is_unreserved(path[i])) {
			ret[at++] = path[i];
			continue;
		}
		ret[at++] = '%';
		ret[at++] = hex[(unsigned char)path[i] >> 4];
		ret[at++] = hex[(unsigned char)path[i] & 15];
	}
	ret[at] = '\0';
	return 0;
}

static int fail_form(const char *address, struct cprof_error *err)
{
	return cprof_fail(err, CPROF_EINVAL,
		"'%.200s' is not host:port or unix:path", address);
}

int cprof__address_check(const char *address, char ret[CPROF__MAX_ADDRESS],
	struct cprof_error *err)
{
	char host[MAX_HOST];
	struct in6_addr six;

	if (!split(address, host) ||
		(!read_six(host, &six) && host[strspn(host, name_chars)]))
		return fail_form(address, err);
	snprintf(ret, CPROF__MAX_ADDRESS, "%s", address);
	return 0;
}

int cprof__address_check_local(const char *address,
	char ret[CPROF__MAX_ADDRESS], struct cprof_error *err)
{
	char host[MAX_HOST];

	if (!strncmp(address, "unix:", 5))
		return escape_unix(address + 5, ret, err);
	if (!split(address, host))
		return fail_form(address, err);
	if (!is_loopback(host))
		return cprof_fail(err, CPROF_EINVAL,
			"'%.200s' is not a loopback address: it needs TLS and "
			"a token (--tls-cert, --tls-key and --token)",
			address);
	snprintf(ret, CPROF__MAX_ADDRESS, "%s", address);
	return 0;
}
