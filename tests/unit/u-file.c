#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char folder[] = "/tmp/u-file-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	CHECK(f);
	CHECK(fputs(text, f) >= 0);
	CHECK_EQ(fclose(f), 0);
}

void test_file__reading_appends_all_or_nothing(void)
{
	struct cprof_buffer b;
	struct cprof_error err;

	CHECK(mkdtemp(folder));
	cprof_buffer_init(&b, 40000);
	write_file(in_folder("a"), "text");
	CHECK_EQ(cprof_buffer_add(&b, "<", 1, NULL), 0);
	CHECK_EQ(cprof_file_read(in_folder("a"), &b, &err), 0);
	CHECK_EQ(b.len, 5);
	CHECK(!memcmp(b.data, "<text", 5));

	CHECK_EQ(truncate(in_folder("a"), 60000), 0);
	CHECK_EQ(cprof_file_read(in_folder("a"), &b, &err), CPROF_ETOOBIG);
	CHECK_EQ(b.len, 5);
	CHECK_EQ(cprof_file_read(in_folder("none"), &b, &err), CPROF_EIO);
	CHECK(strstr(err.message, "No such file"));
	unlink(in_folder("a"));
	rmdir(folder);
	cprof_buffer_finish(&b);
}

/* Nobody will ever write to it: an open that waits would wait for good. */
void test_file__what_is_no_file_does_not_hold_us_up(void)
{
	struct cprof_buffer b;
	struct cprof_error err;

	CHECK(mkdtemp(folder));
	cprof_buffer_init(&b, 40000);
	CHECK_EQ(mkfifo(in_folder("pipe"), 0600), 0);
	CHECK_EQ(cprof_file_read(in_folder("pipe"), &b, &err), CPROF_EIO);
	CHECK(strstr(err.message, "not a regular file"));
	CHECK_EQ(cprof_file_read("/dev/zero", &b, &err), CPROF_EIO);
	CHECK_EQ(cprof_file_read(folder, &b, &err), CPROF_EIO);
	unlink(in_folder("pipe"));
	rmdir(folder);
	cprof_buffer_finish(&b);
}

void test_file__a_stamp_shows_that_a_file_was_replaced(void)
{
	struct cprof_file_stamp before, after;
	char other[64];

	CHECK(mkdtemp(folder));
	CHECK(!cprof_file_stamp(in_folder("a"), &before));
	write_file(in_folder("a"), "one");
	CHECK(cprof_file_stamp(in_folder("a"), &after));
	CHECK(!cprof_file_stamp_same(&before, &after));
	CHECK(cprof_file_stamp(in_folder("a"), &before));
	CHECK(cprof_file_stamp_same(&before, &after));
	/* As Kubernetes does it, and of the same length. */
	snprintf(other, sizeof(other), "%s", in_folder("b"));
	write_file(other, "two");
	CHECK_EQ(rename(other, in_folder("a")), 0);
	CHECK(cprof_file_stamp(in_folder("a"), &after));
	CHECK(!cprof_file_stamp_same(&before, &after));
	unlink(in_folder("a"));
	rmdir(folder);
}
