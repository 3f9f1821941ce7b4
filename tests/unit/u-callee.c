#include "cpython/callee.h"

#include <sys/mman.h>
#include <unistd.h>

#include "cpython/sites.h"
#include "walked-python.h"

/* Leaf frames of code that calls, on each way that frames lie. */
struct scene {
	struct world *w;
	char *code, *frame;
};

static struct scene open_scene(uint32_t hexversion)
{
	struct scene s = { .w = open_world_as(hexversion) };

	fake_push(s.w->thread, fake_function(s.w->py, "root"), 1);
	s.code = fake_calling(s.w->py, "caller");
	s.frame = fake_push(s.w->thread, s.code, FAKE_CALL);
	return s;
}

/* What the leaf is named, once it is known; "" for the frame itself. */
static const char *leaf(struct world *w)
{
	const char *name = "";

	CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
	if (w->stack->frame[0].code >= CPROF_CALLEE_FIRST) {
		CHECK(w->stack->frame[0].code < CPROF_CODE_PSEUDO);
		CHECK_EQ(w->stack->frame[0].instr, -1);
		name = cprof_callees_name(w->callees, w->stack->frame[0].code);
	}
	CHECK_EQ(w->stack->nr, 2 + (*name != '\0'));
	return name;
}

static const char *called(struct scene *s, const char *callee)
{
	fake_call(s->w->py, s->frame, callee);
	return leaf(s->w);
}

void test_callee__a_c_function_is_above_the_frame_that_calls_it(void)
{
	static const uint32_t version[] = { 0x030b07f0, 0x030c01f0, 0x030d00f0,
		0x030e00f0, 0x030f02f0 };

	for (size_t i = 0; i < sizeof(version) / sizeof(version[0]); i++) {
		struct scene s = open_scene(version[i]);
		struct fake_python *py = s.w->py;
		char *builtins = fake_str(py, "builtins");

		CHECK_STR(called(&s, fake_c_function(
					     py, "sorted", builtins, NULL)),
			"sorted");
		CHECK_STR(called(&s, fake_c_function(py, "crc32",
					     fake_str(py, "zlib"), NULL)),
			"zlib.crc32");
		close_world(s.w);
	}
}

/* A thread that waits in C is looked at once, and shown as that for long. */
void test_callee__it_is_seen_where_not_all_of_the_stack_was_known(void)
{
	static const uint32_t version[] = { 0x030b07f0, 0x030c01f0, 0x030d00f0,
		0x030f02f0 };

	for (size_t i = 0; i < sizeof(version) / sizeof(version[0]); i++) {
		struct scene s = open_scene(version[i]);
		struct fake_python *py = s.w->py;
		char *generator = lone_frame(s.w, "generator", 1);

		link_frame(s.w, generator,
			(char *)(uintptr_t)fake_load(
				s.frame, py->lay->frame.previous));
		link_frame(s.w, s.frame, generator);
		fake_call(py, s.frame,
			fake_c_function(
				py, "sleep", fake_str(py, "time"), NULL));
		cprof_chain_hint_begin(s.w->hint, py->lay, s.w->thread->state);
		CHECK_EQ(walk(s.w), CPROF_WALK_SETTLED);
		CHECK_EQ(s.w->stack->nr, 4);
		CHECK(s.w->stack->frame[0].code >= CPROF_CALLEE_FIRST);
		close_world(s.w);
	}
}

void test_callee__methods_have_the_name_of_their_type(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	char *list = fake_type(py, "list", 0);

	CHECK_STR(called(&s, fake_c_method(py, "sort", list)), "list.sort");
	CHECK_STR(called(&s, fake_c_function(
				     py, "index", NULL, fake_object(py, list))),
		"list.index");
	CHECK_STR(called(&s, fake_c_function(py, "fromkeys", NULL, list)),
		"list.fromkeys");
	close_world(s.w);
}

/* Words on the stack: a method and its object, or NULL and a function. */
void test_callee__a_method_is_below_its_object(void)
{
	struct scene s = open_scene(0x030d00f0);
	struct fake_python *py = s.w->py;
	char *list = fake_type(py, "list", 0);
	size_t at = py->lay->frame.size + 16U;

	fake_call(py, s.frame, fake_object(py, list));
	fake_store(s.frame, at, fake_address(fake_c_method(py, "sort", list)));
	CHECK_STR(leaf(s.w), "list.sort");
	close_world(s.w);
}

/* Where a method lies also lies what a call returned, a type for example. */
void test_callee__what_was_returned_is_not_what_is_called(void)
{
	static const uint32_t version[] = { 0x030b07f0, 0x030c01f0, 0x030e00f0,
		0x030f02f0 };

	for (size_t i = 0; i < sizeof(version) / sizeof(version[0]); i++) {
		struct scene s = open_scene(version[i]);
		struct fake_python *py = s.w->py;
		size_t at = py->lay->frame.size + 16U;

		CHECK_STR(called(&s, py->type_type), "type");
		CHECK_STR(leaf(s.w), "type");
		fake_store(s.frame, at,
			fake_address(fake_type(py, "NoneType", 0)));
		if (py->lay->frame.stackpointer)
			fake_store(s.frame, py->lay->frame.stackpointer,
				fake_address(s.frame) + at + 8);
		CHECK_STR(leaf(s.w), "");
		CHECK_STR(leaf(s.w), "");
		close_world(s.w);
	}
}

void test_callee__types_are_named_if_c_made_them(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;

	CHECK_STR(called(&s, fake_type(py, "dict", 0)), "dict");
	CHECK_STR(called(&s, fake_type(py, "collections.deque",
				     1U << 9 | 1U << 8)),
		"collections.deque");
	CHECK_STR(called(&s, fake_type(py, "Order", 1U << 9)), "");
	close_world(s.w);
}

