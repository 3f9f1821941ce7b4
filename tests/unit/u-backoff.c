#include "agent/backoff.h"

#include "base/limits.h"
#include "check.h"

/* The longest delay there can be now: the one just below the envelope. */
static int64_t longest(struct cprof_backoff *b)
{
	return cprof_backoff_next(b, -1, (uint64_t)b->envelope_ns - 1);
}

void test_backoff__the_first_delay_is_anything_below_a_minute(void)
{
	static const struct {
		uint64_t random;
		int64_t want_ns;
	} row[] = {
		{ 0, 0 },
		{ 17, 17 },
		{ CPROF_BACKOFF_MIN_NS - 1, CPROF_BACKOFF_MIN_NS - 1 },
		{ CPROF_BACKOFF_MIN_NS, 0 },
		{ UINT64_MAX, UINT64_MAX % CPROF_BACKOFF_MIN_NS },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_backoff b;

		cprof_backoff_init(&b, 0, 0);
		CHECK_EQ(cprof_backoff_next(&b, -1, row[i].random),
			row[i].want_ns);
	}
}

void test_backoff__the_envelope_grows_by_three_tenths(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, 0, 0);
	CHECK_EQ(longest(&b), 60 * CPROF_NS_PER_S - 1);
	CHECK_EQ(longest(&b), 78 * CPROF_NS_PER_S - 1);
	CHECK_EQ(longest(&b), 101400 * CPROF_NS_PER_MS - 1);
	CHECK_EQ(longest(&b), 131820 * CPROF_NS_PER_MS - 1);
}

void test_backoff__the_envelope_ends_at_an_hour(void)
{
	struct cprof_backoff b;
	int64_t before_ns = 0, delay_ns;
	int steps = 0;

	cprof_backoff_init(&b, 0, 0);
	while ((delay_ns = longest(&b)) < CPROF_BACKOFF_MAX_NS - 1) {
		CHECK(delay_ns > before_ns);
		before_ns = delay_ns;
		CHECK(++steps < 20);
	}
	/* 1.3 to the 16th is the first that is over 60. */
	CHECK_EQ(steps, 16);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(longest(&b), CPROF_BACKOFF_MAX_NS - 1);
}

void test_backoff__what_is_asked_for_is_obeyed(void)
{
	static const int64_t asked_ns[] = { CPROF_MIN_RETRY_NS,
		CPROF_MIN_RETRY_NS + 1, 90 * CPROF_NS_PER_S,
		CPROF_BACKOFF_MAX_NS };

	for (size_t i = 0; i < sizeof(asked_ns) / sizeof(asked_ns[0]); i++) {
		struct cprof_backoff b;

		cprof_backoff_init(&b, 0, 0);
		CHECK_EQ(cprof_backoff_next(&b, asked_ns[i], i * 12345),
			asked_ns[i]);
	}
}

/* A reply is input from outside: no value of it may stop the agent for good. */
void test_backoff__hostile_delays_are_clamped(void)
{
	static const int64_t asked_ns[] = { CPROF_BACKOFF_MAX_NS + 1,
		INT64_MAX - 1, INT64_MAX };

	for (size_t i = 0; i < sizeof(asked_ns) / sizeof(asked_ns[0]); i++) {
		struct cprof_backoff b;

		cprof_backoff_init(&b, 0, 0);
		CHECK_EQ(cprof_backoff_next(&b, asked_ns[i], 0),
			CPROF_BACKOFF_MAX_NS);
	}
}

void test_backoff__a_wish_for_no_delay_is_no_busy_loop(void)
{
	static const int64_t asked_ns[] = { 0, 1, CPROF_MIN_RETRY_NS - 1 };

	for (size_t i = 0; i < sizeof(asked_ns) / sizeof(asked_ns[0]); i++) {
		struct cprof_backoff b;

		cprof_backoff_init(&b, 0, 0);
		CHECK_EQ(cprof_backoff_next(&b, asked_ns[i], 0),
			CPROF_MIN_RETRY_NS);
	}
}

void test_backoff__any_negative_wish_is_none(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, 0, 0);
	CHECK_EQ(cprof_backoff_next(&b, INT64_MIN, 5), 5);
	CHECK_EQ(longest(&b), 78 * CPROF_NS_PER_S - 1);
}

void test_backoff__a_wish_leaves_the_envelope_alone(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, 0, 0);
	longest(&b);
	for (int i = 0; i < 50; i++)
		cprof_backoff_next(&b, i * CPROF_NS_PER_S, 0);
	CHECK_EQ(longest(&b), 78 * CPROF_NS_PER_S - 1);
}

void test_backoff__reset_makes_the_envelope_small(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, 0, 0);
	for (int i = 0; i < 30; i++)
		longest(&b);
	cprof_backoff_reset(&b);
	CHECK_EQ(longest(&b), 60 * CPROF_NS_PER_S - 1);
	CHECK_EQ(longest(&b), 78 * CPROF_NS_PER_S - 1);
}

/* For tests that cannot wait for a minute. */
void test_backoff__other_bounds_may_be_given(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, 1000, 1500);
	CHECK_EQ(longest(&b), 999);
	CHECK_EQ(longest(&b), 1299);
	CHECK_EQ(longest(&b), 1499);
	CHECK_EQ(longest(&b), 1499);
	CHECK_EQ(cprof_backoff_next(&b, INT64_MAX, 0), 1500);
	cprof_backoff_reset(&b);
	CHECK_EQ(longest(&b), 999);
}

void test_backoff__bounds_without_sense_are_no_busy_loop(void)
{
	struct cprof_backoff b;

	cprof_backoff_init(&b, -1, -1);
	CHECK_EQ(longest(&b), CPROF_BACKOFF_MIN_NS - 1);
	CHECK_EQ(b.max_ns, CPROF_BACKOFF_MAX_NS);
	cprof_backoff_init(&b, 2000, 1000);
	CHECK_EQ(longest(&b), 1999);
	CHECK_EQ(longest(&b), 1999);
}
