#ifndef TESTS_UNIT_FAKE_PYTHON_H
#define TESTS_UNIT_FAKE_PYTHON_H

#include <stddef.h>
#include <stdint.h>

#include "cpython/layout.h"
#include "cpython/threads.h"

/*
 * An interpreter that exists only as memory: runtime, interpreters, thread
 * states, data stacks, frames and code objects, laid out as CPython 3.11 does,
 * or another release, by its sys.hexversion.
 * The sampler's eyes see no difference. Everything that is made of it lives
 * until it is destroyed, so a test may unlink and still look.
 *
 * Words are stored one by one with release order, as a test's second thread may
 * change them while the kernel copies.
 */
struct fake_python {
	const struct cprof_layout *lay;
	char *runtime, *code_type;
	char *function_type, *method_type, *type_type;
	uint32_t code_version; /* of the last code made */
	void *blocks;	       /* private */
};

struct fake_thread {
	struct fake_python *py;
	char *state, *cframe, *chunk;
	size_t chunk_bytes; /* of the next chunk; 16 KiB as in CPython */
};

struct fake_python *fake_python_create(void);
struct fake_python *fake_python_create_as(uint32_t hexversion);
void fake_python_destroy(struct fake_python *py);

/* Zeroed memory that lives as long as `py`. */
void *fake_alloc(struct fake_python *py, size_t len);

static inline uintptr_t fake_address(const void *p)
{
	return (uintptr_t)p;
}

void fake_store(void *base, size_t offset, uint64_t value);
uint64_t fake_load(const void *base, size_t offset);

struct cprof_roots fake_roots(const struct fake_python *py);

/* New ones stand at the head of their list. */
char *fake_interp(struct fake_python *py);
struct fake_thread *fake_thread(
	struct fake_python *py, char *interp, uint64_t id, int32_t tid);
void fake_thread_unlink(struct fake_thread *t);
struct cprof_thread_ref fake_ref(const struct fake_thread *t);

/* A str by its parts. `kind` is 1, 2 or 4 bytes a character. */
enum {
	FAKE_COMPACT = 8,
	FAKE_ASCII = 16
};
char *fake_str_of(struct fake_python *py, unsigned int kind, unsigned int flags,
	const void *data, size_t length);
char *fake_str(struct fake_python *py, const char *ascii);
char *fake_bytes(struct fake_python *py, const void *data, size_t len);

/* A code object. Zeroed fields get what is usual. */
struct fake_code_is {
	const char *name, *file;
	char *name_str, *file_str, *lines; /* instead of the usual */
	int32_t first_line;
	uint32_t first_traceable;
	uint64_t size; /* code units */
};
void fake_code_at(struct fake_python *py, void *at, struct fake_code_is is);
/* Give it a number of its own (from 3.12), as a new code object has. */
void fake_code_renumber(struct fake_python *py, void *at);
char *fake_code(struct fake_python *py, struct fake_code_is is);
char *fake_function(struct fake_python *py, const char *name);
size_t fake_code_bytes(const struct fake_python *py);

/*
 * C functions: of a module (a str, or NULL) or with their object, methods of a
 * type, and types. `name` is one of C's strings.
 */
char *fake_c_function(struct fake_python *py, const char *name,
	const char *module, const char *self);
char *fake_c_method(struct fake_python *py, const char *name, const char *type);
char *fake_type(struct fake_python *py, const char *name, uint64_t flags);
char *fake_object(struct fake_python *py, const char *type);

/*
 * Code that calls at FAKE_CALL, from 3.11, and what a frame of it calls there:
 * two words, the first of which is NULL unless it is a method.
 */
#define FAKE_CALL 2
char *fake_calling(struct fake_python *py, const char *name);
void fake_call(struct fake_python *py, char *frame, const char *callee);

/*
 * Frames. `index` is that of the instruction, -1 before the first. Push puts
 * one on the data stack and makes it the leaf, as a call does; pop is a return.
 */
char *fake_push(struct fake_thread *t, const char *code, int index);
void fake_pop(struct fake_thread *t);
void fake_frame_at(struct fake_python *py, char *frame, const char *code,
	int index, const char *previous, uint8_t owner);
void fake_instr(
	struct fake_python *py, char *frame, const char *code, int index);
char *fake_leaf(const struct fake_thread *t);
void fake_set_leaf(struct fake_thread *t, const char *frame);

#endif
