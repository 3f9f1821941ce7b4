#include "agent/home.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "descriptors.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int lived; /* how many tenants */

struct guest {
	struct cprof_tenant tenant; /* its first member */
	long tid;
	int order;
	int fds_before, fds;
	bool own, own_again, sees_ours;
	int ours; /* a descriptor of the test's thread */
};

static void live(struct cprof_tenant *tenant)
{
	struct guest *g = (struct guest *)tenant;

	g->tid = syscall(SYS_gettid);
	g->fds_before = open_fds_of(g->tid);
	g->own = cprof_home_own_descriptors();
	g->own_again = cprof_home_own_descriptors();
	g->fds = open_fds_of(g->tid);
	g->sees_ours = fcntl(g->ours, F_GETFD) >= 0;
	pthread_mutex_lock(&lock);
	g->order = ++lived;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for(int nr)
{
	pthread_mutex_lock(&lock);
	while (lived < nr)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void test_home__tenants_live_one_after_the_other_in_one_thread(void)
{
	struct guest guest[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		guest[i].tenant.live = live;
		CHECK_EQ(cprof_home_take_in(&guest[i].tenant, NULL), 0);
	}
	wait_for(3);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(guest[i].order, i + 1);
		CHECK_EQ(guest[i].tid, guest[0].tid);
		CHECK(guest[i].tid != getpid());
	}
}

void test_home__its_descriptors_are_its_own(void)
{
	struct guest g = { .tenant.live = live };

	/* High: the three standard ones do not get there. */
	g.ours = fcntl(0, F_DUPFD_CLOEXEC, 50);
	CHECK(g.ours >= 50);
	CHECK_EQ(cprof_home_take_in(&g.tenant, NULL), 0);
	wait_for(1);
	CHECK(g.own && g.own_again);
	CHECK(!g.sees_ours);
	CHECK(g.fds < g.fds_before);
	CHECK_EQ(fcntl(g.ours, F_GETFD), FD_CLOEXEC);
	close(g.ours);
}

/* As in a forked child, where the thread is not there. */
void test_home__an_abandoned_one_is_made_anew(void)
{
	struct guest a = { .tenant.live = live }, b = { .tenant.live = live };

	CHECK_EQ(cprof_home_take_in(&a.tenant, NULL), 0);
	wait_for(1);
	cprof_home_abandon();
	CHECK_EQ(cprof_home_take_in(&b.tenant, NULL), 0);
	wait_for(2);
	CHECK(a.tid != b.tid);
	CHECK(b.own);
}
