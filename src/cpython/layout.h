#ifndef CPROF_CPYTHON_LAYOUT_H
#define CPROF_CPYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Where things are in the memory of one CPython minor version: byte offsets of
 * the fields that the sampler reads, named as CPython names them. The entries
 * are made from CPython's own headers by scripts/make-layout and kept in
 * src/cpython/layouts/; nothing else in the code knows a version.
 */
enum cprof_line_format {
	CPROF_LINES_LNOTAB,   /* to 3.9: co_lnotab */
	CPROF_LINES_RANGES,   /* 3.10: co_linetable, PEP 626 */
	CPROF_LINES_LOCATIONS /* from 3.11: co_linetable, PEP 657 */
};

/* What tells where in its code a frame is. */
enum cprof_position {
	CPROF_POSITION_BYTES,  /* to 3.9: an int, in bytes; -1: not begun */
	CPROF_POSITION_UNITS,  /* 3.10: an int, in code units */
	CPROF_POSITION_POINTER /* from 3.11: the address of an instruction */
};

/* The kinds of builds that one layout serves. */
enum cprof_build {
	CPROF_BUILD_RELEASE = 1,
	CPROF_BUILD_DEBUG = 2, /* Py_DEBUG */
	CPROF_BUILD_FREE_THREADED = 4,
	CPROF_BUILD_FREE_THREADED_DEBUG = 8
};

#define CPROF_LAYOUT_CHECKS 32

/* A field, or a group, that a version does not have is 0. */
struct cprof_layout {
	uint16_t version; /* 0x030b for 3.11 */
	uint8_t builds;	  /* of enum cprof_build, or-ed */
	enum cprof_line_format lines;
	enum cprof_position position;

	struct {
		uint16_t interpreters_head;
		uint16_t tstate_current; /* 3.7 to 3.11: who has the GIL */
	} runtime;			 /* _PyRuntimeState; none in 3.6 */
	struct {
		uint16_t next, threads_head;
	} interp; /* PyInterpreterState */
	struct {
		uint16_t prev, next, interp;
		uint16_t id; /* of 3.6, which has none, the pthread_t */
		uint16_t thread_id, native_thread_id; /* the latter from 3.11 */
		/* Where the leaf frame is told: here, or in the cframe. */
		uint16_t current_frame, cframe;
		uint16_t datastack_chunk, datastack_top; /* from 3.11 */
		uint16_t size;	      /* all of the above lie below */
		uint16_t root_cframe; /* where `cframe` points without frames */
		/*
		 * From 3.12: has the GIL when `word & mask` is `value`.
		 * Without a GIL being attached says nothing: 0.
		 */
		uint16_t attached, attached_mask, attached_value;
	} thread; /* PyThreadState */
	struct {
		uint16_t current_frame, size;
	} cframe; /* 3.11, 3.12: _PyCFrame, on the C stack of its thread */
	struct {
		uint16_t code, previous, instr, size;
		uint16_t f_gen; /* to 3.10; NULL unless a generator's */
		/* To 3.10: a byte that is `executing` while it runs. */
		uint16_t state;
		uint8_t executing;
		uint16_t owner; /* from 3.11 */
		uint8_t owned_by_generator;
		uint8_t owned_by_shim; /* from 3.12: this or more, no code */
		uint16_t func;	       /* from 3.11; the PyFunctionObject */
		uint16_t stackpointer; /* from 3.14: NULL unless in C */
	} frame; /* PyFrameObject, from 3.11 _PyInterpreterFrame */
	struct {
		uint16_t previous, size, top, data;
	} chunk; /* from 3.11: _PyStackChunk */
	struct {
		uint16_t ob_type, filename, name, linetable, firstlineno;
		uint16_t size; /* all that is read lies below */
		/* From 3.11: */
		uint16_t ob_size, firsttraceable, nlocalsplus, stacksize;
		uint16_t code_adaptive; /* where the instructions begin */
		uint16_t version;	/* from 3.12 */
	} code; /* PyCodeObject; `name` is co_qualname where there is one */
	struct {
		uint16_t length, state, ascii_data, compact_data;
		uint8_t kind_shift; /* then `compact`, then `ascii` */
	} str;			    /* PyASCIIObject, PyCompactUnicodeObject */
	struct {
		uint16_t ob_size, data;
	} bytes; /* PyBytesObject */
	/* From 3.11, what C functions are: */
	struct {
		uint16_t m_ml, m_self, m_module, size;
	} function; /* PyCFunctionObject */
	struct {
		uint16_t d_type, d_method, size;
	} method; /* PyMethodDescrObject */
	struct {
		uint16_t tp_name, tp_flags;
	} type; /* PyTypeObject */

	/* From 3.13: what _PyRuntime's own table of offsets must say. */
	struct {
		uint16_t at, value;
	} check[CPROF_LAYOUT_CHECKS]; /* ends with a zero */
};

/* What the running interpreter says of itself. */
struct cprof_python {
	uint32_t hexversion;	    /* sys.hexversion */
	const char *implementation; /* sys.implementation.name */
	bool debug;		    /* a Py_DEBUG build */
	bool free_threaded;
};

/* Where the reading of an interpreter begins. */
struct cprof_roots {
	/* The word that points to the first PyInterpreterState ... */
	uintptr_t interpreters;
	/* ... or who knows it, where there is no such symbol (3.6). */
	void *(*first_interpreter)(void);
	/* To 3.11: the word that points to the state which has the GIL. */
	uintptr_t current;
	uintptr_t code_type; /* PyCode_Type */
	/* What is called, if it is C; 0 where there is no such type. */
	uintptr_t function_type; /* PyCFunction_Type */
	uintptr_t cmethod_type;	 /* PyCMethod_Type, one of its subtypes */
	uintptr_t method_type;	 /* PyMethodDescr_Type */
	uintptr_t type_type;	 /* PyType_Type */
	/* Static memory of the runtime, with the GIL in it, if it is known. */
	uintptr_t runtime;
	size_t runtime_bytes;
	/* To 3.10: where in a struct pthread the kernel's id is. */
	uint16_t tid_offset;
};

/*
 * The layout for this interpreter. CPROF_EUNSUPPORTED, in words that name it,
 * for one we have none for; nothing is guessed.
 */
int cprof_layout_find(const struct cprof_python *python,
	const struct cprof_layout **ret, struct cprof_error *err);

/*
 * Compare with the table of offsets that the interpreter itself keeps at the
 * beginning of _PyRuntime from 3.13 on, of which `table` is a copy of
 * CPROF_DEBUG_OFFSETS_BYTES. CPROF_EUNSUPPORTED if it says something else.
 */
#define CPROF_DEBUG_OFFSETS_BYTES 1024
int cprof_layout_check(const struct cprof_layout *lay, const void *table,
	struct cprof_error *err);

#endif
