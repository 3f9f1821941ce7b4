#include "cpython/layout.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A value that is not the same everywhere: locks have other sizes. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define CPROF_ON(x86_64_gnu, x86_64_musl, aarch64_gnu, aarch64_musl) x86_64_gnu
#elif defined(__x86_64__)
#define CPROF_ON(x86_64_gnu, x86_64_musl, aarch64_gnu, aarch64_musl) x86_64_musl
#elif defined(__aarch64__) && defined(__GLIBC__)
#define CPROF_ON(x86_64_gnu, x86_64_musl, aarch64_gnu, aarch64_musl) aarch64_gnu
#elif defined(__aarch64__)
#define CPROF_ON(x86_64_gnu, x86_64_musl, aarch64_gnu, aarch64_musl)           \
	aarch64_musl
#else
#error "src/cpython/layouts has nothing for this processor"
#endif

static const struct cprof_layout layout[] = {
#include "cpython/layouts/cp36.inc"
#include "cpython/layouts/cp37.inc"
#include "cpython/layouts/cp38.inc"
#include "cpython/layouts/cp39.inc"
#include "cpython/layouts/cp310.inc"
#include "cpython/layouts/cp311.inc"
#include "cpython/layouts/cp312.inc"
#include "cpython/layouts/cp313.inc"
#include "cpython/layouts/cp313t.inc"
#include "cpython/layouts/cp314.inc"
#include "cpython/layouts/cp315.inc"
};

#define FINAL_RELEASE 0xf

static enum cprof_build build_of(const struct cprof_python *python)
{
	if (python->free_threaded)
		return python->debug ? CPROF_BUILD_FREE_THREADED_DEBUG
				     : CPROF_BUILD_FREE_THREADED;
	return python->debug ? CPROF_BUILD_DEBUG : CPROF_BUILD_RELEASE;
}

static const char *build_name(enum cprof_build build)
{
	switch (build) {
	case CPROF_BUILD_RELEASE:
		break;
	case CPROF_BUILD_DEBUG:
		return "debug builds of ";
	case CPROF_BUILD_FREE_THREADED:
		return "free-threaded builds of ";
	case CPROF_BUILD_FREE_THREADED_DEBUG:
		return "free-threaded debug builds of ";
	}
	return "";
}

int cprof_layout_find(const struct cprof_python *python,
	const struct cprof_layout **ret, struct cprof_error *err)
{
	unsigned int major = python->hexversion >> 24;
	unsigned int minor = (python->hexversion >> 16) & 0xff;
	enum cprof_build build = build_of(python);

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
	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		if (layout[i].version == python->hexversion >> 16 &&
			layout[i].builds & build) {
			*ret = &layout[i];
			return 0;
		}
	}
	return cprof_fail(err, CPROF_EUNSUPPORTED,
		"the profiler does not know %sPython %u.%u; it serves CPython "
		"3.6 to 3.15",
		build_name(build), major, minor);
}

int cprof_layout_check(const struct cprof_layout *lay, const void *table,
	struct cprof_error *err)
{
	static const char cookie[8] = "xdebugpy";

	if (!lay->check[0].at)
		return 0;
	if (memcmp(table, cookie, sizeof(cookie)))
		return cprof_fail(err, CPROF_EUNSUPPORTED,
			"this Python has no table of debug offsets, as every "
			"Python %d.%d has",
			lay->version >> 8, lay->version & 0xff);
	for (int i = 0; i < CPROF_LAYOUT_CHECKS && lay->check[i].at; i++) {
		uint64_t told;

		if (lay->check[i].at > CPROF_DEBUG_OFFSETS_BYTES - sizeof(told))
			continue;
		memcpy(&told, (const char *)table + lay->check[i].at,
			sizeof(told));
		if (told != lay->check[i].value)
			return cprof_fail(err, CPROF_EUNSUPPORTED,
				"this build of Python %d.%d was changed: its "
				"debug offset at %d is %llu, not %d",
				lay->version >> 8, lay->version & 0xff,
				lay->check[i].at, (unsigned long long)told,
				lay->check[i].value);
	}
	return 0;
}
