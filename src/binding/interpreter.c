/* What the sampler has to know of the interpreter that it runs in. */
#include "binding/binding.h"

#include <dlfcn.h>
#include <string.h>

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

int cprof__interpreter(struct cprof_sampler_options *ret)
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
	if (cprof_layout_find(&python, &ret->layout, &err) < 0) {
		cprof__raise(&err);
		return -1;
	}
	ret->runtime = (uintptr_t)dlsym(RTLD_DEFAULT, "_PyRuntime");
	ret->code_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyCode_Type");
	if (!ret->runtime || !ret->code_type) {
		PyErr_SetString(PyExc_NotImplementedError,
			"the profiler cannot find the symbols _PyRuntime and "
			"PyCode_Type in this Python");
		return -1;
	}
	return 0;
}
