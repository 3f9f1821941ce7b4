#include "base/secret.h"

#include <stdbool.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buffer.h"
#include "base/file.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int take(const char *path, const char *s, size_t len,
	char ret[CPROF_MAX_TOKEN_BYTES + 1], struct cprof_error *err)
{
	while (len && is_blank(s[len - 1]))
		len--;
	for (; len && is_blank(*s); len--)
		s++;
	if (!len)
		return cprof_fail(err, CPROF_EINVAL,
			"cannot read a token: '%s' is empty", path);
	if (!cprof_ascii_is_word(s, len))
		return cprof_fail(err, CPROF_EINVAL,
			"cannot read a token: what is in '%s' is not one word "
			"of plain text",
			path);
	if (len < CPROF_MIN_TOKEN_BYTES || len > CPROF_MAX_TOKEN_BYTES)
		return cprof_fail(err, CPROF_EINVAL,
			"cannot read a token: that in '%s' has %zu bytes, and "
			"must have %d to %d",
			path, len, CPROF_MIN_TOKEN_BYTES,
			CPROF_MAX_TOKEN_BYTES);
	memcpy(ret, s, len);
	ret[len] = '\0';
	return 0;
}

int cprof_secret_read(const char *path, char ret[CPROF_MAX_TOKEN_BYTES + 1],
	struct cprof_error *err)
{
	struct cprof_error why;
	struct cprof_buffer b;
	int r;

	cprof_buffer_init(&b, CPROF_MAX_SECRET_BYTES);
	/* Room for all of it at once, so that no copy of it stays behind. */
	r = cprof_buffer_reserve(&b, CPROF_MAX_SECRET_BYTES, &why);
	if (!r)
		r = cprof_file_read(path, &b, &why);
	if (!r)
		r = take(path, (const char *)b.data, b.len, ret, err);
	else if (r == CPROF_ETOOBIG)
		r = cprof_fail(err, CPROF_EINVAL,
			"cannot read a token: '%s' is too long", path);
	else
		r = cprof_fail(err, r, "cannot read a token: %s", why.message);
	cprof_buffer_wipe(&b);
	return r;
}
