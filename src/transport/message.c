#include "transport/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

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

/* How many of the `len` bytes at `s` are one printable character, or 0. */
static size_t printable(const char *s, size_t len)
{
	size_t nr = cprof_utf8_char(s, len);
	unsigned char first = (unsigned char)s[0];

	if (nr == 1 && (first < 0x20 || first == 0x7f))
		return 0;
	/* U+0080 to U+009F: control characters as well. */
	if (nr == 2 && first == 0xc2 && (unsigned char)s[1] < 0xa0)
		return 0;
	return nr;
}

void cprof__text_copy(grpc_slice words, char *ret, size_t cap)
{
	const char *s = (const char *)GRPC_SLICE_START_PTR(words);
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
