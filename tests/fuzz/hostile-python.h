#ifndef TESTS_FUZZ_HOSTILE_PYTHON_H
#define TESTS_FUZZ_HOSTILE_PYTHON_H

#include "base/limits.h"
#include "cpython/code.h"
#include "fake-python.h"
#include "fuzz.h"

/* For f-code.c and f-chain.c. One release for each way that its memory lies. */
static inline struct fake_python *hostile_python(struct input *in)
{
	static const uint32_t release[] = { 0x03060ff0, 0x03090df0, 0x030a0df0,
		0x030b07f0, 0x030c01f0, 0x030d00f0, 0x030e00f0, 0x030f02f0 };

	return fake_python_create_as(release[input_byte(in) % 8]);
}

/* One for all inputs: each list is begun anew. */
static inline struct cprof_peek *the_peek(void)
{
	static struct cprof_peek *peek;

	if (!peek)
		CHECK_EQ(cprof_peek_create(CPROF_PEEK_ANY, &peek, NULL), 0);
	return peek;
}

/* All that a report asks of a code. */
static inline void check_code(
	const struct cprof_codes *codes, uint32_t code, int32_t instr)
{
	struct cprof_buffer b;

	cprof_buffer_init(&b, 4 * CPROF_MAX_CODE_FILE_BYTES);
	CHECK_EQ(cprof_codes_name(codes, code, &b, NULL), 0);
	CHECK(b.len <= 4 * CPROF_MAX_CODE_NAME_BYTES);
	CHECK_EQ(cprof_codes_file(codes, code, &b, NULL), 0);
	CHECK(cprof_codes_line(codes, code, 0) >= 0);
	CHECK(instr < 0 || cprof_codes_line(codes, code, instr) >= 0);
	cprof_codes_incomplete(codes, code, instr);
	cprof_codes_frame_bytes(codes, code);
	cprof_buffer_finish(&b);
}

#endif
