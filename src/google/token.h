#ifndef CPROF_GOOGLE_TOKEN_H
#define CPROF_GOOGLE_TOKEN_H

#include "base/limits.h"
#include "base/secret.h"
#include "google/http.h"

/*
 * Access tokens of the machine's own service account, from the metadata server.
 * They are secrets: in no message and no log; passed on by pointer only; wiped
 * when they are done with.
 */
struct cprof_token {
	char header[sizeof(CPROF_BEARER) + CPROF_MAX_TOKEN_BYTES]; /* or "" */
	int64_t fetched_ns;
	int64_t expires_ns;
};

/*
 * Read {"access_token": ..., "expires_in": seconds, "token_type": "Bearer"}.
 * CPROF_EFORMAT, or CPROF_ETOOBIG, in words that tell nothing of the text.
 * json-c's copies are wiped too, except when the text is not of this form.
 */
int cprof_token_parse(const char *json, size_t len, int64_t now_ns,
	struct cprof_token *ret, struct cprof_error *err);

/* The struct is the caller's; one thread at a time. */
struct cprof_token_source {
	struct cprof_http_address from;
	struct cprof_token token;
};

void cprof_token_source_init(
	struct cprof_token_source *s, const struct cprof_http_address *from);
void cprof_token_source_finish(struct cprof_token_source *s);

/*
 * The value of an "authorization" header; it belongs to the source, until the
 * next call. Fetches a new one, for CPROF_TOKEN_TIMEOUT_NS at most, once the
 * old one has less than CPROF_TOKEN_EARLY_NS left, or half of its life; the old
 * one serves on if that fails. Errors as cprof_metadata_get() and
 * cprof_token_parse().
 */
int cprof_token_get(struct cprof_token_source *s, int64_t now_ns,
	const char **ret, const atomic_bool *stop, struct cprof_error *err);

/* Forget the token: the service refused it. */
void cprof_token_drop(struct cprof_token_source *s);

#endif
