#include "fuzz.h"
#include "profile/reader.h"

static size_t check_text(const char *text)
{
	CHECK(text);
	return strlen(text);
}

static void check_location(const struct cprof_read_location *l)
{
	for (size_t i = 0; i < l->line_nr; i++) {
		check_text(l->line[i].function);
		check_text(l->line[i].file);
	}
}

static void check_sample(
	const struct cprof_read_profile *p, const struct cprof_read_sample *s)
{
	volatile int64_t sum = 0;

	for (size_t i = 0; i < s->location_nr; i++)
		CHECK(s->location[i] < p->location_nr);
	for (size_t i = 0; i < p->value_type_nr; i++)
		sum = sum ^ s->value[i];
	for (size_t i = 0; i < s->label_nr; i++) {
		check_text(s->label[i].key);
		check_text(s->label[i].unit);
		if (s->label[i].text)
			check_text(s->label[i].text);
	}
}

/* A profile of a stranger's, gzipped or plain. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cprof_read_profile *p = NULL;
	struct cprof_error err = { 0 };

	if (cprof_profile_read(data, len, &p, &err) < 0) {
		CHECK(!p && *err.message);
		return 0;
	}
	CHECK(p->default_value_type < p->value_type_nr || !p->value_type_nr);
	for (size_t i = 0; i < p->value_type_nr; i++) {
		check_text(p->value_type[i].type);
		check_text(p->value_type[i].unit);
	}
	for (size_t i = 0; i < p->location_nr; i++)
		check_location(&p->location[i]);
	for (size_t i = 0; i < p->sample_nr; i++)
		check_sample(p, &p->sample[i]);
	for (size_t i = 0; i < p->comment_nr; i++)
		check_text(p->comment[i]);
	check_text(p->period_type.type);
	cprof_read_profile_destroy(p);
	return 0;
}
