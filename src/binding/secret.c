#include "binding/binding.h"

#include <string.h>

#include "base/secret.h"
#include "base/wipe.h"

PyObject *cprof__read_token(PyObject *self, PyObject *args)
{
	char token[CPROF_MAX_TOKEN_BYTES + 1];
	struct cprof_error err;
	const char *path;
	PyObject *ret;

	(void)self;
	if (!PyArg_ParseTuple(args, "s:read_token", &path))
		return NULL;
	if (cprof_secret_read(path, token, &err) < 0)
		return cprof__raise(&err);
	ret = PyUnicode_FromString(token);
	cprof_wipe(token, sizeof(token));
	return ret;
}
