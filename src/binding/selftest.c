/*
 * The sampler's own eyes on the calling thread: what the self-test at start,
 * the tests and the benchmarks compare with what Python says.
 */
#include "binding/binding.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "cpython/chain.h"
#include "cpython/linetable.h"
#include "cpython/sites.h"

/* The `struct cprof_walker` and what it borrows, for one walk. */
struct eyes {
	struct cprof_peek *peek;
	struct cprof_codes *codes;
	struct cprof_walker *walker;
	struct cprof_arena arena; /* has the threads */
	struct cprof_threads *threads;
};

static void close_eyes(struct eyes *e)
{
	cprof_arena_finish(&e->arena);
	cprof_walker_destroy(e->walker);
	cprof_codes_destroy(e->codes);
	cprof_peek_destroy(e->peek);
}

static int open_eyes(struct eyes *e, const struct cprof_sampler_options *opts,
	struct cprof_error *err)
{
	int r;

	*e = (struct eyes){ 0 };
	r = cprof_peek_create(CPROF_PEEK_ANY, &e->peek, err);
	if (r < 0)
		return r;
	r = cprof_codes_create(
		opts->layout, opts->roots.code_type, &e->codes, err);
	if (r < 0)
		return r;
	r = cprof_walker_create(
		opts->layout, e->peek, e->codes, NULL, &e->walker, err);
	if (r < 0)
		return r;
	r = cprof_arena_init(&e->arena, sizeof(*e->threads), err);
	if (r < 0)
		return r;
	e->threads = cprof_arena_take(&e->arena, sizeof(*e->threads));
	return 0;
}

/* The entry of the calling thread on the interpreter's list. */
static const struct cprof_thread_ref *find_self(
	struct eyes *e, const struct cprof_sampler_options *opts)
{
	uintptr_t self = (uintptr_t)PyThreadState_Get();

	if (cprof_threads_update(
		    e->threads, e->peek, opts->layout, &opts->roots) < 0)
		return NULL;
	for (int i = 0; i < e->threads->nr; i++)
		if (e->threads->ref[i].state == self)
			return &e->threads->ref[i];
	return NULL;
}

/* (qualified name, file, line, first line) of a frame. */
static PyObject *describe(
	const struct cprof_codes *codes, const struct cprof_frame *f)
{
	struct cprof_buffer name, file;
	struct cprof_error err;
	PyObject *tuple = NULL;

	cprof_buffer_init(&name, 2 * CPROF_MAX_CODE_NAME_BYTES);
	cprof_buffer_init(&file, 2 * CPROF_MAX_CODE_FILE_BYTES);
	if (f->code >= CPROF_CODE_PSEUDO)
		tuple = Py_BuildValue("(zzii)", NULL, NULL, 0, 0);
	else if (cprof_codes_name(codes, f->code, &name, &err) < 0 ||
		 cprof_codes_file(codes, f->code, &file, &err) < 0)
		cprof__raise(&err);
	else
		tuple = Py_BuildValue("(s#s#ii)", name.data,
			(Py_ssize_t)name.len, file.data, (Py_ssize_t)file.len,
			(int)cprof_codes_line(codes, f->code, f->instr),
			(int)cprof_codes_first_line(codes, f->code));
	cprof_buffer_finish(&file);
	cprof_buffer_finish(&name);
	return tuple;
}

static PyObject *describe_all(
	const struct cprof_codes *codes, const struct cprof_stack *stack)
{
	PyObject *list = PyList_New(stack->nr);

	for (int i = 0; list && i < stack->nr; i++) {
		PyObject *item = describe(codes, &stack->frame[i]);

		if (!item)
			Py_CLEAR(list);
		else
			PyList_SetItem(list, i, item);
	}
	return list;
}

static bool is_known(const struct cprof_stack *stack)
{
	for (int i = 0; i < stack->nr; i++)
		if (stack->frame[i].code == CPROF_CODE_GONE ||
			cprof_codes_is_place(stack->frame[i].code))
			return false;
	return true;
}

/*
 * This thread stands still, as it holds the GIL; but it may be interrupted in a
 * copy, which then proves nothing, and other threads may end meanwhile. A few
 * looks are enough on any machine.
 */
#define LOOKS 50

