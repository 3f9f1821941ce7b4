#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int cprof_fail(
	struct cprof_error *err, enum cprof_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return code;
}
