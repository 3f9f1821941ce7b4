#ifndef TESTS_UNIT_SCRIPTED_TRANSPORT_H
#define TESTS_UNIT_SCRIPTED_TRANSPORT_H

#include <dlfcn.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "check.h"
#include "transport/transport.h"

#define SCRIPTED_SHOWN __attribute__((visibility("default")))

/* What the transport of that name does, and what was done to it. */
struct scripted {
	int rounds; /* that it asks for; set before the agent starts */
	atomic_int created, updated;
};

extern struct scripted scripted SCRIPTED_SHOWN;
const struct cprof_transport *cprof_transport_table(void) SCRIPTED_SHOWN;

/* That of the file at SCRIPTED_PATH, for a test that has an agent take it. */
static inline struct scripted *the_script(const char *path)
{
	void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct scripted *found = file ? dlsym(file, "scripted") : NULL;

	CHECK(found);
	return found;
}

/* Until it was asked for so many profiles. */
static inline void wait_created(struct scripted *script, int nr)
{
	while (script->created < nr)
		cprof_sleep_until_ns(cprof_now_ns() + CPROF_NS_PER_MS);
}

#endif
