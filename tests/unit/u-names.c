#include "sampler/names.h"

#include <stdlib.h>

#include "check.h"

static void replace(int32_t first, int32_t second)
{
	struct cprof_thread_label *label = calloc(2, sizeof(*label));

	label[0] = (struct cprof_thread_label){ first, "first" };
	label[1] = (struct cprof_thread_label){ second, "second" };
	cprof_names_replace(label, 2);
}

void test_names__nobody_said(void)
{
	struct cprof_thread_label label;

	cprof_names_abandon();
	CHECK(!cprof_names_find(7, &label));
}

void test_names__the_last_word_counts(void)
{
	struct cprof_thread_label label;

	replace(9, 7);
	CHECK(cprof_names_find(9, &label));
	CHECK_STR(label.name, "first");
	CHECK(cprof_names_find(7, &label));
	CHECK_STR(label.name, "second");
	CHECK(!cprof_names_find(8, &label));
	replace(8, 10);
	CHECK(!cprof_names_find(9, &label));
	CHECK(cprof_names_find(8, &label));
	cprof_names_replace(NULL, 0);
	CHECK(!cprof_names_find(8, &label));
}
