#include "base/buffer.h"

#include "check.h"

void test_buffer__keeps_what_is_added(void)
{
	struct cprof_buffer b;

	cprof_buffer_init(&b, 1 << 20);
	for (int i = 0; i < 10000; i++) {
		uint8_t byte = (uint8_t)(i % 251);

		CHECK_EQ(cprof_buffer_add(&b, &byte, 1, NULL), 0);
	}
	CHECK_EQ(b.len, 10000);
	for (int i = 0; i < 10000; i++)
		CHECK_EQ(b.data[i], i % 251);
	cprof_buffer_finish(&b);
	CHECK(!b.data);
	CHECK_EQ(b.len, 0);
}

void test_buffer__takes_its_maximum_and_no_more(void)
{
	struct cprof_buffer b;
	struct cprof_error err;
	char data[1000] = { 0 };

	cprof_buffer_init(&b, 1000);
	CHECK_EQ(cprof_buffer_add(&b, data, 600, NULL), 0);
	CHECK_EQ(cprof_buffer_add(&b, data, 401, &err), CPROF_ETOOBIG);
	CHECK_EQ(b.len, 600);
	CHECK_EQ(cprof_buffer_reserve(&b, SIZE_MAX, &err), CPROF_ETOOBIG);
	CHECK_EQ(cprof_buffer_add(&b, data, 400, NULL), 0);
	CHECK_EQ(cprof_buffer_add(&b, data, 1, NULL), CPROF_ETOOBIG);
	CHECK_EQ(b.len, 1000);
	CHECK(b.cap <= 1000);
	cprof_buffer_finish(&b);
}

void test_buffer__reserved_room_can_be_filled(void)
{
	struct cprof_buffer b;

	cprof_buffer_init(&b, 5000);
	CHECK_EQ(cprof_buffer_reserve(&b, 4000, NULL), 0);
	CHECK_EQ(b.len, 0);
	memset(b.data, 7, 4000);
	b.len += 4000;
	CHECK_EQ(cprof_buffer_add(&b, "x", 1, NULL), 0);
	CHECK_EQ(b.data[3999], 7);
	CHECK_EQ(b.data[4000], 'x');
	cprof_buffer_finish(&b);
}

void test_buffer__adding_nothing_allocates_nothing_for_it(void)
{
	struct cprof_buffer b;

	cprof_buffer_init(&b, 10);
	CHECK_EQ(cprof_buffer_add(&b, NULL, 0, NULL), 0);
	CHECK(!b.data);
	cprof_buffer_finish(&b);
}
