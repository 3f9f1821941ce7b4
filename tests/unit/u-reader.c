#include "profile/reader.h"

#include <zlib.h>

#include "base/limits.h"
#include "check.h"
#include "profile/profile.h"
#include "wire.h"

/* What one plain profile consists of; each test spoils one thing. */
struct parts {
	const char *first_text;
	uint64_t function_id, location_id; /* as declared */
	uint64_t used_function, used_location;
	uint64_t name, file, label_key, comment, type;
	int value_nr, types, locations;
	uint64_t wanted_type;
};

static const struct parts good = {
	.first_text = "",
	.function_id = 77,
	.location_id = 1ull << 40,
	.used_function = 77,
	.used_location = 1ull << 40,
	.name = 1,
	.file = 2,
	.label_key = 3,
	.comment = 1,
	.type = 3,
	.value_nr = 1,
	.types = 1,
	.locations = 1,
};

static void write_types(struct cprof_buffer *b, const struct parts *p)
{
	for (int i = 0; i < p->types; i++) {
		struct cprof_buffer type = WIRE_INIT;

		wire_number(&type, 1, p->type);
		wire_number(&type, 2, 2);
		wire_part(b, 1, &type);
	}
}

static void write_sample(struct cprof_buffer *b, const struct parts *p)
{
	struct cprof_buffer sample = WIRE_INIT, label = WIRE_INIT;

	wire_number(&sample, 1, p->used_location);
	for (int i = 0; i < p->value_nr; i++)
		wire_number(&sample, 2, 5);
	wire_number(&label, 1, p->label_key);
	wire_number(&label, 3, 9);
	wire_number(&label, 4, 2);
	wire_part(&sample, 3, &label);
	wire_part(b, 2, &sample);
}

static void write_locations(struct cprof_buffer *b, const struct parts *p)
{
	for (int i = 0; i < p->locations; i++) {
		struct cprof_buffer location = WIRE_INIT, line = WIRE_INIT;

		wire_number(&location, 1, p->location_id);
		wire_number(&location, 3, 0xdeadbeef); /* an address */
		wire_number(&line, 1, p->used_function);
		wire_number(&line, 2, 12);
		wire_part(&location, 4, &line);
		wire_part(b, 4, &location);
	}
}

static struct cprof_buffer build(const struct parts *p)
{
	struct cprof_buffer b = WIRE_INIT, function = WIRE_INIT;

	write_types(&b, p);
	write_sample(&b, p);
	write_locations(&b, p);
	wire_number(&function, 1, p->function_id);
	wire_number(&function, 2, p->name);
	wire_number(&function, 4, p->file);
	wire_part(&b, 5, &function);
	wire_text(&b, 6, p->first_text);
	wire_text(&b, 6, "name");
	wire_text(&b, 6, "file");
	wire_text(&b, 6, "bad \xff text");
	wire_number(&b, 13, p->comment);
	wire_number(&b, 14, p->wanted_type);
	return b;
}

static void check_refused(const struct parts *p, const char *words)
{
	struct cprof_buffer b = build(p);
	struct cprof_read_profile *r = NULL;
	struct cprof_error err = { 0 };

	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, &err), CPROF_EFORMAT);
	CHECK(!r);
	CHECK_STR(err.message, words);
	cprof_buffer_finish(&b);
}

void test_reader__reads_what_another_writer_wrote(void)
{
	struct cprof_buffer b = build(&good);
	struct cprof_read_profile *r;

	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, NULL), 0);
	cprof_buffer_finish(&b);
	CHECK_EQ(r->value_type_nr, 1);
	CHECK_EQ(r->sample_nr, 1);
	CHECK_EQ(r->sample[0].value[0], 5);
	CHECK_EQ(r->sample[0].location[0], 0);
	CHECK_STR(r->location[0].line[0].function, "name");
	CHECK_STR(r->location[0].line[0].file, "file");
	CHECK_EQ(r->location[0].line[0].line, 12);
	CHECK_STR(r->sample[0].label[0].key, "bad \xef\xbf\xbd text");
	CHECK(!r->sample[0].label[0].text);
	CHECK_EQ(r->sample[0].label[0].number, 9);
	CHECK_STR(r->sample[0].label[0].unit, "file");
	CHECK_STR(r->comment[0], "name");
	CHECK_STR(r->period_type.type, "");
	cprof_read_profile_destroy(r);
}

