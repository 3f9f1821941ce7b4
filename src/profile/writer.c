#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/limits.h"
#include "pprof.pb-c.h"
#include "profile/profile.h"
#include "profile/tables.h"

/* Deflate's level: 9 would take five times as long for 4 % less. */
#define LEVEL	     2
#define SCRATCH_FULL (32 << 10) /* worth a call of deflate */

/* Two types of values, in a profile's own order. */
#define VALUES 2

struct writer {
	const struct cprof_profile *profile;
	z_stream deflate;
	struct cprof_buffer scratch; /* packed, not yet deflated */
	struct cprof_buffer *out;
	uint64_t *id; /* room for the longest stack */
	struct cprof_error *err;
};

/* Move what is in the scratch buffer through deflate. */
static int drain(struct writer *w, int flush)
{
	z_stream *z = &w->deflate;
	size_t room;
	int r;

	z->next_in = w->scratch.data;
	z->avail_in = (uInt)w->scratch.len;
	do {
		r = cprof_buffer_reserve(w->out, 1, w->err);
		if (r < 0)
			return r;
		room = w->out->cap - w->out->len;
		z->next_out = w->out->data + w->out->len;
		z->avail_out = (uInt)room;
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return cprof_fail(
				w->err, CPROF_EIO, "cannot deflate a profile");
		w->out->len += room - z->avail_out;
	} while (z->avail_out == 0);
	w->scratch.len = 0;
	return 0;
}

/*
 * Write the fields that are set in `part`. A protobuf parser merges such parts,
 * one after the other, into one message.
 */
static int put(struct writer *w, const Perftools__Profiles__Profile *part)
{
	size_t len = protobuf_c_message_get_packed_size(&part->base);
	int r = cprof_buffer_reserve(&w->scratch, len, w->err);

	if (r < 0)
		return r;
	protobuf_c_message_pack(&part->base, w->scratch.data + w->scratch.len);
	w->scratch.len += len;
	if (w->scratch.len < SCRATCH_FULL)
		return 0;
	return drain(w, Z_NO_FLUSH);
}

static int put_header(struct writer *w, int64_t duration_ns)
{
	const struct cprof_profile *p = w->profile;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__ValueType type[VALUES] = {
		PERFTOOLS__PROFILES__VALUE_TYPE__INIT,
		PERFTOOLS__PROFILES__VALUE_TYPE__INIT,
	};
	Perftools__Profiles__ValueType *list[VALUES] = { &type[0], &type[1] };
	int64_t comment[CPROF_MAX_COMMENTS];

	type[0].type = p->sample_word;
	type[0].unit = p->count_word;
	type[1].type = p->value_type;
	type[1].unit = p->nanoseconds;
	for (size_t i = 0; i < p->comment_nr; i++)
		comment[i] = p->comment[i];

	part.sample_type = list;
	part.n_sample_type = VALUES;
	part.default_sample_type = p->value_type;
	part.period_type = &type[1];
	part.period = p->period_ns;
	part.time_nanos = p->start_unix_ns;
	part.duration_nanos = duration_ns;
	part.comment = comment;
	part.n_comment = p->comment_nr;
	return put(w, &part);
}

