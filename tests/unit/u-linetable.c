#include "cpython/linetable.h"

#include "check.h"

static int32_t line_at(
	const uint8_t *table, size_t len, int32_t first_line, uint32_t instr)
{
	return cprof_line_at(
		CPROF_LINES_LOCATIONS, table, len, first_line, instr);
}

#define ENTRY(code, units) (uint8_t)(0x80 | (code) << 3 | ((units) - 1))

/* What CPython 3.11 made of a function, and the line of each of its units. */
static const uint8_t real[] = {
	0x80,
	0x00,
	0xe0,
	0x09,
	0x0a,
	0xd8,
	0x09,
	0x0a,
	0xf1,
	0x03,
	0x01,
	0x0a,
	0x0b,
	0x80,
	0x41,
	0xf0,
	0x04,
	0x08,
	0x05,
	0x0e,
	0xdd,
	0x11,
	0x16,
	0x90,
	0x71,
	0x91,
	0x18,
	0x94,
	0x18,
	0xf0,
	0x00,
	0x02,
	0x09,
	0x1b,
	0xf0,
	0x00,
	0x02,
	0x09,
	0x1b,
	0x88,
	0x41,
	0xd8,
	0x0f,
	0x10,
	0x90,
	0x31,
	0x89,
	0x75,
	0xd0,
	0x0c,
	0x1e,
	0x90,
	0x68,
	0xd8,
	0x0c,
	0x0d,
	0x90,
	0x11,
	0x89,
	0x46,
	0x88,
	0x41,
	0x90,
	0x41,
	0x98,
	0x11,
	0x91,
	0x46,
	0x90,
	0x41,
	0x90,
	0x41,
	0xf0,
	0x05,
	0x02,
	0x09,
	0x1b,
	0xf8,
	0xf5,
	0x06,
	0x00,
	0x0c,
	0x16,
	0xf0,
	0x00,
	0x02,
	0x05,
	0x11,
	0xf0,
	0x00,
	0x02,
	0x05,
	0x11,
	0xf0,
	0x00,
	0x02,
	0x05,
	0x11,
	0xdd,
	0x08,
	0x0d,
	0x88,
	0x61,
	0xd8,
	0x0e,
	0x0f,
	0xf1,
	0x03,
	0x01,
	0x09,
	0x11,
	0xf4,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf0,
	0x00,
	0x01,
	0x09,
	0x11,
	0xf8,
	0xf8,
	0xf8,
	0xf8,
	0xf0,
	0x03,
	0x02,
	0x05,
	0x11,
	0xf8,
	0xf8,
	0xf8,
	0xf0,
	0x08,
	0x00,
	0x0d,
	0x0e,
	0x88,
	0x41,
	0xf8,
	0x88,
	0x41,
	0x88,
	0x05,
	0x88,
	0x05,
	0x88,
	0x05,
	0x88,
	0x05,
	0xf0,
	0x7e,
	0x02,
	0x01,
	0x0c,
	0x12,
	0xf0,
	0x00,
	0x01,
	0x0c,
	0x12,
	0x98,
	0x01,
	0x98,
	0x31,
	0x90,
	0x76,
	0xf0,
	0x00,
	0x01,
	0x0c,
	0x12,
	0xf1,
	0x00,
	0x01,
	0x0c,
	0x12,
	0xf4,
	0x00,
	0x01,
	0x0c,
	0x12,
	0xf0,
	0x00,
	0x01,
	0x05,
	0x12,
};
static const int real_line[] = {
	1,
	3,
	4,
	3,
	3,
	3,
	5,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	6,
	7,
	7,
	7,
	7,
	7,
	7,
	8,
	8,
	8,
	8,
	8,
	8,
	8,
	8,
	8,
	8,
	8,
	6,
	0,
	9,
	9,
	9,
	9,
	9,
	9,
	9,
	9,
	9,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	11,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	10,
	0,
	0,
	0,
	0,
	9,
	0,
	0,
	0,
	13,
	13,
	0,
	13,
	13,
	13,
	13,
	13,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
	108,
};
#define REAL_NR (uint32_t)(sizeof(real_line) / sizeof(real_line[0]))

void test_linetable__a_real_table_gives_cpythons_lines(void)
{
	for (uint32_t i = 0; i < REAL_NR; i++)
		CHECK_EQ(line_at(real, sizeof(real), 1, i), real_line[i]);
	for (uint32_t i = 0; i < REAL_NR; i++)
		CHECK_EQ(line_at(real, sizeof(real), 1001, i),
			real_line[i] ? real_line[i] + 1000 : 0);
}

void test_linetable__past_the_end_is_no_line(void)
{
	CHECK_EQ(line_at(real, sizeof(real), 1, REAL_NR), 0);
	CHECK_EQ(line_at(real, sizeof(real), 1, UINT32_MAX), 0);
	CHECK_EQ(line_at(real, 0, 1, 0), 0);
}

