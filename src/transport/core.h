#ifndef CPROF_TRANSPORT_CORE_H
#define CPROF_TRANSPORT_CORE_H

#include <stdbool.h>

#include "base/error.h"

/* As in struct cprof_transport. */
int cprof__core_start(bool own_descriptors, struct cprof_error *err);
const char *cprof__core_version(void);
void cprof__core_abandon(void);

/* Of a bundled core: those that it has open; async-signal-safe. */
void cprof__descriptors_close(void);

#endif
