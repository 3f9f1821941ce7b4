#ifndef CPROF_BASE_THREAD_H
#define CPROF_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Block the program's signals for the calling thread, and for all threads it
 * makes, until unblock. Those that a fault raises stay open: they go to the
 * program's crash reporter.
 */
void cprof_signals_block(sigset_t *old);
void cprof_signals_unblock(const sigset_t *old);

/*
 * Start a detached thread of ours that runs `body(arg)`, with the program's
 * signals blocked.
 */
int cprof_thread_start(
	void *(*body)(void *), void *arg, struct cprof_error *err);

/*
 * Name the calling thread. Names of our threads have at most 15 bytes and begin
 * with CPROF_THREAD_PREFIX, by which the sampler knows them.
 */
#define CPROF_THREAD_PREFIX "cprof-"
void cprof_thread_name(const char *name);

/*
 * How long the calling thread may run before it is another's turn; 0 is as
 * usual. From Linux 6.12 one that asks for less gets a CPU sooner when it wakes
 * up. What cannot be had is let be.
 */
void cprof_thread_set_slice(int64_t slice_ns);

/* Whether the thread with this kernel id named itself so. */
bool cprof_thread_is_ours(int32_t tid);

/* In a forked child, which has none of the threads that were ours. */
void cprof_thread_abandon(void);

/*
 * Give the calling thread, and all that it makes, a table of descriptors of its
 * own, with nothing in it but the program's standard error: what the program
 * closes does not reach ours, and what it forks or executes does not get them.
 * A descriptor means nothing in the other table: neither may be handed over.
 * CPROF_EUNSUPPORTED where a sandbox refuses (before Linux 5.9, Docker's).
 */
int cprof_thread_own_descriptors(struct cprof_error *err);

/* A condition whose waits end by the monotonic clock. */
void cprof_cond_init(pthread_cond_t *cond);

/* Wait for a signal until `when_ns`; false once that has come. */
bool cprof_cond_wait_until(
	pthread_cond_t *cond, pthread_mutex_t *lock, int64_t when_ns);

#endif