static bool look(struct eyes *e, const struct cprof_sampler_options *opts,
	struct cprof_chain_hint *hint, struct cprof_stack *ret)
{
	for (uint32_t tick = 1; tick <= LOOKS; tick++) {
		const struct cprof_thread_ref *ref = find_self(e, opts);

		if (ref &&
			cprof_walk(e->walker, ref, hint, tick, ret) ==
				CPROF_WALK_SETTLED &&
			is_known(ret))
			return true;
	}
	return false;
}

PyObject *cprof__walk_self(PyObject *self, PyObject *noargs)
{
	static struct cprof_stack stack; /* under the GIL */
	struct cprof_chain_hint *hint = NULL;
	struct cprof_sampler_options opts;
	struct cprof_error err;
	PyObject *list = NULL;
	struct eyes eyes;

	(void)self;
	(void)noargs;
	if (cprof__interpreter(&opts) < 0)
		return NULL;
	if (open_eyes(&eyes, &opts, &err) < 0) {
		cprof__raise(&err);
	} else if (!(hint = calloc(1, cprof_chain_hint_size(opts.layout)))) {
		PyErr_NoMemory();
	} else if (!look(&eyes, &opts, hint, &stack)) {
		PyErr_SetString(PyExc_RuntimeError,
			"the calling thread's stack cannot be read");
	} else {
		list = describe_all(eyes.codes, &stack);
	}
	close_eyes(&eyes);
	free(hint);
	return list;
}

PyObject *cprof__line_at(PyObject *self, PyObject *args)
{
	struct cprof_sampler_options opts;
	const char *table;
	Py_ssize_t len;
	int first_line;
	unsigned int instr;

	(void)self;
	if (!PyArg_ParseTuple(
		    args, "y#iI:line_at", &table, &len, &first_line, &instr) ||
		cprof__interpreter(&opts) < 0)
		return NULL;
	return PyLong_FromLong(cprof_line_at(opts.layout->lines,
		(const uint8_t *)table, (size_t)len, first_line, instr));
}

PyObject *cprof__call_sites(PyObject *self, PyObject *args)
{
	struct cprof_sampler_options opts;
	const struct cprof_opcode *opcodes;
	const char *code;
	Py_ssize_t len;
	PyObject *sites = NULL;
	uint8_t *scratch;

	(void)self;
	if (!PyArg_ParseTuple(args, "y#:call_sites", &code, &len) ||
		cprof__interpreter(&opts) < 0)
		return NULL;
	opcodes = cprof_opcodes(opts.layout->version);
	scratch = calloc((size_t)len + 1, 1);
	if (!scratch)
		return PyErr_NoMemory();
	if (opcodes && cprof_sites_find(opcodes, (const uint8_t *)code,
			       (size_t)len / 2, scratch, scratch + len / 2))
		sites = PyBytes_FromStringAndSize(
			(const char *)scratch + len / 2, len / 2);
	else
		sites = Py_BuildValue(""); /* None */
	free(scratch);
	return sites;
}

PyObject *cprof__collect(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "kind", "duration_ns", "period_ns",
		"budget_ppm", NULL };
	struct cprof_sampler_options opts;
	struct cprof_buffer out;
	struct cprof_error err;
	PyObject *bytes = NULL;
	const char *kind;
	long long duration_ns, period_ns, budget_ppm = 0;
	int r;

	(void)self;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sLL|L:collect", names,
		    &kind, &duration_ns, &period_ns, &budget_ppm) ||
		cprof__interpreter(&opts) < 0)
		return NULL;
	if (period_ns < CPROF_MIN_TRIAL_PERIOD_NS || duration_ns < period_ns ||
		duration_ns > CPROF_MAX_DURATION_NS || budget_ppm < 0 ||
		budget_ppm > 1000000) {
		PyErr_SetString(PyExc_ValueError,
			"period_ns, duration_ns or budget_ppm is out of range");
		return NULL;
	}
	opts.period_ns = period_ns;
	opts.budget_ppm = budget_ppm;
	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	Py_BEGIN_ALLOW_THREADS
	r = cprof_sampler_collect(&opts,
		kind[0] == 'C' ? CPROF_SAMPLER_CPU : CPROF_SAMPLER_WALL,
		duration_ns, NULL, &out, &err);
	Py_END_ALLOW_THREADS
	if (r < 0)
		cprof__raise(&err);
	else
		bytes = PyBytes_FromStringAndSize(
			(const char *)out.data, (Py_ssize_t)out.len);
	cprof_buffer_finish(&out);
	return bytes;
}
