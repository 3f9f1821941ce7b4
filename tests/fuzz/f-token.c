#include "base/ascii.h"
#include "fuzz.h"
#include "google/given.h"
#include "google/token.h"

static void check_header(const char *header)
{
	CHECK(!strncmp(header, "Bearer ", 7));
	CHECK(cprof_ascii_is_word(header + 7, strlen(header + 7)));
}

/* A token as the metadata server writes it, and as a program gives it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct cprof_token t;
	static char header[sizeof(t.header)];
	struct input in = { data, len };
	atomic_bool stop = true;
	struct cprof_error err = { 0 };
	char *text;

	t = (struct cprof_token){ 0 };
	if (cprof_token_parse((const char *)data, len, 1000, &t, &err) == 0) {
		check_header(t.header);
		CHECK(t.expires_ns >= 1000 &&
			t.expires_ns <= 1000 + CPROF_MAX_TOKEN_LIFE_NS);
	} else {
		CHECK(!t.header[0] && *err.message);
	}
	text = input_string(&in);
	CHECK(cprof_given_put(text, CPROF_MAX_TOKEN_LIFE_NS));
	if (cprof_given_get(header, sizeof(header), &stop, &err) == 0)
		check_header(header);
	cprof_given_fail(text, true);
	cprof_given_clear();
	free(text);
	return 0;
}
