#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "profile/tables.h"

/*
 * Make room for `want` elements of `size` bytes in an array; `array` is the
 * address of the pointer to it, of whatever type. Grows by half, so that many
 * small steps cost little and the limit is not met at half its size.
 */
static int grow(struct cprof_profile *p, void *array, size_t *cap, size_t want,
	size_t size, struct cprof_error *err)
{
	size_t left = CPROF_MAX_PROFILE_BYTES - p->allocated;
	size_t more = *cap / 2 > 16 ? *cap / 2 : 16;
	void *data;

	if (want <= *cap)
		return 0;
	if (more < want - *cap)
		more = want - *cap;
	if (more > left / size)
		return cprof_fail(err, CPROF_ETOOBIG,
			"the profile takes more than %d bytes in memory",
			CPROF_MAX_PROFILE_BYTES);
	memcpy(&data, array, sizeof(data));
	data = realloc(data, (*cap + more) * size);
	if (!data)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	memcpy(array, &data, sizeof(data));
	*cap += more;
	p->allocated += more * size;
	return 0;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	x = (x ^ (x >> 29)) * 0x9e3779b97f4a7c15u;
	return x ^ (x >> 32);
}

/*
 * Eight bytes a step. The seed is new for each profile: no input is slow every
 * time.
 */
static uint32_t hash(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ len, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h ^ word);
	}
	word = 0;
	memcpy(&word, p, len);
	return (uint32_t)mix(h ^ word);
}

/* The slot of this run, or the empty one where it would go. */
static struct cprof__slot *find(
	const struct cprof__table *t, uint32_t h, const void *data, size_t len)
{
	size_t i = h & (t->slot_nr - 1);
	const struct cprof__run *run;

	for (; t->slot[i].number; i = (i + 1) & (t->slot_nr - 1)) {
		if (t->slot[i].hash != h)
			continue;
		run = &t->run[t->slot[i].number - 1];
		if (run->len == len &&
			!memcmp(t->bytes + run->first, data, len))
			break;
	}
	return &t->slot[i];
}

static int double_slots(struct cprof_profile *p, struct cprof__table *t,
	struct cprof_error *err)
{
	size_t nr = t->slot_nr ? t->slot_nr * 2 : 64, cap = 0;
	struct cprof__slot *old = t->slot, *slot = NULL;
	int r;

	r = grow(p, &slot, &cap, nr, sizeof(*slot), err);
	if (r < 0)
		return r;
	memset(slot, 0, nr * sizeof(*slot));
	for (size_t i = 0; i < t->slot_nr; i++) {
		size_t at = old[i].hash & (nr - 1);

		if (!old[i].number)
			continue;
		while (slot[at].number)
			at = (at + 1) & (nr - 1);
		slot[at] = old[i];
	}
	p->allocated -= t->slot_nr * sizeof(*slot);
	free(old);
	t->slot = slot;
	t->slot_nr = nr;
	return 0;
}

/* Make sure that one run of `len` bytes can be added. */
static int make_room(struct cprof_profile *p, struct cprof__table *t,
	size_t len, struct cprof_error *err)
{
	int r;

	if (len > CPROF_MAX_PROFILE_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"%zu bytes in one piece are too many", len);
	r = grow(p, &t->bytes, &t->bytes_cap, t->bytes_len + len + 8, 1, err);
	if (r < 0)
		return r;
	r = grow(p, &t->run, &t->run_cap, t->nr + 1, sizeof(*t->run), err);
	if (r < 0)
		return r;
	if (t->slot_nr >= (t->nr + 1) * 2)
		return 0;
	return double_slots(p, t, err);
}

/* The number of this run, which is added if it is new. */
static int intern(struct cprof_profile *p, struct cprof__table *t,
	const void *data, size_t len, uint32_t *ret, struct cprof_error *err)
{
	uint32_t h = hash(p->seed, data, len);
	struct cprof__slot *slot;
	int r;

	slot = t->slot_nr ? find(t, h, data, len) : NULL;
	if (slot && slot->number) {
		*ret = slot->number - 1;
		return 0;
	}
	r = make_room(p, t, len, err);
	if (r < 0)
		return r;
	slot = find(t, h, data, len);
	memcpy(t->bytes + t->bytes_len, data, len);
	memset(t->bytes + t->bytes_len + len, 0, 8 - len % 8);
	t->run[t->nr] = (struct cprof__run){ t->bytes_len, len };
	t->bytes_len += len + 8 - len % 8;
	*ret = (uint32_t)t->nr++;
	*slot = (struct cprof__slot){ h, *ret + 1 };
	return 0;
}

static int intern_text(struct cprof_profile *p, const char *s, size_t len,
	uint32_t *ret, struct cprof_error *err)
{
	char *clean;
	int r;

	if (cprof_utf8_good(s, len) == len)
		return intern(p, &p->text, len ? s : "", len, ret, err);
	if (len > CPROF_MAX_PROFILE_BYTES / CPROF_UTF8_GROWTH)
		return cprof_fail(err, CPROF_ETOOBIG,
			"a text of %zu bytes is too long", len);
	clean = calloc(len, CPROF_UTF8_GROWTH);
	if (!clean)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	len = cprof_utf8_clean(clean, s, len);
	r = intern(p, &p->text, clean, len, ret, err);
	free(clean);
	return r;
}

static void finish_table(struct cprof__table *t)
{
	free(t->bytes);
	free(t->run);
	free(t->slot);
}

