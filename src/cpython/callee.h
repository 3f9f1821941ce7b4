#ifndef CPROF_CPYTHON_CALLEE_H
#define CPROF_CPYTHON_CALLEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "cpython/code.h"
#include "cpython/frame.h"
#include "cpython/layout.h"
#include "cpython/peek.h"

/*
 * The C functions that leaf frames were met calling. While a C function runs,
 * the frame that called it stands at its call, with the function on its stack,
 * in the place that cpython/sites.h tells. So the object itself is looked at,
 * and not the name by which the program calls it: a built-in function, a method
 * of a type written in C, or such a type. Anything else that may be called
 * (Python functions and classes, other objects) is not named here.
 *
 * An object is known like a code object is: by what is in it, read again each
 * time it is met. One thread at a time; nothing is allocated after creation.
 */
struct cprof_callees;

/* Numbers of callees begin here; each is a name, and less than any pseudo code.
 */
#define CPROF_CALLEE_FIRST 0xff000000u
#define CPROF_NO_CALLEE	   0

/*
 * `ret` is NULL, and 0 is returned, for a version where C functions are not
 * told. Borrows its arguments for its life.
 */
int cprof_callees_create(const struct cprof_layout *lay,
	const struct cprof_roots *roots, struct cprof_codes *codes,
	struct cprof_peek *peek, struct cprof_callees **ret,
	struct cprof_error *err);

/* Accepts NULL. */
void cprof_callees_destroy(struct cprof_callees *c);

/* A leaf frame that stood. `place` and `instr` are those of its code. */
struct cprof_call {
	struct cprof_raw_frame frame;
	int place;
	int32_t instr;
	uintptr_t at;	    /* where what it calls lies; 0: unknown */
	uintptr_t words[2]; /* what lay there, once that is known; or zeros */
	uintptr_t same;	    /* an object that was the known one after that */
};

/* Where to look for what the frame calls. False if it is known to call nothing.
 */
bool cprof_callees_where(
	const struct cprof_callees *c, struct cprof_call *call);

/*
 * Set `instr`, here and in the frame, back to the call that it stands at, or
 * stood at shortly before, and tell where what it calls lies. False if there is
 * none, or the code's calls are not known yet.
 */
bool cprof_callees_set_back(
	const struct cprof_callees *c, struct cprof_call *call);

/* The two words without the tags of 3.14. */
static inline void cprof_callees_words(const void *copy, uintptr_t words[2])
{
	words[0] = cprof_load_ptr(copy, 0) & CPROF_OBJECT_MASK;
	words[1] = cprof_load_ptr(copy, sizeof(words[0])) & CPROF_OBJECT_MASK;
}

/*
 * From 3.14: whether a frame with this stackpointer is out of bytecode, with
 * what it calls and the arguments on its stack. Before, nobody tells: true.
 */
bool cprof_callees_waits(const struct cprof_callees *c,
	const struct cprof_call *call, uintptr_t stackpointer);

/*
 * Put an object that may be called, and is known, on the list of the peek, to
 * be seen behind the frame; returns a handle for cprof_callees_same(). Any
 * address is allowed.
 */
int cprof_callees_want(struct cprof_callees *c, uintptr_t object);
bool cprof_callees_same(
	const struct cprof_callees *c, uintptr_t object, int handle);

/* What is called, of the two words. */
static inline uintptr_t cprof_callees_object(const struct cprof_call *call)
{
	return call->words[0] ? call->words[0] : call->words[1];
}

/*
 * The number of the C function that `call` is in; CPROF_NO_CALLEE if it is in
 * none, or if nobody can tell. The code at its place was seen to be the one
 * that it runs. Where `words` are known and was met before, in an earlier tick,
 * its content is looked at once more; else the frame, too, must still stand.
 * Overwrites the list of the peek.
 */
uint32_t cprof_callees_find(
	struct cprof_callees *c, struct cprof_call *call, uint32_t tick);

/* For after the window: its name, such as `sorted` or `list.sort`. */
const char *cprof_callees_name(const struct cprof_callees *c, uint32_t number);

#endif
