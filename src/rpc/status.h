#ifndef CPROF_RPC_STATUS_H
#define CPROF_RPC_STATUS_H

#include "base/error.h"

/*
 * The one place where gRPC's status numbers become our codes. Fills `err` with
 * "<what>: <the status's name>: <the server's words>" and returns the code, or
 * 0 for status 0. Numbers that gRPC does not have are CPROF_EUNAVAILABLE.
 */
int cprof_status_fail(struct cprof_error *err, const char *what, int status,
	const char *words);

#endif
