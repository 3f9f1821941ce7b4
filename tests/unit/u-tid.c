#include "cpython/tid.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

struct waiter {
	sem_t ready, go;
	int32_t tid;
};

static void *wait_to_be_read(void *arg)
{
	struct waiter *w = arg;

	w->tid = (int32_t)syscall(SYS_gettid);
	sem_post(&w->ready);
	sem_wait(&w->go);
	return NULL;
}

void test_tid__every_thread_is_known_by_the_offset(void)
{
	struct cprof_peek *peek;
	struct waiter w[8];
	pthread_t thread[8];
	uint16_t offset;

	CHECK_EQ(cprof_peek_create(CPROF_PEEK_ANY, &peek, NULL), 0);
	CHECK_EQ(cprof_tid_offset(peek, &offset, NULL), 0);
	for (int i = 0; i < 8; i++) {
		int32_t found = 0;

		CHECK_EQ(sem_init(&w[i].ready, 0, 0), 0);
		CHECK_EQ(sem_init(&w[i].go, 0, 0), 0);
		CHECK_EQ(pthread_create(
				 &thread[i], NULL, wait_to_be_read, &w[i]),
			0);
		CHECK_EQ(sem_wait(&w[i].ready), 0);
		CHECK(cprof_peek_one(peek, (uintptr_t)thread[i] + offset,
			sizeof(found), &found));
		CHECK_EQ(found, w[i].tid);
	}
	for (int i = 0; i < 8; i++) {
		sem_post(&w[i].go);
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
	}
	cprof_peek_destroy(peek);
}
