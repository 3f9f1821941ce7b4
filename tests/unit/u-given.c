#include "google/given.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "check.h"

static atomic_bool stop;
static char header[CPROF_MAX_TOKEN_BYTES + sizeof("Bearer ")];

static int get(struct cprof_error *err)
{
	return cprof_given_get(header, sizeof(header), &stop, err);
}

void test_given__a_token_serves_until_it_is_old(void)
{
	struct cprof_error err;

	CHECK(cprof_given_put("one", CPROF_NS_PER_S * 60));
	CHECK_EQ(get(&err), 0);
	CHECK_STR(header, "Bearer one");
	CHECK(cprof_given_put("two", CPROF_NS_PER_MS));
	cprof_sleep_until_ns(cprof_now_ns() + 2 * CPROF_NS_PER_MS);
	CHECK_EQ(get(&err), CPROF_EUNAVAILABLE);
}

void test_given__a_refused_one_is_wanted_no_more(void)
{
	struct cprof_error err;

	CHECK(cprof_given_put("one", CPROF_NS_PER_S * 60));
	cprof_given_refuse();
	CHECK_EQ(get(&err), CPROF_EUNAVAILABLE);
	CHECK(!cprof_given_put("one", CPROF_NS_PER_S * 60));
	CHECK(cprof_given_put("two", CPROF_NS_PER_S * 60));
	CHECK_EQ(get(&err), 0);
	CHECK_STR(header, "Bearer two");
}

void test_given__what_no_header_can_carry_is_not_taken(void)
{
	static char too_long[CPROF_MAX_TOKEN_BYTES + 2];
	const char *bad[] = { "", "a b", "s3cr3t\n", "\xc3\xbc", too_long };
	struct cprof_error err;

	memset(too_long, 'x', CPROF_MAX_TOKEN_BYTES + 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cprof_given_put(bad[i], CPROF_NS_PER_S);
		CHECK_EQ(get(&err), CPROF_EUNAVAILABLE);
		CHECK_STR(err.message, "the credentials give no token: "
				       "it is not a token");
	}
}

static void *give_soon(void *arg)
{
	cprof_sleep_until_ns(cprof_now_ns() + 100 * CPROF_NS_PER_MS);
	if (arg)
		stop = true;
	else
		cprof_given_put("one", CPROF_NS_PER_S * 60);
	return NULL;
}

void test_given__the_first_one_is_waited_for(void)
{
	struct cprof_error err;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, give_soon, NULL), 0);
	CHECK_EQ(get(&err), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	cprof_given_clear();
	CHECK_EQ(pthread_create(&thread, NULL, give_soon, header), 0);
	CHECK_EQ(get(&err), CPROF_ECANCELED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

void test_given__it_says_why_there_is_none(void)
{
	struct cprof_error err;

	cprof_given_fail("RefreshError", false);
	CHECK_EQ(get(&err), CPROF_EUNAVAILABLE);
	CHECK_STR(err.message, "the credentials give no token: RefreshError");
	cprof_given_fail("400 invalid_grant", true);
	CHECK_EQ(get(&err), CPROF_EAUTH);
}
