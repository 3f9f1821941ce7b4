#include "cpython/code.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "check.h"
#include "fake-python.h"

/* Codes of an interpreter that is not there. */
struct world {
	struct fake_python *py;
	struct cprof_peek *peek;
	struct cprof_codes *codes;
};

static struct world open_world(void)
{
	struct world w = { .py = fake_python_create() };

	CHECK_EQ(cprof_peek_create(CPROF_PEEK_ANY, &w.peek, NULL), 0);
	CHECK_EQ(cprof_codes_create(w.py->lay, fake_address(w.py->code_type),
			 &w.codes, NULL),
		0);
	return w;
}

static void close_world(struct world *w)
{
	cprof_codes_destroy(w->codes);
	cprof_peek_destroy(w->peek);
	fake_python_destroy(w->py);
}

/* Learn one address; its place. */
static int learn(struct world *w, const char *code, uint32_t tick)
{
	uintptr_t address = fake_address(code);

	cprof_codes_learn(w->codes, w->peek, &address, 1, tick);
	return cprof_codes_place(w->codes, address);
}

/* The code that is at an address now. */
static uint32_t learnt(struct world *w, const char *code)
{
	int place = learn(w, code, 1);

	CHECK(place >= 0);
	return cprof_codes_at(w->codes, place);
}

static bool same_now(struct world *w, int place)
{
	int handle;

	cprof_peek_begin(w->peek);
	handle = cprof_codes_want(w->codes, w->peek, place);
	cprof_peek_run(w->peek);
	return cprof_codes_same(w->codes, w->peek, place, handle);
}

static const char *text_of(struct world *w, uint32_t code,
	int (*get)(const struct cprof_codes *, uint32_t, struct cprof_buffer *,
		struct cprof_error *))
{
	static char text[2 * CPROF_MAX_CODE_FILE_BYTES + 1];
	struct cprof_buffer b;

	cprof_buffer_init(&b, sizeof(text) - 1);
	CHECK_EQ(get(w->codes, code, &b, NULL), 0);
	if (b.len)
		memcpy(text, b.data, b.len);
	text[b.len] = '\0';
	cprof_buffer_finish(&b);
	return text;
}

static const char *name_of(struct world *w, uint32_t code)
{
	return text_of(w, code, cprof_codes_name);
}

static const char *file_of(struct world *w, uint32_t code)
{
	return text_of(w, code, cprof_codes_file);
}

void test_code__what_is_read_is_what_is_there(void)
{
	static const uint8_t lines[] = { 0x80 | 13 << 3 | 1, 4,
		0x80 | 13 << 3 | 1, 2 };
	struct world w = open_world();
	char *code = fake_code(w.py,
		(struct fake_code_is){ .name = "Class.method",
			.file = "/x/y.py",
			.first_line = 40,
			.size = 4,
			.first_traceable = 1,
			.lines = fake_bytes(w.py, lines, sizeof(lines)) });
	uint32_t k;

	CHECK_EQ(cprof_codes_place(w.codes, fake_address(code)), -1);
	k = learnt(&w, code);
	CHECK_STR(name_of(&w, k), "Class.method");
	CHECK_STR(file_of(&w, k), "/x/y.py");
	CHECK_EQ(cprof_codes_first_line(w.codes, k), 40);
	CHECK_EQ(cprof_codes_line(w.codes, k, 0), 42);
	CHECK_EQ(cprof_codes_line(w.codes, k, 2), 43);
	CHECK_EQ(cprof_codes_line(w.codes, k, 4), 0);
	CHECK_EQ(cprof_codes_line(w.codes, k, -1), 40);
	CHECK_EQ(cprof_codes_lost(w.codes), 0);
	CHECK(cprof_codes_incomplete(w.codes, k, -1));
	CHECK(cprof_codes_incomplete(w.codes, k, 0));
	CHECK(!cprof_codes_incomplete(w.codes, k, 1));
	close_world(&w);
}

