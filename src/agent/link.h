#ifndef CPROF_AGENT_LINK_H
#define CPROF_AGENT_LINK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rpc/profiler.h"

/*
 * The way to the service, and all that has to be found out before a call can be
 * made: who we are, whose certificates count, what proves that we may. It is
 * found when it is first needed. After a failed call everything is found anew:
 * certificates installed, a key replaced, an address changed need no restart.
 */

#define CPROF_MAX_ROOTS 16 /* places where certificates are looked for */

enum cprof_link_token {
	CPROF_LINK_NO_TOKEN,	   /* or one that core makes of a key file */
	CPROF_LINK_METADATA_TOKEN, /* the metadata server's */
	CPROF_LINK_GIVEN_TOKEN,	   /* see google/given.h */
	CPROF_LINK_FILE_TOKEN	   /* a service's own; see base/secret.h */
};

/* Strings are borrowed for the life of the link. */
struct cprof_link_options {
	/*
	 * Less its `roots_pem` and `credentials_json`, and with a transport
	 * that is started. The project and the instance may be NULL: then the
	 * metadata server is asked.
	 */
	struct cprof_profiler_options profiler;
	const char *root[CPROF_MAX_ROOTS]; /* files and folders, best first */
	size_t root_nr;
	const char *key_path; /* of a credentials file, or NULL */
	/* Over TLS only, but for a file's, which loopback may see, too. */
	enum cprof_link_token token;
	const char *token_path;	   /* read for each call; NULL for none */
	const char *metadata_host; /* as GCE_METADATA_HOST; NULL for none */
	bool zone_wanted;	   /* from the metadata server */
};

struct cprof_link;

/* Nothing is connected yet. `stop` ends what waits; it outlives the link. */
int cprof_link_create(const struct cprof_link_options *opts,
	const atomic_bool *stop, struct cprof_link **ret,
	struct cprof_error *err);

/* Accepts NULL. */
void cprof_link_destroy(struct cprof_link *l);

/* Let go of what is connected; the next call connects anew. */
void cprof_link_disconnect(struct cprof_link *l);

/* As cprof_profiler_create_profile() and _update_profile(). */
int cprof_link_create_profile(struct cprof_link *l,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err);
int cprof_link_update_profile(struct cprof_link *l,
	const struct cprof_assignment *assignment, const uint8_t *profile,
	size_t len, struct cprof_error *err);

/*
 * End the call in flight, and all later ones, with CPROF_ECANCELED; `stop` is
 * set before. From any thread.
 */
void cprof_link_cancel(struct cprof_link *l);

#endif
