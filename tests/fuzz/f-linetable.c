#include "cpython/linetable.h"

#include "fuzz.h"

/* The format, the first line, an instruction, and a table. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	enum cprof_line_format format = input_byte(&in) % 3;
	int32_t first_line;
	uint32_t instr;

	input_take(&in, &first_line, sizeof(first_line));
	input_take(&in, &instr, sizeof(instr));
	for (uint32_t i = 0; i < 40; i++)
		CHECK(cprof_line_at(format, in.at, in.left, first_line, i) >=
			0);
	CHECK(cprof_line_at(format, in.at, in.left, first_line, instr) >= 0);
	CHECK(cprof_line_at(format, in.at, in.left, first_line, UINT32_MAX) >=
		0);
	return 0;
}