void test_code__an_instruction_outside_of_the_code_has_no_index(void)
{
	struct world w = open_world();
	char *code = fake_function(w.py, "f"); /* of 16 units */
	uintptr_t at = fake_address(code), first;
	uint32_t k = learnt(&w, code);

	first = at + w.py->lay->code.code_adaptive;
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, first), 0);
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, first + 30), 15);
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, first + 32), -1);
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, first - 2), -1);
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, 0), -1);
	CHECK_EQ(cprof_codes_instr(w.codes, k, at, UINTPTR_MAX), -1);
	CHECK_EQ(cprof_codes_instr(w.codes, k, UINTPTR_MAX, 0), -1);
	close_world(&w);
}

void test_code__an_instruction_is_in_the_code_that_has_it(void)
{
	struct world w = open_world();
	char *f = fake_function(w.py, "f"), *g = fake_function(w.py, "g");
	int64_t first =
		(int64_t)fake_address(g) + w.py->lay->code.code_adaptive;

	learnt(&w, f);
	CHECK_EQ(cprof_codes_with_instr(w.codes, first), 0);
	learnt(&w, g);
	CHECK_EQ(cprof_codes_with_instr(w.codes, first), fake_address(g));
	CHECK_EQ(cprof_codes_with_instr(w.codes, first + 30), fake_address(g));
	CHECK_EQ(cprof_codes_with_instr(w.codes, first + 32), 0);
	CHECK_EQ(cprof_codes_with_instr(w.codes, 0), 0);
	CHECK_EQ(cprof_codes_with_instr(w.codes, -1), 0);
	close_world(&w);
}

void test_code__the_same_content_at_two_places_is_one_code(void)
{
	struct world w = open_world();
	char *a = fake_function(w.py, "f"), *b = fake_function(w.py, "f");
	char *c = fake_function(w.py, "g");

	CHECK_EQ(learnt(&w, a), learnt(&w, b));
	CHECK(learnt(&w, a) != learnt(&w, c));
	CHECK(learn(&w, a, 1) != learn(&w, b, 1));
	close_world(&w);
}

void test_code__what_is_no_code_gets_no_place(void)
{
	struct world w = open_world();
	char *code = fake_function(w.py, "f");
	char *hole =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(hole != MAP_FAILED);
	CHECK_EQ(learn(&w, hole, 1), -1);
	CHECK_EQ(learn(&w, NULL, 1), -1);
	CHECK_EQ(learn(&w, (char *)UINTPTR_MAX, 1), -1);
	fake_store(code, w.py->lay->code.ob_type, fake_address(w.py->runtime));
	CHECK_EQ(learn(&w, code, 1), -1);
	fake_code_at(w.py, code, (struct fake_code_is){ .name_str = hole });
	CHECK_EQ(learn(&w, code, 1), -1);
	fake_code_at(w.py, code, (struct fake_code_is){ .lines = hole });
	CHECK_EQ(learn(&w, code, 1), -1);
	CHECK_EQ(cprof_codes_lost(w.codes), 0);
	munmap(hole, 4096);
	close_world(&w);
}

