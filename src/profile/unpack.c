#include "profile/unpack.h"

#include <stdbool.h>
#include <string.h>

struct source {
	struct cprof_arena *arena;
	bool full;
};

static void *take(void *data, size_t len)
{
	struct source *u = data;
	void *p = cprof_arena_take(u->arena, len);

	if (!p)
		u->full = true;
	return p;
}

static void give_back(void *data, void *p)
{
	(void)data;
	(void)p;
}

int cprof_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *data,
	size_t len, struct cprof_arena *arena, void *ret,
	struct cprof_error *err)
{
	struct source u = { .arena = arena };
	ProtobufCAllocator allocator = {
		.alloc = take,
		.free = give_back,
		.allocator_data = &u,
	};
	ProtobufCMessage *m;

	m = protobuf_c_message_unpack(d, &allocator, len, data);
	if (!m && u.full)
		return cprof_fail(err, CPROF_ETOOBIG,
			"%s of %zu bytes takes more than %zu in memory",
			d->short_name, len, arena->cap);
	if (!m)
		return cprof_fail(err, CPROF_EFORMAT,
			"%zu bytes are no valid %s message", len,
			d->short_name);
	memcpy(ret, &m, sizeof(m));
	return 0;
}
