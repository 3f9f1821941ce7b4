#include <arpa/inet.h>

#include "fuzz.h"
#include "google/metadata.h"
#include "transport/address.h"

/* Plain text goes no farther than this machine, whatever a variable says. */
static void check_local(const char *text)
{
	char ret[CPROF__MAX_ADDRESS];
	const char *host = ret;

	memset(ret, 'x', sizeof(ret));
	if (cprof__address_check_local(text, ret, NULL) < 0)
		return;
	CHECK(strnlen(ret, sizeof(ret)) < sizeof(ret));
	if (!strncmp(ret, "unix:", 5)) {
		CHECK(strspn(ret + 5, "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789/-._~%") == strlen(ret + 5));
		return;
	}
	CHECK(!strncmp(host, "127.", 4) || !strncmp(host, "localhost:", 10) ||
		*host == '[');
	CHECK(!strpbrk(host, " /@\\?#\n"));
}

/* What a server for others listens at is one address, and no URI. */
static void check_any(const char *text)
{
	char ret[CPROF__MAX_ADDRESS];

	memset(ret, 'x', sizeof(ret));
	if (cprof__address_check(text, ret, NULL) < 0)
		return;
	CHECK(strnlen(ret, sizeof(ret)) < sizeof(ret));
	CHECK(strrchr(ret, ':'));
	CHECK(!strpbrk(ret, " /@\\?#%\n"));
}

static void check_metadata(const char *text)
{
	struct cprof_http_address a = { 0 };

	if (cprof_metadata_address(text, &a, NULL) < 0)
		return;
	CHECK(a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6);
	CHECK(strnlen(a.text, sizeof(a.text)) < sizeof(a.text));
	CHECK(strrchr(a.text, ':'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	char *text = input_string(&in);

	check_local(text);
	check_any(text);
	check_metadata(text);
	free(text);
	return 0;
}