void test_reader__the_last_type_counts_where_none_is_named(void)
{
	struct parts p = good;
	struct cprof_read_profile *r;
	struct cprof_buffer b;

	p.types = 3;
	p.value_nr = 3;
	b = build(&p);
	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, NULL), 0);
	CHECK_EQ(r->default_value_type, 2);
	cprof_read_profile_destroy(r);
	cprof_buffer_finish(&b);
}

void test_reader__each_broken_reference_is_named(void)
{
	static const struct {
		size_t offset;
		uint64_t bad;
		const char *words;
	} row[] = {
#define FIELD(name) offsetof(struct parts, name)
		{ FIELD(used_function), 0, "there is no function 0" },
		{ FIELD(used_function), 1, "there is no function 1" },
		{ FIELD(used_location), 0, "there is no location 0" },
		{ FIELD(used_location), 2, "there is no location 2" },
		{ FIELD(function_id), 0, "a function has the id 0" },
		{ FIELD(location_id), 0, "a location has the id 0" },
		{ FIELD(name), 4, "string 4 is not among the 4 there are" },
		{ FIELD(file), UINT64_MAX,
			"string -1 is not among the 4 there are" },
		{ FIELD(label_key), 1ull << 40,
			"string 1099511627776 is not among the 4 there are" },
		{ FIELD(comment), 9, "string 9 is not among the 4 there are" },
		{ FIELD(type), 9, "string 9 is not among the 4 there are" },
		{ FIELD(wanted_type), 9,
			"string 9 is not among the 4 there are" },
#undef FIELD
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct parts p = good;

		memcpy((char *)&p + row[i].offset, &row[i].bad,
			sizeof(row[i].bad));
		check_refused(&p, row[i].words);
	}
}

void test_reader__counts_that_do_not_fit_are_refused(void)
{
	struct parts p = good;

	p.value_nr = 2;
	check_refused(&p, "a sample has 2 values for 1 sample types");
	p = good;
	p.types = 0;
	check_refused(&p, "the profile has no sample type");
	p = good;
	p.locations = 2;
	check_refused(&p, "two locations have the id 1099511627776");
	p = good;
	p.first_text = "not empty";
	check_refused(
		&p, "the string table does not begin with an empty string");
}

void test_reader__other_bytes_are_no_profile(void)
{
	static const char *const bytes[] = { "", "{\"json\": true}", "\x1f\x8b",
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "\xff\xff\xff" };
	struct cprof_read_profile *r = NULL;
	struct cprof_error err;

	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		CHECK_EQ(cprof_profile_read((const uint8_t *)bytes[i],
				 strlen(bytes[i]), &r, &err),
			CPROF_EFORMAT);
	CHECK_EQ(cprof_profile_read(NULL, 0, &r, &err), CPROF_EFORMAT);
	CHECK(!r);
}

static struct cprof_buffer written(void)
{
	static const struct cprof_profile_options opts = { "wall", 10, 1 };
	static const struct cprof_profile_thread thread = { .name = "main",
		.id = 7 };
	struct cprof_profile_frame stack[4];
	struct cprof_profile *p;
	struct cprof_buffer b = WIRE_INIT;

	CHECK_EQ(cprof_profile_create(&opts, &p, NULL), 0);
	for (int i = 0; i < 4; i++) {
		char name = (char)('a' + i);

		stack[i].line = i + 1;
		CHECK_EQ(cprof_profile_function(p, &name, 1, "f.py", 4, i,
				 &stack[i].function, NULL),
			0);
		CHECK_EQ(cprof_profile_add(
				 p, stack, (size_t)i + 1, &thread, i, i, NULL),
			0);
	}
	CHECK_EQ(cprof_profile_comment(p, "words", NULL), 0);
	CHECK_EQ(cprof_profile_encode(p, 5, &b, NULL), 0);
	cprof_profile_destroy(p);
	return b;
}

