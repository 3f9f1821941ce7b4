#ifndef CPROF_SAMPLER_NAMES_H
#define CPROF_SAMPLER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/*
 * What the interpreter calls its threads. The kernel knows their names only
 * where Python tells it (from 3.14), so whoever has the GIL anyway, to speak,
 * leaves them here; no profile waits for that. Any thread may call.
 */
struct cprof_thread_label {
	int32_t tid;
	char name[CPROF_THREAD_NAME_BYTES]; /* UTF-8, a C string */
};

/* Take the place of those before; `label` is the callee's from now on. */
void cprof_names_replace(struct cprof_thread_label *label, size_t nr);

/* False where nobody said. */
bool cprof_names_find(int32_t tid, struct cprof_thread_label *ret);

/* In the child of a fork, whose only thread this is: forget all. */
void cprof_names_abandon(void);

#endif