/* Each field by itself: no change of content may pass for the old code. */
void test_code__any_new_content_at_the_old_address_is_seen(void)
{
	static const uint8_t other[] = { 0x80 | 13 << 3 | 7, 0,
		0x80 | 13 << 3 | 7, 2 };
	struct world w = open_world();
	char *code = fake_alloc(w.py, fake_code_bytes(w.py));
	char *name = fake_str(w.py, "name"), *file = fake_str(w.py, "file");
	struct fake_code_is is = {
		.name_str = name, .file_str = file, .first_line = 3
	};
	char *lines;
	int place;

	fake_code_at(w.py, code, is);
	is.lines = lines =
		(char *)(uintptr_t)fake_load(code, w.py->lay->code.linetable);
	place = learn(&w, code, 1);
	CHECK(same_now(&w, place));

	/* The same str and bytes, with other content. */
	name[w.py->lay->str.ascii_data] = 'N';
	CHECK(!same_now(&w, place));
	name[w.py->lay->str.ascii_data] = 'n';
	file[w.py->lay->str.ascii_data + 3] = 'E';
	CHECK(!same_now(&w, place));
	file[w.py->lay->str.ascii_data + 3] = 'e';
	lines[w.py->lay->bytes.data + 1] ^= 2;
	CHECK(!same_now(&w, place));
	lines[w.py->lay->bytes.data + 1] ^= 2;
	CHECK(same_now(&w, place));

	/* Other lengths. */
	fake_store(name, w.py->lay->str.length, 3);
	CHECK(!same_now(&w, place));
	fake_store(name, w.py->lay->str.length, 4);
	fake_store(lines, w.py->lay->bytes.ob_size, 2);
	CHECK(!same_now(&w, place));
	fake_store(lines, w.py->lay->bytes.ob_size, 4);
	CHECK(same_now(&w, place));

	/* Numbers and pointers of the code object itself. */
	is.first_line = 4;
	fake_code_at(w.py, code, is);
	CHECK(!same_now(&w, place));
	is.first_line = 3;
	is.size = 17;
	fake_code_at(w.py, code, is);
	CHECK(!same_now(&w, place));
	is.size = 16;
	is.first_traceable = 1;
	fake_code_at(w.py, code, is);
	CHECK(!same_now(&w, place));
	is.first_traceable = 0;
	is.lines = fake_bytes(w.py, other, sizeof(other));
	fake_code_at(w.py, code, is);
	CHECK(!same_now(&w, place));
	is.lines = lines;
	fake_code_at(w.py, code, is);
	CHECK(same_now(&w, place));
	fake_store(code, w.py->lay->code.ob_type, 4096);
	CHECK(!same_now(&w, place));
	close_world(&w);
}

void test_code__bits_of_a_str_that_mean_nothing_do_not_count(void)
{
	struct world w = open_world();
	char *name = fake_str(w.py, "f");
	char *code = fake_code(w.py, (struct fake_code_is){ .name_str = name });
	int place = learn(&w, code, 1);
	uint32_t state;

	memcpy(&state, name + w.py->lay->str.state, sizeof(state));
	state ^= 0x55555500u | 3u; /* garbage, and whether it is interned */
	memcpy(name + w.py->lay->str.state, &state, sizeof(state));
	CHECK(same_now(&w, place));
	close_world(&w);
}

void test_code__a_place_is_steady_from_the_next_tick_until_it_changes(void)
{
	struct world w = open_world();
	char *code = fake_function(w.py, "f");
	int place = learn(&w, code, 5);
	uint32_t first = cprof_codes_at(w.codes, place);

	CHECK(!cprof_codes_steady(w.codes, place, 5));
	CHECK(cprof_codes_steady(w.codes, place, 6));
	/* To learn the same again changes nothing. */
	CHECK_EQ(learn(&w, code, 7), place);
	CHECK(cprof_codes_steady(w.codes, place, 8));

	fake_code_at(w.py, code, (struct fake_code_is){ .name = "g" });
	CHECK(!same_now(&w, place));
	CHECK_EQ(learn(&w, code, 9), place);
	CHECK(cprof_codes_at(w.codes, place) != first);
	CHECK_STR(name_of(&w, cprof_codes_at(w.codes, place)), "g");
	CHECK_STR(name_of(&w, first), "f");
	CHECK(same_now(&w, place));
	CHECK(!cprof_codes_steady(w.codes, place, 100));
	close_world(&w);
}

void test_code__a_place_told_to_have_changed_is_never_steady(void)
{
	struct world w = open_world();
	char *code = fake_function(w.py, "f");
	int place = learn(&w, code, 1);

	cprof_codes_changed(w.codes, place);
	CHECK(!cprof_codes_steady(w.codes, place, 2));
	learn(&w, code, 3);
	CHECK(!cprof_codes_steady(w.codes, place, 4));
	close_world(&w);
}

