#ifndef CPROF_CPYTHON_TID_H
#define CPROF_CPYTHON_TID_H

#include <stdint.h>

#include "base/error.h"
#include "cpython/peek.h"

/*
 * Up to 3.10 a thread's state has its pthread_t only. That is the address of
 * the C library's struct pthread, in which the kernel's id stands somewhere:
 * the offset is found by looking for the id of two threads that know theirs.
 * CPROF_EUNSUPPORTED if it is not there. Starts a thread and waits for it.
 */
int cprof_tid_offset(
	struct cprof_peek *peek, uint16_t *ret, struct cprof_error *err);

#endif
