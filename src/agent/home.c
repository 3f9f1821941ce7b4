#include "agent/home.h"

#include <pthread.h>

#include "base/log.h"
#include "base/thread.h"

static struct {
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	bool there;
	bool tried, own_descriptors; /* the thread's alone */
	struct cprof_tenant *first;
} home = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static void *run(void *unused)
{
	struct cprof_tenant *tenant;

	(void)unused;
	cprof_thread_name(CPROF_THREAD_PREFIX "agent");
	for (;;) {
		pthread_mutex_lock(&home.lock);
		while (!home.first)
			pthread_cond_wait(&home.changed, &home.lock);
		tenant = home.first;
		home.first = tenant->next;
		pthread_mutex_unlock(&home.lock);
		tenant->live(tenant);
	}
	return NULL;
}

static void put_last(struct cprof_tenant *tenant)
{
	struct cprof_tenant **at = &home.first;

	while (*at)
		at = &(*at)->next;
	tenant->next = NULL;
	*at = tenant;
}

int cprof_home_take_in(struct cprof_tenant *tenant, struct cprof_error *err)
{
	int r = 0;

	pthread_mutex_lock(&home.lock);
	if (!home.there)
		r = cprof_thread_start(run, NULL, err);
	if (!r) {
		home.there = true;
		put_last(tenant);
		pthread_cond_signal(&home.changed);
	}
	pthread_mutex_unlock(&home.lock);
	return r;
}

bool cprof_home_own_descriptors(void)
{
	struct cprof_error err;

	if (!home.tried) {
		home.own_descriptors = !cprof_thread_own_descriptors(&err);
		if (!home.own_descriptors)
			cprof_log(CPROF_DEBUG, "%s", err.message);
		home.tried = true;
	}
	return home.own_descriptors;
}

void cprof_home_abandon(void)
{
	pthread_mutex_init(&home.lock, NULL);
	pthread_cond_init(&home.changed, NULL);
	home.there = home.tried = false;
	home.first = NULL;
}
