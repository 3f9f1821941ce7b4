#include "cpython/tid.h"

#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/thread.h"

/* struct pthread is 2,304 bytes in glibc 2.36, 200 in musl 1.2.3. */
#define SEARCHED_BYTES 2048
#define WORDS	       (SEARCHED_BYTES / (int)sizeof(uint32_t))

struct search {
	struct cprof_peek *peek;
	bool may_be[WORDS]; /* the id */
};

/*
 * Rule out the words that do not have the calling thread's id. A smaller struct
 * may end before: what cannot be read is ruled out as well.
 */
static void look(struct search *s)
{
	uint32_t tid = (uint32_t)syscall(SYS_gettid);
	int handle[WORDS];

	cprof_peek_begin(s->peek);
	for (int i = 0; i < WORDS; i++)
		handle[i] = cprof_peek_add(s->peek,
			(uintptr_t)pthread_self() + sizeof(tid) * (size_t)i,
			sizeof(tid));
	cprof_peek_run(s->peek);
	for (int i = 0; i < WORDS; i++) {
		const void *at = cprof_peek_at(s->peek, handle[i]);

		s->may_be[i] &= at && cprof_load_u32(at, 0) == tid;
	}
}

static void *run(void *arg)
{
	look(arg);
	return NULL;
}

int cprof_tid_offset(
	struct cprof_peek *peek, uint16_t *ret, struct cprof_error *err)
{
	struct search s = { .peek = peek };
	pthread_t thread;
	sigset_t old;
	int r;

	for (int i = 0; i < WORDS; i++)
		s.may_be[i] = true;
	look(&s);
	cprof_signals_block(&old);
	r = pthread_create(&thread, NULL, run, &s);
	cprof_signals_unblock(&old);
	if (r)
		return cprof_fail(err, CPROF_ENOMEM,
			"cannot start a thread: %s", strerror(r));
	pthread_join(thread, NULL);
	for (int i = 0; i < WORDS; i++) {
		if (!s.may_be[i])
			continue;
		*ret = (uint16_t)(sizeof(uint32_t) * (size_t)i);
		return 0;
	}
	return cprof_fail(err, CPROF_EUNSUPPORTED,
		"this C library does not keep a thread's id where it can be "
		"found; Python 3.11 or newer needs no such thing");
}
