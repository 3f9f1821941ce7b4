#ifndef CPROF_CPYTHON_LINETABLE_H
#define CPROF_CPYTHON_LINETABLE_H

#include <stddef.h>
#include <stdint.h>

#include "cpython/layout.h"

/*
 * The line that the instruction at index `instr` (in code units of two bytes,
 * as CPython counts them from the start of the code) stands on; 0 where the
 * table gives it none or, from 3.10, does not reach so far. `first_line` is
 * co_firstlineno.
 *
 * The table may be any bytes: nothing outside of it is read. The formats are
 * described in CPython's Objects/lnotab_notes.txt and Objects/locations.md.
 */
int32_t cprof_line_at(enum cprof_line_format format, const uint8_t *table,
	size_t len, int32_t first_line, uint32_t instr);

#endif
