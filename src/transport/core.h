#ifndef CPROF_TRANSPORT_CORE_H
#define CPROF_TRANSPORT_CORE_H

#include <signal.h>

#include "base/error.h"

int cprof__core_start(struct cprof_error *err);
const char *cprof__core_version(void);

/*
 * Keep the program's signals away from the calling thread, and with it from
 * every thread that core starts meanwhile. The signals of a crash stay as they
 * are: they belong to the program's crash reporter.
 */
void cprof__signals_block(sigset_t *old);
void cprof__signals_restore(const sigset_t *old);

#endif
