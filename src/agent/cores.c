#include "agent/cores.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

static struct {
	pthread_mutex_t lock; /* protects what follows */
	char path[4096];
	const struct cprof_transport *own, *spare;
	unsigned int copies; /* this process's and its parents' */
	bool child;
	struct cprof_error why; /* there is no own one, or no spare */
} cores = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* In words that a child can use. */
static void map_spare(void)
{
	struct cprof_error err;

	if (cores.spare || !cores.own)
		return;
	if (!cores.own->alone) {
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"this build's gRPC core shares libraries with the "
			"program, and does not survive a fork");
	} else if (cores.copies == CPROF_MAX_GENERATIONS) {
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"it is a child of the %dth generation, the last that "
			"is profiled",
			CPROF_MAX_GENERATIONS + 1);
	} else if (cprof_transport_load_copy(cores.path, cores.copies + 1,
			   &cores.spare, &err) < 0) {
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"no second gRPC core could be mapped: %s", err.message);
	} else {
		cores.copies++;
	}
}

void cprof_cores_map(const char *path)
{
	pthread_mutex_lock(&cores.lock);
	if (!cores.own && !cores.child) {
		snprintf(cores.path, sizeof(cores.path), "%s", path);
		cprof_transport_load(path, &cores.own, &cores.why);
	}
	map_spare();
	pthread_mutex_unlock(&cores.lock);
}

void cprof_cores_refill(void)
{
	pthread_mutex_lock(&cores.lock);
	map_spare();
	pthread_mutex_unlock(&cores.lock);
}

int cprof_cores_take(
	const struct cprof_transport **ret, struct cprof_error *err)
{
	int r = 0;

	pthread_mutex_lock(&cores.lock);
	if (!cores.own && cores.spare) {
		cores.own = cores.spare;
		cores.spare = NULL;
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"it was forked before its parent had a spare gRPC "
			"core");
	}
	if (cores.own)
		*ret = cores.own;
	else
		r = cprof_fail(err, cores.why.code, "%s", cores.why.message);
	pthread_mutex_unlock(&cores.lock);
	return r;
}

void cprof_cores_abandon(void)
{
	pthread_mutex_init(&cores.lock, NULL);
	if (cores.own)
		cores.own->abandon();
	cores.own = NULL;
	cores.child = true;
}
