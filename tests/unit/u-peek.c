#include "cpython/peek.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/limits.h"
#include "check.h"

static const enum cprof_peek_method method[] = { CPROF_PEEK_VM_WRITEV,
	CPROF_PEEK_MEMFD };

static struct cprof_peek *open_by(enum cprof_peek_method how)
{
	struct cprof_peek *p = NULL;
	struct cprof_error err = { 0 };

	if (cprof_peek_create(how, &p, &err) < 0)
		fprintf(stderr, "%s\n", err.message);
	CHECK(p);
	return p;
}

/* Run `body` with each way of copying. */
static void with_each(void (*body)(struct cprof_peek *p))
{
	for (size_t i = 0; i < sizeof(method) / sizeof(method[0]); i++) {
		struct cprof_peek *p = open_by(method[i]);

		body(p);
		cprof_peek_destroy(p);
	}
}

/* A page that may be read, before one that may not. */
static char *page_before_a_hole(size_t *ret_len)
{
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	char *page = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	CHECK_EQ(mprotect(page + len, len, PROT_NONE), 0);
	*ret_len = len;
	return page;
}

static int add(struct cprof_peek *p, const void *at, size_t len)
{
	return cprof_peek_add(p, (uintptr_t)at, len);
}

static bool shows(struct cprof_peek *p, int i, const void *want, size_t len)
{
	const void *at = cprof_peek_at(p, i);

	return at && !memcmp(at, want, len);
}

/* Bad ones at the places that a mask names, among five. */
static void bad_among_good(struct cprof_peek *p)
{
	static const char text[] = "all that is good arrives";
	size_t len;
	char *page = page_before_a_hole(&len);

	for (int mask = 0; mask < 32; mask++) {
		int i[5];

		cprof_peek_begin(p);
		for (int n = 0; n < 5; n++)
			i[n] = add(p, mask >> n & 1 ? page + len : text,
				sizeof(text));
		cprof_peek_run(p);
		for (int n = 0; n < 5; n++)
			if (mask >> n & 1)
				CHECK(!cprof_peek_at(p, i[n]));
			else
				CHECK(shows(p, i[n], text, sizeof(text)));
	}
	munmap(page, 2 * len);
}

void test_peek__a_bad_address_is_missing_and_the_rest_arrives(void)
{
	with_each(bad_among_good);
}

static void half_readable(struct cprof_peek *p)
{
	static const char text[] = "after it";
	size_t len;
	char *page = page_before_a_hole(&len);
	int whole, half, after;

	memset(page, 'x', len);
	cprof_peek_begin(p);
	whole = add(p, page + len - 8, 8);
	half = add(p, page + len - 8, 9);
	after = add(p, text, sizeof(text));
	cprof_peek_run(p);
	CHECK(shows(p, whole, "xxxxxxxx", 8));
	CHECK(!cprof_peek_at(p, half));
	CHECK(shows(p, after, text, sizeof(text)));
	munmap(page, 2 * len);
}

void test_peek__what_is_readable_in_part_is_missing(void)
{
	with_each(half_readable);
}

static void no_users_address(struct cprof_peek *p)
{
	static const uintptr_t bad[] = { 0, 1, 4095, UINTPTR_MAX,
		UINTPTR_MAX - 7, UINTPTR_MAX - 4096, (uintptr_t)1 << 63,
		((uintptr_t)1 << 63) - 8, 0xffff800000000000u,
		0xffffffffff600000u, (uintptr_t)1 << 47,
		((uintptr_t)1 << 47) - 8, ((uintptr_t)1 << 47) - 4096,
		((uintptr_t)1 << 47) - 4104 };
	static const char text[] = "good";
	int nr = (int)(sizeof(bad) / sizeof(bad[0])), i[64];

	cprof_peek_begin(p);
	for (int n = 0; n < nr; n++) {
		i[2 * n] = add(p, text, sizeof(text));
		i[2 * n + 1] = cprof_peek_add(p, bad[n], 16);
	}
	cprof_peek_run(p);
	for (int n = 0; n < nr; n++) {
		CHECK(shows(p, i[2 * n], text, sizeof(text)));
		CHECK(!cprof_peek_at(p, i[2 * n + 1]));
	}
}

