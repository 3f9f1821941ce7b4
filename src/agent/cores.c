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

/* With the lock held. If there shall be a spare, and none is: in a child's
 * words. */
static bool spare_is_wanted(void)
{
	if (cores.spare || !cores.own)
		return false;
	if (!cores.own->alone) {
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"this build's gRPC core shares libraries with the "
			"program, and does not survive a fork");
		return false;
	}
	if (cores.copies == CPROF_MAX_GENERATIONS) {
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"it is a child of the %dth generation, the last that "
			"is profiled",
			CPROF_MAX_GENERATIONS + 1);
		return false;
	}
	return true;
}

void cprof_cores_map(const char *path)
{
	pthread_mutex_lock(&cores.lock);
	if (!cores.own && !cores.child) {
		snprintf(cores.path, sizeof(cores.path), "%s", path);
		cprof_transport_load(path, &cores.own, &cores.why);
	}
	pthread_mutex_unlock(&cores.lock);
}

struct cprof_copy cprof_cores_copy(void)
{
	struct cprof_copy copy = { .fd = -1 };
	struct cprof_error err;
	bool wanted;

	pthread_mutex_lock(&cores.lock);
	wanted = spare_is_wanted();
	pthread_mutex_unlock(&cores.lock);
	/* The path does not change once there is a core. */
	if (wanted && cprof_copy_create(cores.path, CPROF_COPY_IN_MEMORY, &copy,
			      &err) < 0)
		cprof_copy_create(cores.path, CPROF_COPY_ON_DISK, &copy, &err);
	return copy;
}

static void map_spare(const struct cprof_copy *copy)
{
	struct cprof_error err;
	int r = cprof_fail(&err, CPROF_EIO, "no room for a copy of it");

	if (copy->fd >= 0)
		r = cprof_copy_load(copy, cores.copies + 1, &cores.spare, &err);
	if (r < 0)
		cprof_fail(&cores.why, CPROF_EUNSUPPORTED,
			"no second gRPC core could be mapped: %s", err.message);
	else
		cores.copies++;
}

void cprof_cores_refill(struct cprof_copy copy)
{
	pthread_mutex_lock(&cores.lock);
	if (spare_is_wanted())
		map_spare(&copy);
	pthread_mutex_unlock(&cores.lock);
	cprof_copy_close(&copy);
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
