#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"

void cprof_buffer_init(struct cprof_buffer *b, size_t max_bytes)
{
	*b = (struct cprof_buffer){ .max_bytes = max_bytes };
}

void cprof_buffer_finish(struct cprof_buffer *b)
{
	free(b->data);
	cprof_buffer_init(b, b->max_bytes);
}

void cprof_buffer_wipe(struct cprof_buffer *b)
{
	if (b->data)
		cprof_wipe(b->data, b->cap);
	cprof_buffer_finish(b);
}

int cprof_buffer_reserve(
	struct cprof_buffer *b, size_t len, struct cprof_error *err)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *data;

	if (len > b->max_bytes - b->len)
		return cprof_fail(err, CPROF_ETOOBIG,
			"more than the %zu bytes allowed", b->max_bytes);
	if (b->len + len <= b->cap)
		return 0;
	while (cap < b->len + len)
		cap *= 2;
	if (cap > b->max_bytes)
		cap = b->max_bytes;
	data = realloc(b->data, cap);
	if (!data)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	b->data = data;
	b->cap = cap;
	return 0;
}

int cprof_buffer_add(struct cprof_buffer *b, const void *data, size_t len,
	struct cprof_error *err)
{
	int r = cprof_buffer_reserve(b, len, err);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}
