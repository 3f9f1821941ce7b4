#include "base/secret.h"

#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define TOKEN "0123456789abcdef"

static char file[] = "/tmp/u-secret-XXXXXX";

static void write_bytes(const char *data, size_t len)
{
	FILE *f = fopen(file, "we");

	CHECK(f);
	CHECK_EQ(fwrite(data, 1, len, f), len);
	CHECK_EQ(fclose(f), 0);
}

static int read_of(const char *data, size_t len, struct cprof_error *err)
{
	static char token[CPROF_MAX_TOKEN_BYTES + 1];
	int r;

	write_bytes(data, len);
	r = cprof_secret_read(file, token, err);
	if (!r)
		CHECK_STR(token, TOKEN);
	return r;
}

static void make_file(void)
{
	int fd = mkstemp(file);

	CHECK(fd >= 0);
	close(fd);
}

void test_secret__blanks_around_it_do_not_count(void)
{
	static const char *const good[] = { TOKEN, TOKEN "\n", TOKEN "\r\n",
		"\n\t " TOKEN " \n\n" };

	make_file();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_EQ(read_of(good[i], strlen(good[i]), NULL), 0);
	unlink(file);
}

void test_secret__what_is_no_token_is_told_without_it(void)
{
	static const struct {
		const char *data;
		size_t len;
		const char *words;
	} row[] = {
		{ "", 0, "is empty" },
		{ " \n\t", 3, "is empty" },
		{ "s3cr3t", 6, "has 6 bytes, and must have 16 to 4096" },
		{ "s3cr3t s3cr3t s3cr3t", 20, "not one word" },
		{ "s3cr3ts3cr3t\ns3cr3t", 19, "not one word" },
		{ "s3cr3ts3cr3t\0s3cr3t", 19, "not one word" },
		{ "s3cr3ts3cr3t\x1bs3cr3t", 19, "not one word" },
		{ "s3cr3ts3cr3t\xc3\xa9s3cr3t", 20, "not one word" },
	};

	make_file();
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_error err;

		CHECK_EQ(read_of(row[i].data, row[i].len, &err), CPROF_EINVAL);
		CHECK(strstr(err.message, row[i].words));
		CHECK(strstr(err.message, file));
		CHECK(!strstr(err.message, "s3cr3t"));
	}
	unlink(file);
}

void test_secret__the_longest_fits_and_longer_ones_do_not(void)
{
	static char long_one[2 * CPROF_MAX_SECRET_BYTES];
	char token[CPROF_MAX_TOKEN_BYTES + 1];
	struct cprof_error err;

	make_file();
	memset(long_one, 'x', sizeof(long_one));
	write_bytes(long_one, CPROF_MAX_TOKEN_BYTES);
	CHECK_EQ(cprof_secret_read(file, token, NULL), 0);
	CHECK_EQ(strlen(token), CPROF_MAX_TOKEN_BYTES);
	write_bytes(long_one, CPROF_MAX_TOKEN_BYTES + 1);
	CHECK_EQ(cprof_secret_read(file, token, &err), CPROF_EINVAL);
	CHECK(strstr(err.message, "has 4097 bytes"));
	write_bytes(long_one, sizeof(long_one));
	CHECK_EQ(cprof_secret_read(file, token, &err), CPROF_EINVAL);
	CHECK(strstr(err.message, "is too long"));
	unlink(file);
}

void test_secret__a_file_that_cannot_be_read_is_told(void)
{
	char token[CPROF_MAX_TOKEN_BYTES + 1];
	struct cprof_error err;

	CHECK_EQ(cprof_secret_read("/nowhere/x", token, &err), CPROF_EIO);
	CHECK_STR(err.message,
		"cannot read a token: cannot open '/nowhere/x': No such file "
		"or directory");
	CHECK_EQ(cprof_secret_read("/tmp", token, &err), CPROF_EIO);
	CHECK(strstr(err.message, "'/tmp' is not a regular file"));
}
