#ifndef CPROF_AGENT_CORES_H
#define CPROF_AGENT_CORES_H

#include "base/error.h"
#include "transport/transport.h"

/*
 * The copies of gRPC core in this process. Core does not survive a fork, so
 * there is a spare, mapped before, in which nothing was ever started. A forked
 * child never touches what its parent used; it takes the spare.
 *
 * Mapping is for callers who keep the program from forking meanwhile, as
 * holding the GIL does: the dynamic linker's lock would be inherited.
 */

/*
 * Map core from `path`, once, and a spare beside it. What fails is told by
 * cprof_cores_take(), here or in a child.
 */
void cprof_cores_map(const char *path);

/* Map another spare where the last one was taken, for children to come. */
void cprof_cores_refill(void);

/*
 * The core of this process. CPROF_EIO where it could not be mapped,
 * CPROF_EUNSUPPORTED in a child for which there is no spare.
 */
int cprof_cores_take(
	const struct cprof_transport **ret, struct cprof_error *err);

/* In a forked child, before anything else of this. */
void cprof_cores_abandon(void);

#endif
