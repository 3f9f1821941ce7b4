#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

static struct {
	pthread_mutex_t lock; /* protects all that follows */
	pthread_cond_t changed;
	struct cprof_log_record record[CPROF_MAX_LOG_RECORDS];
	unsigned int first, nr;
	uint64_t pushed, lost; /* the lost are among the pushed */
	bool closed;
} ring = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

void cprof_log(enum cprof_level level, const char *fmt, ...)
{
	struct cprof_log_record r = { .level = level };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r.text, sizeof(r.text), fmt, ap);
	va_end(ap);

	pthread_mutex_lock(&ring.lock);
	ring.pushed++;
	if (ring.nr == CPROF_MAX_LOG_RECORDS) {
		ring.lost++;
	} else {
		ring.record[(ring.first + ring.nr) % CPROF_MAX_LOG_RECORDS] = r;
		ring.nr++;
		pthread_cond_signal(&ring.changed);
	}
	pthread_mutex_unlock(&ring.lock);
}

bool cprof_log_pop(struct cprof_log_record *ret)
{
	bool found;

	pthread_mutex_lock(&ring.lock);
	found = ring.nr > 0;
	if (found) {
		*ret = ring.record[ring.first];
		ring.first = (ring.first + 1) % CPROF_MAX_LOG_RECORDS;
		ring.nr--;
	}
	pthread_mutex_unlock(&ring.lock);
	return found;
}

uint64_t cprof_log_wait(uint64_t heard)
{
	uint64_t pushed;

	pthread_mutex_lock(&ring.lock);
	while (ring.pushed <= heard && !ring.closed)
		pthread_cond_wait(&ring.changed, &ring.lock);
	pushed = ring.closed ? 0 : ring.pushed;
	pthread_mutex_unlock(&ring.lock);
	return pushed;
}

void cprof_log_open(void)
{
	pthread_mutex_lock(&ring.lock);
	ring.closed = false;
	pthread_mutex_unlock(&ring.lock);
}

void cprof_log_close(void)
{
	pthread_mutex_lock(&ring.lock);
	ring.closed = true;
	pthread_cond_broadcast(&ring.changed);
	pthread_mutex_unlock(&ring.lock);
}

uint64_t cprof_log_take_lost(void)
{
	uint64_t lost;

	pthread_mutex_lock(&ring.lock);
	lost = ring.lost;
	ring.lost = 0;
	pthread_mutex_unlock(&ring.lock);
	return lost;
}

void cprof_log_abandon(void)
{
	pthread_mutex_init(&ring.lock, NULL);
	pthread_cond_init(&ring.changed, NULL);
	ring.first = ring.nr = 0;
	ring.pushed = ring.lost = 0;
	ring.closed = false;
}
