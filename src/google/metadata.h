#ifndef CPROF_GOOGLE_METADATA_H
#define CPROF_GOOGLE_METADATA_H

#include "google/http.h"

/*
 * The metadata server of Google Cloud: what a program learns there about the
 * machine that it runs on. Everything here waits; any thread may call it.
 */

/*
 * Where the server is, by the text of the variable GCE_METADATA_HOST: an
 * address, address:port or [IPv6]:port. NULL and "" mean Google's own. Of names
 * three are known without a look-up: localhost, metadata and
 * metadata.google.internal. CPROF_EINVAL for any other.
 */
int cprof_metadata_address(const char *host, struct cprof_http_address *ret,
	struct cprof_error *err);

/*
 * The value of `key`, without blanks around it: `ret` has `size` bytes, of
 * which one is for the NUL. What is empty, does not fit, or is not printable
 * ASCII in one line is refused by CPROF_EFORMAT or CPROF_ETOOBIG.
 *
 * CPROF_ENOTFOUND: there is no such value, here. CPROF_EUNAVAILABLE: the server
 * is away or busy. CPROF_EAUTH: it refuses, redirects, or is none of Google's,
 * which a portal at the same address would be. Others as cprof_http_get().
 */
int cprof_metadata_get(const struct cprof_http_address *from, const char *key,
	char *ret, size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err);

/* The same for three values. A zone is its name only, without the path. */
int cprof_metadata_project(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err);
int cprof_metadata_zone(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err);
int cprof_metadata_instance(const struct cprof_http_address *from, char *ret,
	size_t size, int64_t deadline_ns, const atomic_bool *stop,
	struct cprof_error *err);

/* The whole answer, in any form; the caller finishes it. The same errors. */
int cprof__metadata_fetch(const struct cprof_http_address *from,
	const char *key, size_t max_bytes, int64_t deadline_ns,
	const atomic_bool *stop, struct cprof_http_reply *ret,
	struct cprof_error *err);

#endif
