#include "cpython/layout.h"

#include <stddef.h>
#include <string.h>

static const struct cprof_layout layout[] = {
#include "cpython/layouts/cp311.inc"
};

#define FINAL_RELEASE 0xf

int cprof_layout_find(const struct cprof_python *python,
	const struct cprof_layout **ret, struct cprof_error *err)
{
	unsigned int major = python->hexversion >> 24;
	unsigned int minor = (python->hexversion >> 16) & 0xff;

	if (strcmp(python->implementation, "cpython"))
		return cprof_fail(err, CPROF_EUNSUPPORTED,
			"the profiler does not know the Python implementation "
			"'%.32s'; it serves CPython",
			python->implementation);
	if (((python->hexversion >> 4) & 0xf) != FINAL_RELEASE)
		return cprof_fail(err, CPROF_EUNSUPPORTED,
			"the profiler does not serve pre-releases, such as "
			"this Python %u.%u; use a final release",
			major, minor);
	if (python->free_threaded || python->debug)
		return cprof_fail(err, CPROF_EUNSUPPORTED,
			"the profiler does not serve %s builds of Python yet",
			python->free_threaded ? "free-threaded" : "debug");
#if !defined(__x86_64__) || !defined(__linux__)
	return cprof_fail(err, CPROF_EUNSUPPORTED,
		"the profiler does not serve this processor yet");
#endif
	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		if (layout[i].version == python->hexversion >> 16) {
			*ret = &layout[i];
			return 0;
		}
	}
	return cprof_fail(err, CPROF_EUNSUPPORTED,
		"the profiler does not know Python %u.%u; it serves CPython "
		"3.11",
		major, minor);
}
