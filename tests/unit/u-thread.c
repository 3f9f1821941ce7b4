#include "base/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* What a thread sees that has left the program's descriptors. */
struct view {
	int r;
	bool high_is_open, standard_is_open[3];
	struct stat error;
	int socket;
};

static void *leave(void *arg)
{
	struct view *v = arg;

	v->r = cprof_thread_own_descriptors(NULL);
	v->high_is_open = fcntl(50, F_GETFD) >= 0;
	for (int i = 0; i < 3; i++)
		v->standard_is_open[i] = fcntl(i, F_GETFD) >= 0;
	fstat(2, &v->error);
	v->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return NULL;
}

static struct view look(void)
{
	struct view v = { 0 };
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, leave, &v), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return v;
}

static void check_stranger(const struct view *v)
{
	CHECK_EQ(v->r, 0);
	CHECK(!v->high_is_open);
	for (int i = 0; i < 3; i++)
		CHECK(v->standard_is_open[i]);
	/* And its socket is none of ours, whoever has the number here. */
	CHECK_EQ(v->socket, 3);
}

void test_thread__with_own_descriptors_it_keeps_standard_error_alone(void)
{
	struct stat ours;
	struct view v;

	CHECK_EQ(fcntl(0, F_DUPFD_CLOEXEC, 50), 50);
	v = look();
	check_stranger(&v);
	CHECK_EQ(fstat(2, &ours), 0);
	CHECK_EQ(v.error.st_ino, ours.st_ino);
	CHECK(fcntl(50, F_GETFD) >= 0);
}

/* A library that writes to 2 must not write to a socket. */
void test_thread__standard_descriptors_that_are_closed_are_occupied(void)
{
	struct view v;
	int kept[3];

	for (int i = 0; i < 3; i++) {
		kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 60);
		close(i);
	}
	v = look();
	for (int i = 0; i < 3; i++)
		dup2(kept[i], i);
	check_stranger(&v);
	CHECK(S_ISCHR(v.error.st_mode));
}

void test_thread__ours_are_forgotten_in_a_child(void)
{
	char name[16];

	CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	CHECK(!cprof_thread_is_ours(getpid()));
	cprof_thread_name(CPROF_THREAD_PREFIX "test");
	CHECK(cprof_thread_is_ours(getpid()));
	cprof_thread_abandon();
	CHECK(!cprof_thread_is_ours(getpid()));
	pthread_setname_np(pthread_self(), name);
}
