#ifndef CPROF_GOOGLE_GIVEN_H
#define CPROF_GOOGLE_GIVEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Access tokens that the program gives: the object it passed to start() makes
 * them, in the program's own threads. There is one place for the process, as
 * there is one agent; any thread may use it. Tokens are secrets, as those of
 * google/token.h.
 */

/*
 * Put a token that is good for `left_ns` more. False for the one that was
 * refused last: then another is needed. One that no header can carry is not
 * taken, and the next get says so.
 */
bool cprof_given_put(const char *token, int64_t left_ns);

/* Why there is none, for a message; `refused`: to try again will not help. */
void cprof_given_fail(const char *why, bool refused);

/*
 * The value of an "authorization" header, into `size` bytes. Waits up to
 * CPROF_GIVEN_PATIENCE_NS for the first one. CPROF_EUNAVAILABLE where there is
 * none or it is too old, CPROF_EAUTH where none will be given, CPROF_ECANCELED
 * after `stop`.
 */
int cprof_given_get(char *ret, size_t size, const atomic_bool *stop,
	struct cprof_error *err);

/* The service did not take the last one. */
void cprof_given_refuse(void);

/* Forget all: the next agent has tokens of its own. */
void cprof_given_clear(void);

/* The same in a forked child, where nobody else is and the lock may be held. */
void cprof_given_abandon(void);

#endif
