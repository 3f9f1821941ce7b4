#include "hostile-python.h"

/* An object whose memory, from `from` on, is `nr` bytes of the input. */
static char *object(struct fake_python *py, struct input *in, size_t from)
{
	size_t nr = input_byte(in);
	char *at = fake_alloc(py, from + 256);

	input_take(in, at + from, nr);
	return at;
}

static bool same(struct cprof_codes *codes, int place)
{
	int handle;

	cprof_peek_begin(the_peek());
	handle = cprof_codes_want(codes, the_peek(), place);
	cprof_peek_run(the_peek());
	return cprof_codes_same(codes, the_peek(), place, handle);
}

/* A code object with any numbers; its strings and lines are any memory. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	struct fake_python *py = hostile_python(&in);
	struct fake_code_is is = { 0 };
	struct cprof_codes *codes;
	uintptr_t at;
	int64_t instr;
	int place;

	input_take(&in, &is.first_line, sizeof(is.first_line));
	input_take(&in, &is.first_traceable, sizeof(is.first_traceable));
	input_take(&in, &is.size, sizeof(is.size));
	input_take(&in, &instr, sizeof(instr));
	is.name_str = object(py, &in, py->lay->str.length);
	is.file_str = object(py, &in, py->lay->str.length);
	is.lines = object(py, &in, py->lay->bytes.ob_size);
	at = fake_address(fake_code(py, is));

	CHECK_EQ(cprof_codes_create(
			 py->lay, fake_address(py->code_type), &codes, NULL),
		0);
	cprof_codes_learn(codes, the_peek(), &at, 1, 1);
	place = cprof_codes_place(codes, at);
	if (place >= 0) {
		uint32_t code = cprof_codes_at(codes, place);

		check_code(
			codes, code, cprof_codes_instr(codes, code, at, instr));
		CHECK(same(codes, place));
	}
	cprof_codes_destroy(codes);
	fake_python_destroy(py);
	return 0;
}
