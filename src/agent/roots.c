#include "agent/roots.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"

static const char begin[] = "-----BEGIN CERTIFICATE-----";

static bool has_certificate(const struct cprof_buffer *b, size_t from)
{
	return b->len > from &&
	       memmem(b->data + from, b->len - from, begin, sizeof(begin) - 1);
}

/* Append a file, if there is a certificate in it. */
static bool add_file(const char *path, struct cprof_buffer *out)
{
	size_t before = out->len;

	if (!cprof_file_read(path, out, NULL) && has_certificate(out, before) &&
		!cprof_buffer_add(out, "\n", 1, NULL))
		return true;
	out->len = before;
	return false;
}

/*
 * A folder has each certificate under its own name and, linked, under a hash of
 * its subject: the hash is what OpenSSL finds it by, so those count.
 */
static bool is_hashed(const char *name)
{
	return strlen(name) == 10 && name[8] == '.' &&
	       strspn(name, "0123456789abcdef") == 8 && name[9] >= '0' &&
	       name[9] <= '9';
}

static bool add_folder(const char *path, struct cprof_buffer *out)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char file[PATH_MAX];
	bool any = false;
	int files = 0;

	if (!folder)
		return false;
	while (files < CPROF_MAX_ROOT_FILES && (entry = readdir(folder))) {
		int len = snprintf(
			file, sizeof(file), "%s/%s", path, entry->d_name);

		if (!is_hashed(entry->d_name) || len >= (int)sizeof(file))
			continue;
		files++;
		any |= add_file(file, out);
	}
	closedir(folder);
	return any;
}

static bool add_path(const char *path, struct cprof_buffer *out)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	return S_ISDIR(st.st_mode) ? add_folder(path, out)
				   : add_file(path, out);
}

size_t cprof_roots_count(const char *pem)
{
	size_t nr = 0;

	for (; (pem = strstr(pem, begin)); pem++)
		nr++;
	return nr;
}

int cprof_roots_read(const char *const *path, size_t nr,
	struct cprof_buffer *out, struct cprof_error *err)
{
	for (size_t i = 0; i < nr; i++)
		if (add_path(path[i], out))
			return cprof_buffer_add(out, "", 1, err);
	return cprof_fail(err, CPROF_EAUTH,
		"no CA certificates found: install the ca-certificates "
		"package, or name a file of them in SSL_CERT_FILE");
}