void test_reader__a_truncated_or_lengthened_file_is_refused(void)
{
	struct cprof_buffer b = written();
	struct cprof_read_profile *r = NULL;

	for (size_t len = 0; len < b.len; len++)
		CHECK_EQ(cprof_profile_read(b.data, len, &r, NULL),
			CPROF_EFORMAT);
	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, NULL), 0);
	cprof_read_profile_destroy(r);
	r = NULL;
	CHECK_EQ(cprof_buffer_add(&b, "x", 1, NULL), 0);
	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, NULL), CPROF_EFORMAT);
	cprof_buffer_finish(&b);
}

/* Bits, lowest first, as deflate has them. */
struct bits {
	struct cprof_buffer *b;
	unsigned int byte, nr;
};

static void put_bits(struct bits *s, unsigned int value, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		s->byte |= (value >> i & 1) << s->nr;
		if (++s->nr < 8)
			continue;
		uint8_t byte = (uint8_t)s->byte;

		CHECK_EQ(cprof_buffer_add(s->b, &byte, 1, NULL), 0);
		s->byte = s->nr = 0;
	}
}

static const uint8_t gzip_head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };

static void check_too_big(const struct cprof_buffer *b, const char *words)
{
	struct cprof_read_profile *r = NULL;
	struct cprof_error err = { 0 };

	CHECK_EQ(cprof_profile_read(b->data, b->len, &r, &err), CPROF_ETOOBIG);
	CHECK(!r);
	CHECK_STR(err.message, words);
}

/*
 * 1.7 MB that inflate to 256 MiB and more, 158 for one: a literal 0, then
 * repeats of 258 bytes at distance 1 without end. Codes go highest bit first:
 * reversed here.
 */
void test_reader__what_inflates_is_stopped_at_the_limit(void)
{
	struct cprof_buffer b = WIRE_INIT;
	struct bits s = { .b = &b };

	CHECK_EQ(cprof_buffer_add(&b, gzip_head, sizeof(gzip_head), NULL), 0);
	put_bits(&s, 1, 1);    /* the last block */
	put_bits(&s, 1, 2);    /* with the fixed codes */
	put_bits(&s, 0x0c, 8); /* literal 0: 00110000 */
	for (int i = 0; i < CPROF_MAX_PROFILE_BYTES / 258 + 9; i++) {
		put_bits(&s, 0xa3, 8); /* length 258: 11000101 */
		put_bits(&s, 0, 5);    /* distance 1: 00000 */
	}
	check_too_big(&b, "the profile inflates to more than 268435456 bytes");
	cprof_buffer_finish(&b);
}

