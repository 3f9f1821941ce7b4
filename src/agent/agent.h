#ifndef CPROF_AGENT_AGENT_H
#define CPROF_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/link.h"
#include "base/error.h"
#include "sampler/sampler.h"

/*
 * The agent of this process: it runs the loop in a native thread,
 * `cprof-agent`. There is at most one. start and stop may be called from any
 * thread. A child that is forked while it runs gets an agent of its own, a
 * second or two later: short-lived ones never notice.
 */

/* Strings are copied. */
struct cprof_agent_options {
	/* Less the transport, which the agent takes from cores.h. */
	struct cprof_link_options link;
	struct cprof_sampler_options sampler;
	enum cprof_profile_type type[2];
	size_t type_nr;
	/* For tests: the backoff's bounds; 0 means those of limits.h. */
	int64_t backoff_min_ns, backoff_max_ns;
	/* Called in a forked child as its agent begins and has its core, on
	 * the agent's thread, which may not wait there. Or NULL. */
	void (*in_child)(void);
};

/*
 * Start the thread and return; nothing has been connected yet. What cannot work
 * is told in one ERROR (in a forked child, in one INFO), and the agent counts
 * as running until it is stopped. CPROF_EINVAL when an agent runs already.
 * The caller has filled cores.h, and keeps the program from forking meanwhile.
 */
int cprof_agent_start(
	const struct cprof_agent_options *opts, struct cprof_error *err);

/*
 * Tell the agent to stop and wait until it did, at most for
 * CPROF_STOP_BOUND_NS; an agent that takes longer is left to end by itself.
 * Does nothing where none runs. The caller must not hold the GIL.
 */
void cprof_agent_stop(void);

/*
 * The same, but a profile that is being collected is a shorter one, which is
 * uploaded first; that may take `patience_ns` more.
 */
void cprof_agent_finish(int64_t patience_ns);

bool cprof_agent_running(void);

#endif
