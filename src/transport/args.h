#ifndef CPROF_TRANSPORT_ARGS_H
#define CPROF_TRANSPORT_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "transport/compat.h"

/*
 * The settings of a channel or a server. Names and strings are only pointed to;
 * core copies them when the object is created. Adding more than fits is a
 * mistake of ours and drops the setting.
 */
struct cprof__args {
	grpc_arg arg[24];
	size_t nr;
};

void cprof__args_add(struct cprof__args *a, const char *name, int64_t value);
void cprof__args_add_string(
	struct cprof__args *a, const char *name, const char *value);

/* Core counts milliseconds; less than one of them becomes one. */
void cprof__args_add_ns(struct cprof__args *a, const char *name, int64_t ns);

grpc_channel_args cprof__args_view(struct cprof__args *a);

#endif
