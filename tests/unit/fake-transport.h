#ifndef TESTS_UNIT_FAKE_TRANSPORT_H
#define TESTS_UNIT_FAKE_TRANSPORT_H

#include <stdbool.h>

#include "base/buffer.h"
#include "transport/transport.h"

/*
 * A transport that answers from here instead of from a server. Each field of
 * `fake_transport` is set by a test before a call, or tells it what a call was.
 */
struct fake_transport {
	/* set: what happens */
	int start_result, channel_result, call_result;
	struct cprof_reply reply; /* the body is not owned */
	int refuse; /* so many calls first, with UNAUTHENTICATED */

	/* told: what was done */
	int started, channels, made, calls, released;
	bool cancelled;
	char target[64], key[256], roots[64];	     /* the beginning of each */
	char method[128], headers[512], trailer[64]; /* "name: value\n"... */
	int64_t timeout_ns;
	struct cprof_buffer body;
};

extern struct fake_transport fake_transport;
extern const struct cprof_transport fake_transport_table;

#endif
