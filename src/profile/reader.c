#include "profile/reader.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "pprof.pb-c.h"
#include "profile/unpack.h"

#define INFLATE_STEP (64 << 10)

/* Where the message with this id stands. */
struct place {
	uint64_t id;
	size_t index;
};

/* A list of them, sorted by id. */
struct places {
	const char *what;
	struct place *place;
	size_t nr;
};

struct reading {
	struct cprof_arena arena; /* all that is read, and its own header */
	const Perftools__Profiles__Profile *message;
	const char **text;
	struct places functions, locations;
	struct cprof_read_profile *profile;
	size_t line_nr, frame_nr, label_nr, text_bytes; /* so far */
	struct cprof_error *err;
};

/* A few bytes that become very many are a bomb, however many they may be. */
static bool is_bomb(const z_stream *z, const struct cprof_buffer *out)
{
	return out->len > CPROF_FREE_INFLATION &&
	       out->len / CPROF_MAX_INFLATION > z->total_in;
}

static int inflate_into(
	z_stream *z, struct cprof_buffer *out, struct cprof_error *err)
{
	int r = Z_OK;
	size_t room;

	while (r != Z_STREAM_END) {
		if (cprof_buffer_reserve(out, 1, NULL) < 0)
			return cprof_fail(err, CPROF_ETOOBIG,
				"the profile inflates to more than %zu bytes",
				out->max_bytes);
		room = out->cap - out->len;
		if (room > INFLATE_STEP)
			room = INFLATE_STEP;
		z->next_out = out->data + out->len;
		z->avail_out = (uInt)room;
		r = inflate(z, Z_NO_FLUSH);
		out->len += room - z->avail_out;
		if (r == Z_BUF_ERROR)
			return cprof_fail(err, CPROF_EFORMAT,
				"the gzip data ends too early");
		if (r != Z_OK && r != Z_STREAM_END)
			return cprof_fail(err, CPROF_EFORMAT,
				"bad gzip data: %s", z->msg ? z->msg : "?");
		if (is_bomb(z, out))
			return cprof_fail(err, CPROF_ETOOBIG,
				"the profile inflates to more than %d times "
				"its size",
				CPROF_MAX_INFLATION);
	}
	if (z->avail_in)
		return cprof_fail(err, CPROF_EFORMAT,
			"%u bytes follow the gzip data", z->avail_in);
	return 0;
}

static int gunzip(const uint8_t *data, size_t len, struct cprof_buffer *out,
	struct cprof_error *err)
{
	z_stream z = { 0 };
	int r;

	if (len > CPROF_MAX_PROFILE_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"%zu bytes are too many for a profile", len);
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return cprof_fail(err, CPROF_ENOMEM, "cannot start inflate");
	z.next_in = (z_const Bytef *)data;
	z.avail_in = (uInt)len;
	r = inflate_into(&z, out, err);
	inflateEnd(&z);
	return r;
}

/* `nr` zeroed elements, or NULL: then the error is filled. */
static void *take(struct reading *rd, size_t nr, size_t size)
{
	void *p = NULL;

	if (nr <= rd->arena.cap / size)
		p = cprof_arena_take(&rd->arena, nr * size);
	if (!p)
		cprof_fail(rd->err, CPROF_ETOOBIG,
			"the profile takes more than %zu bytes in memory",
			rd->arena.cap);
	return p;
}

static int too_many(struct reading *rd, const char *what, size_t most)
{
	return cprof_fail(rd->err, CPROF_ETOOBIG,
		"the profile has more than %zu %s", most, what);
}

