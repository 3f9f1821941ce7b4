#include "google/given.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/wipe.h"

static struct {
	pthread_mutex_t lock; /* protects what follows */
	char token[CPROF_MAX_TOKEN_BYTES + 1];
	int64_t expires_ns;
	bool refused; /* the token */
	char why[192];
	bool hopeless;
} given = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_token(const char *s)
{
	size_t len = strnlen(s, CPROF_MAX_TOKEN_BYTES + 1);

	return len <= CPROF_MAX_TOKEN_BYTES && cprof_ascii_is_word(s, len);
}

bool cprof_given_put(const char *token, int64_t left_ns)
{
	bool refused;

	pthread_mutex_lock(&given.lock);
	refused = given.refused && !strcmp(token, given.token);
	if (!is_token(token)) {
		snprintf(given.why, sizeof(given.why), "it is not a token");
	} else if (!refused) {
		cprof_wipe(given.token, sizeof(given.token));
		snprintf(given.token, sizeof(given.token), "%s", token);
		given.expires_ns = cprof_boot_ns() + left_ns;
		given.refused = false;
		given.why[0] = '\0';
		given.hopeless = false;
	}
	pthread_mutex_unlock(&given.lock);
	return !refused;
}

void cprof_given_fail(const char *why, bool refused)
{
	pthread_mutex_lock(&given.lock);
	snprintf(given.why, sizeof(given.why), "%s", why);
	given.hopeless = refused;
	pthread_mutex_unlock(&given.lock);
}

void cprof_given_refuse(void)
{
	pthread_mutex_lock(&given.lock);
	given.refused = true;
	pthread_mutex_unlock(&given.lock);
}

static void forget(void)
{
	cprof_wipe(given.token, sizeof(given.token));
	given.refused = false;
	given.why[0] = '\0';
	given.hopeless = false;
}

void cprof_given_clear(void)
{
	pthread_mutex_lock(&given.lock);
	forget();
	pthread_mutex_unlock(&given.lock);
}

void cprof_given_abandon(void)
{
	pthread_mutex_init(&given.lock, NULL);
	forget();
}

/* False as long as there is neither a token nor a reason for having none. */
static bool look(char *ret, size_t size, int *ret_code, struct cprof_error *err)
{
	bool good, known;

	pthread_mutex_lock(&given.lock);
	good = *given.token && !given.refused &&
	       given.expires_ns > cprof_boot_ns();
	known = *given.token || *given.why;
	*ret_code = 0;
	if (good)
		snprintf(ret, size, CPROF_BEARER "%s", given.token);
	else
		*ret_code = cprof_fail(err,
			given.hopeless ? CPROF_EAUTH : CPROF_EUNAVAILABLE,
			"the credentials give no token%s%s",
			*given.why ? ": " : "", given.why);
	pthread_mutex_unlock(&given.lock);
	return known;
}

int cprof_given_get(char *ret, size_t size, const atomic_bool *stop,
	struct cprof_error *err)
{
	int64_t until_ns = cprof_now_ns() + CPROF_GIVEN_PATIENCE_NS;
	int r;

	while (!look(ret, size, &r, err) && cprof_now_ns() < until_ns) {
		if (atomic_load(stop))
			return cprof_fail(err, CPROF_ECANCELED, "stopped");
		cprof_sleep_until_ns(cprof_now_ns() + CPROF_HTTP_LOOK_NS);
	}
	return r;
}