static int put_sample(struct writer *w, size_t number)
{
	const struct cprof_profile *p = w->profile;
	const struct cprof__sample *s = cprof__run(&p->sample, number);
	const struct cprof__thread *thread = cprof__run(&p->thread, s->thread);
	const uint32_t *location = cprof__run(&p->stack, s->stack);
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT;
	Perftools__Profiles__Sample *samples = &sample;
	Perftools__Profiles__Label name = PERFTOOLS__PROFILES__LABEL__INIT;
	Perftools__Profiles__Label id = PERFTOOLS__PROFILES__LABEL__INIT;
	Perftools__Profiles__Label state = PERFTOOLS__PROFILES__LABEL__INIT;
	Perftools__Profiles__Label *label[3];
	int64_t value[VALUES] = {
		p->values[number].count,
		p->values[number].value_ns,
	};

	sample.location_id = w->id;
	sample.n_location_id = p->stack.run[s->stack].len / sizeof(*location);
	for (size_t i = 0; i < sample.n_location_id; i++)
		w->id[i] = (uint64_t)location[i] + 1;
	sample.value = value;
	sample.n_value = VALUES;
	sample.label = label;
	if (thread->name) {
		name.key = p->thread_word;
		name.str = thread->name;
		label[sample.n_label++] = &name;
	}
	if (thread->id) {
		id.key = p->thread_id_word;
		id.num = thread->id;
		label[sample.n_label++] = &id;
	}
	if (thread->state) {
		state.key = p->state_word;
		state.str = thread->state;
		label[sample.n_label++] = &state;
	}
	part.sample = &samples;
	part.n_sample = 1;
	return put(w, &part);
}

static int put_location(struct writer *w, size_t number)
{
	const struct cprof_profile_frame *frame =
		cprof__run(&w->profile->location, number);
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Location location =
		PERFTOOLS__PROFILES__LOCATION__INIT;
	Perftools__Profiles__Location *locations = &location;
	Perftools__Profiles__Line line = PERFTOOLS__PROFILES__LINE__INIT;
	Perftools__Profiles__Line *lines = &line;

	line.function_id = (uint64_t)frame->function + 1;
	line.line = frame->line;
	location.id = number + 1;
	location.line = &lines;
	location.n_line = 1;
	part.location = &locations;
	part.n_location = 1;
	return put(w, &part);
}

static int put_function(struct writer *w, size_t number)
{
	const struct cprof__function *f =
		cprof__run(&w->profile->function, number);
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Perftools__Profiles__Function function =
		PERFTOOLS__PROFILES__FUNCTION__INIT;
	Perftools__Profiles__Function *functions = &function;

	function.id = number + 1;
	function.name = f->name;
	function.system_name = f->name;
	function.filename = f->file;
	function.start_line = f->start_line;
	part.function = &functions;
	part.n_function = 1;
	return put(w, &part);
}

static int put_text(struct writer *w, size_t number)
{
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	char *text = (char *)cprof__run(&w->profile->text, number);

	part.string_table = &text;
	part.n_string_table = 1;
	return put(w, &part);
}

static int put_all(struct writer *w, int64_t duration_ns)
{
	const struct cprof_profile *p = w->profile;
	const struct {
		int (*put)(struct writer *w, size_t number);
		size_t nr;
	} row[] = {
		{ put_sample, p->sample.nr },
		{ put_location, p->location.nr },
		{ put_function, p->function.nr },
		{ put_text, p->text.nr },
	};
	int r = put_header(w, duration_ns);

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		for (size_t k = 0; k < row[i].nr && r == 0; k++)
			r = row[i].put(w, k);
	}
	if (r < 0)
		return r;
	return drain(w, Z_FINISH);
}

int cprof_profile_encode(const struct cprof_profile *p, int64_t duration_ns,
	struct cprof_buffer *out, struct cprof_error *err)
{
	struct writer w = { .profile = p, .out = out, .err = err };
	size_t len = out->len;
	int r;

	cprof_buffer_init(&w.scratch, CPROF_MAX_PROFILE_BYTES);
	w.id = calloc(p->longest_stack + 1, sizeof(*w.id));
	if (!w.id)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");

	/* 15 + 16: the largest window, in a gzip frame. */
	if (deflateInit2(&w.deflate, LEVEL, Z_DEFLATED, 15 + 16, 8,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		r = cprof_fail(err, CPROF_ENOMEM, "cannot start deflate");
		goto free_id;
	}
	r = put_all(&w, duration_ns);
	if (r < 0)
		out->len = len;
	deflateEnd(&w.deflate);
	cprof_buffer_finish(&w.scratch);
free_id:
	free(w.id);
	return r;
}
