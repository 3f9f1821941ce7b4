#include "cpython/sites.h"

#include "check.h"

/* As CPython 3.12 numbers them. */
enum {
	POP_TOP = 1,
	PUSH_NULL = 2,
	END_FOR = 4,
	GET_ITER = 68,
	RETURN_VALUE = 83,
	FOR_ITER = 93,
	LOAD_CONST = 100,
	JUMP_FORWARD = 110,
	POP_JUMP_IF_FALSE = 114,
	LOAD_GLOBAL = 116,
	LOAD_FAST = 124,
	JUMP_BACKWARD = 140,
	CALL_FUNCTION_EX = 142,
	EXTENDED_ARG = 144,
	RESUME = 151,
	CALL = 171,
	INSTRUMENTED_LINE = 254
};

#define UNITS 64

struct code {
	uint8_t bytes[2 * UNITS];
	size_t units;
	uint8_t depth[UNITS], site[UNITS];
};

/* Returns its index. */
static size_t put(struct code *c, uint8_t op, uint8_t arg)
{
	size_t at = c->units;

	CHECK(at + 5 < UNITS);
	c->bytes[2 * at] = op;
	c->bytes[2 * at + 1] = arg;
	c->units += 1U + cprof_opcodes(0x030c)[op].caches;
	return at;
}

static bool find(struct code *c)
{
	return cprof_sites_find(
		cprof_opcodes(0x030c), c->bytes, c->units, c->depth, c->site);
}

void test_sites__a_call_finds_the_callee_under_its_arguments(void)
{
	struct code c = { 0 };
	size_t inner, outer;

	/* f(1, g(2)) */
	put(&c, RESUME, 0);
	put(&c, LOAD_GLOBAL, 1);
	put(&c, LOAD_CONST, 0);
	put(&c, LOAD_GLOBAL, 3);
	put(&c, LOAD_CONST, 1);
	inner = put(&c, CALL, 1);
	outer = put(&c, CALL, 2);
	put(&c, RETURN_VALUE, 0);
	CHECK(find(&c));
	CHECK_EQ(c.site[inner], 3);
	CHECK_EQ(c.site[outer], 0);
	for (size_t i = 0; i < c.units; i++)
		CHECK(i == inner || i == outer || c.site[i] == CPROF_NO_SITE);
}

void test_sites__a_loop_keeps_its_iterator_below(void)
{
	struct code c = { 0 };
	size_t loop, call, after;

	/* for x in y: f(x), then f(*args) */
	put(&c, LOAD_FAST, 0);
	put(&c, GET_ITER, 0);
	loop = put(&c, FOR_ITER, 12);
	put(&c, POP_TOP, 0);
	put(&c, LOAD_GLOBAL, 1);
	call = put(&c, CALL, 0);
	put(&c, POP_TOP, 0);
	put(&c, JUMP_BACKWARD, (uint8_t)(c.units + 1 - loop));
	CHECK_EQ(c.units, loop + 2 + 12);
	put(&c, END_FOR, 0);
	put(&c, PUSH_NULL, 0);
	put(&c, LOAD_FAST, 1);
	put(&c, LOAD_FAST, 2);
	after = put(&c, CALL_FUNCTION_EX, 0);
	put(&c, RETURN_VALUE, 0);
	CHECK(find(&c));
	CHECK_EQ(c.site[call], 1);
	CHECK_EQ(c.site[after], 0);
}

void test_sites__code_that_is_reached_from_behind_is_found(void)
{
	struct code c = { 0 };
	size_t call, cold;

	/* As a compiler moves what is rare to the end. */
	put(&c, JUMP_FORWARD, 7);
	put(&c, PUSH_NULL, 0);
	put(&c, LOAD_FAST, 0);
	call = put(&c, CALL, 0);
	put(&c, RETURN_VALUE, 0);
	cold = put(&c, LOAD_CONST, 0);
	CHECK_EQ(cold, 8);
	put(&c, JUMP_BACKWARD, 9);
	CHECK(find(&c));
	CHECK_EQ(c.site[call], 1);
}

void test_sites__what_only_an_exception_leads_to_is_not_told(void)
{
	struct code c = { 0 };
	size_t call;

	put(&c, LOAD_CONST, 0);
	put(&c, RETURN_VALUE, 0);
	put(&c, LOAD_GLOBAL, 1);
	call = put(&c, CALL, 0);
	put(&c, RETURN_VALUE, 0);
	CHECK(find(&c));
	CHECK_EQ(c.site[call], CPROF_NO_SITE);
}

void test_sites__a_long_argument_counts_whole(void)
{
	struct code c = { 0 };

	put(&c, PUSH_NULL, 0);
	put(&c, LOAD_FAST, 0);
	put(&c, EXTENDED_ARG, 1);
	put(&c, CALL, 0); /* with 256 arguments, which are not there */
	put(&c, RETURN_VALUE, 0);
	CHECK(!find(&c));
}

void test_sites__nothing_is_told_of_what_is_no_code(void)
{
	struct code c = { 0 };

	CHECK(!find(&c)); /* empty */
	put(&c, POP_TOP, 0);
	put(&c, RETURN_VALUE, 0);
	CHECK(!find(&c)); /* below the ground */

	c = (struct code){ 0 };
	put(&c, LOAD_CONST, 0);
	CHECK(!find(&c)); /* goes on behind its end */

	c = (struct code){ 0 };
	put(&c, INSTRUMENTED_LINE, 0);
	put(&c, RETURN_VALUE, 0);
	CHECK(!find(&c)); /* hides another instruction */

	c = (struct code){ 0 };
	put(&c, LOAD_CONST, 0);
	put(&c, POP_JUMP_IF_FALSE, 200);
	put(&c, LOAD_CONST, 0);
	put(&c, RETURN_VALUE, 0);
	CHECK(!find(&c)); /* jumps out of it */

	c = (struct code){ 0 };
	put(&c, LOAD_CONST, 0);
	put(&c, LOAD_CONST, 0);
	put(&c, JUMP_BACKWARD, 2);
	CHECK(!find(&c)); /* a deeper stack with each round */
}

void test_sites__versions_without_a_table_say_so(void)
{
	CHECK(cprof_opcodes(0x030b) && cprof_opcodes(0x030c));
	CHECK(!cprof_opcodes(0x030a));
	CHECK(!cprof_opcodes(0x0310));
}
