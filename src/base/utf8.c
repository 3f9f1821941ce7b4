#include "base/utf8.h"

#include <string.h>

size_t cprof_utf8_char(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t nr;

	if (!len)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4)
		return 0;
	nr = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (nr > len)
		return 0;
	if (u[0] == 0xe0)
		low = 0xa0;
	if (u[0] == 0xed)
		high = 0x9f;
	if (u[0] == 0xf0)
		low = 0x90;
	if (u[0] == 0xf4)
		high = 0x8f;
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < nr; i++) {
		if (u[i] < 0x80 || u[i] > 0xbf)
			return 0;
	}
	return nr;
}

size_t cprof_utf8_good(const char *s, size_t len)
{
	size_t i = 0, nr;

	while (i < len && s[i]) {
		nr = cprof_utf8_char(s + i, len - i);
		if (!nr)
			break;
		i += nr;
	}
	return i;
}

size_t cprof_utf8_clean(char *out, const char *s, size_t len)
{
	size_t used = 0, nr;

	while (len) {
		nr = cprof_utf8_good(s, len);
		memcpy(out + used, s, nr);
		used += nr;
		s += nr;
		len -= nr;
		if (len) {
			memcpy(out + used, "\xef\xbf\xbd", 3);
			used += 3;
			s++;
			len--;
		}
	}
	return used;
}

size_t cprof_utf8_cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}
