/* What the sampler has to know of the interpreter that it runs in. */
#include "binding/binding.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "cpython/peek.h"
#include "cpython/tid.h"

/* "t" is for free-threaded: "3.13t", sys.abiflags has it. */
static bool is_free_threaded(void)
{
	PyObject *flags = PySys_GetObject("abiflags"); /* borrowed */
	PyObject *utf8 = flags ? PyUnicode_AsUTF8String(flags) : NULL;
	bool found = utf8 && strchr(PyBytes_AsString(utf8), 't');

	PyErr_Clear();
	Py_XDECREF(utf8);
	return found;
}

/* 0, or -1 with an exception set. `implementation` has room for 32 bytes. */
static int read_sys(uint32_t *hexversion, char *implementation)
{
	PyObject *version = PySys_GetObject("hexversion"); /* borrowed */
	PyObject *about = PySys_GetObject("implementation");
	PyObject *name = NULL, *utf8 = NULL;
	int r = -1;

	if (!version || !about) {
		PyErr_SetString(PyExc_RuntimeError, "sys is not complete");
		return -1;
	}
	*hexversion = (uint32_t)PyLong_AsUnsignedLong(version);
	if (PyErr_Occurred())
		return -1;
	name = PyObject_GetAttrString(about, "name");
	utf8 = name ? PyUnicode_AsUTF8String(name) : NULL;
	if (utf8) {
		strncpy(implementation, PyBytes_AsString(utf8), 31);
		implementation[31] = '\0';
		r = 0;
	}
	Py_XDECREF(utf8);
	Py_XDECREF(name);
	return r;
}

/* 0, or -1 with an exception set. */
static int find_layout(const struct cprof_layout **ret)
{
	struct cprof_python python = {
		.debug = PySys_GetObject("gettotalrefcount") != NULL,
		.free_threaded = is_free_threaded(),
	};
	char implementation[32];
	struct cprof_error err;

	if (read_sys(&python.hexversion, implementation) < 0)
		return -1;
	python.implementation = implementation;
	if (cprof_layout_find(&python, ret, &err) == 0)
		return 0;
	cprof__raise(&err);
	return -1;
}

static int check_layout(struct cprof_peek *peek, const struct cprof_layout *lay,
	uintptr_t runtime, struct cprof_error *err)
{
	char table[CPROF_DEBUG_OFFSETS_BYTES] = { 0 };

	cprof_peek_one(peek, runtime, sizeof(table), table);
	return cprof_layout_check(lay, table, err);
}

/* The bytes of an object with a symbol; 0 where nobody tells. */
static size_t size_of(uintptr_t object)
{
#ifdef __GLIBC__
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (object &&
		dladdr1((void *)object, &info, (void **)&symbol,
			RTLD_DL_SYMENT) &&
		symbol)
		return symbol->st_size;
#endif
	(void)object;
	return 0;
}

/*
 * To 3.6 the runtime has no symbol, but functions that tell: what they read is
 * static memory, without a check of who asks.
 */
static bool find_roots(const struct cprof_layout *lay, uintptr_t runtime,
	struct cprof_roots *ret)
{
	void *first = dlsym(RTLD_DEFAULT, "PyInterpreterState_Head");

	*ret = (struct cprof_roots){
		.code_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyCode_Type"),
		.function_type =
			(uintptr_t)dlsym(RTLD_DEFAULT, "PyCFunction_Type"),
		.cmethod_type =
			(uintptr_t)dlsym(RTLD_DEFAULT, "PyCMethod_Type"),
		.method_type =
			(uintptr_t)dlsym(RTLD_DEFAULT, "PyMethodDescr_Type"),
		.type_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyType_Type"),
		.runtime = runtime,
		.runtime_bytes = size_of(runtime),
	};
	if (lay->runtime.interpreters_head) {
		ret->interpreters = runtime + lay->runtime.interpreters_head;
		if (lay->runtime.tstate_current)
			ret->current = runtime + lay->runtime.tstate_current;
		return runtime && ret->code_type;
	}
	memcpy(&ret->first_interpreter, &first, sizeof(first));
	ret->current = (uintptr_t)dlsym(RTLD_DEFAULT, "_PyThreadState_Current");
	return first && ret->current && ret->code_type;
}

static int find_rest(struct cprof_sampler_options *ret, struct cprof_error *err)
{
	uintptr_t runtime = (uintptr_t)dlsym(RTLD_DEFAULT, "_PyRuntime");
	struct cprof_peek *peek;
	int r;

	if (!find_roots(ret->layout, runtime, &ret->roots))
		return cprof_fail(err, CPROF_EUNSUPPORTED,
			"the profiler cannot find the symbols _PyRuntime and "
			"PyCode_Type in this Python");
	r = cprof_peek_create(CPROF_PEEK_ANY, &peek, err);
	if (r < 0)
		return r;
	r = check_layout(peek, ret->layout, runtime, err);
	if (r == 0 && !ret->layout->thread.native_thread_id)
		r = cprof_tid_offset(peek, &ret->roots.tid_offset, err);
	cprof_peek_destroy(peek);
	return r;
}

int cprof__interpreter(struct cprof_sampler_options *ret)
{
	/* Nothing of it changes while this library is loaded. */
	static struct cprof_sampler_options found;
	struct cprof_sampler_options now = { 0 };
	struct cprof_error err;

	if (!found.layout) {
		if (find_layout(&now.layout) < 0)
			return -1;
		if (find_rest(&now, &err) < 0) {
			cprof__raise(&err);
			return -1;
		}
		found = now;
	}
	*ret = found;
	return 0;
}
