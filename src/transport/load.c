#include "transport/transport.h"

#include <dlfcn.h>

int cprof_transport_load(const char *path, const struct cprof_transport **ret,
	struct cprof_error *err)
{
	const struct cprof_transport *(*table)(void);
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		return cprof_fail(err, CPROF_EIO,
			"cannot load the transport: %s", dlerror());
	table = (const struct cprof_transport *(*)(void))dlsym(
		object, "cprof_transport_table");
	if (!table) {
		dlclose(object);
		return cprof_fail(err, CPROF_EIO,
			"cannot load the transport: '%s' has no table", path);
	}
	*ret = table();
	return 0;
}
