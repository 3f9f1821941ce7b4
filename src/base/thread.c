#include "base/thread.h"

#include <pthread.h>
#include <string.h>

/* What a TLS handshake needs, with room; the default may be 128 KiB (musl). */
#define STACK_BYTES (1 << 20)

void cprof_signals_block(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

void cprof_signals_unblock(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void cprof_thread_name(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}

int cprof_thread_start(
	void *(*body)(void *), void *arg, struct cprof_error *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t old;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	cprof_signals_block(&old);
	r = pthread_create(&thread, &attr, body, arg);
	cprof_signals_unblock(&old);
	pthread_attr_destroy(&attr);
	if (r)
		return cprof_fail(err, CPROF_EIO, "cannot start a thread: %s",
			strerror(r));
	return 0;
}
