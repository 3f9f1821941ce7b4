#include <sys/un.h>

#include "fake-http.h"
#include "fuzz.h"
#include "google/metadata.h"
#include "google/token.h"

/*
 * A server that says the input. Over a unix socket, whose name the kernel
 * makes: ports would run out.
 */
static void start(struct fake_http *f, struct fake_answer *a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	*f = (struct fake_http){ .answer = a, .nr = 1 };
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(f->fd >= 0);
	CHECK_EQ(bind(f->fd, (struct sockaddr *)&un, sizeof(sa_family_t)), 0);
	f->address.len = sizeof(f->address.six);
	CHECK_EQ(getsockname(f->fd, &f->address.any, &f->address.len), 0);
	CHECK(f->address.len <= sizeof(f->address.six));
	snprintf(f->address.text, sizeof(f->address.text), "127.0.0.1:80");
	CHECK_EQ(listen(f->fd, 16), 0);
	CHECK_EQ(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static void check_value(const char *value, size_t size)
{
	CHECK(*value && strnlen(value, size) < size);
	for (; *value; value++)
		CHECK(*value >= ' ' && *value <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fake_answer a = { (const char *)data, FAKE_CLOSE, len };
	struct fake_http f;
	struct cprof_token_source tokens;
	struct cprof_error err = { 0 };
	const char *header = NULL;
	char value[64];

	if (!len)
		return 0;
	start(&f, &a);
	if (cprof_metadata_zone(&f.address, value, sizeof(value),
		    cprof_now_ns() + LONG_NS, NULL, &err) == 0)
		check_value(value, sizeof(value));
	cprof_token_source_init(&tokens, &f.address);
	if (cprof_token_get(&tokens, cprof_now_ns(), &header, NULL, &err) == 0)
		CHECK(!strncmp(header, "Bearer ", 7));
	cprof_token_source_finish(&tokens);
	fake_http_stop(&f);
	return 0;
}
