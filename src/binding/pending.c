/* What another thread wants to be done in the main thread. */
#include "binding/binding.h"

static int call(void *callable)
{
	PyObject *result = PyObject_CallObject(callable, NULL);

	Py_DECREF(callable);
	Py_XDECREF(result);
	return result ? 0 : cprof__clear_failure();
}

PyObject *cprof__call_in_main(PyObject *self, PyObject *arg)
{
	(void)self;
	Py_INCREF(arg);
	/* It fails where too many are pending. */
	if (Py_AddPendingCall(call, arg) < 0)
		Py_DECREF(arg);
	Py_RETURN_NONE;
}
