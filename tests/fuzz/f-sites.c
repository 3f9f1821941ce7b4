#include "cpython/sites.h"

#include "fuzz.h"

/* A version and its code. Whatever it is, each site is within a stack. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint16_t version[] = { 0x030b, 0x030c, 0x030d, 0x030e,
		0x030f };
	struct input in = { data, len };
	const struct cprof_opcode *op =
		cprof_opcodes(version[input_byte(&in) % 5]);
	size_t units = in.left / 2;
	/* Two of the exact size, for the sanitizer to watch. */
	uint8_t *depth = malloc(units), *site = malloc(units);

	CHECK(op && (!units || (depth && site)));
	if (cprof_sites_find(op, in.at, units, depth, site))
		for (size_t i = 0; i < units; i++)
			CHECK(site[i] < 250 || site[i] == CPROF_NO_SITE);
	free(depth);
	free(site);
	return 0;
}