/* Zeros as zlib packs them: a thousand for one. */
void test_reader__a_bomb_is_known_by_how_it_inflates(void)
{
	static uint8_t zeros[2 * CPROF_FREE_INFLATION], packed[16 << 10];
	struct cprof_buffer b = { .data = packed };
	z_stream z = { .next_in = zeros,
		.avail_in = sizeof(zeros),
		.next_out = packed,
		.avail_out = sizeof(packed) };

	CHECK_EQ(
		deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
	b.len = sizeof(packed) - z.avail_out;
	deflateEnd(&z);
	check_too_big(&b, "the profile inflates to more than 250 times its "
			  "size");
}

/* A few bytes again and again. */
static void repeat(
	struct cprof_buffer *b, const char *bytes, size_t len, size_t nr)
{
	CHECK_EQ(cprof_buffer_reserve(b, len * nr, NULL), 0);
	for (size_t i = 0; i < nr; i++, b->len += len)
		memcpy(b->data + b->len, bytes, len);
}

void test_reader__each_count_has_a_limit(void)
{
	static const struct {
		const char *bytes; /* an empty message, or a number 0 */
		size_t most;
		const char *words;
	} row[] = {
#define ROW(bytes, NAME, words)                                                \
	{ bytes, CPROF_MAX_READ_##NAME, "the profile has more than " words }
		ROW("\x0a", TYPES, "64 sample types"),
		ROW("\x68", COMMENTS, "1024 comments"),
		ROW("\x32", TEXTS, "2097152 strings"),
		ROW("\x2a", FUNCTIONS, "1048576 functions"),
		ROW("\x22", LOCATIONS, "1048576 locations"),
		ROW("\x12", SAMPLES, "1048576 samples"),
#undef ROW
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct cprof_buffer b = WIRE_INIT;

		repeat(&b, row[i].bytes, 2, row[i].most + 1);
		check_too_big(&b, row[i].words);
		cprof_buffer_finish(&b);
	}
}

void test_reader__values_of_all_samples_have_a_limit(void)
{
	struct cprof_buffer b = WIRE_INIT;

	repeat(&b, "\x0a", 2, 10);
	repeat(&b, "\x12", 2, CPROF_MAX_READ_VALUES / 10 + 1);
	check_too_big(&b, "the profile has more than 8388608 values");
	cprof_buffer_finish(&b);
}

/* What every profile needs: a type of value, "" and one location. */
static struct cprof_buffer with_one_location(struct cprof_buffer *location)
{
	struct cprof_buffer b = WIRE_INIT;

	repeat(&b, "\x0a", 2, 1); /* a sample type, all 0 */
	wire_text(&b, 6, "");
	wire_number(location, 1, 1);
	wire_part(&b, 4, location);
	return b;
}

void test_reader__lines_have_a_limit(void)
{
	struct cprof_buffer location = WIRE_INIT, b;

	repeat(&location, "\x22", 2, CPROF_MAX_READ_LINES + 1);
	b = with_one_location(&location);
	check_too_big(&b, "the profile has more than 2097152 lines");
	cprof_buffer_finish(&b);
}

void test_reader__labels_have_a_limit(void)
{
	struct cprof_buffer location = WIRE_INIT, sample = WIRE_INIT;
	struct cprof_buffer b = with_one_location(&location);

	wire_number(&sample, 2, 0);
	repeat(&sample, "\x1a", 2, CPROF_MAX_READ_LABELS + 1);
	wire_part(&b, 2, &sample);
	check_too_big(&b, "the profile has more than 2097152 labels");
	cprof_buffer_finish(&b);
}

/* A sample of so many frames, all the same. */
static void write_stack(struct cprof_buffer *b, size_t depth)
{
	struct cprof_buffer sample = WIRE_INIT, stack = WIRE_INIT;

	repeat(&stack, "\1", 1, depth);
	wire_part(&sample, 1, &stack);
	wire_number(&sample, 2, 0);
	wire_part(b, 2, &sample);
}

void test_reader__the_depth_of_a_stack_has_a_limit(void)
{
	struct cprof_buffer location = WIRE_INIT;
	struct cprof_buffer b = with_one_location(&location);
	struct cprof_read_profile *r;

	write_stack(&b, CPROF_MAX_READ_DEPTH);
	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, NULL), 0);
	CHECK_EQ(r->sample[0].location_nr, CPROF_MAX_READ_DEPTH);
	cprof_read_profile_destroy(r);
	write_stack(&b, CPROF_MAX_READ_DEPTH + 1);
	check_too_big(&b, "a stack has more than 65536 frames");
	cprof_buffer_finish(&b);
}

void test_reader__frames_of_all_stacks_have_a_limit(void)
{
	struct cprof_buffer location = WIRE_INIT;
	struct cprof_buffer b = with_one_location(&location);

	for (int i = 0; i <= CPROF_MAX_READ_FRAMES / CPROF_MAX_READ_DEPTH; i++)
		write_stack(&b, CPROF_MAX_READ_DEPTH);
	check_too_big(&b, "the profile has more than 8388608 frames");
	cprof_buffer_finish(&b);
}

