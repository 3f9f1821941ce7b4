#include "transport/core.h"

#include <pthread.h>
#include <stdbool.h>

#ifdef CPROF_OPENSSL_IS_PRIVATE
#include <openssl/crypto.h>
#endif

#include "transport/compat.h"

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

	pthread_mutex_lock(&core.lock);
	if (!core.tried) {
		start();
		core.tried = true;
		core.own_descriptors = own_descriptors;
	}
	works = core.works;
	fits = core.own_descriptors == own_descriptors;
	pthread_mutex_unlock(&core.lock);
	if (!works)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: openssl does not initialize");
	if (!fits)
		return cprof_fail(err, CPROF_EINVAL,
			"this copy of gRPC core serves other threads");
	return 0;
}

const char *cprof__core_version(void)
{
	return grpc_version_string();
}
