#include "binding/binding.h"

#include "base/clock.h"
#include "base/limits.h"
#include "google/given.h"
#include "google/metadata.h"

#define VALUE_BYTES   1024 /* of the metadata server */
#define MAX_TIMEOUT_S 60

PyObject *cprof__metadata(PyObject *self, PyObject *args)
{
	struct cprof_http_address from;
	char value[VALUE_BYTES];
	const char *host, *key;
	struct cprof_error err;
	double timeout_s;
	int r;

	(void)self;
	if (!PyArg_ParseTuple(args, "zsd:metadata", &host, &key, &timeout_s))
		return NULL;
	r = cprof_metadata_address(host, &from, &err);
	if (r < 0)
		return cprof__raise(&err);
	if (!(timeout_s >= 0 && timeout_s <= MAX_TIMEOUT_S)) {
		PyErr_SetString(PyExc_ValueError, "timeout is out of range");
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	r = cprof_metadata_get(&from, key, value, sizeof(value),
		cprof_now_ns() + (int64_t)(timeout_s * CPROF_NS_PER_S), NULL,
		&err);
	Py_END_ALLOW_THREADS
	if (r == CPROF_ENOTFOUND)
		Py_RETURN_NONE;
	if (r < 0) {
		PyErr_SetString(PyExc_OSError, err.message);
		return NULL;
	}
	return PyUnicode_FromString(value);
}

PyObject *cprof__give_token(PyObject *self, PyObject *args)
{
	const char *token;
	double left_s;

	(void)self;
	if (!PyArg_ParseTuple(args, "sd:give_token", &token, &left_s))
		return NULL;
	if (!(left_s > 0))
		left_s = 0;
	if (left_s > (double)CPROF_MAX_TOKEN_LIFE_NS / CPROF_NS_PER_S)
		left_s = (double)CPROF_MAX_TOKEN_LIFE_NS / CPROF_NS_PER_S;
	return PyBool_FromLong(
		cprof_given_put(token, (int64_t)(left_s * CPROF_NS_PER_S)));
}

PyObject *cprof__give_no_token(PyObject *self, PyObject *args)
{
	const char *why;
	int refused;

	(void)self;
	if (!PyArg_ParseTuple(args, "sp:give_no_token", &why, &refused))
		return NULL;
	cprof_given_fail(why, refused);
	Py_RETURN_NONE;
}
