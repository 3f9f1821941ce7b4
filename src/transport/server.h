#ifndef CPROF_TRANSPORT_SERVER_H
#define CPROF_TRANSPORT_SERVER_H

#include "transport/transport.h"

/* As in struct cprof_transport, to be called with signals blocked. */
int cprof__server_create(const struct cprof_server_options *opts,
	struct cprof_server **ret, struct cprof_error *err);
int cprof__server_port(const struct cprof_server *s);
int cprof__server_next(struct cprof_server *s, int64_t timeout_ns,
	struct cprof_incoming *ret, struct cprof_error *err);
int cprof__server_answer(struct cprof_server *s, uint64_t id,
	const struct cprof_answer *answer, struct cprof_error *err);
void cprof__server_destroy(struct cprof_server *s);
void cprof__incoming_release(struct cprof_incoming *in);

#endif