void test_peek__addresses_that_no_user_has_spoil_nothing(void)
{
	with_each(no_users_address);
}

#define MANY 3000

static void many(struct cprof_peek *p)
{
	static uint64_t number[MANY];
	static int i[MANY];
	size_t len;
	char *hole = page_before_a_hole(&len) + len;

	cprof_peek_begin(p);
	for (int n = 0; n < MANY; n++) {
		bool bad = n == 0 || n == 1023 || n == 1024 || n == 2047 ||
			   n == MANY - 1;

		number[n] = (uint64_t)n * 0x9e3779b97f4a7c15u;
		i[n] = add(p, bad ? hole : (char *)&number[n], 8);
		CHECK(i[n] >= 0);
	}
	cprof_peek_run(p);
	for (int n = 0; n < MANY; n++) {
		if (n == 0 || n == 1023 || n == 1024 || n == 2047 ||
			n == MANY - 1) {
			CHECK(!cprof_peek_at(p, i[n]));
			continue;
		}
		CHECK(cprof_peek_at(p, i[n]));
		CHECK_EQ(cprof_load_u64(cprof_peek_at(p, i[n]), 0), number[n]);
	}
	munmap(hole - len, 2 * len);
}

void test_peek__more_than_one_call_takes(void)
{
	with_each(many);
}

static void full_list(struct cprof_peek *p)
{
	static const char byte = 'b';
	int nr = 0, last = -1, i;

	cprof_peek_begin(p);
	while ((i = add(p, &byte, 1)) >= 0) {
		last = i;
		nr++;
		CHECK(nr < 1 << 20);
	}
	CHECK(nr >= 4096);
	cprof_peek_run(p);
	CHECK(shows(p, 0, &byte, 1));
	CHECK(shows(p, last, &byte, 1));
}

void test_peek__a_full_list_refuses_and_still_runs(void)
{
	with_each(full_list);
}

static void full_buffer(struct cprof_peek *p)
{
	size_t len = CPROF_PEEK_BYTES;
	char *big = malloc(len);
	int a, b;

	CHECK(big);
	memset(big, 'a', len);
	cprof_peek_begin(p);
	CHECK_EQ(add(p, big, len + 1), -1);
	CHECK_EQ(add(p, big, SIZE_MAX), -1);
	CHECK_EQ(add(p, big, 0), -1);
	a = add(p, big, len - 16);
	CHECK(a >= 0);
	CHECK_EQ(add(p, big, 17), -1);
	b = add(p, big, 16);
	CHECK(b >= 0);
	CHECK_EQ(add(p, big, 1), -1);
	cprof_peek_run(p);
	CHECK(shows(p, a, big, len - 16));
	CHECK(shows(p, b, big, 16));
	free(big);
}

void test_peek__a_full_buffer_refuses_and_still_takes_what_fits(void)
{
	with_each(full_buffer);
}

/* As many as a thread's hint names, twice: what comes after them still counts.
 */
static void all_bad(struct cprof_peek *p)
{
	static const char good = 'g';
	size_t len;
	char *hole = page_before_a_hole(&len) + len;
	int i;

	cprof_peek_begin(p);
	for (int n = 0; n < 2 * CPROF_MAX_WALKED_FRAMES; n++)
		CHECK(add(p, hole, 8) >= 0);
	i = add(p, &good, 1);
	cprof_peek_run(p);
	for (int n = 0; n < 2 * CPROF_MAX_WALKED_FRAMES; n++)
		CHECK(!cprof_peek_at(p, n));
	CHECK(shows(p, i, &good, 1));
	munmap(hole - len, 2 * len);
}