/* The number that a frame of it met in `tick` gets, and what comes of it. */
static bool comes_true(struct world *w, const char *code, uint32_t last)
{
	int place = cprof_codes_place(w->codes, fake_address(code));

	cprof_codes_confirm(w->codes, w->peek, last);
	return cprof_codes_confirmed(
		w->codes, CPROF_PLACE_FIRST + (uint32_t)place);
}

void test_code__what_was_read_late_counts_if_it_stays_to_the_end(void)
{
	struct world w = open_world();
	char *stays = fake_function(w.py, "stays");
	char *comes = fake_function(w.py, "comes");
	char *goes = fake_function(w.py, "goes");
	char *brief = fake_function(w.py, "brief");
	int place = learn(&w, stays, 1);

	CHECK(cprof_codes_expects(w.codes, place, 1));
	CHECK(cprof_codes_is_place(CPROF_PLACE_FIRST + (uint32_t)place));
	/* Known from before is known. */
	CHECK(!cprof_codes_expects(w.codes, place, 2));
	CHECK(cprof_codes_expects(w.codes, learn(&w, goes, 1), 1));
	CHECK(cprof_codes_expects(w.codes, learn(&w, brief, 1), 1));
	/* Another one was there, and another one is. */
	place = learn(&w, brief, 1);
	cprof_codes_changed(w.codes, place);
	CHECK(!cprof_codes_expects(w.codes, place, 1));
	fake_code_at(w.py, goes, (struct fake_code_is){ .name = "other" });
	/* In the last tick nothing is known from before. */
	CHECK(cprof_codes_expects(w.codes, learn(&w, comes, 9), 9));

	CHECK(comes_true(&w, stays, 9));
	CHECK(!comes_true(&w, goes, 9));
	CHECK(!comes_true(&w, brief, 9));
	CHECK(!comes_true(&w, comes, 9));
	close_world(&w);
}

void test_code__all_kinds_of_str_come_out_as_utf8(void)
{
	static const uint8_t latin1[] = { 'n', 0xe9, 0xff };
	static const uint16_t two[] = { 'x', 0x20ac, 0xd800, 0xffff };
	static const uint32_t four[] = { 'y', 0x1f40d, 0x110000, 0xffffffff };
	struct world w = open_world();
	struct fake_code_is is = { 0 };
	uint32_t k;

	is.name_str = fake_str_of(w.py, 1, FAKE_COMPACT, latin1, 3);
	is.file_str = fake_str_of(w.py, 2, FAKE_COMPACT, two, 4);
	k = learnt(&w, fake_code(w.py, is));
	CHECK_STR(name_of(&w, k), "n\xc3\xa9\xc3\xbf");
	CHECK_STR(file_of(&w, k), "x\xe2\x82\xac?\xef\xbf\xbf");
	is.name_str = fake_str_of(w.py, 4, FAKE_COMPACT, four, 4);
	is.file_str = fake_str(w.py, "");
	k = learnt(&w, fake_code(w.py, is));
	CHECK_STR(name_of(&w, k), "y\xf0\x9f\x90\x8d??");
	CHECK_STR(file_of(&w, k), "");
	close_world(&w);
}

void test_code__a_str_of_unknown_shape_is_no_name(void)
{
	struct world w = open_world();
	struct fake_code_is is = { 0 };

	/* Not compact: its characters are elsewhere. */
	is.name_str = fake_str_of(w.py, 1, 0, "f", 1);
	CHECK_EQ(learn(&w, fake_code(w.py, is), 1), -1);
	for (unsigned int kind = 0; kind < 8; kind++) {
		uint32_t state = (kind | FAKE_COMPACT)
				 << w.py->lay->str.kind_shift;

		is.name_str = fake_str_of(w.py, 4, FAKE_COMPACT, "abc", 1);
		memcpy(is.name_str + w.py->lay->str.state, &state, 4);
		CHECK_EQ(learn(&w, fake_code(w.py, is), 1) >= 0,
			kind == 1 || kind == 2 || kind == 4);
	}
	close_world(&w);
}

