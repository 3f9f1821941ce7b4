#ifndef CPROF_PROFILE_TABLES_H
#define CPROF_PROFILE_TABLES_H

#include "base/limits.h"
#include "profile/profile.h"

/*
 * What a profile consists of, between the file that fills it (profile.c) and
 * the one that writes it (writer.c).
 */

/*
 * A set of runs of bytes, numbered from 0 in the order they came: the same
 * bytes are the same number. One such table each serves for texts, functions,
 * locations, stacks, threads and samples. A run is aligned to 8, is followed by
 * a NUL, and moves when another one is added.
 */
struct cprof__run {
	size_t first, len;
};

struct cprof__slot {
	uint32_t hash;
	uint32_t number; /* plus 1; 0 is an empty slot */
};

struct cprof__table {
	uint8_t *bytes;
	size_t bytes_len, bytes_cap;
	struct cprof__run *run;
	size_t nr, run_cap;
	struct cprof__slot *slot;
	size_t slot_nr; /* a power of two, at least twice `nr` */
};

/* The runs' contents. None has padding: they are compared as bytes. */
struct cprof__function {
	uint32_t name, file; /* texts */
	int32_t start_line;
};

struct cprof__thread {
	int64_t id;
	uint32_t name, state; /* texts */
};

struct cprof__sample {
	uint32_t stack, thread;
};

struct cprof__values {
	int64_t count, value_ns;
};

struct cprof_profile {
	struct cprof__table text, function, location, stack, thread, sample;
	struct cprof__values *values; /* of each sample */
	size_t values_cap;
	uint32_t comment[CPROF_MAX_COMMENTS]; /* texts */
	size_t comment_nr;
	uint32_t value_type, nanoseconds, sample_word, count_word;
	uint32_t thread_word, thread_id_word, state_word;
	int64_t period_ns, start_unix_ns;
	uint64_t seed;
	size_t allocated;     /* by all of the above */
	size_t longest_stack; /* in frames */
};

/*
 * The run `number`; that of a location is a struct cprof_profile_frame, that of
 * a stack an array of locations' numbers, that of a text a C string.
 */
static inline const void *cprof__run(
	const struct cprof__table *t, size_t number)
{
	return t->bytes + t->run[number].first;
}

#endif
