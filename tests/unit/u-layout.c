#include "cpython/layout.h"

#include "check.h"

static const struct cprof_python good = { .hexversion = 0x030b07f0,
	.implementation = "cpython" };

/* The answer for an interpreter, with the words that must be in a refusal. */
static void refused(struct cprof_python python, const char *words)
{
	const struct cprof_layout *lay = NULL;
	struct cprof_error err = { 0 };

	CHECK_EQ(cprof_layout_find(&python, &lay, &err), CPROF_EUNSUPPORTED);
	CHECK(!lay);
	if (!strstr(err.message, words))
		CHECK_STR(err.message, words);
}

void test_layout__every_final_311_is_served(void)
{
	for (uint32_t micro = 0; micro < 20; micro++) {
		struct cprof_python python = good;
		const struct cprof_layout *lay = NULL;

		python.hexversion = 0x030b00f0 | micro << 8;
		CHECK_EQ(cprof_layout_find(&python, &lay, NULL), 0);
		CHECK_EQ(lay->version, 0x030b);
	}
}

void test_layout__others_are_refused_by_name(void)
{
	struct cprof_python python = good;

	python.hexversion = 0x030a00f0;
	refused(python, "3.10");
	python.hexversion = 0x030c00f0;
	refused(python, "3.12");
	python.hexversion = 0x040b00f0;
	refused(python, "4.11");
	python.hexversion = 0;
	refused(python, "0.0");
	python = good;
	python.implementation = "pypy";
	refused(python, "'pypy'");
}

void test_layout__special_builds_are_refused(void)
{
	struct cprof_python python = good;

	python.hexversion = 0x030b00c1;
	refused(python, "pre-release");
	python = good;
	python.debug = true;
	refused(python, "debug");
	python = good;
	python.free_threaded = true;
	refused(python, "free-threaded");
}

void test_layout__what_is_read_lies_within_what_is_copied(void)
{
	const struct cprof_layout *lay = NULL;

	CHECK_EQ(cprof_layout_find(&good, &lay, NULL), 0);
	CHECK(lay->thread.prev + 8 <= lay->thread.size);
	CHECK(lay->thread.next + 8 <= lay->thread.size);
	CHECK(lay->thread.interp + 8 <= lay->thread.size);
	CHECK(lay->thread.id + 8 <= lay->thread.size);
	CHECK(lay->thread.native_thread_id + 8 <= lay->thread.size);
	CHECK(lay->thread.cframe + 8 <= lay->thread.size);
	CHECK(lay->thread.datastack_chunk + 8 <= lay->thread.size);
	CHECK(lay->thread.datastack_top + 8 <= lay->thread.size);
	/* The thread list copies up to the id only. */
	CHECK(lay->thread.prev < lay->thread.id);
	CHECK(lay->thread.next < lay->thread.id);
	CHECK(lay->thread.interp < lay->thread.id);
	CHECK(lay->cframe.current_frame + 8 <= lay->cframe.size);
	CHECK(lay->frame.f_code + 8 <= lay->frame.size);
	CHECK(lay->frame.previous + 8 <= lay->frame.size);
	CHECK(lay->frame.prev_instr + 8 <= lay->frame.size);
	CHECK(lay->frame.owner < lay->frame.size);
	CHECK(lay->chunk.previous < lay->chunk.data);
	CHECK(lay->chunk.size < lay->chunk.data);
	CHECK(lay->chunk.top < lay->chunk.data);
	/* A code object is copied up to its instructions. */
	CHECK(lay->code.ob_type + 8 <= lay->code.code_adaptive);
	CHECK(lay->code.ob_size + 8 <= lay->code.code_adaptive);
	CHECK(lay->code.filename + 8 <= lay->code.code_adaptive);
	CHECK(lay->code.name + 8 <= lay->code.code_adaptive);
	CHECK(lay->code.linetable + 8 <= lay->code.code_adaptive);
	CHECK(lay->code.firstlineno + 4 <= lay->code.code_adaptive);
	CHECK(lay->code.firsttraceable + 4 <= lay->code.code_adaptive);
	/* A str is copied from its length on, bytes from their size on. */
	CHECK(lay->str.length < lay->str.state);
	CHECK(lay->str.state + 4 <= lay->str.ascii_data);
	CHECK(lay->str.ascii_data <= lay->str.compact_data);
	CHECK(lay->bytes.ob_size + 8 <= lay->bytes.data);
	/* The GIL is copied up to its switch number. */
	CHECK(lay->gil.last_holder < lay->gil.switch_number);
	CHECK(lay->gil.locked < lay->gil.switch_number);
}
