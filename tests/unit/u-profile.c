#include "profile/profile.h"

#include "base/limits.h"
#include "check.h"
#include "profile/reader.h"

static const struct cprof_profile_options cpu = {
	.value_type = "cpu",
	.period_ns = 10000000,
	.start_unix_ns = 1700000000000000000,
};

static struct cprof_profile *make(void)
{
	struct cprof_profile *p;

	CHECK_EQ(cprof_profile_create(&cpu, &p, NULL), 0);
	return p;
}

static uint32_t function(struct cprof_profile *p, const char *name, int line)
{
	uint32_t number;

	CHECK_EQ(cprof_profile_function(
			 p, name, strlen(name), "a.py", 4, line, &number, NULL),
		0);
	return number;
}

/* Encode, destroy and read back. */
static struct cprof_read_profile *finish(struct cprof_profile *p)
{
	struct cprof_read_profile *ret;
	struct cprof_error err;
	struct cprof_buffer out;

	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	CHECK_EQ(cprof_profile_encode(p, 9876543210, &out, NULL), 0);
	cprof_profile_destroy(p);
	if (cprof_profile_read(out.data, out.len, &ret, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	cprof_buffer_finish(&out);
	return ret;
}

void test_profile__says_what_it_measures(void)
{
	struct cprof_profile *p = make();
	struct cprof_read_profile *r;

	CHECK_EQ(cprof_profile_comment(p, "own cost 0.2 %", NULL), 0);
	CHECK_EQ(cprof_profile_comment(p, "cpu", NULL), 0);
	r = finish(p);
	CHECK_EQ(r->value_type_nr, 2);
	CHECK_STR(r->value_type[0].type, "sample");
	CHECK_STR(r->value_type[0].unit, "count");
	CHECK_STR(r->value_type[1].type, "cpu");
	CHECK_STR(r->value_type[1].unit, "nanoseconds");
	CHECK_EQ(r->default_value_type, 1);
	CHECK_STR(r->period_type.type, "cpu");
	CHECK_STR(r->period_type.unit, "nanoseconds");
	CHECK_EQ(r->period, 10000000);
	CHECK_EQ(r->time_unix_ns, 1700000000000000000);
	CHECK_EQ(r->duration_ns, 9876543210);
	CHECK_EQ(r->comment_nr, 2);
	CHECK_STR(r->comment[0], "own cost 0.2 %");
	CHECK_STR(r->comment[1], "cpu");
	CHECK_EQ(r->sample_nr, 0);
	cprof_read_profile_destroy(r);
}

void test_profile__the_same_stack_on_the_same_thread_is_one_sample(void)
{
	struct cprof_profile *p = make();
	struct cprof_profile_thread main = { .name = "main", .id = 7 };
	struct cprof_profile_thread other = { .name = "main", .id = 8 };
	struct cprof_profile_thread asleep = main;
	struct cprof_profile_frame stack[] = {
		{ function(p, "leaf", 3), 5 },
		{ function(p, "root", 1), 2 },
	};
	struct cprof_read_profile *r;

	CHECK_EQ(cprof_profile_add(p, stack, 2, &main, 1, 100, NULL), 0);
	CHECK_EQ(cprof_profile_add(p, stack, 2, &other, 1, 1, NULL), 0);
	CHECK_EQ(cprof_profile_add(p, stack, 2, &main, 2, 30, NULL), 0);
	CHECK_EQ(cprof_profile_add(p, stack, 1, &main, 4, 5, NULL), 0);
	stack[0].line = 6;
	CHECK_EQ(cprof_profile_add(p, stack, 2, &main, 8, 9, NULL), 0);
	asleep.state = "sleep";
	CHECK_EQ(cprof_profile_add(p, stack, 2, &asleep, 8, 7, NULL), 0);
	r = finish(p);
	CHECK_EQ(r->sample_nr, 5);
	CHECK_EQ(r->location_nr, 3);
	CHECK_EQ(r->sample[0].value[0], 3);
	CHECK_EQ(r->sample[0].value[1], 130);
	CHECK_EQ(r->sample[1].value[1], 1);
	CHECK_EQ(r->sample[2].value[1], 5);
	CHECK_EQ(r->sample[3].value[1], 9);
	CHECK_EQ(r->sample[4].value[1], 7);
	cprof_read_profile_destroy(r);
}

void test_profile__frames_come_back_leaf_first_with_their_lines(void)
{
	struct cprof_profile *p = make();
	struct cprof_profile_frame stack[] = {
		{ function(p, "leaf", 3), 5 },
		{ function(p, "root", 0), 0 },
	};
	struct cprof_read_profile *r;
	struct cprof_read_location *l;

	CHECK_EQ(cprof_profile_add(p, stack, 2, NULL, 1, 100, NULL), 0);
	r = finish(p);
	CHECK_EQ(r->sample[0].location_nr, 2);
	CHECK_EQ(r->sample[0].label_nr, 0);
	l = &r->location[r->sample[0].location[0]];
	CHECK_EQ(l->line_nr, 1);
	CHECK_STR(l->line[0].function, "leaf");
	CHECK_STR(l->line[0].file, "a.py");
	CHECK_EQ(l->line[0].line, 5);
	CHECK_EQ(l->line[0].start_line, 3);
	l = &r->location[r->sample[0].location[1]];
	CHECK_STR(l->line[0].function, "root");
	CHECK_EQ(l->line[0].line, 0);
	CHECK_EQ(l->line[0].start_line, 0);
	cprof_read_profile_destroy(r);
}

void test_profile__a_thread_is_three_labels_where_known(void)
{
	struct cprof_profile *p = make();
	static const struct cprof_profile_thread thread[] = {
		{ .name = "worker", .id = 42 },
		{ .name = "", .id = 43 },
		{ .name = "nameless id", .state = "lock" },
	};
	struct cprof_profile_frame frame = { function(p, "f", 1), 1 };
	struct cprof_read_profile *r;

	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(
			cprof_profile_add(p, &frame, 1, &thread[i], 1, 1, NULL),
			0);
	r = finish(p);
	CHECK_EQ(r->sample_nr, 3);
	CHECK_EQ(r->sample[0].label_nr, 2);
	CHECK_STR(r->sample[0].label[0].key, "thread");
	CHECK_STR(r->sample[0].label[0].text, "worker");
	CHECK_STR(r->sample[0].label[1].key, "thread_id");
	CHECK(!r->sample[0].label[1].text);
	CHECK_EQ(r->sample[0].label[1].number, 42);
	CHECK_EQ(r->sample[1].label_nr, 1);
	CHECK_EQ(r->sample[1].label[0].number, 43);
	CHECK_EQ(r->sample[2].label_nr, 2);
	CHECK_STR(r->sample[2].label[0].text, "nameless id");
	CHECK_STR(r->sample[2].label[1].key, "state");
	CHECK_STR(r->sample[2].label[1].text, "lock");
	cprof_read_profile_destroy(r);
}

void test_profile__the_same_three_are_the_same_function(void)
{
	struct cprof_profile *p = make();
	uint32_t f = function(p, "f", 1), other_file;

	CHECK_EQ(function(p, "f", 1), f);
	CHECK(function(p, "f", 2) != f);
	CHECK(function(p, "g", 1) != f);
	CHECK_EQ(cprof_profile_function(
			 p, "f", 1, "b.py", 4, 1, &other_file, NULL),
		0);
	CHECK(other_file != f);
	cprof_profile_destroy(p);
}

void test_profile__text_that_is_not_utf8_is_replaced(void)
{
	static const struct {
		const char *name;
		size_t len;
		const char *want;
	} row[] = {
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
		{ "\xf0\x9f\x90\x8d", 4, "\xf0\x9f\x90\x8d" },
		{ "a\0b", 3,
			"a\xef\xbf\xbd"
			"b" },
		{ "cut \xc3", 5, "cut \xef\xbf\xbd" },
		{ "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd" }, /* overlong */
		{ "\xed\xa0\x80", 3,
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate
								   */
		{ "\xf4\x90\x80\x80", 4,
			"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ NULL, 0, "" },
	};
	struct cprof_profile *p = make();
	struct cprof_profile_frame frame = { .line = 1 };
	struct cprof_read_profile *r;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		CHECK_EQ(cprof_profile_function(p, row[i].name, row[i].len,
				 "a.py", 4, 1, &frame.function, NULL),
			0);
		CHECK_EQ(cprof_profile_add(p, &frame, 1, NULL, 1, 1, NULL), 0);
	}
	r = finish(p);
	CHECK_EQ(r->sample_nr, sizeof(row) / sizeof(row[0]));
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK_STR(
			r->location[r->sample[i].location[0]].line[0].function,
			row[i].want);
	cprof_read_profile_destroy(r);
}

void test_profile__impossible_stacks_are_refused(void)
{
	struct cprof_profile *p = make();
	struct cprof_profile_frame frame = { 0, 1 };
	struct cprof_read_profile *r;
	struct cprof_error err;

	CHECK_EQ(cprof_profile_add(p, &frame, 1, NULL, 1, 1, &err),
		CPROF_EINVAL);
	frame.function = function(p, "f", 1);
	CHECK_EQ(cprof_profile_add(p, &frame, 0, NULL, 1, 1, &err),
		CPROF_EINVAL);
	r = finish(p);
	CHECK_EQ(r->sample_nr, 0);
	cprof_read_profile_destroy(r);
}

void test_profile__sums_stop_at_the_largest_number(void)
{
	struct cprof_profile *p = make();
	struct cprof_profile_frame frame = { function(p, "f", 1), 1 };
	struct cprof_read_profile *r;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(cprof_profile_add(
				 p, &frame, 1, NULL, 1, INT64_MAX / 2, NULL),
			0);
	r = finish(p);
	CHECK_EQ(r->sample[0].value[0], 3);
	CHECK_EQ(r->sample[0].value[1], INT64_MAX);
	cprof_read_profile_destroy(r);
}

void test_profile__many_functions_stacks_and_threads_stay_apart(void)
{
	enum {
		NR = 20000
	};
	struct cprof_profile *p = make();
	struct cprof_profile_frame stack[2];
	struct cprof_profile_thread thread = { .name = "t" };
	struct cprof_read_profile *r;
	char name[32];

	for (int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "function_%d", i);
		stack[1] = stack[0];
		stack[0] =
			(struct cprof_profile_frame){ function(p, name, i), i };
		thread.id = i % 64 + 1;
		CHECK_EQ(cprof_profile_add(
				 p, stack, i ? 2 : 1, &thread, 1, i, NULL),
			0);
	}
	r = finish(p);
	CHECK_EQ(r->sample_nr, NR);
	CHECK_EQ(r->location_nr, NR);
	for (int i = 0; i < NR; i++) {
		struct cprof_read_sample *s = &r->sample[i];

		snprintf(name, sizeof(name), "function_%d", i);
		CHECK_EQ(s->value[1], i);
		CHECK_STR(r->location[s->location[0]].line[0].function, name);
		CHECK_EQ(s->label[1].number, i % 64 + 1);
	}
	cprof_read_profile_destroy(r);
}

void test_profile__memory_is_bounded(void)
{
	struct cprof_profile *p = make();
	static char name[1 << 20];
	struct cprof_error err;
	uint32_t number;
	int r = 0, added = 0;

	memset(name, 'x', sizeof(name));
	while (r == 0 && added < 1000) {
		snprintf(name, 16, "%015d", added);
		name[15] = 'x';
		r = cprof_profile_function(
			p, name, sizeof(name), "a.py", 4, 1, &number, &err);
		added++;
	}
	CHECK_EQ(r, CPROF_ETOOBIG);
	CHECK(added > 50);
	/* What was there before is still whole. */
	CHECK_EQ(function(p, "small", 1), (uint32_t)added - 1);
	cprof_profile_destroy(p);
}

void test_profile__comments_are_bounded(void)
{
	struct cprof_profile *p = make();

	for (int i = 0; i < CPROF_MAX_COMMENTS; i++)
		CHECK_EQ(cprof_profile_comment(p, "again", NULL), 0);
	CHECK_EQ(cprof_profile_comment(p, "again", NULL), CPROF_ETOOBIG);
	cprof_profile_destroy(p);
}

void test_profile__output_is_appended_or_left_as_it_was(void)
{
	struct cprof_profile *p = make();
	struct cprof_profile_frame frame = { function(p, "f", 1), 1 };
	struct cprof_buffer out;
	struct cprof_error err;

	CHECK_EQ(cprof_profile_add(p, &frame, 1, NULL, 1, 1, NULL), 0);
	cprof_buffer_init(&out, 64);
	CHECK_EQ(cprof_buffer_add(&out, "head", 4, NULL), 0);
	CHECK_EQ(cprof_profile_encode(p, 1, &out, &err), CPROF_ETOOBIG);
	CHECK_EQ(out.len, 4);
	out.max_bytes = 4096;
	CHECK_EQ(cprof_profile_encode(p, 1, &out, NULL), 0);
	CHECK(!memcmp(out.data, "head\x1f\x8b", 6));
	cprof_buffer_finish(&out);
	cprof_profile_destroy(p);
}
