#include "binding/binding.h"

#include <string.h>

static PyMethodDef methods[] = {
	{ "start", (PyCFunction)(void (*)(void))cprof__start,
		METH_VARARGS | METH_KEYWORDS, "Start the agent." },
	{ "ask", (PyCFunction)(void (*)(void))cprof__ask,
		METH_VARARGS | METH_KEYWORDS,
		"Ask the service for a profile, once, for the doctor." },
	{ "count_roots", cprof__count_roots, METH_VARARGS,
		"How many CA certificates there are at a path." },
	{ "reads_by", cprof__reads_by, METH_NOARGS,
		"How the interpreter's memory is read here." },
	{ "lacks", cprof__lacks, METH_NOARGS, "What profiles lack here." },
	{ "transport", cprof__transport, METH_VARARGS,
		"What gRPC core there is." },
	{ "stop", cprof__stop, METH_VARARGS,
		"Stop the agent; waits for it within bounds." },
	{ "running", cprof__running, METH_NOARGS,
		"Whether an agent was started and not stopped." },
	{ "metadata", cprof__metadata, METH_VARARGS,
		"Ask a metadata server for a value." },
	{ "give_token", cprof__give_token, METH_VARARGS,
		"Give the agent an access token." },
	{ "read_token", cprof__read_token, METH_VARARGS,
		"Read a service's own token in a file." },
	{ "give_no_token", cprof__give_no_token, METH_VARARGS,
		"Tell the agent why there is no access token." },
	{ "collect", (PyCFunction)(void (*)(void))cprof__collect,
		METH_VARARGS | METH_KEYWORDS,
		"Sample here and now; returns a gzipped profile." },
	{ "walk_self", cprof__walk_self, METH_NOARGS,
		"The calling thread's stack as the sampler reads it." },
	{ "line_at", cprof__line_at, METH_VARARGS,
		"The line of an instruction, by the sampler's decoder." },
	{ "call_sites", cprof__call_sites, METH_VARARGS,
		"Where code calls what, by the sampler's decoder." },
	{ "speak_through", cprof__speak_through, METH_VARARGS,
		"Set what log records go to, and who has speak() called." },
	{ "speak", cprof__speak, METH_NOARGS,
		"Speak the log records that there are." },
	{ "name_threads", cprof__name_threads, METH_VARARGS,
		"Tell the sampler what threads are called." },
	{ "call_in_main", cprof__call_in_main, METH_O,
		"Have the main thread call a callable ()." },
	{ "call_in_child", cprof__call_in_child, METH_O,
		"Set what is called in a forked child: a callable ()." },
	{ "decode_profile", cprof__decode_profile, METH_O,
		"Read a pprof profile, gzipped or plain, into a dict." },
	{ NULL, NULL, 0, NULL },
};

static int exec_module(PyObject *module)
{
	return cprof__server_add(module);
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, (void *)exec_module },
#ifdef Py_GIL_DISABLED
	/* Else the import would turn the GIL on for the whole program. */
	{ Py_mod_gil, Py_MOD_GIL_NOT_USED },
#endif
	{ 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_native",
	.m_doc = "The native side of googlecloudprofiler. Not a public module.",
	.m_methods = methods,
	.m_slots = slots,
};

/* Headers before 3.9 leave it hidden, as all else is in this file. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&definition);
}

PyObject *cprof__raise(const struct cprof_error *err)
{
	switch (err->code) {
	case CPROF_ENOMEM:
		PyErr_SetString(PyExc_MemoryError, err->message);
		return NULL;
	case CPROF_EINVAL:
		PyErr_SetString(PyExc_ValueError, err->message);
		return NULL;
	case CPROF_EIO:
		PyErr_SetString(PyExc_OSError, err->message);
		return NULL;
	case CPROF_EUNSUPPORTED:
		PyErr_SetString(PyExc_NotImplementedError, err->message);
		return NULL;
	default:
		PyErr_SetString(PyExc_RuntimeError, err->message);
		return NULL;
	}
}

int cprof__clear_failure(void)
{
	if (!PyErr_ExceptionMatches(PyExc_Exception) &&
		!PyErr_ExceptionMatches(PyExc_SystemExit))
		return -1;
	PyErr_Clear();
	return 0;
}

PyObject *cprof__text(const char *text)
{
	const char *s = text ? text : "";

	return PyUnicode_DecodeUTF8(s, (Py_ssize_t)strlen(s), "replace");
}
