#ifndef CPROF_TRANSPORT_CHANNEL_H
#define CPROF_TRANSPORT_CHANNEL_H

#include "transport/transport.h"

/* As in struct cprof_transport, to be called with signals blocked. */
int cprof__channel_create(const struct cprof_channel_options *opts,
	struct cprof_channel **ret, struct cprof_error *err);
void cprof__channel_destroy(struct cprof_channel *ch);
int cprof__channel_call(struct cprof_channel *ch, const struct cprof_call *call,
	struct cprof_reply *ret, struct cprof_error *err);
void cprof__channel_cancel(
	struct cprof_channel *ch); /* signals do not matter */
void cprof__reply_release(struct cprof_reply *reply);

#endif
