#include "sampler/names.h"

#include <pthread.h>
#include <stdlib.h>

static struct {
	pthread_mutex_t lock;		  /* protects what follows */
	struct cprof_thread_label *label; /* by tid */
	size_t nr;
} names = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int by_tid(const void *a, const void *b)
{
	const struct cprof_thread_label *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

void cprof_names_replace(struct cprof_thread_label *label, size_t nr)
{
	struct cprof_thread_label *before;

	if (nr)
		qsort(label, nr, sizeof(*label), by_tid);
	pthread_mutex_lock(&names.lock);
	before = names.label;
	names.label = label;
	names.nr = nr;
	pthread_mutex_unlock(&names.lock);
	free(before);
}

bool cprof_names_find(int32_t tid, struct cprof_thread_label *ret)
{
	struct cprof_thread_label key = { .tid = tid }, *found = NULL;

	pthread_mutex_lock(&names.lock);
	if (names.nr)
		found = bsearch(&key, names.label, names.nr,
			sizeof(*names.label), by_tid);
	if (found)
		*ret = *found;
	pthread_mutex_unlock(&names.lock);
	return found != NULL;
}

void cprof_names_abandon(void)
{
	pthread_mutex_init(&names.lock, NULL);
	/* Not freed: the parent may have been about to do so. */
	names.label = NULL;
	names.nr = 0;
}
