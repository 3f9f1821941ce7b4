#ifndef CPROF_AGENT_HOME_H
#define CPROF_AGENT_HOME_H

#include <stdbool.h>

#include "base/error.h"

/*
 * The thread that agents live in, `cprof-agent`: made once in a process. Before
 * core starts it gets descriptors of its own, which core's threads share as its
 * children; so an agent that comes after another one has to live here, too.
 */
struct cprof_tenant {
	void (*live)(struct cprof_tenant *tenant);
	struct cprof_tenant *next;
};

/*
 * Let `tenant` live when those before it are through. Waits for nothing, so
 * that it may be called in a fork handler. CPROF_EIO without a thread.
 */
int cprof_home_take_in(struct cprof_tenant *tenant, struct cprof_error *err);

/*
 * Within it: leave the program's descriptors. From here on it can make no
 * thread that runs the program's code. False where the kernel refuses: they
 * stay.
 */
bool cprof_home_own_descriptors(void);

/* In a forked child: the thread did not come along, nor did who lived there. */
void cprof_home_abandon(void);

#endif
