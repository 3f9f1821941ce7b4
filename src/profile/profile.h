#ifndef CPROF_PROFILE_PROFILE_H
#define CPROF_PROFILE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * A profile in the making: functions, and samples of stacks of them. It goes
 * out once, as a gzipped pprof message, by cprof_profile_encode().
 *
 * One thread owns a profile at a time. Everything it allocates counts against
 * CPROF_MAX_PROFILE_BYTES.
 */
struct cprof_profile;

/* What a profile says about itself. Strings are copied. */
struct cprof_profile_options {
	const char *value_type; /* "cpu" or "wall"; its unit is nanoseconds */
	int64_t period_ns;
	int64_t start_unix_ns;
};

/* One frame: a function of this profile and the line it is at (0: unknown). */
struct cprof_profile_frame {
	uint32_t function;
	int32_t line;
};

/* Where a sample was seen: written as its labels. */
struct cprof_profile_thread {
	const char *name; /* UTF-8; label "thread", none if NULL or empty */
	int64_t id; /* the kernel's; number label "thread_id", none if 0 */
	const char *state; /* label "state", none if NULL */
};

int cprof_profile_create(const struct cprof_profile_options *opts,
	struct cprof_profile **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_profile_destroy(struct cprof_profile *p);

/*
 * The number of a function in this profile, the same for the same three. Text
 * is UTF-8 of the given length; NUL and what is not valid becomes U+FFFD.
 * `start_line` is the line of its `def`, 0 for none.
 */
int cprof_profile_function(struct cprof_profile *p, const char *name,
	size_t name_len, const char *file, size_t file_len, int32_t start_line,
	uint32_t *ret, struct cprof_error *err);

/*
 * Add a sample: `frame`, leaf first, was seen `count` times, which stand for
 * `value_ns`. Copies. The same stack on the same thread may come again; it is
 * one sample in what is encoded. `nr` is at least 1, `thread` may be NULL.
 */
int cprof_profile_add(struct cprof_profile *p,
	const struct cprof_profile_frame *frame, size_t nr,
	const struct cprof_profile_thread *thread, int64_t count,
	int64_t value_ns, struct cprof_error *err);

/* A line for people, kept with the profile. */
int cprof_profile_comment(
	struct cprof_profile *p, const char *text, struct cprof_error *err);

/*
 * Append the gzipped pprof message to `out`. `duration_ns` is the measured one.
 * Messages are packed one by one into deflate, so that the whole never stands
 * in memory unpacked.
 */
int cprof_profile_encode(const struct cprof_profile *p, int64_t duration_ns,
	struct cprof_buffer *out, struct cprof_error *err);

#endif
