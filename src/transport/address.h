#ifndef CPROF_TRANSPORT_ADDRESS_H
#define CPROF_TRANSPORT_ADDRESS_H

#include "base/error.h"

/* Enough for "unix:" and the longest path of a socket, every byte escaped. */
#define CPROF__MAX_ADDRESS 512

/*
 * Check the form of an address for others: "host:port", with an IPv6 address in
 * brackets. CPROF_EINVAL for anything else.
 */
int cprof__address_check(const char *address, char ret[CPROF__MAX_ADDRESS],
	struct cprof_error *err);

/*
 * Check that what is said to `address` in plain text cannot leave this machine:
 * "127.x.y.z:port", "[::1]:port", "localhost:port" or "unix:path". `ret` is the
 * same as core's parser wants it. CPROF_EINVAL for anything else.
 */
int cprof__address_check_local(const char *address,
	char ret[CPROF__MAX_ADDRESS], struct cprof_error *err);

#endif
