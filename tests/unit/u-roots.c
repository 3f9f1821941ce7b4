#include "agent/roots.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "check.h"

#define PEM(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----\n"

static char folder[] = "/tmp/u-roots-XXXXXX";
static char path[8][64];
static int path_nr;

static const char *in_folder(const char *name)
{
	char *p = path[path_nr++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static const char *made(const char *name, const char *text)
{
	const char *p = in_folder(name);
	FILE *f = fopen(p, "we");

	CHECK(f);
	CHECK(fputs(text, f) >= 0);
	CHECK_EQ(fclose(f), 0);
	return p;
}

static int read_roots(
	const char *const *from, size_t nr, struct cprof_buffer *b)
{
	cprof_buffer_init(b, CPROF_MAX_ROOTS_BYTES);
	return cprof_roots_read(from, nr, b, NULL);
}

static void remove_all(void)
{
	for (int i = 0; i < path_nr && i < 8; i++)
		unlink(path[i]);
	rmdir(folder);
}

void test_roots__the_first_place_with_certificates_counts(void)
{
	struct cprof_buffer b;

	CHECK(mkdtemp(folder));
	{
		const char *from[] = { in_folder("none"), made("empty", ""),
			made("text", "no certificates"),
			made("a.pem", PEM("a")), made("b.pem", PEM("b")) };

		CHECK_EQ(read_roots(from, 5, &b), 0);
	}
	CHECK_STR((char *)b.data, PEM("a") "\n");
	cprof_buffer_finish(&b);
	remove_all();
}

void test_roots__a_folder_counts_by_the_names_of_c_rehash(void)
{
	const char *from[] = { folder };
	struct cprof_buffer b;

	CHECK(mkdtemp(folder));
	made("01234567.0", PEM("one"));
	made("89abcdef.1", PEM("two"));
	made("README", PEM("not me"));
	made("0123456g.0", PEM("nor me"));
	CHECK_EQ(read_roots(from, 1, &b), 0);
	CHECK(strstr((char *)b.data, "one") && strstr((char *)b.data, "two"));
	CHECK(!strstr((char *)b.data, "me"));
	cprof_buffer_finish(&b);
	remove_all();
}

void test_roots__without_any_it_says_what_to_do(void)
{
	const char *from[] = { "/nowhere/ca.crt", "/proc/self/fd" };
	struct cprof_buffer b;
	struct cprof_error err;

	cprof_buffer_init(&b, CPROF_MAX_ROOTS_BYTES);
	CHECK_EQ(cprof_roots_read(from, 2, &b, &err), CPROF_EAUTH);
	CHECK(strstr(err.message, "no CA certificates found: install the "
				  "ca-certificates package"));
	CHECK_EQ(cprof_roots_read(from, 0, &b, &err), CPROF_EAUTH);
	CHECK_EQ(b.len, 0);
	cprof_buffer_finish(&b);
}
