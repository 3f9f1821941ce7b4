/* What `python -m googlecloudprofiler doctor` asks of the native parts. */
#include "binding/binding.h"

#include "agent/roots.h"
#include "base/limits.h"
#include "cpython/peek.h"
#include "sampler/senses.h"
#include "transport/transport.h"

PyObject *cprof__count_roots(PyObject *self, PyObject *args)
{
	struct cprof_buffer pem;
	const char *path;
	size_t nr = 0;

	(void)self;
	if (!PyArg_ParseTuple(args, "s:count_roots", &path))
		return NULL;
	cprof_buffer_init(&pem, CPROF_MAX_ROOTS_BYTES);
	if (!cprof_roots_read(&path, 1, &pem, NULL))
		nr = cprof_roots_count((const char *)pem.data);
	cprof_buffer_finish(&pem);
	return PyLong_FromSize_t(nr);
}

PyObject *cprof__reads_by(PyObject *self, PyObject *noargs)
{
	struct cprof_peek *peek;
	struct cprof_error err;
	PyObject *words;

	(void)self;
	(void)noargs;
	if (cprof_peek_create(CPROF_PEEK_ANY, &peek, &err) < 0)
		return cprof__raise(&err);
	words = PyUnicode_FromString(cprof_peek_words(peek));
	cprof_peek_destroy(peek);
	return words;
}

PyObject *cprof__lacks(PyObject *self, PyObject *noargs)
{
	const struct cprof_senses senses = cprof_senses_try();
	char words[320];

	(void)self;
	(void)noargs;
	cprof_senses_words(&senses, words, sizeof(words));
	return cprof__text(words);
}

PyObject *cprof__transport(PyObject *self, PyObject *args)
{
	const struct cprof_transport *transport;
	struct cprof_error err;
	const char *path;

	(void)self;
	if (!PyArg_ParseTuple(args, "s:transport", &path))
		return NULL;
	if (cprof_transport_load(path, &transport, &err) < 0)
		return cprof__raise(&err);
	return Py_BuildValue("(sN)", transport->version(),
		PyBool_FromLong(transport->alone));
}