/* It is there once, and would be an object of its own for each line. */
void test_reader__a_long_name_counts_as_often_as_it_is_used(void)
{
	const size_t len = 1 << 20;
	struct cprof_buffer location = WIRE_INIT, function = WIRE_INIT, b;
	char *name = malloc(len);

	CHECK(name);
	memset(name, 'x', len);
	repeat(&location, "\x22\x02\x08\x01", 4, /* a line of function 1 */
		CPROF_MAX_READ_TEXT_BYTES / len + 1);
	b = with_one_location(&location);
	wire_bytes(&b, 6, name, len);
	free(name);
	wire_number(&function, 1, 1);
	wire_number(&function, 2, 1);
	wire_part(&b, 5, &function);
	check_too_big(&b, "the profile has more than 268435456 bytes of names");
	cprof_buffer_finish(&b);
}

/* Two bytes on the wire each, a struct of some hundred bytes in memory. */
void test_reader__a_swarm_of_empty_messages_is_stopped_at_the_limit(void)
{
	struct cprof_buffer b = WIRE_INIT;
	struct cprof_read_profile *r = NULL;
	struct cprof_error err;
	const size_t len = 8 << 20;

	CHECK_EQ(cprof_buffer_reserve(&b, len, NULL), 0);
	for (b.len = 0; b.len < len; b.len += 2)
		memcpy(b.data + b.len, "\x12", 2);
	CHECK_EQ(cprof_profile_read(b.data, b.len, &r, &err), CPROF_ETOOBIG);
	CHECK(!r);
	cprof_buffer_finish(&b);
}

/* Touch everything that was handed out. */
static volatile size_t sink;

static void walk(const struct cprof_read_profile *p)
{
	size_t sum = strlen(p->value_type[p->default_value_type].type);

	for (size_t i = 0; i < p->comment_nr; i++)
		sum += strlen(p->comment[i]);
	for (size_t i = 0; i < p->location_nr; i++) {
		for (size_t k = 0; k < p->location[i].line_nr; k++)
			sum += strlen(p->location[i].line[k].function) +
			       strlen(p->location[i].line[k].file);
	}
	for (size_t i = 0; i < p->sample_nr; i++) {
		const struct cprof_read_sample *s = &p->sample[i];

		for (size_t k = 0; k < s->location_nr; k++)
			sum += p->location[s->location[k]].line_nr;
		for (size_t k = 0; k < p->value_type_nr; k++)
			sum += (size_t)s->value[k];
		for (size_t k = 0; k < s->label_nr; k++)
			sum += strlen(s->label[k].key) +
			       strlen(s->label[k].unit) +
			       (s->label[k].text ? strlen(s->label[k].text)
						 : 0);
	}
	sink = sum;
}

static void read_mutations(const struct cprof_buffer *b, int nr)
{
	uint64_t state = 1;
	int read = 0, refused = 0;

	for (int i = 0; i < nr; i++) {
		struct cprof_read_profile *r = NULL;
		struct cprof_error err;
		size_t len;
		uint8_t *data = wire_mutate(b, &state, &len);

		if (cprof_profile_read(data, len, &r, &err) < 0) {
			refused++;
			CHECK(!r);
			CHECK(*err.message);
		} else {
			read++;
			walk(r);
		}
		cprof_read_profile_destroy(r);
		free(data);
	}
	CHECK(refused > nr / 10);
	CHECK(read > 0);
}

void test_reader__no_mutation_of_a_profile_does_harm(void)
{
	struct cprof_buffer plain = build(&good);

	read_mutations(&plain, 20000);
	cprof_buffer_finish(&plain);
}

void test_reader__no_mutation_of_a_gzipped_profile_does_harm(void)
{
	struct cprof_buffer b = written();

	read_mutations(&b, 5000);
	cprof_buffer_finish(&b);
}