void test_peek__bad_ones_do_not_hide_what_comes_after(void)
{
	with_each(all_bad);
}

static void forgetting(struct cprof_peek *p)
{
	static const char text[] = "text";
	char copy[sizeof(text)] = "";
	int i;

	CHECK(cprof_peek_one(p, (uintptr_t)text, sizeof(text), copy));
	CHECK_STR(copy, text);
	cprof_peek_begin(p);
	CHECK(!cprof_peek_at(p, 0));
	i = add(p, text, sizeof(text));
	CHECK(!cprof_peek_at(p, i)); /* not run yet */
	CHECK(!cprof_peek_at(p, -1));
	CHECK(!cprof_peek_at(p, i + 1));
	CHECK(!cprof_peek_one(p, 8, sizeof(copy), copy));
	CHECK_STR(copy, text);
	/* An empty list may run. */
	cprof_peek_begin(p);
	cprof_peek_run(p);
}

void test_peek__only_what_ran_is_there(void)
{
	with_each(forgetting);
}

/* The descriptor of the memfd, or -1; `ret_nr` is how many there are in all. */
static int find_memfd(int *ret_nr)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int found = -1;

	CHECK(dir);
	*ret_nr = 0;
	while ((e = readdir(dir)) != NULL) {
		char link[64] = "";

		if (e->d_name[0] == '.')
			continue;
		++*ret_nr;
		if (readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1) >
				0 &&
			strstr(link, "memfd:cprof-peek"))
			found = (int)strtol(e->d_name, NULL, 10);
	}
	closedir(dir);
	return found;
}

void test_peek__first_choice_needs_no_descriptor(void)
{
	int before, after;
	struct cprof_peek *p;

	find_memfd(&before);
	p = open_by(CPROF_PEEK_VM_WRITEV);
	CHECK_EQ(find_memfd(&after), -1);
	CHECK_EQ(after, before);
	CHECK_EQ(cprof_peek_check(p, NULL), 0);
	cprof_peek_destroy(p);
	cprof_peek_destroy(NULL);
}

void test_peek__the_memfd_is_not_for_children(void)
{
	struct cprof_peek *p = open_by(CPROF_PEEK_MEMFD);
	int nr, fd = find_memfd(&nr);

	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_EQ(cprof_peek_check(p, NULL), 0);
	cprof_peek_destroy(p);
	CHECK_EQ(find_memfd(&nr), -1);
}

void test_peek__a_memfd_that_the_program_closed_is_noticed(void)
{
	struct cprof_peek *p = open_by(CPROF_PEEK_MEMFD);
	int nr, fd = find_memfd(&nr);
	struct cprof_error err = { 0 };

	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(cprof_peek_check(p, &err), CPROF_EIO);
	CHECK(strstr(err.message, "descriptor"));
	cprof_peek_destroy(p);
}

void test_peek__a_strangers_descriptor_is_neither_used_nor_closed(void)
{
	struct cprof_peek *p = open_by(CPROF_PEEK_MEMFD);
	int nr, fd = find_memfd(&nr), null = open("/dev/null", O_WRONLY);

	CHECK(fd >= 0 && null >= 0);
	CHECK_EQ(dup2(null, fd), fd);
	CHECK_EQ(cprof_peek_check(p, NULL), CPROF_EIO);
	cprof_peek_destroy(p);
	CHECK(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	close(null);
}

void test_peek__a_failed_creation_leaves_no_descriptor(void)
{
	struct rlimit old, small;
	int before, after;
	struct cprof_peek *p;
	struct cprof_error err = { 0 };

	/* No file may be as large as the buffer. */
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	find_memfd(&before);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
	CHECK_EQ(cprof_peek_create(CPROF_PEEK_MEMFD, &p, &err), CPROF_EIO);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_EQ(find_memfd(&after), -1);
	CHECK_EQ(after, before);
}
