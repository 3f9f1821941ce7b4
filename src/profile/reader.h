#ifndef CPROF_PROFILE_READER_H
#define CPROF_PROFILE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A pprof profile read back, for the local service: whatever comes from outside
 * is inflated and parsed within limits, its references are resolved and
 * checked, and it is handed out as plain arrays. References lead from samples
 * to locations to functions to texts and nowhere back: there are no cycles.
 * One thread at a time; everything is owned by the struct and released with it.
 */
struct cprof_read_value_type {
	const char *type;
	const char *unit;
};

struct cprof_read_line {
	const char *function; /* UTF-8, never NULL */
	const char *file;
	int64_t line;
	int64_t start_line;
};

/* A location: its lines, innermost (inlined callee) first. */
struct cprof_read_location {
	struct cprof_read_line *line;
	size_t line_nr;
};

struct cprof_read_label {
	const char *key;
	const char *text; /* NULL: a number */
	int64_t number;
	const char *unit; /* of a number; "" if none */
};

struct cprof_read_sample {
	uint32_t *location; /* indices into `location`, leaf first */
	size_t location_nr;
	int64_t *value; /* as many as value types */
	struct cprof_read_label *label;
	size_t label_nr;
};

struct cprof_read_profile {
	struct cprof_read_value_type *value_type;
	size_t value_type_nr;
	size_t default_value_type; /* an index; the last where none is named */
	struct cprof_read_location *location;
	size_t location_nr;
	struct cprof_read_sample *sample;
	size_t sample_nr;
	const char **comment;
	size_t comment_nr;
	int64_t time_unix_ns, duration_ns, period;
	struct cprof_read_value_type period_type;
	void *memory; /* private */
};

/*
 * Read `len` bytes, gzipped or plain. CPROF_EFORMAT for bytes that are no
 * profile (with what is wrong), CPROF_ETOOBIG past CPROF_MAX_PROFILE_BYTES and
 * the limits of a stranger's profile in base/limits.h.
 */
int cprof_profile_read(const uint8_t *data, size_t len,
	struct cprof_read_profile **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_read_profile_destroy(struct cprof_read_profile *p);

#endif
