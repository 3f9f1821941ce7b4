#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A test is a function `void test_<module>__<promise>(void)`; it is found by
 * its name and runs in a process of its own. A check that fails says where and
 * ends that process.
 */
#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__,     \
				__LINE__, #cond);                              \
			exit(1);                                               \
		}                                                              \
	} while (0)

#define CHECK_EQ(got, want)                                                    \
	do {                                                                   \
		long long got_ = (long long)(got), want_ = (long long)(want);  \
		if (got_ != want_) {                                           \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n",       \
				__FILE__, __LINE__, #got, got_, want_);        \
			exit(1);                                               \
		}                                                              \
	} while (0)

#define CHECK_STR(got, want)                                                   \
	do {                                                                   \
		const char *got_ = (got), *want_ = (want);                     \
		if (!got_ || strcmp(got_, want_)) {                            \
			fprintf(stderr, "%s:%d: %s is '%s', not '%s'\n",       \
				__FILE__, __LINE__, #got,                      \
				got_ ? got_ : "NULL", want_);                  \
			exit(1);                                               \
		}                                                              \
	} while (0)

#endif
