/* What Python calls its threads, for the sampler. */
#include "binding/binding.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "sampler/names.h"

static int read_label(PyObject *pair, struct cprof_thread_label *ret)
{
	const char *name;
	Py_ssize_t len;
	size_t kept;

	if (!PyArg_ParseTuple(pair, "iy#:name_threads", &ret->tid, &name, &len))
		return -1;
	kept = cprof_utf8_cut(name, (size_t)len, sizeof(ret->name) - 1);
	memcpy(ret->name, name, kept);
	ret->name[kept] = '\0';
	return 0;
}

PyObject *cprof__name_threads(PyObject *self, PyObject *args)
{
	struct cprof_thread_label *label;
	PyObject *list;
	Py_ssize_t nr;

	(void)self;
	if (!PyArg_ParseTuple(args, "O!:name_threads", &PyList_Type, &list))
		return NULL;
	nr = PyList_Size(list);
	if (nr > CPROF_MAX_THREADS)
		nr = CPROF_MAX_THREADS;
	label = calloc((size_t)nr + 1, sizeof(*label));
	if (!label)
		return PyErr_NoMemory();
	for (Py_ssize_t i = 0; i < nr; i++)
		if (read_label(PyList_GetItem(list, i), &label[i]) < 0) {
			free(label);
			return NULL;
		}
	cprof_names_replace(label, (size_t)nr);
	Py_RETURN_NONE;
}
