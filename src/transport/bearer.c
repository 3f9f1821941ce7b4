#include "transport/bearer.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"

/* `volatile`, so that no compiler finds out that it may stop early. */
static bool is_same(const uint8_t *given, size_t len, const char *wanted)
{
	size_t wanted_len = strlen(wanted);
	volatile uint8_t differs = len != wanted_len;

	for (size_t i = 0; i < len; i++)
		differs |= given[i] ^ (uint8_t)wanted[i % wanted_len];
	return !differs;
}

static bool is_wanted(grpc_slice value, const char *wanted)
{
	const uint8_t *text = GRPC_SLICE_START_PTR(value);
	size_t len = GRPC_SLICE_LENGTH(value), scheme = strlen(CPROF_BEARER);

	return len > scheme &&
	       !strncasecmp((const char *)text, CPROF_BEARER, scheme) &&
	       is_same(text + scheme, len - scheme, wanted);
}

const char *cprof__bearer_refusal(
	const grpc_metadata_array *headers, const char *wanted)
{
	size_t given = 0, good = 0;

	for (size_t i = 0; i < headers->count; i++) {
		const grpc_metadata *m = &headers->metadata[i];

		if (grpc_slice_str_cmp(m->key, "authorization"))
			continue;
		given++;
		good += is_wanted(m->value, wanted);
	}
	if (!given)
		return "this service wants a token";
	return good == given ? NULL : "this service wants another token";
}