void test_code__long_names_are_cut_and_stay_distinct(void)
{
	static char a[CPROF_MAX_CODE_FILE_BYTES + 100];
	static uint32_t wide[CPROF_MAX_CODE_NAME_BYTES];
	struct world w = open_world();
	struct fake_code_is is = { 0 };
	uint32_t k;

	memset(a, 'a', sizeof(a));
	for (size_t i = 0; i < CPROF_MAX_CODE_NAME_BYTES; i++)
		wide[i] = 0x1f40d;
	is.name_str =
		fake_str_of(w.py, 1, FAKE_COMPACT | FAKE_ASCII, a, sizeof(a));
	is.file_str = is.name_str;
	k = learnt(&w, fake_code(w.py, is));
	CHECK_EQ(strlen(name_of(&w, k)), CPROF_MAX_CODE_NAME_BYTES);
	CHECK_EQ(strlen(file_of(&w, k)), CPROF_MAX_CODE_FILE_BYTES);
	/* Its length tells it from a longer one that begins alike. */
	is.name_str = fake_str_of(
		w.py, 1, FAKE_COMPACT | FAKE_ASCII, a, sizeof(a) - 1);
	CHECK(learnt(&w, fake_code(w.py, is)) != k);

	is.name_str = fake_str_of(
		w.py, 4, FAKE_COMPACT, wide, CPROF_MAX_CODE_NAME_BYTES);
	k = learnt(&w, fake_code(w.py, is));
	CHECK_EQ(strlen(name_of(&w, k)), CPROF_MAX_CODE_NAME_BYTES);
	close_world(&w);
}

void test_code__a_line_table_that_is_too_long_gives_no_lines(void)
{
	size_t len = CPROF_MAX_CODE_LINES_BYTES + 1;
	struct world w = open_world();
	uint8_t *lines = calloc(1, len);
	struct fake_code_is is = { .first_line = 9 };
	uint32_t k;

	CHECK(lines);
	lines[0] = 0x80 | 13 << 3 | 7;
	is.lines = fake_bytes(w.py, lines, len);
	k = learnt(&w, fake_code(w.py, is));
	CHECK_EQ(cprof_codes_line(w.codes, k, 0), 0);
	CHECK_EQ(cprof_codes_first_line(w.codes, k), 9);
	is.lines = fake_bytes(w.py, lines, len - 1);
	k = learnt(&w, fake_code(w.py, is));
	CHECK_EQ(cprof_codes_line(w.codes, k, 0), 9);
	free(lines);
	close_world(&w);
}

/* What a str, a bytes or a code says about itself may be anything. */
void test_code__hostile_lengths_do_no_harm(void)
{
	static const uint64_t evil[] = { 0, 1, 0x7fffffff, 0x80000000,
		0xffffffff, 1ull << 32, (1ull << 32) + 1, INT64_MAX, 1ull << 63,
		UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2,
		UINT64_MAX / 4 + 1 };
	struct world w = open_world();
	size_t size = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		for (int field = 0; field < 4; field++) {
			/* With much behind it that may be read. */
			char *name = fake_alloc(w.py, size);
			char *lines = fake_alloc(w.py, size);
			struct fake_code_is is = { .size = evil[i],
				.first_line = (int32_t)evil[i],
				.first_traceable = (uint32_t)evil[i] };
			char *code;
			int place;

			memcpy(name, fake_str(w.py, "f"), 48 + 2);
			memcpy(lines, fake_bytes(w.py, "x", 1), 32 + 2);
			is.name_str = name;
			is.lines = lines;
			code = fake_code(w.py, is);
			if (field == 1)
				fake_store(
					name, w.py->lay->str.length, evil[i]);
			if (field == 2)
				fake_store(lines, w.py->lay->bytes.ob_size,
					evil[i]);
			if (field == 3) {
				fake_store(
					name, w.py->lay->str.length, evil[i]);
				is.file_str = name;
				fake_code_at(w.py, code, is);
			}
			place = learn(&w, code, 1);
			if (place < 0)
				continue;
			same_now(&w, place);
			name_of(&w, cprof_codes_at(w.codes, place));
			file_of(&w, cprof_codes_at(w.codes, place));
			cprof_codes_line(w.codes,
				cprof_codes_at(w.codes, place), INT32_MAX);
			cprof_codes_instr(w.codes,
				cprof_codes_at(w.codes, place),
				fake_address(code), UINTPTR_MAX);
		}
	}
	close_world(&w);
}

