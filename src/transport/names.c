/*
 * Core names the threads it starts; the linker sends those calls here (--wrap),
 * so that whoever lists the program's threads, our sampler first, sees whose
 * they are.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"

int __real_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
	char ours[16]; /* the kernel's limit */

	if (!strncmp(name, CPROF_THREAD_PREFIX, strlen(CPROF_THREAD_PREFIX)))
		return __real_pthread_setname_np(thread, name);
	snprintf(ours, sizeof(ours), "%s%.9s", CPROF_THREAD_PREFIX, name);
	return __real_pthread_setname_np(thread, ours);
}
