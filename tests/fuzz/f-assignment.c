#include "base/limits.h"
#include "fuzz.h"
#include "rpc/messages.h"

/* A reply to CreateProfile, and what goes back with it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct cprof_label label = { "process", "1" };
	struct cprof_assignment a;
	struct cprof_error err = { 0 };
	struct cprof_buffer out;

	cprof_assignment_init(&a);
	cprof_buffer_init(&out, 2 * CPROF_MAX_REPLY_BYTES);
	if (cprof_decode_assignment(data, len, &a, &err) == 0) {
		CHECK(strnlen(a.name, sizeof(a.name)) < sizeof(a.name));
		CHECK(a.duration_ns >= CPROF_MIN_DURATION_NS &&
			a.duration_ns <= CPROF_MAX_DURATION_NS);
		CHECK(strcmp(cprof_profile_type_name(a.type), "UNKNOWN"));
		CHECK(a.raw.len == len && !memcmp(a.raw.data, data, len));
		CHECK_EQ(cprof_encode_update_request(&a, &label, 1,
				 (const uint8_t *)"gz", 2, &out, NULL),
			0);
	} else {
		CHECK(err.code < 0 && *err.message);
		CHECK(!a.raw.len);
	}
	cprof_buffer_finish(&out);
	cprof_assignment_finish(&a);
	return 0;
}
