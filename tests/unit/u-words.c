#include "agent/words.h"

#include "check.h"

static const struct {
	enum cprof_code code;
	const char *message;
	enum cprof_trouble want;
} seen[] = {
	{ CPROF_EDENIED,
		"CreateProfile: PERMISSION_DENIED: Cloud Profiler API has not "
		"been used in project 1 before or it is disabled.",
		CPROF_TROUBLE_API_DISABLED },
	{ CPROF_EDENIED,
		"CreateProfile: PERMISSION_DENIED: The caller does not have "
		"permission",
		CPROF_TROUBLE_NO_ROLE },
	{ CPROF_EAUTH,
		"no CA certificates found: install the ca-certificates package",
		CPROF_TROUBLE_NO_CERTIFICATES },
	{ CPROF_EAUTH,
		"CreateProfile: UNAUTHENTICATED: this service wants a token",
		CPROF_TROUBLE_TOKEN },
	{ CPROF_EAUTH,
		"CreateProfile: UNAUTHENTICATED: this service wants another "
		"token",
		CPROF_TROUBLE_TOKEN },
	{ CPROF_EAUTH, "cannot read a token: '/x' is empty",
		CPROF_TROUBLE_TOKEN },
	{ CPROF_EAUTH, "CreateProfile: UNAUTHENTICATED: expired",
		CPROF_TROUBLE_CREDENTIALS },
	{ CPROF_EINVAL, "CreateProfile: INVALID_ARGUMENT",
		CPROF_TROUBLE_REFUSED },
	{ CPROF_ENOTFOUND, "CreateProfile: NOT_FOUND: no project",
		CPROF_TROUBLE_NO_PROJECT },
	{ CPROF_EUNAVAILABLE,
		"CreateProfile: UNAVAILABLE: failed to connect to all "
		"addresses",
		CPROF_TROUBLE_NO_ROUTE },
	{ CPROF_EUNAVAILABLE,
		"CreateProfile: UNAVAILABLE: failed to connect to all "
		"addresses; last error: certificate verify failed",
		CPROF_TROUBLE_CERTIFICATE },
	{ CPROF_EUNAVAILABLE, "CreateProfile: INTERNAL", CPROF_TROUBLE_OTHER },
	{ CPROF_EINVAL, "CreateProfile: FAILED_PRECONDITION",
		CPROF_TROUBLE_OTHER },
	{ CPROF_EFORMAT, "is disabled", CPROF_TROUBLE_OTHER },
};

void test_words__each_trouble_is_known_by_code_and_words(void)
{
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		struct cprof_error err = { .code = seen[i].code };

		snprintf(err.message, sizeof(err.message), "%s",
			seen[i].message);
		CHECK_EQ(cprof_trouble_of(&err), seen[i].want);
	}
}

void test_words__all_but_the_unknown_come_with_advice(void)
{
	for (int t = 0; t < CPROF_TROUBLES; t++) {
		const char *advice =
			cprof_trouble_advice((enum cprof_trouble)t);

		/* That there are no certificates says itself what to do. */
		CHECK_EQ(!*advice, t == CPROF_TROUBLE_OTHER ||
					   t == CPROF_TROUBLE_NO_CERTIFICATES);
	}
}
