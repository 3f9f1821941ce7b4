#include "base/log.h"

#include <pthread.h>

#include "base/limits.h"
#include "check.h"

void test_log__records_come_out_in_order(void)
{
	struct cprof_log_record r;

	cprof_log(CPROF_INFO, "first %d", 1);
	cprof_log(CPROF_ERROR, "second");
	CHECK(cprof_log_pop(&r));
	CHECK_EQ(r.level, CPROF_INFO);
	CHECK_STR(r.text, "first 1");
	CHECK(cprof_log_pop(&r));
	CHECK_EQ(r.level, CPROF_ERROR);
	CHECK_STR(r.text, "second");
	CHECK(!cprof_log_pop(&r));
}

void test_log__a_full_ring_counts_what_it_loses(void)
{
	struct cprof_log_record r;
	char want[32];

	for (int i = 0; i < CPROF_MAX_LOG_RECORDS + 5; i++)
		cprof_log(CPROF_DEBUG, "record %d", i);
	CHECK_EQ(cprof_log_take_lost(), 5);
	CHECK_EQ(cprof_log_take_lost(), 0);
	for (int i = 0; i < CPROF_MAX_LOG_RECORDS; i++) {
		CHECK(cprof_log_pop(&r));
		snprintf(want, sizeof(want), "record %d", i);
		CHECK_STR(r.text, want);
	}
	CHECK(!cprof_log_pop(&r));
	cprof_log(CPROF_DEBUG, "room again");
	CHECK(cprof_log_pop(&r));
	CHECK_STR(r.text, "room again");
}

void test_log__a_long_text_is_cut(void)
{
	static char text[5000];
	struct cprof_log_record r;

	memset(text, 'x', sizeof(text) - 1);
	cprof_log(CPROF_INFO, "%s", text);
	CHECK(cprof_log_pop(&r));
	CHECK_EQ(strlen(r.text), sizeof(r.text) - 1);
}

static void *wait_for_one(void *arg)
{
	bool *was_open = arg;

	*was_open = cprof_log_wait(0);
	return NULL;
}

/* Whichever comes first, the wait or the event: the outcome is the same. */
void test_log__a_record_ends_the_wait(void)
{
	pthread_t thread;
	bool open = false;

	CHECK_EQ(pthread_create(&thread, NULL, wait_for_one, &open), 0);
	cprof_log(CPROF_INFO, "wake up");
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(open);
	cprof_log_abandon();
}

void test_log__closing_ends_the_wait(void)
{
	pthread_t thread;
	bool open = true;

	CHECK_EQ(pthread_create(&thread, NULL, wait_for_one, &open), 0);
	cprof_log_close();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!open);
	cprof_log_abandon();
}

/* Whoever has heard of a record need not have popped it. */
void test_log__the_wait_is_for_what_was_not_heard_of(void)
{
	cprof_log(CPROF_INFO, "one");
	cprof_log(CPROF_INFO, "two");
	CHECK_EQ(cprof_log_wait(1), 2);
	cprof_log_abandon();
	cprof_log(CPROF_INFO, "three");
	CHECK_EQ(cprof_log_wait(0), 1);
	cprof_log_abandon();
}

void test_log__a_closed_ring_gives_its_records_and_opens_again(void)
{
	struct cprof_log_record r;

	cprof_log_close();
	cprof_log(CPROF_INFO, "late");
	CHECK(!cprof_log_wait(0));
	CHECK(cprof_log_pop(&r));
	CHECK_STR(r.text, "late");
	cprof_log_open();
	cprof_log(CPROF_INFO, "new");
	CHECK(cprof_log_wait(0));
	CHECK(cprof_log_pop(&r));
	CHECK_STR(r.text, "new");
}

void test_log__abandoning_makes_it_new(void)
{
	struct cprof_log_record r;

	for (int i = 0; i < CPROF_MAX_LOG_RECORDS + 5; i++)
		cprof_log(CPROF_DEBUG, "the parent's");
	cprof_log_close();
	cprof_log_abandon();
	CHECK(!cprof_log_pop(&r));
	CHECK_EQ(cprof_log_take_lost(), 0);
	cprof_log(CPROF_INFO, "the child's");
	CHECK(cprof_log_wait(0));
	CHECK(cprof_log_pop(&r));
	CHECK_STR(r.text, "the child's");
}