void test_linetable__every_form_of_entry(void)
{
	static const struct {
		uint8_t table[16];
		size_t len;
		uint32_t instr;
		int32_t want;
	} row[] = {
		/* short forms: columns only */
		{ { ENTRY(0, 1), 0 }, 2, 0, 100 },
		{ { ENTRY(9, 8), 0x7f }, 2, 7, 100 },
		{ { ENTRY(9, 8), 0x7f }, 2, 8, 0 },
		/* one line: delta 0, 1, 2, then two columns */
		{ { ENTRY(10, 1), 1, 2 }, 3, 0, 100 },
		{ { ENTRY(11, 1), 1, 2 }, 3, 0, 101 },
		{ { ENTRY(12, 1), 1, 2 }, 3, 0, 102 },
		/* no columns: a signed delta */
		{ { ENTRY(13, 1), 0 }, 2, 0, 100 },
		{ { ENTRY(13, 1), 2 }, 2, 0, 101 },
		{ { ENTRY(13, 1), 3 }, 2, 0, 99 },
		{ { ENTRY(13, 1), 0x40, 1 }, 3, 0, 132 },
		{ { ENTRY(13, 1), 0x41, 1 }, 3, 0, 68 },
		{ { ENTRY(13, 1), 0x40, 0x40, 1 }, 4, 0, 100 + 2048 },
		/* long: delta, end line, two columns */
		{ { ENTRY(14, 1), 6, 0, 1, 2 }, 5, 0, 103 },
		/* no location, which leaves the line as it was */
		{ { ENTRY(15, 2) }, 1, 0, 0 },
		{ { ENTRY(15, 2), ENTRY(11, 1), 1, 2 }, 4, 1, 0 },
		{ { ENTRY(15, 2), ENTRY(11, 1), 1, 2 }, 4, 2, 101 },
		/* deltas add up */
		{ { ENTRY(11, 1), 1, 2, ENTRY(12, 1), 1, 2 }, 6, 1, 103 },
		{ { ENTRY(14, 1), 6, 0, 1, 2, ENTRY(13, 1), 3 }, 7, 1, 102 },
		/* a line that cannot be */
		{ { ENTRY(13, 1), 0x41, 0x40, 1 }, 4, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_EQ(line_at(row[i].table, row[i].len, 100, row[i].instr),
			row[i].want);
}

void test_linetable__extreme_first_lines_do_not_overflow(void)
{
	static const uint8_t up[] = { ENTRY(13, 1), 0x7e, 0x7f, 0x7f, 0x7f,
		0x3f, ENTRY(11, 1), 0, 0 };
	static const uint8_t down[] = { ENTRY(13, 1), 0x7f, 0x7f, 0x7f, 0x7f,
		0x3f };

	CHECK_EQ(line_at(up, sizeof(up), INT32_MAX, 0), 0);
	CHECK_EQ(line_at(up, sizeof(up), INT32_MAX, 1), 0);
	CHECK_EQ(line_at(down, sizeof(down), INT32_MIN, 0), 0);
	CHECK(line_at(up, sizeof(up), 0, 0) > 0);
}

/* In memory of exactly `len` bytes, so that a step outside is noticed. */
static void read_all(const uint8_t *table, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	CHECK(exact);
	memcpy(exact, table, len);
	for (int format = CPROF_LINES_LNOTAB; format <= CPROF_LINES_LOCATIONS;
		format++) {
		for (uint32_t i = 0; i < 2 * REAL_NR; i++)
			CHECK(cprof_line_at((enum cprof_line_format)format,
				      exact, len, 1, i) >= 0);
		cprof_line_at((enum cprof_line_format)format, exact, len,
			INT32_MAX, UINT32_MAX);
	}
	free(exact);
}

void test_linetable__a_cut_table_is_not_read_beyond(void)
{
	for (size_t len = 0; len <= sizeof(real); len++)
		read_all(real, len);
}

void test_linetable__any_bytes_are_read_within(void)
{
	uint8_t table[64];
	uint64_t x = 88172645463325252u;

	for (int n = 0; n < 2000; n++) {
		size_t len = (size_t)n % (sizeof(table) + 1);

		for (size_t i = 0; i < len; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			table[i] = (uint8_t)(x >> 32);
		}
		read_all(table, len);
	}
}

/* Bytes of code, lines: 6 on the first line, then 4 two lines on, ... */
static const uint8_t lnotab[] = { 6, 2, 4, 0xff, 0, 127, 2, 127, 255, 0, 1, 1 };

static int32_t lnotab_at(uint32_t instr)
{
	return cprof_line_at(
		CPROF_LINES_LNOTAB, lnotab, sizeof(lnotab), 10, instr);
}

void test_linetable__an_lnotab_as_cpython_39_reads_it(void)
{
	CHECK_EQ(lnotab_at(0), 10);
	CHECK_EQ(lnotab_at(2), 10);
	CHECK_EQ(lnotab_at(3), 12);
	CHECK_EQ(lnotab_at(4), 12);
	/* Back by one, then on by 127 in the same place. */
	CHECK_EQ(lnotab_at(5), 138);
	CHECK_EQ(lnotab_at(6), 265);
	CHECK_EQ(lnotab_at(133), 265);
	CHECK_EQ(lnotab_at(134), 266);
	/* The last line goes on for ever. */
	CHECK_EQ(lnotab_at(UINT32_MAX), 266);
	CHECK_EQ(cprof_line_at(CPROF_LINES_LNOTAB, lnotab, 0, 10, 7), 10);
	CHECK_EQ(cprof_line_at(CPROF_LINES_LNOTAB, lnotab, 1, 10, 7), 10);
}

/* Bytes on the line that is so many lines on; 0x80: on none. */
static const uint8_t ranges[] = { 4, 0, 2, 1, 4, 0x80, 0, 100, 2, 0xfe };

static int32_t ranges_at(uint32_t instr)
{
	return cprof_line_at(
		CPROF_LINES_RANGES, ranges, sizeof(ranges), 10, instr);
}

void test_linetable__ranges_as_cpython_310_reads_them(void)
{
	CHECK_EQ(ranges_at(0), 10);
	CHECK_EQ(ranges_at(1), 10);
	CHECK_EQ(ranges_at(2), 11);
	CHECK_EQ(ranges_at(3), 0);
	CHECK_EQ(ranges_at(4), 0);
	CHECK_EQ(ranges_at(5), 109);
	CHECK_EQ(ranges_at(6), 0);
	CHECK_EQ(ranges_at(UINT32_MAX), 0);
}
