#ifndef CPROF_TRANSPORT_COMPAT_H
#define CPROF_TRANSPORT_COMPAT_H

/*
 * The C core's headers, and everything in which one version of it differs from
 * another: 1.51 (core 29, Debian 12) is the oldest that is served.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#endif

#ifdef CPROF_CORE_LOGS_BY_ABSEIL
/* Newer cores log through abseil, which has no C interface: silence.cc. */
void cprof__core_silence(void);
#else
static inline void cprof__core_drop_log(gpr_log_func_args *args)
{
	(void)args;
}

static inline void cprof__core_silence(void)
{
	gpr_set_log_function(cprof__core_drop_log);
}
#endif

#endif
