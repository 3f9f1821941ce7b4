/*
 * The main() of a fuzz target where there is no libFuzzer: runs each file of a
 * folder, and mutations of each, the same ones every time.
 *
 * Usage: f-<decoder> FOLDER [MUTATIONS]
 */
#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz.h"

#define MAX_BYTES (1 << 20)

/* What runs now, for whoever has to find it again. */
static struct {
	const char *file;
	long mutation;
} now;

static void tell(void)
{
	if (now.file)
		fprintf(stderr, "input: %s, mutation %ld\n", now.file,
			now.mutation);
}

/* Memory that ends where the input does, so that ASan sees a step outside. */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	CHECK(exact);
	if (len)
		memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static size_t below(uint64_t *x, size_t end)
{
	return (size_t)(next_random(x) % end);
}

/* `data` has room for one run more. Returns the new length. */
static size_t mutate(uint8_t *data, size_t len, uint64_t *x)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '%', ':' };
	size_t at = len ? below(x, len) : 0;
	size_t run = 1 + below(x, 8);

	switch (next_random(x) % 6) {
	case 0:
		if (len)
			data[at] ^= (uint8_t)(1u << below(x, 8));
		return len;
	case 1:
		if (len)
			data[at] = odd[below(x, sizeof(odd))];
		return len;
	case 2: /* cut something out */
		if (run > len - at)
			run = len - at;
		memmove(data + at, data + at + run, len - at - run);
		return len - run;
	case 3: /* say something twice */
		if (run > len - at)
			run = len - at;
		memmove(data + at + run, data + at, len - at);
		return len + run;
	case 4: /* a field that is as large as can be */
		if (run > len - at)
			run = len - at;
		memset(data + at, 0xff, run);
		return len;
	default:
		return at;
	}
}

static void run_mutations(const uint8_t *data, size_t len, long nr)
{
	for (now.mutation = 1; now.mutation <= nr; now.mutation++) {
		uint64_t x = 0x2545f4914f6cdd1d * (uint64_t)now.mutation;
		size_t times = 1 + below(&x, 4), mutated = len;
		uint8_t *copy = malloc(len + 4 * 8);

		CHECK(copy);
		memcpy(copy, data, len);
		while (times--)
			mutated = mutate(copy, mutated, &x);
		run(copy, mutated);
		free(copy);
	}
	now.mutation = 0;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	struct dirent **entry;
	int nr;

	if (argc < 2 || chdir(argv[1]) ||
		(nr = scandir(".", &entry, is_input, alphasort)) <= 0) {
		fprintf(stderr, "no folder with inputs is named\n");
		return 2;
	}
	__sanitizer_set_death_callback(tell);
	atexit(tell);
	for (int i = 0; i < nr; i++) {
		struct cprof_buffer b;

		cprof_buffer_init(&b, MAX_BYTES);
		CHECK_EQ(cprof_file_read(entry[i]->d_name, &b, NULL), 0);
		now.file = entry[i]->d_name;
		run(b.data, b.len);
		run_mutations(b.data, b.len, mutations);
		now.file = NULL;
		cprof_buffer_finish(&b);
		free(entry[i]);
	}
	free(entry);
	return 0;
}
