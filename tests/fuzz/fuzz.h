#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "check.h"

/*
 * What each f-<decoder>.c defines: decode these bytes, and CHECK what must hold
 * of whatever comes out. It keeps nothing that the next input could depend on.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Inputs are read front to back; past the end there are zeros. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_take(struct input *in, void *ret, size_t len)
{
	size_t nr = len < in->left ? len : in->left;

	memset(ret, 0, len);
	if (nr)
		memcpy(ret, in->at, nr);
	in->at += nr;
	in->left -= nr;
}

static inline uint8_t input_byte(struct input *in)
{
	uint8_t byte;

	input_take(in, &byte, 1);
	return byte;
}

/* The rest as a string of the caller's, who frees it. */
static inline char *input_string(struct input *in)
{
	char *s = calloc(1, in->left + 1);

	CHECK(s);
	input_take(in, s, in->left);
	return s;
}

#endif
