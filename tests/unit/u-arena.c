#include "base/arena.h"

#include <stdint.h>

#include "check.h"

void test_arena__hands_out_zeroed_aligned_pieces(void)
{
	struct cprof_arena a;
	char *p, *q;

	CHECK_EQ(cprof_arena_init(&a, 4096, NULL), 0);
	p = cprof_arena_take(&a, 3);
	q = cprof_arena_take(&a, 16);
	CHECK(p && q);
	CHECK_EQ((uintptr_t)p % 8, 0);
	CHECK_EQ(q - p, 8);
	for (size_t i = 0; i < 16; i++)
		CHECK_EQ(q[i], 0);
	cprof_arena_finish(&a);
}

void test_arena__is_full_at_its_size_and_not_before(void)
{
	struct cprof_arena a;

	CHECK_EQ(cprof_arena_init(&a, 4096, NULL), 0);
	CHECK(!cprof_arena_take(&a, 4097));
	CHECK(cprof_arena_take(&a, 4090));
	CHECK(!cprof_arena_take(&a, 1));
	CHECK(!cprof_arena_take(&a, SIZE_MAX));
	cprof_arena_finish(&a);
}

void test_arena__the_last_piece_may_end_unaligned(void)
{
	struct cprof_arena a;

	CHECK_EQ(cprof_arena_init(&a, 4099, NULL), 0);
	CHECK(cprof_arena_take(&a, 4096));
	CHECK(cprof_arena_take(&a, 3));
	CHECK_EQ(a.used, a.cap);
	CHECK(!cprof_arena_take(&a, 1));
	cprof_arena_finish(&a);
}

struct owner {
	struct cprof_arena arena;
	int number;
};

void test_arena__an_owner_lives_in_its_own_arena(void)
{
	struct owner *o = cprof_arena_create_owner(4096, sizeof(*o), NULL);
	char *more;

	CHECK(o);
	CHECK_EQ(o->number, 0);
	CHECK((char *)o == o->arena.base);
	more = cprof_arena_take(&o->arena, 4096 - sizeof(*o));
	CHECK(more == (char *)(o + 1));
	CHECK(!cprof_arena_take(&o->arena, 1));
	cprof_arena_destroy_owner(o);
	cprof_arena_destroy_owner(NULL);
}

void test_arena__there_may_be_no_room_for_an_owner(void)
{
	struct cprof_error err;

	CHECK(!cprof_arena_create_owner(
		SIZE_MAX / 2, sizeof(struct owner), &err));
	CHECK_EQ(err.code, CPROF_ENOMEM);
}

void test_arena__impossible_size_is_an_error(void)
{
	struct cprof_arena a = { 0 };
	struct cprof_error err;

	CHECK_EQ(cprof_arena_init(&a, SIZE_MAX / 2, &err), CPROF_ENOMEM);
	CHECK_EQ(err.code, CPROF_ENOMEM);
	CHECK(!a.base);
	cprof_arena_finish(&a);
}
