#include "rpc/status.h"

#include <stdint.h>

#include "check.h"

void test_status__each_number_has_its_code(void)
{
	static const struct {
		int status, want;
	} row[] = {
		{ 0, 0 },
		{ 1, CPROF_EUNAVAILABLE },
		{ 2, CPROF_EUNAVAILABLE },
		{ 3, CPROF_EINVAL },
		{ 4, CPROF_EUNAVAILABLE },
		{ 5, CPROF_ENOTFOUND },
		{ 6, CPROF_EINVAL },
		{ 7, CPROF_EDENIED },
		{ 8, CPROF_EUNAVAILABLE },
		{ 9, CPROF_EINVAL },
		{ 10, CPROF_EABORTED },
		{ 11, CPROF_EINVAL },
		{ 12, CPROF_EINVAL },
		{ 13, CPROF_EUNAVAILABLE },
		{ 14, CPROF_EUNAVAILABLE },
		{ 15, CPROF_EUNAVAILABLE },
		{ 16, CPROF_EAUTH },
		{ 17, CPROF_EUNAVAILABLE },
		{ -1, CPROF_EUNAVAILABLE },
		{ INT32_MAX, CPROF_EUNAVAILABLE },
		{ INT32_MIN, CPROF_EUNAVAILABLE },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_EQ(cprof_status_fail(NULL, "X", row[i].status, "w"),
			row[i].want);
}

void test_status__says_what_failed_and_the_servers_words(void)
{
	struct cprof_error err = { 0 };

	cprof_status_fail(&err, "CreateProfile", 7, "no role");
	CHECK_STR(err.message, "CreateProfile: PERMISSION_DENIED: no role");
	CHECK_EQ(err.code, CPROF_EDENIED);
	cprof_status_fail(&err, "CreateProfile", 14, "");
	CHECK_STR(err.message, "CreateProfile: UNAVAILABLE");
	cprof_status_fail(&err, "CreateProfile", 99, NULL);
	CHECK_STR(err.message, "CreateProfile: unknown status 99");
}

void test_status__success_leaves_the_error_alone(void)
{
	struct cprof_error err = { .message = "as before" };

	CHECK_EQ(cprof_status_fail(&err, "X", 0, "words"), 0);
	CHECK_STR(err.message, "as before");
}
