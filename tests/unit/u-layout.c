#include "cpython/layout.h"

#include "check.h"

#define FIRST_MINOR 6
#define LAST_MINOR  15

static const struct cprof_python good = { .hexversion = 0x030b07f0,
	.implementation = "cpython" };

static struct cprof_python final_release(uint32_t minor, uint32_t micro)
{
	struct cprof_python python = good;

	python.hexversion = 0x030000f0 | minor << 16 | micro << 8;
	return python;
}

static const struct cprof_layout *find(struct cprof_python python)
{
	const struct cprof_layout *lay = NULL;

	CHECK_EQ(cprof_layout_find(&python, &lay, NULL), 0);
	return lay;
}

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

void test_layout__every_final_release_is_served(void)
{
	for (uint32_t minor = FIRST_MINOR; minor <= LAST_MINOR; minor++)
		for (uint32_t micro = 0; micro < 20; micro++)
			CHECK_EQ(find(final_release(minor, micro))->version,
				0x0300 | minor);
}

void test_layout__others_are_refused_by_name(void)
{
	struct cprof_python python = good;

	refused(final_release(FIRST_MINOR - 1, 0), "3.5");
	refused(final_release(LAST_MINOR + 1, 0), "3.16");
	python.hexversion = 0x040b00f0;
	refused(python, "4.11");
	python.hexversion = 0;
	refused(python, "0.0");
	python = good;
	python.implementation = "pypy";
	refused(python, "'pypy'");
}

void test_layout__pre_releases_are_refused(void)
{
	struct cprof_python python = good;

	for (uint32_t minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) {
		python.hexversion = 0x030000c1 | minor << 16;
		refused(python, "pre-release");
		python.hexversion = 0x030000a1 | minor << 16;
		refused(python, "pre-release");
	}
}

void test_layout__debug_builds_are_served_from_38(void)
{
	for (uint32_t minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) {
		struct cprof_python python = final_release(minor, 0);

		python.debug = true;
		/* Earlier, all their objects have another head. */
		if (minor < 8)
			refused(python, "debug builds of Python 3.");
		else
			CHECK_EQ(find(python)->version, 0x0300 | minor);
	}
}

void test_layout__of_free_threaded_builds_only_313_is_served(void)
{
	for (uint32_t minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) {
		struct cprof_python python = final_release(minor, 0);

		python.free_threaded = true;
		if (minor == 13)
			CHECK(find(python) != find(final_release(13, 0)));
		else
			refused(python, "free-threaded builds of Python 3.");
	}
}