static int check_counts(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	const struct {
		const char *what;
		size_t nr, most;
	} row[] = {
		{ "sample types", m->n_sample_type, CPROF_MAX_READ_TYPES },
		{ "comments", m->n_comment, CPROF_MAX_READ_COMMENTS },
		{ "strings", m->n_string_table, CPROF_MAX_READ_TEXTS },
		{ "functions", m->n_function, CPROF_MAX_READ_FUNCTIONS },
		{ "locations", m->n_location, CPROF_MAX_READ_LOCATIONS },
		{ "samples", m->n_sample, CPROF_MAX_READ_SAMPLES },
		{ "values", m->n_sample * m->n_sample_type,
			CPROF_MAX_READ_VALUES },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (row[i].nr > row[i].most)
			return too_many(rd, row[i].what, row[i].most);
	return 0;
}

/* Count `nr` more of what is spread over the profile. */
static int count(struct reading *rd, size_t *sum, size_t nr, const char *what,
	size_t most)
{
	if (nr > most - *sum)
		return too_many(rd, what, most);
	*sum += nr;
	return 0;
}

/* The texts, made valid, so that whoever shows them need not look. */
static int read_texts(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;

	if (!m->n_string_table || m->string_table[0][0])
		return cprof_fail(rd->err, CPROF_EFORMAT,
			"the string table does not begin with an empty string");
	rd->text = take(rd, m->n_string_table, sizeof(*rd->text));
	if (!rd->text)
		return CPROF_ETOOBIG;
	for (size_t i = 0; i < m->n_string_table; i++) {
		const char *s = m->string_table[i];
		size_t len = strlen(s);
		char *clean;

		rd->text[i] = s;
		if (cprof_utf8_good(s, len) == len)
			continue;
		clean = take(rd, len * CPROF_UTF8_GROWTH + 1, 1);
		if (!clean)
			return CPROF_ETOOBIG;
		cprof_utf8_clean(clean, s, len);
		rd->text[i] = clean;
	}
	return 0;
}

static int find_text(struct reading *rd, int64_t index, const char **ret)
{
	if (index < 0 || (uint64_t)index >= rd->message->n_string_table)
		return cprof_fail(rd->err, CPROF_EFORMAT,
			"string %lld is not among the %zu there are",
			(long long)index, rd->message->n_string_table);
	*ret = rd->text[index];
	/* One long name that all refer to would be as many objects. */
	return count(rd, &rd->text_bytes, strlen(*ret), "bytes of names",
		CPROF_MAX_READ_TEXT_BYTES);
}

static int compare_ids(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Ids are whatever the writer chose; usually, but not always, 1, 2, 3. */
static int sort_places(struct reading *rd, const struct places *p)
{
	qsort(p->place, p->nr, sizeof(*p->place), compare_ids);
	if (p->nr && !p->place[0].id)
		return cprof_fail(
			rd->err, CPROF_EFORMAT, "a %s has the id 0", p->what);
	for (size_t i = 1; i < p->nr; i++) {
		if (p->place[i].id == p->place[i - 1].id)
			return cprof_fail(rd->err, CPROF_EFORMAT,
				"two %ss have the id %llu", p->what,
				(unsigned long long)p->place[i].id);
	}
	return 0;
}

static int find_place(
	struct reading *rd, const struct places *p, uint64_t id, size_t *ret)
{
	struct place key = { .id = id };
	const struct place *found = NULL;

	/* The first guess is right for nearly every writer. */
	if (id && id <= p->nr && p->place[id - 1].id == id)
		found = &p->place[id - 1];
	else if (p->nr)
		found = bsearch(
			&key, p->place, p->nr, sizeof(key), compare_ids);
	if (!found)
		return cprof_fail(rd->err, CPROF_EFORMAT, "there is no %s %llu",
			p->what, (unsigned long long)id);
	*ret = found->index;
	return 0;
}

static int read_places(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	struct place *f, *l;
	int r;

	f = take(rd, m->n_function, sizeof(*f));
	l = take(rd, m->n_location, sizeof(*l));
	if (!f || !l)
		return CPROF_ETOOBIG;
	for (size_t i = 0; i < m->n_function; i++)
		f[i] = (struct place){ m->function[i]->id, i };
	for (size_t i = 0; i < m->n_location; i++)
		l[i] = (struct place){ m->location[i]->id, i };
	rd->functions = (struct places){ "function", f, m->n_function };
	rd->locations = (struct places){ "location", l, m->n_location };
	r = sort_places(rd, &rd->functions);
	if (r < 0)
		return r;
	return sort_places(rd, &rd->locations);
}

static int read_value_type(struct reading *rd,
	const Perftools__Profiles__ValueType *in,
	struct cprof_read_value_type *out)
{
	int r = find_text(rd, in ? in->type : 0, &out->type);

	if (r < 0)
		return r;
	return find_text(rd, in ? in->unit : 0, &out->unit);
}

static int read_value_types(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	struct cprof_read_profile *p = rd->profile;
	const char *wanted = "";
	int r;

	if (!m->n_sample_type)
		return cprof_fail(rd->err, CPROF_EFORMAT,
			"the profile has no sample type");
	p->value_type = take(rd, m->n_sample_type, sizeof(*p->value_type));
	if (!p->value_type)
		return CPROF_ETOOBIG;
	p->value_type_nr = m->n_sample_type;
	p->default_value_type = m->n_sample_type - 1;
	r = find_text(rd, m->default_sample_type, &wanted);
	for (size_t i = 0; i < m->n_sample_type && r == 0; i++) {
		r = read_value_type(rd, m->sample_type[i], &p->value_type[i]);
		if (r == 0 && *wanted && !strcmp(p->value_type[i].type, wanted))
			p->default_value_type = i;
	}
	if (r < 0)
		return r;
	return read_value_type(rd, m->period_type, &p->period_type);
}

static int read_line(struct reading *rd, const Perftools__Profiles__Line *in,
	struct cprof_read_line *out)
{
	const Perftools__Profiles__Function *f;
	size_t index;
	int r = find_place(rd, &rd->functions, in->function_id, &index);

	if (r < 0)
		return r;
	f = rd->message->function[index];
	r = find_text(rd, f->name ? f->name : f->system_name, &out->function);
	if (r < 0)
		return r;
	out->line = in->line;
	out->start_line = f->start_line;
	return find_text(rd, f->filename, &out->file);
}

static int read_location(struct reading *rd,
	const Perftools__Profiles__Location *in,
	struct cprof_read_location *out)
{
	int r = count(
		rd, &rd->line_nr, in->n_line, "lines", CPROF_MAX_READ_LINES);

	if (r < 0)
		return r;
	out->line = take(rd, in->n_line, sizeof(*out->line));
	if (!out->line)
		return CPROF_ETOOBIG;
	out->line_nr = in->n_line;
	for (size_t i = 0; i < in->n_line && r == 0; i++)
		r = read_line(rd, in->line[i], &out->line[i]);
	return r;
}

static int read_locations(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	struct cprof_read_profile *p = rd->profile;
	int r = 0;

	p->location = take(rd, m->n_location, sizeof(*p->location));
	if (!p->location)
		return CPROF_ETOOBIG;
	p->location_nr = m->n_location;
	for (size_t i = 0; i < m->n_location && r == 0; i++)
		r = read_location(rd, m->location[i], &p->location[i]);
	return r;
}

static int read_labels(struct reading *rd,
	const Perftools__Profiles__Sample *in, struct cprof_read_sample *out)
{
	int r = count(rd, &rd->label_nr, in->n_label, "labels",
		CPROF_MAX_READ_LABELS);

	if (r < 0)
		return r;
	out->label = take(rd, in->n_label, sizeof(*out->label));
	if (!out->label)
		return CPROF_ETOOBIG;
	out->label_nr = in->n_label;
	for (size_t i = 0; i < in->n_label && r == 0; i++) {
		const Perftools__Profiles__Label *from = in->label[i];
		struct cprof_read_label *to = &out->label[i];

		to->number = from->num;
		r = find_text(rd, from->key, &to->key);
		if (r == 0)
			r = find_text(rd, from->num_unit, &to->unit);
		if (r == 0 && from->str)
			r = find_text(rd, from->str, &to->text);
	}
	return r;
}

static int read_sample(struct reading *rd,
	const Perftools__Profiles__Sample *in, struct cprof_read_sample *out)
{
	size_t index;
	int r;

	if (in->n_value != rd->profile->value_type_nr)
		return cprof_fail(rd->err, CPROF_EFORMAT,
			"a sample has %zu values for %zu sample types",
			in->n_value, rd->profile->value_type_nr);
	if (in->n_location_id > CPROF_MAX_READ_DEPTH)
		return cprof_fail(rd->err, CPROF_ETOOBIG,
			"a stack has more than %d frames",
			CPROF_MAX_READ_DEPTH);
	r = count(rd, &rd->frame_nr, in->n_location_id, "frames",
		CPROF_MAX_READ_FRAMES);
	if (r < 0)
		return r;
	out->value = in->value;
	out->location = take(rd, in->n_location_id, sizeof(*out->location));
	if (!out->location)
		return CPROF_ETOOBIG;
	out->location_nr = in->n_location_id;
	for (size_t i = 0; i < in->n_location_id; i++) {
		r = find_place(rd, &rd->locations, in->location_id[i], &index);
		if (r < 0)
			return r;
		out->location[i] = (uint32_t)index;
	}
	return read_labels(rd, in, out);
}

static int read_samples(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	struct cprof_read_profile *p = rd->profile;
	int r = 0;

	p->sample = take(rd, m->n_sample, sizeof(*p->sample));
	if (!p->sample)
		return CPROF_ETOOBIG;
	p->sample_nr = m->n_sample;
	for (size_t i = 0; i < m->n_sample && r == 0; i++)
		r = read_sample(rd, m->sample[i], &p->sample[i]);
	return r;
}

static int read_comments(struct reading *rd)
{
	const Perftools__Profiles__Profile *m = rd->message;
	struct cprof_read_profile *p = rd->profile;
	int r = 0;

	p->comment = take(rd, m->n_comment, sizeof(*p->comment));
	if (!p->comment)
		return CPROF_ETOOBIG;
	p->comment_nr = m->n_comment;
	for (size_t i = 0; i < m->n_comment && r == 0; i++)
		r = find_text(rd, m->comment[i], &p->comment[i]);
	return r;
}

static int read_all(struct reading *rd, const uint8_t *data, size_t len)
{
	/* In an order in which each finds what it needs. */
	static int (*const step[])(struct reading *rd) = {
		check_counts,
		read_texts,
		read_value_types,
		read_places,
		read_locations,
		read_samples,
		read_comments,
	};
	int r = cprof_unpack(&perftools__profiles__profile__descriptor, data,
		len, &rd->arena, &rd->message, rd->err);

	if (r < 0)
		return r;
	rd->profile = take(rd, 1, sizeof(*rd->profile));
	if (!rd->profile)
		return CPROF_ETOOBIG;
	rd->profile->time_unix_ns = rd->message->time_nanos;
	rd->profile->duration_ns = rd->message->duration_nanos;
	rd->profile->period = rd->message->period;
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]) && r == 0; i++)
		r = step[i](rd);
	return r;
}

