/*
 * What has to be done with the GIL in a forked child that is profiled. On a
 * thread for nothing else: an interpreter that ends keeps whoever asks for the
 * GIL, and a program that never gives it up would keep it, too.
 */
#include "binding/binding.h"

#include "agent/cores.h"
#include "base/thread.h"

static PyObject *hook; /* the callable (); never freed */

static void *run(void *unused)
{
	PyGILState_STATE gil;
	PyObject *result;
	struct cprof_copy copy;

	(void)unused;
	cprof_thread_name(CPROF_THREAD_PREFIX "fork");
	copy = cprof_cores_copy();
	gil = PyGILState_Ensure();
	cprof_cores_refill(copy);
	result = PyObject_CallObject(hook, NULL);
	/* Its failure is not the program's. */
	if (!result)
		PyErr_Clear();
	Py_XDECREF(result);
	PyGILState_Release(gil);
	return NULL;
}

void cprof__in_child(void)
{
	struct cprof_error ignored;

	cprof__log_open(&ignored);
	if (hook)
		cprof_thread_start(run, NULL, &ignored);
}

PyObject *cprof__call_in_child(PyObject *self, PyObject *arg)
{
	(void)self;
	Py_INCREF(arg);
	hook = arg;
	Py_RETURN_NONE;
}
