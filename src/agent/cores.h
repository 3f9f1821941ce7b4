#ifndef CPROF_AGENT_CORES_H
#define CPROF_AGENT_CORES_H

#include "base/error.h"
#include "transport/copy.h"
#include "transport/transport.h"

/*
 * The copies of gRPC core in this process. Core does not survive a fork, so
 * there is a spare, mapped before, in which nothing was ever started. A forked
 * child never touches what its parent used; it takes the spare.
 *
 * Map and refill are for callers who keep the program from forking meanwhile,
 * as holding the GIL does: the dynamic linker's lock would be inherited. What
 * fails is told by cprof_cores_take(), here or in a child.
 */

/* Map core from `path`, once. */
void cprof_cores_map(const char *path);

/*
 * A copy of core's file, where the next refill has a use for it. This is the
 * part that takes long, and wants nothing kept from anyone.
 */
struct cprof_copy cprof_cores_copy(void);

/* Map a spare for children to come, from the copy, which is closed. */
void cprof_cores_refill(struct cprof_copy copy);

/*
 * The core of this process. CPROF_EIO where it could not be mapped,
 * CPROF_EUNSUPPORTED in a child for which there is no spare.
 */
int cprof_cores_take(
	const struct cprof_transport **ret, struct cprof_error *err);

/* In a forked child, before anything else of this. */
void cprof_cores_abandon(void);

#endif
