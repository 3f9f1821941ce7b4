#include "sampler/budget.h"

#include "base/limits.h"
#include "check.h"

#define MS CPROF_NS_PER_MS
/* Half a per cent of a core: of a second, this many microseconds. */
#define SHARE_PPM 5000
#define SHARE_US  5000

/*
 * A budget that lived for `seconds`, each of which takes `us` at the full rate.
 */
static struct cprof_budget live(
	struct cprof_budget b, int seconds, int64_t us, bool any_cold)
{
	for (int i = 0; i < seconds; i++)
		cprof_budget_judge(&b, b.then_ns + CPROF_NS_PER_S,
			b.cpu_ns + us * CPROF_NS_PER_US / b.stride, any_cold);
	return b;
}

static struct cprof_budget open_budget(void)
{
	struct cprof_budget b;

	cprof_budget_open(&b, SHARE_PPM, 77 * MS, 5 * MS);
	CHECK_EQ(b.stride, 1);
	CHECK_EQ(b.cold_ticks, CPROF_COLD_TICKS);
	return b;
}

void test_budget__within_it_nothing_changes(void)
{
	struct cprof_budget b = live(open_budget(), 9, SHARE_US, true);

	CHECK_EQ(b.stride, 1);
	CHECK_EQ(b.cold_ticks, CPROF_COLD_TICKS);
}

void test_budget__what_rests_is_looked_at_less_before_the_rate_falls(void)
{
	struct cprof_budget b = live(open_budget(), 1, SHARE_US * 3 / 2, true);

	CHECK_EQ(b.stride, 1);
	CHECK_EQ(b.cold_ticks, 2 * CPROF_COLD_TICKS);
	b = live(b, 9, 3 * SHARE_US, true);
	CHECK_EQ(b.cold_ticks, CPROF_MAX_COLD_TICKS);
	CHECK(b.stride > 1);
}

void test_budget__what_is_too_much_for_that_lowers_the_rate_at_once(void)
{
	struct cprof_budget b = live(open_budget(), 1, 20 * SHARE_US, true);

	CHECK_EQ(b.cold_ticks, CPROF_MAX_COLD_TICKS);
	CHECK(b.stride > 1);
}

void test_budget__the_rate_falls_at_once_to_what_fits(void)
{
	struct cprof_budget b = live(open_budget(), 1, 3 * SHARE_US, false);

	/* To half of it, while more than a second's share is owed. */
	CHECK_EQ(b.stride, 6);
	CHECK_EQ(b.cold_ticks, CPROF_COLD_TICKS);
	b = live(b, 9, 3 * SHARE_US, false);
	CHECK_EQ(b.stride, 4);
}

void test_budget__what_the_first_looks_took_is_paid_back(void)
{
	struct cprof_budget b = live(open_budget(), 1, 20 * SHARE_US, false);

	b = live(b, 49, SHARE_US, false);
	CHECK(b.cpu_ns - 5 * MS <= 51 * SHARE_US * CPROF_NS_PER_US);
}

void test_budget__the_rate_has_a_floor(void)
{
	struct cprof_budget b = live(open_budget(), 9, 1000 * SHARE_US, false);

	CHECK_EQ(b.stride, CPROF_MAX_STRIDE);
}

void test_budget__what_was_cut_comes_back_in_turn(void)
{
	struct cprof_budget b = live(open_budget(), 9, 3 * SHARE_US, true);

	b = live(b, 1, 1, true);
	CHECK_EQ(b.stride, 1);
	CHECK_EQ(b.cold_ticks, CPROF_MAX_COLD_TICKS);
	b = live(b, 9, 1, true);
	CHECK_EQ(b.cold_ticks, CPROF_COLD_TICKS);
}

void test_budget__it_does_not_swing(void)
{
	struct cprof_budget b = live(open_budget(), 1, SHARE_US * 3 / 2, false);

	CHECK_EQ(b.stride, 2);
	/* At the full rate this is a little too much. */
	b = live(b, 9, SHARE_US * 11 / 10, false);
	CHECK_EQ(b.stride, 2);
}

void test_budget__none_is_never_judged(void)
{
	struct cprof_budget b;

	cprof_budget_open(&b, 0, 0, 0);
	for (int i = 0; i < 1000; i++)
		CHECK(!cprof_budget_due(&b));
	cprof_budget_open(&b, SHARE_PPM, 0, 0);
	for (int i = 0; i < 1000; i++)
		if (cprof_budget_due(&b))
			return;
	CHECK(!"due");
}