static void check_reach(const struct cprof_layout *lay)
{
	bool objects = !lay->chunk.data; /* frames are objects of their own */

	CHECK(lay->thread.prev + 8 <= lay->thread.size);
	CHECK(lay->thread.next + 8 <= lay->thread.size);
	CHECK(lay->thread.interp + 8 <= lay->thread.size);
	CHECK(lay->thread.id + 8 <= lay->thread.size);
	CHECK(lay->thread.thread_id + 8 <= lay->thread.size);
	CHECK(lay->thread.native_thread_id + 8 <= lay->thread.size);
	CHECK(lay->thread.current_frame + 8 <= lay->thread.size);
	CHECK(lay->thread.cframe + 8 <= lay->thread.size);
	CHECK(lay->thread.attached + 4 <= lay->thread.size);
	CHECK(lay->thread.datastack_chunk + 8 <= lay->thread.size);
	CHECK(lay->thread.datastack_top + 8 <= lay->thread.size);
	CHECK(lay->thread.size <= 512);
	/* The thread list copies up to the id only. */
	CHECK(lay->thread.prev < lay->thread.id);
	CHECK(lay->thread.next < lay->thread.id);
	CHECK(lay->thread.interp < lay->thread.id);
	/* The leaf frame is told in one place, and who has the GIL. */
	CHECK(!lay->thread.current_frame == !!lay->cframe.size);
	CHECK(!lay->runtime.tstate_current == !!lay->thread.attached_mask ||
		lay->version == 0x0306 ||
		lay->builds >= CPROF_BUILD_FREE_THREADED);
	CHECK(lay->cframe.current_frame + 8 <= lay->cframe.size ||
		!lay->cframe.size);
	CHECK(lay->frame.code + 8 <= lay->frame.size);
	CHECK(lay->frame.previous + 8 <= lay->frame.size);
	CHECK(lay->frame.instr +
			(lay->position == CPROF_POSITION_POINTER ? 8 : 4) <=
		lay->frame.size);
	CHECK(lay->frame.f_gen + 8 <= lay->frame.size);
	CHECK(lay->frame.state < lay->frame.size);
	CHECK(lay->frame.owner < lay->frame.size);
	CHECK(!lay->frame.owner == objects);
	CHECK(!lay->frame.f_gen != objects);
	CHECK(!lay->frame.state != objects);
	CHECK(lay->frame.size <= 256);
	CHECK(objects || lay->chunk.previous < lay->chunk.data);
	CHECK(objects || lay->chunk.size < lay->chunk.data);
	CHECK(objects || lay->chunk.top < lay->chunk.data);
	CHECK(lay->chunk.data <= 64);
	CHECK(lay->code.ob_type + 8 <= lay->code.size);
	CHECK(lay->code.ob_size + 8 <= lay->code.size);
	CHECK(lay->code.filename + 8 <= lay->code.size);
	CHECK(lay->code.name + 8 <= lay->code.size);
	CHECK(lay->code.linetable + 8 <= lay->code.size);
	CHECK(lay->code.firstlineno + 4 <= lay->code.size);
	CHECK(lay->code.firsttraceable + 4 <= lay->code.size);
	CHECK(lay->code.version + 4 <= lay->code.size);
	CHECK(lay->code.code_adaptive <= lay->code.size);
	/* A str is copied from its length on, bytes from their size on. */
	CHECK(lay->str.length < lay->str.state);
	CHECK(lay->str.state + 4 <= lay->str.ascii_data);
	CHECK(lay->str.ascii_data <= lay->str.compact_data);
	CHECK(lay->bytes.ob_size + 8 <= lay->bytes.data);
	/* From 3.13 on, Python itself says some of it. */
	CHECK(!lay->check[0].at == (lay->version < 0x030d));
	CHECK(!lay->check[CPROF_LAYOUT_CHECKS - 1].at);
	for (int i = 0; lay->check[i].at; i++)
		CHECK(lay->check[i].at + 8 <= CPROF_DEBUG_OFFSETS_BYTES);
}

void test_layout__what_is_read_lies_within_what_is_copied(void)
{
	for (uint32_t minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) {
		struct cprof_python python = final_release(minor, 0);

		check_reach(find(python));
		python.debug = minor >= 8;
		check_reach(find(python));
		python.free_threaded = minor == 13;
		python.debug = false;
		check_reach(find(python));
	}
}

/* A table as the interpreter of `lay` keeps it. */
static void fill_table(const struct cprof_layout *lay, char *table)
{
	memset(table, 0, CPROF_DEBUG_OFFSETS_BYTES);
	memcpy(table, "xdebugpy", 8);
	for (int i = 0; lay->check[i].at; i++) {
		uint64_t value = lay->check[i].value;

		memcpy(table + lay->check[i].at, &value, sizeof(value));
	}
}

void test_layout__debug_offsets_that_differ_are_refused(void)
{
	char table[CPROF_DEBUG_OFFSETS_BYTES];

	for (uint32_t minor = 13; minor <= LAST_MINOR; minor++) {
		const struct cprof_layout *lay = find(final_release(minor, 0));
		struct cprof_error err = { 0 };

		fill_table(lay, table);
		CHECK_EQ(cprof_layout_check(lay, table, NULL), 0);
		for (int i = 0; lay->check[i].at; i++) {
			table[lay->check[i].at] ^= 1;
			CHECK_EQ(cprof_layout_check(lay, table, &err),
				CPROF_EUNSUPPORTED);
			CHECK(strstr(err.message, "was changed"));
			table[lay->check[i].at] ^= 1;
		}
		table[0] = 'y';
		CHECK_EQ(cprof_layout_check(lay, table, &err),
			CPROF_EUNSUPPORTED);
	}
}

void test_layout__earlier_pythons_have_no_debug_offsets(void)
{
	for (uint32_t minor = FIRST_MINOR; minor < 13; minor++)
		CHECK_EQ(cprof_layout_check(
				 find(final_release(minor, 0)), "", NULL),
			0);
}