void test_callee__nothing_else_is_named(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	char *builtins = fake_str(py, "builtins");
	static const char *const name[] = { "", "no name", "n\xc3\xa9",
		"a_name_of_more_than_the_sixty_four_bytes_that_are_kept_of_"
		"each_part" };

	CHECK_STR(
		called(&s, fake_object(py, fake_type(py, "function", 0))), "");
	CHECK_STR(called(&s, NULL), "");
	CHECK_STR(called(&s, (const char *)4096), "");
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		CHECK_STR(called(&s,
				  fake_c_function(py, name[i], builtins, NULL)),
			"");
	CHECK_STR(called(&s, fake_c_function(py, "f", NULL, NULL)), "");
	CHECK_STR(called(&s,
			  fake_c_function(py, "f",
				  fake_str_of(py, 2, FAKE_COMPACT, "a\0b\0", 2),
				  NULL)),
		"");
	close_world(s.w);
}

void test_callee__a_frame_that_is_at_no_call_has_none(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;

	CHECK_STR(called(&s, fake_c_function(
				     py, "f", fake_str(py, "builtins"), NULL)),
		"f");
	fake_instr(py, s.frame, s.code, FAKE_CALL - 1);
	CHECK_STR(leaf(s.w), "");
	fake_instr(py, s.frame, s.code, FAKE_CALL);
	CHECK_STR(leaf(s.w), "f");
	close_world(s.w);
}

void test_callee__where_the_frame_says_that_bytecode_runs_none_does(void)
{
	struct scene s = open_scene(0x030f02f0);
	struct fake_python *py = s.w->py;

	CHECK_STR(called(&s, fake_c_function(
				     py, "f", fake_str(py, "builtins"), NULL)),
		"f");
	fake_store(s.frame, py->lay->frame.stackpointer, 0);
	CHECK_STR(leaf(s.w), "");
	close_world(s.w);
}

void test_callee__another_object_at_the_same_address_has_its_own_name(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	char *builtins = fake_str(py, "builtins");
	char *f = fake_c_function(py, "f", builtins, NULL);
	char *g = fake_c_function(py, "g", builtins, NULL);
	size_t m_ml = py->lay->function.m_ml;

	CHECK_STR(called(&s, f), "f");
	CHECK_STR(leaf(s.w), "f");
	fake_store(f, m_ml, fake_load(g, m_ml));
	CHECK_STR(leaf(s.w), "g");
	fake_store(f, py->lay->code.ob_type, 0);
	CHECK_STR(leaf(s.w), "");
	close_world(s.w);
}

void test_callee__a_name_may_end_where_memory_does(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *f = fake_c_function(py, "f", fake_str(py, "builtins"), NULL);
	char *def = (char *)(uintptr_t)fake_load(f, py->lay->function.m_ml);

	CHECK(at != MAP_FAILED);
	CHECK_EQ(mprotect(at + 2 * page, page, PROT_NONE), 0);
	memcpy(at + 2 * page - 5, "last", 5);
	fake_store(def, 0, fake_address(at + 2 * page - 5));
	CHECK_STR(called(&s, f), "last");
	memcpy(at + page - 3, "across", 7);
	fake_store(def, 0, fake_address(at + page - 3));
	CHECK_STR(leaf(s.w), "across");
	memset(at + 2 * page - 5, 'x', 5);
	fake_store(def, 0, fake_address(at + 2 * page - 5));
	CHECK_STR(leaf(s.w), "");
	munmap(at, 3 * page);
	close_world(s.w);
}

void test_callee__new_objects_without_end_are_all_named(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	char *builtins = fake_str(py, "builtins");
	char *first = fake_c_function(py, "first", builtins, NULL);

	CHECK_STR(called(&s, first), "first");
	for (int i = 0; i < CPROF_MAX_CALLEES + 10; i++)
		CHECK_STR(called(&s, fake_c_function(py, "f", builtins, NULL)),
			"f");
	CHECK_STR(called(&s, first), "first");
	close_world(s.w);
}

void test_callee__older_versions_have_none(void)
{
	struct world *w = open_world_as(0x030a0df0);

	CHECK(!w->callees);
	fake_push(w->thread, fake_function(w->py, "f"), 1);
	CHECK_EQ(walk(w), CPROF_WALK_SETTLED);
	CHECK_EQ(w->stack->nr, 1);
	close_world(w);
}

/* As a caller that was copied a little later than what it called. */
void test_callee__a_caller_that_went_on_is_set_back_to_its_call(void)
{
	struct scene s = open_scene(0x030c01f0);
	struct fake_python *py = s.w->py;
	struct cprof_call call = { .frame.code = fake_address(s.code) };

	called(&s,
		fake_c_function(py, "sorted", fake_str(py, "builtins"), NULL));
	call.place = cprof_codes_place(s.w->codes, fake_address(s.code));
	call.frame.frame = fake_address(s.frame);
	call.frame.instr = 1000;
	call.instr = FAKE_CALL + 2;
	CHECK(cprof_callees_set_back(s.w->callees, &call));
	CHECK_EQ(call.instr, FAKE_CALL);
	CHECK_EQ(call.frame.instr, 1000 - 4);
	CHECK(call.at > fake_address(s.frame));
	/* Before its call, and before its first instruction. */
	call.instr = FAKE_CALL - 1;
	CHECK(!cprof_callees_set_back(s.w->callees, &call));
	call.instr = -1;
	CHECK(!cprof_callees_set_back(s.w->callees, &call));
	close_world(s.w);
}
