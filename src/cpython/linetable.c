#include "cpython/linetable.h"

/* A line outside of int32_t comes from bytes that are no line table. */
static int32_t clamp(int64_t line)
{
	return line < 0 || line > INT32_MAX ? 0 : (int32_t)line;
}

/* Numbers of six bits a byte, low ones first; bit 6 says that more follow. */
static uint32_t read_varint(const uint8_t **at, const uint8_t *end)
{
	uint32_t value = 0;

	for (unsigned int shift = 0; *at < end && shift < 30; shift += 6) {
		uint8_t byte = *(*at)++;

		value |= (uint32_t)(byte & 63) << shift;
		if (!(byte & 64))
			break;
	}
	return value;
}

static int32_t read_signed_varint(const uint8_t **at, const uint8_t *end)
{
	uint32_t value = read_varint(at, end);

	return value & 1 ? -(int32_t)(value >> 1) : (int32_t)(value >> 1);
}

/*
 * The codes of an entry whose line delta is not zero (PEP 657). All other
 * codes, short forms with columns only, stay on the line.
 */
enum {
	CODE_ONE_LINE_0 = 10, /* 10, 11, 12: that many lines on, less 10 */
	CODE_NO_COLUMNS = 13,
	CODE_LONG = 14,
	CODE_NONE = 15
};

static int32_t locations_line(const uint8_t *at, const uint8_t *end,
	int32_t first_line, uint32_t instr)
{
	int64_t line = first_line;
	uint64_t covered = 0;

	while (at < end) {
		uint8_t head = *at++;
		uint8_t code = (head >> 3) & 15;

		covered += (head & 7) + 1U;
		if (code == CODE_NO_COLUMNS || code == CODE_LONG)
			line += read_signed_varint(&at, end);
		else if (code >= CODE_ONE_LINE_0 && code < CODE_NO_COLUMNS)
			line += code - CODE_ONE_LINE_0;
		if (instr < covered)
			return code == CODE_NONE ? 0 : clamp(line);
		/* The rest of an entry is columns: bytes without bit 7. */
		while (at < end && !(*at & 128))
			at++;
	}
	return 0;
}

/* Pairs: bytes of code on the line so far, then lines to go on, signed. */
static int32_t lnotab_line(const uint8_t *at, const uint8_t *end,
	int32_t first_line, uint64_t offset)
{
	int64_t line = first_line;
	uint64_t begin = 0;

	for (; end - at >= 2; at += 2) {
		begin += at[0];
		if (begin > offset)
			break;
		line += (int8_t)at[1];
	}
	return clamp(line);
}

/* Instead of a number of lines to go on: this range has none. */
#define RANGE_WITHOUT_LINE (-128)

/* Pairs: lines to go on, signed, and before it the bytes then on that line. */
static int32_t ranges_line(const uint8_t *at, const uint8_t *end,
	int32_t first_line, uint64_t offset)
{
	int64_t line = first_line;
	uint64_t covered = 0;

	for (; end - at >= 2; at += 2) {
		int8_t lines = (int8_t)at[1];

		covered += at[0];
		if (lines != RANGE_WITHOUT_LINE)
			line += lines;
		if (offset < covered)
			return lines == RANGE_WITHOUT_LINE ? 0 : clamp(line);
	}
	return 0;
}

int32_t cprof_line_at(enum cprof_line_format format, const uint8_t *table,
	size_t len, int32_t first_line, uint32_t instr)
{
	const uint8_t *end = table + len;
	uint64_t offset = 2 * (uint64_t)instr;

	switch (format) {
	case CPROF_LINES_LNOTAB:
		return lnotab_line(table, end, first_line, offset);
	case CPROF_LINES_RANGES:
		return ranges_line(table, end, first_line, offset);
	case CPROF_LINES_LOCATIONS:
		return locations_line(table, end, first_line, instr);
	}
	return 0;
}
