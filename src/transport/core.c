#include "transport/core.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef CPROF_OPENSSL_IS_PRIVATE
#include <openssl/crypto.h>
#endif

#include "transport/compat.h"

/* Sockets, a poller, ways to wake threads: 4 are the least that was seen. */
#define WANTED_DESCRIPTORS 16
#define WANTED_THREADS	   8 /* of ours and core's: 7 are its own */
/* Of address space: a stack of 8 MB and a heap of 64 MB for each of them. */
#define WANTED_BYTES ((size_t)768 << 20)

/* OpenSSL's own exit handler would free under threads that still run. */
static bool disarm_openssl(void)
{
#ifdef CPROF_OPENSSL_IS_PRIVATE
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1;
#else
	return true; /* the program's copy, with the program's settings */
#endif
}

static struct {
	pthread_mutex_t lock; /* protects what follows */
	bool tried, works, own_descriptors;
} core = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Core and abseil abort the program where they find less. */
static int check_descriptors(struct cprof_error *err)
{
	int fd[WANTED_DESCRIPTORS], nr = 0;

	fd[0] = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (fd[0] < 0)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: cannot open '/dev/urandom': %s",
			strerror(errno));
	while (fd[nr] >= 0 && ++nr < WANTED_DESCRIPTORS)
		fd[nr] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	for (int i = 0; i < nr; i++)
		close(fd[i]);
	if (nr < WANTED_DESCRIPTORS)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: fewer than %d free descriptors",
			WANTED_DESCRIPTORS);
	return 0;
}

static int check_room(struct cprof_error *err)
{
	void *p = mmap(NULL, WANTED_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: less than %zu MB of address space",
			WANTED_BYTES >> 20);
	munmap(p, WANTED_BYTES);
	return 0;
}

static void *wait_for(void *arg)
{
	pthread_mutex_t *held = arg;

	pthread_mutex_lock(held);
	pthread_mutex_unlock(held);
	return NULL;
}

/* Core goes on without a thread that it cannot make, and waits for it. */
static int check_threads(struct cprof_error *err)
{
	pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread[WANTED_THREADS];
	int nr = 0, r = 0;

	pthread_mutex_lock(&held);
	while (nr < WANTED_THREADS && !r) {
		r = pthread_create(&thread[nr], NULL, wait_for, &held);
		nr += !r;
	}
	pthread_mutex_unlock(&held);
	for (int i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	if (r)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: no room for %d threads: %s",
			WANTED_THREADS, strerror(r));
	return 0;
}

static void start(void)
{
	if (!disarm_openssl())
		return;
	/* Core reads its log settings from the environment in grpc_init. */
	cprof__core_silence();
	grpc_init();
	cprof__core_silence();
	core.works = true;
}

int cprof__core_start(bool own_descriptors, struct cprof_error *err)
{
	bool works, fits;
	int r = 0;

	pthread_mutex_lock(&core.lock);
	if (!core.tried)
		r = check_descriptors(err);
	if (!r && !core.tried)
		r = check_room(err);
	if (!r && !core.tried)
		r = check_threads(err);
	if (!r && !core.tried) {
		start();
		core.tried = true;
		core.own_descriptors = own_descriptors;
	}
	works = core.works;
	fits = core.own_descriptors == own_descriptors;
	pthread_mutex_unlock(&core.lock);
	if (r < 0)
		return r;
	if (!works)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: openssl does not initialize");
	if (!fits)
		return cprof_fail(err, CPROF_EINVAL,
			"this copy of gRPC core serves other threads");
	return 0;
}

void cprof__core_abandon(void)
{
#ifdef CPROF_BUNDLED
	/* Where core had a table of its own, these numbers are a stranger's. */
	if (core.works && !core.own_descriptors)
		cprof__descriptors_close();
#endif
}

const char *cprof__core_version(void)
{
	return grpc_version_string();
}
