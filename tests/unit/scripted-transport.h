#ifndef TESTS_UNIT_SCRIPTED_TRANSPORT_H
#define TESTS_UNIT_SCRIPTED_TRANSPORT_H

#include <stdatomic.h>

#include "transport/transport.h"

#define SCRIPTED_SHOWN __attribute__((visibility("default")))

/* What the transport of that name does, and what was done to it. */
struct scripted {
	int rounds; /* that it asks for; set before the agent starts */
	atomic_int created, updated;
};

extern struct scripted scripted SCRIPTED_SHOWN;
const struct cprof_transport *cprof_transport_table(void) SCRIPTED_SHOWN;

#endif