static int read_plain(const uint8_t *data, size_t len,
	struct cprof_read_profile **ret, struct cprof_error *err)
{
	struct reading rd = { .err = err };
	struct cprof_arena *kept;
	int r = cprof_arena_init(&rd.arena, CPROF_MAX_PROFILE_BYTES, err);

	if (r < 0)
		return r;
	r = read_all(&rd, data, len);
	if (r < 0)
		goto finish_arena;
	kept = take(&rd, 1, sizeof(*kept));
	if (!kept) {
		r = CPROF_ETOOBIG;
		goto finish_arena;
	}
	*kept = rd.arena;
	rd.profile->memory = kept;
	*ret = rd.profile;
	return 0;

finish_arena:
	cprof_arena_finish(&rd.arena);
	return r;
}

int cprof_profile_read(const uint8_t *data, size_t len,
	struct cprof_read_profile **ret, struct cprof_error *err)
{
	struct cprof_buffer plain;
	int r;

	if (len < 2 || data[0] != 0x1f || data[1] != 0x8b)
		return read_plain(data, len, ret, err);
	cprof_buffer_init(&plain, CPROF_MAX_PROFILE_BYTES);
	r = gunzip(data, len, &plain, err);
	if (r == 0)
		r = read_plain(plain.data, plain.len, ret, err);
	cprof_buffer_finish(&plain);
	return r;
}

void cprof_read_profile_destroy(struct cprof_read_profile *p)
{
	struct cprof_arena arena;

	if (!p)
		return;
	/* The arena holds its own header too: copied before it is unmapped. */
	memcpy(&arena, p->memory, sizeof(arena));
	cprof_arena_finish(&arena);
}
