#ifndef CPROF_TRANSPORT_CREDENTIALS_H
#define CPROF_TRANSPORT_CREDENTIALS_H

#include "base/error.h"
#include "transport/compat.h"
#include "transport/transport.h"

/*
 * Core's credentials for a channel; released by
 * grpc_channel_credentials_release(). CPROF_EAUTH for what core refuses, in
 * words that quote nothing of it.
 */
int cprof__credentials_create(const struct cprof_channel_options *opts,
	grpc_channel_credentials **ret, struct cprof_error *err);

/*
 * The same for a server's port, by its `cert_pem` and `key_pem`; released by
 * grpc_server_credentials_release(). NULL without memory: that they are of no
 * use shows only when core listens with them.
 */
grpc_server_credentials *cprof__server_credentials_create(
	const struct cprof_server_options *opts);

#endif