void cprof_profile_destroy(struct cprof_profile *p)
{
	if (!p)
		return;
	finish_table(&p->text);
	finish_table(&p->function);
	finish_table(&p->location);
	finish_table(&p->stack);
	finish_table(&p->thread);
	finish_table(&p->sample);
	free(p->values);
	free(p);
}

/* The format's own words. The empty one must be number 0. */
static int intern_words(struct cprof_profile *p, const char *value_type,
	struct cprof_error *err)
{
	uint32_t empty;
	const struct {
		const char *word;
		uint32_t *number;
	} row[] = {
		{ "", &empty },
		{ "sample", &p->sample_word },
		{ "count", &p->count_word },
		{ value_type, &p->value_type },
		{ "nanoseconds", &p->nanoseconds },
		{ "thread", &p->thread_word },
		{ "thread_id", &p->thread_id_word },
		{ "state", &p->state_word },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int r = intern_text(p, row[i].word, strlen(row[i].word),
			row[i].number, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int cprof_profile_create(const struct cprof_profile_options *opts,
	struct cprof_profile **ret, struct cprof_error *err)
{
	struct cprof_profile *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	p->allocated = sizeof(*p);
	p->seed = mix((uint64_t)cprof_now_ns() ^ (uintptr_t)p);
	p->period_ns = opts->period_ns;
	p->start_unix_ns = opts->start_unix_ns;
	r = intern_words(p, opts->value_type, err);
	if (r < 0) {
		cprof_profile_destroy(p);
		return r;
	}
	*ret = p;
	return 0;
}

int cprof_profile_function(struct cprof_profile *p, const char *name,
	size_t name_len, const char *file, size_t file_len, int32_t start_line,
	uint32_t *ret, struct cprof_error *err)
{
	struct cprof__function f = { .start_line = start_line };
	int r;

	r = intern_text(p, name, name_len, &f.name, err);
	if (r < 0)
		return r;
	r = intern_text(p, file, file_len, &f.file, err);
	if (r < 0)
		return r;
	return intern(p, &p->function, &f, sizeof(f), ret, err);
}

static int intern_stack(struct cprof_profile *p,
	const struct cprof_profile_frame *frame, size_t nr, uint32_t *ret,
	struct cprof_error *err)
{
	uint32_t *location;
	int r = 0;

	if (!nr)
		return cprof_fail(
			err, CPROF_EINVAL, "a sample without a frame");
	location = calloc(nr, sizeof(*location));
	if (!location)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	for (size_t i = 0; i < nr && r == 0; i++) {
		if (frame[i].function < p->function.nr)
			r = intern(p, &p->location, &frame[i], sizeof(frame[i]),
				&location[i], err);
		else
			r = cprof_fail(err, CPROF_EINVAL,
				"the profile has no function %u",
				frame[i].function);
	}
	if (r == 0)
		r = intern(p, &p->stack, location, nr * sizeof(*location), ret,
			err);
	free(location);
	return r;
}

static int intern_thread(struct cprof_profile *p,
	const struct cprof_profile_thread *thread, uint32_t *ret,
	struct cprof_error *err)
{
	struct cprof__thread t = { 0 };
	int r;

	if (thread) {
		const char *name = thread->name ? thread->name : "";
		const char *state = thread->state ? thread->state : "";

		t.id = thread->id;
		r = intern_text(p, name, strlen(name), &t.name, err);
		if (!r)
			r = intern_text(p, state, strlen(state), &t.state, err);
		if (r < 0)
			return r;
	}
	return intern(p, &p->thread, &t, sizeof(t), ret, err);
}

static void add_up(int64_t *sum, int64_t more)
{
	if (__builtin_add_overflow(*sum, more, sum))
		*sum = more > 0 ? INT64_MAX : INT64_MIN;
}

int cprof_profile_add(struct cprof_profile *p,
	const struct cprof_profile_frame *frame, size_t nr,
	const struct cprof_profile_thread *thread, int64_t count,
	int64_t value_ns, struct cprof_error *err)
{
	struct cprof__sample s;
	size_t known = p->sample.nr;
	uint32_t number;
	int r;

	r = intern_stack(p, frame, nr, &s.stack, err);
	if (r < 0)
		return r;
	r = intern_thread(p, thread, &s.thread, err);
	if (r < 0)
		return r;
	r = grow(p, &p->values, &p->values_cap, known + 1, sizeof(*p->values),
		err);
	if (r < 0)
		return r;
	r = intern(p, &p->sample, &s, sizeof(s), &number, err);
	if (r < 0)
		return r;
	if (number == known)
		p->values[number] = (struct cprof__values){ 0 };
	add_up(&p->values[number].count, count);
	add_up(&p->values[number].value_ns, value_ns);
	if (nr > p->longest_stack)
		p->longest_stack = nr;
	return 0;
}

int cprof_profile_comment(
	struct cprof_profile *p, const char *text, struct cprof_error *err)
{
	uint32_t number;
	int r;

	if (p->comment_nr == CPROF_MAX_COMMENTS)
		return cprof_fail(err, CPROF_ETOOBIG,
			"more than %d comments in a profile",
			CPROF_MAX_COMMENTS);
	r = intern_text(p, text, strlen(text), &number, err);
	if (r < 0)
		return r;
	p->comment[p->comment_nr++] = number;
	return 0;
}
