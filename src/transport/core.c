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

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void start(void)
{
	if (!disarm_openssl())
		return;
	/* Core reads its log settings from the environment in grpc_init. */
	cprof__core_silence();
	grpc_init();
	cprof__core_silence();
	started = true;
}

int cprof__core_start(struct cprof_error *err)
{
	pthread_once(&once, start);
	if (!started)
		return cprof_fail(err, CPROF_EIO,
			"cannot start grpc: openssl does not initialize");
	return 0;
}

const char *cprof__core_version(void)
{
	return grpc_version_string();
}
