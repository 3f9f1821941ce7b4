#ifndef CPROF_TRANSPORT_CORE_H
#define CPROF_TRANSPORT_CORE_H

#include <stdbool.h>

#include "base/error.h"

/* As in struct cprof_transport. */
int cprof__core_start(bool own_descriptors, struct cprof_error *err);
const char *cprof__core_version(void);

#endif
