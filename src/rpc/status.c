#include "rpc/status.h"

#include <stddef.h>

/*
 * What a status asks of us: to try again later, or to tell the user that trying
 * again will not help. A server may send CANCELLED, too: what we cancelled
 * ourselves never comes here.
 */
static const struct {
	const char *name;
	enum cprof_code code;
} table[] = {
	{ "OK", CPROF_OK },
	{ "CANCELLED", CPROF_EUNAVAILABLE },
	{ "UNKNOWN", CPROF_EUNAVAILABLE },
	{ "INVALID_ARGUMENT", CPROF_EINVAL },
	{ "DEADLINE_EXCEEDED", CPROF_EUNAVAILABLE },
	{ "NOT_FOUND", CPROF_ENOTFOUND },
	{ "ALREADY_EXISTS", CPROF_EINVAL },
	{ "PERMISSION_DENIED", CPROF_EDENIED },
	{ "RESOURCE_EXHAUSTED", CPROF_EUNAVAILABLE },
	{ "FAILED_PRECONDITION", CPROF_EINVAL },
	{ "ABORTED", CPROF_EABORTED },
	{ "OUT_OF_RANGE", CPROF_EINVAL },
	{ "UNIMPLEMENTED", CPROF_EINVAL },
	{ "INTERNAL", CPROF_EUNAVAILABLE },
	{ "UNAVAILABLE", CPROF_EUNAVAILABLE },
	{ "DATA_LOSS", CPROF_EUNAVAILABLE },
	{ "UNAUTHENTICATED", CPROF_EAUTH },
};

int cprof_status_fail(struct cprof_error *err, const char *what, int status,
	const char *words)
{
	const char *colon = words && *words ? ": " : "";

	if (!words)
		words = "";
	if (status == 0)
		return 0;
	if (status < 0 || (size_t)status >= sizeof(table) / sizeof(table[0]))
		return cprof_fail(err, CPROF_EUNAVAILABLE,
			"%s: unknown status %d%s%s", what, status, colon,
			words);
	return cprof_fail(err, table[status].code, "%s: %s%s%s", what,
		table[status].name, colon, words);
}