void test_code__full_contents_are_counted_and_the_old_ones_stay(void)
{
	struct world w = open_world();
	char *code = fake_alloc(w.py, fake_code_bytes(w.py));
	struct fake_code_is is = { 0 };
	int place = -1;

	fake_code_at(w.py, code, is);
	for (int i = 0; i < CPROF_MAX_CODES + 3; i++) {
		int32_t line = i;

		memcpy(code + w.py->lay->code.firstlineno, &line, 4);
		place = learn(&w, code, 1);
		CHECK(place >= 0);
	}
	CHECK_EQ(cprof_codes_lost(w.codes), 3);
	CHECK(!same_now(&w, place));
	CHECK_EQ(cprof_codes_at(w.codes, place), CPROF_MAX_CODES - 1);
	CHECK_EQ(cprof_codes_first_line(w.codes, CPROF_MAX_CODES - 1),
		CPROF_MAX_CODES - 1);
	CHECK_EQ(cprof_codes_first_line(w.codes, 0), 0);
	close_world(&w);
}

void test_code__full_places_are_counted(void)
{
	static uintptr_t address[CPROF_LEARN_MAX];
	struct world w = open_world();
	char *first = fake_function(w.py, "f");
	size_t bytes = fake_code_bytes(w.py);
	uint32_t nr = 0;

	CHECK(learn(&w, first, 1) >= 0);
	while (nr < CPROF_MAX_CODES + 10) {
		char *all = fake_alloc(w.py, CPROF_LEARN_MAX * bytes);

		for (int i = 0; i < CPROF_LEARN_MAX; i++) {
			memcpy(all + (size_t)i * bytes, first, bytes);
			address[i] = fake_address(all + (size_t)i * bytes);
		}
		cprof_codes_learn(w.codes, w.peek, address, CPROF_LEARN_MAX, 1);
		nr += CPROF_LEARN_MAX;
	}
	CHECK_EQ(cprof_codes_lost(w.codes), nr + 1 - CPROF_MAX_CODES);
	CHECK(cprof_codes_place(w.codes, fake_address(first)) >= 0);
	CHECK_EQ(cprof_codes_place(w.codes, address[CPROF_LEARN_MAX - 1]), -1);
	CHECK_EQ(cprof_codes_place(w.codes, 12345), -1);
	close_world(&w);
}

void test_code__a_full_arena_is_counted(void)
{
	struct world w = open_world();
	uint8_t *lines = calloc(1, CPROF_MAX_CODE_LINES_BYTES);
	struct fake_code_is is = { 0 };
	char *code = fake_alloc(w.py, fake_code_bytes(w.py));
	char *small;

	CHECK(lines);
	is.lines = fake_bytes(w.py, lines, CPROF_MAX_CODE_LINES_BYTES);
	fake_code_at(w.py, code, is);
	for (int i = 0; i < CPROF_CODE_ARENA_BYTES / CPROF_MAX_CODE_LINES_BYTES;
		i++) {
		int32_t line = i;

		memcpy(code + w.py->lay->code.firstlineno, &line, 4);
		CHECK(learn(&w, code, 1) >= 0);
	}
	CHECK(cprof_codes_lost(w.codes) > 0);
	/* Known ones are known as before. */
	small = fake_function(w.py, "small");
	learn(&w, small, 1);
	memset(code + w.py->lay->code.firstlineno, 0, 4);
	CHECK_EQ(learnt(&w, code), 0);
	free(lines);
	close_world(&w);
}
