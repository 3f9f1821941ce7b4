#ifndef CPROF_TRANSPORT_BEARER_H
#define CPROF_TRANSPORT_BEARER_H

#include <stdbool.h>

#include "transport/compat.h"

/*
 * The token that a call brings to a server, as "authorization: Bearer TOKEN".
 * It is compared in a time that tells nothing of the one that is wanted, and is
 * in no message.
 */

/* NULL where the headers have the `wanted` one and no other, else why not. */
const char *cprof__bearer_refusal(
	const grpc_metadata_array *headers, const char *wanted);

#endif
