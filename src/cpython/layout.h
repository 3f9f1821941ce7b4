#ifndef CPROF_CPYTHON_LAYOUT_H
#define CPROF_CPYTHON_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Where things are in the memory of one CPython minor version: byte offsets of
 * the fields that the sampler reads, named as CPython names them. The entries
 * are made from CPython's own headers by scripts/make-layout and kept in
 * src/cpython/layouts/; nothing else in the code knows a version.
 */
enum cprof_line_format {
	CPROF_LINES_LOCATIONS /* from 3.11: co_linetable, PEP 657 */
};

struct cprof_layout {
	uint16_t version; /* 0x030b for 3.11 */
	enum cprof_line_format lines;

	struct {
		uint16_t interpreters_head, gil;
	} runtime; /* _PyRuntimeState */
	struct {
		uint16_t last_holder, locked, switch_number;
	} gil; /* struct _gil_runtime_state */
	struct {
		uint16_t next, threads_head;
	} interp; /* PyInterpreterState */
	struct {
		uint16_t prev, next, interp, id, native_thread_id;
		uint16_t cframe, datastack_chunk, datastack_top;
		uint16_t size;	      /* all of the above lie below */
		uint16_t root_cframe; /* where `cframe` points without frames */
	} thread;		      /* PyThreadState */
	struct {
		uint16_t current_frame, size;
	} cframe; /* _PyCFrame, on the C stack of its thread */
	struct {
		uint16_t f_code, previous, prev_instr, owner, size;
		uint8_t owned_by_generator;
	} frame; /* _PyInterpreterFrame */
	struct {
		uint16_t previous, size, top, data;
	} chunk; /* _PyStackChunk */
	struct {
		uint16_t ob_type, ob_size, filename, name, linetable;
		uint16_t firstlineno, firsttraceable, nlocalsplus, stacksize;
		uint16_t code_adaptive;
	} code; /* PyCodeObject; `name` is co_qualname where there is one */
	struct {
		uint16_t length, state, ascii_data, compact_data;
		uint8_t kind_shift; /* then `compact`, then `ascii` */
	} str;			    /* PyASCIIObject, PyCompactUnicodeObject */
	struct {
		uint16_t ob_size, data;
	} bytes; /* PyBytesObject */
};

/* What the running interpreter says of itself. */
struct cprof_python {
	uint32_t hexversion;	    /* sys.hexversion */
	const char *implementation; /* sys.implementation.name */
	bool debug;		    /* a Py_DEBUG build */
	bool free_threaded;
};

/*
 * The layout for this interpreter. CPROF_EUNSUPPORTED, in words that name it,
 * for one we have none for; nothing is guessed.
 */
int cprof_layout_find(const struct cprof_python *python,
	const struct cprof_layout **ret, struct cprof_error *err);

#endif
