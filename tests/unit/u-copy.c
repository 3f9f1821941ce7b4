#include "transport/copy.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "check.h"

static struct cprof_copy copy_of(enum cprof_copy_where where)
{
	struct cprof_copy copy;

	CHECK_EQ(cprof_copy_create(TRANSPORT_PATH, where, &copy, NULL), 0);
	return copy;
}

static const struct cprof_transport *load(
	const struct cprof_copy *copy, unsigned int number)
{
	const struct cprof_transport *t;

	CHECK_EQ(cprof_copy_load(copy, number, &t, NULL), 0);
	return t;
}

/* The line of /proc/self/maps of what is at an address. */
static void find_mapping(uintptr_t at, char line[1024])
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long first, end;

	CHECK(file);
	do {
		CHECK(fgets(line, 1024, file));
		CHECK_EQ(sscanf(line, "%lx-%lx", &first, &end), 2);
	} while (at < first || at >= end);
	fclose(file);
}

void test_copy__each_is_a_core_of_its_own(void)
{
	struct cprof_copy memory = copy_of(CPROF_COPY_IN_MEMORY);
	struct cprof_copy disk = copy_of(CPROF_COPY_ON_DISK);
	const struct cprof_transport *first, *second, *third;

	CHECK_EQ(cprof_transport_load(TRANSPORT_PATH, &first, NULL), 0);
	second = load(&memory, 1);
	third = load(&disk, 2);
	cprof_copy_close(&memory);
	cprof_copy_close(&disk);
	CHECK(first != second && first != third && second != third);
	CHECK_STR(second->version(), first->version());
	CHECK_STR(third->version(), first->version());
}

/* Or each process had nine megabytes that no other one shares. */
void test_copy__code_is_the_files_and_takes_no_memory(void)
{
	struct cprof_copy copy = copy_of(CPROF_COPY_IN_MEMORY);
	const struct cprof_transport *t;
	struct stat before, after;
	char line[1024];

	CHECK_EQ(fstat(copy.fd, &before), 0);
	t = load(&copy, 1);
	find_mapping((uintptr_t)t->version, line);
	CHECK(strstr(line, " r-xp "));
	CHECK(strstr(line, TRANSPORT_PATH));
	CHECK_EQ(fstat(copy.fd, &after), 0);
	CHECK(after.st_blocks < before.st_blocks / 2);
	cprof_copy_close(&copy);
}

void test_copy__there_is_none_of_what_is_not_there(void)
{
	struct cprof_copy copy;
	struct cprof_error err;

	CHECK_EQ(cprof_copy_create("/nowhere/_transport.so",
			 CPROF_COPY_IN_MEMORY, &copy, &err),
		CPROF_EIO);
	CHECK(strstr(err.message, "/nowhere/_transport.so"));
}
