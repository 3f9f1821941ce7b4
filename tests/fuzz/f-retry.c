#include "base/limits.h"
#include "fuzz.h"
#include "rpc/messages.h"
#include "rpc/status.h"

/* A retry info; the same bytes are a status and the server's words, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	struct cprof_error err = { 0 };
	int64_t delay_ns = -1;
	int status;
	char *words;

	if (cprof_decode_retry_info(data, len, &delay_ns, NULL) == 0)
		CHECK(delay_ns >= 0 && delay_ns <= CPROF_BACKOFF_MAX_NS);
	else
		CHECK_EQ(delay_ns, -1);

	status = (int8_t)input_byte(&in);
	words = input_string(&in);
	CHECK_EQ(cprof_status_fail(&err, "CreateProfile", status, words) == 0,
		status == 0);
	CHECK(strlen(err.message) < sizeof(err.message));
	free(words);
	return 0;
}
