#include "transport/message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

grpc_byte_buffer *cprof__message_create(const uint8_t *data, size_t len)
{
	grpc_slice slice =
		len ? grpc_slice_from_copied_buffer((const char *)data, len)
		    : grpc_empty_slice();
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	return message;
}

/* Copies `len` bytes at most and says how many it could. */
static size_t read_all(grpc_byte_buffer *message, uint8_t *out, size_t len)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;
	size_t at = 0;

	if (!grpc_byte_buffer_reader_init(&reader, message))
		return 0;
	while (grpc_byte_buffer_reader_next(&reader, &slice)) {
		size_t nr = GRPC_SLICE_LENGTH(slice);

		if (nr > len - at)
			nr = len - at;
		memcpy(out + at, GRPC_SLICE_START_PTR(slice), nr);
		at += nr;
		grpc_slice_unref(slice);
	}
	grpc_byte_buffer_reader_destroy(&reader);
	return at;
}

int cprof__message_copy(grpc_byte_buffer *message, size_t max_bytes,
	uint8_t **ret, size_t *ret_len, struct cprof_error *err)
{
	size_t len = grpc_byte_buffer_length(message);
	uint8_t *data = NULL;

	if (len > max_bytes)
		return cprof_fail(err, CPROF_ETOOBIG,
			"a message of %zu bytes, of at most %zu", len,
			max_bytes);
	if (len) {
		data = malloc(len);
		if (!data)
			return cprof_fail(err, CPROF_ENOMEM,
				"no memory for a message of %zu bytes", len);
		len = read_all(message, data, len);
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

/*
 * How many bytes the printable character at `s` has, of `len` that are there; 0
 * when there is none.
 */
static size_t printable(const uint8_t *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	size_t nr = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0];

	if (nr == 1)
		return c >= 0x20 && c != 0x7f;
	if (c < 0xc0 || c >= 0xf8 || nr > len)
		return 0;
	c &= 0x7fU >> nr;
	for (size_t i = 1; i < nr; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fU);
	}
	if (c < least[nr] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return nr;
}

void cprof__text_copy(grpc_slice words, char *ret, size_t cap)
{
	const uint8_t *s = GRPC_SLICE_START_PTR(words);
	size_t len = GRPC_SLICE_LENGTH(words), at = 0;

	for (size_t i = 0; i < len;) {
		size_t nr = printable(s + i, len - i);

		if (at + (nr ? nr : 1) >= cap)
			break;
		if (nr)
			memcpy(ret + at, s + i, nr);
		else
			ret[at] = '?';
		at += nr ? nr : 1;
		i += nr ? nr : 1;
	}
	ret[at] = '\0';
}

int cprof__metadata_init(grpc_metadata *m, const char *key, const void *value,
	size_t value_len, struct cprof_error *err)
{
	grpc_slice k = grpc_slice_from_copied_string(key);
	grpc_slice v = grpc_slice_from_copied_buffer(value, value_len);

	if (grpc_header_key_is_legal(k) &&
		(grpc_is_binary_header(k) ||
			grpc_header_nonbin_value_is_legal(v))) {
		*m = (grpc_metadata){ .key = k, .value = v };
		return 0;
	}
	grpc_slice_unref(k);
	grpc_slice_unref(v);
	/* The value may be a secret, and a bad key may be anything. */
	return cprof_fail(
		err, CPROF_EINVAL, "bytes that may not stand in a header");
}

void cprof__metadata_finish(grpc_metadata *m)
{
	grpc_slice_unref(m->key);
	grpc_slice_unref(m->value);
}
