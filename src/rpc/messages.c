#include "rpc/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "cloudprofiler.pb-c.h"
#include "profile/unpack.h"
#include "status.pb-c.h"

/* The generated names, less the package. */
#define V2(name)   Google__Devtools__Cloudprofiler__V2__##name
#define INIT(name) GOOGLE__DEVTOOLS__CLOUDPROFILER__V2__##name##__INIT
#define KIND(name) google__devtools__cloudprofiler__v2__##name##__descriptor

/*
 * A message unpacked is larger than on the wire, but not by much in what is
 * legitimate; see unpack.h for what is not.
 */
#define UNPACKED_BYTES(len) (2 * (len) + (1 << 20))

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

const char *cprof_profile_type_name(enum cprof_profile_type type)
{
	static const char *const name[] = { "UNSPECIFIED", "CPU", "WALL",
		"HEAP", "THREADS", "CONTENTION", "PEAK_HEAP", "HEAP_ALLOC" };

	if ((size_t)type >= sizeof(name) / sizeof(name[0]))
		return "UNKNOWN";
	return name[type];
}

void cprof_assignment_init(struct cprof_assignment *a)
{
	*a = (struct cprof_assignment){ 0 };
	cprof_buffer_init(&a->raw, CPROF_MAX_REPLY_BYTES);
}

void cprof_assignment_finish(struct cprof_assignment *a)
{
	cprof_buffer_finish(&a->raw);
}

static int pack(const ProtobufCMessage *m, struct cprof_buffer *out,
	struct cprof_error *err)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	int r = cprof_buffer_reserve(out, len, err);

	if (r < 0)
		return r;
	protobuf_c_message_pack(m, out->data + out->len);
	out->len += len;
	return 0;
}

/* Lower case, digits and `inner`; the ends are a letter or a digit. */
static bool matches(const char *s, const char *inner, size_t min, size_t max)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		if (strchr(LOWER DIGITS, s[i]))
			continue;
		if (i == 0 || i == len - 1 || !strchr(inner, s[i]))
			return false;
	}
	return len >= min && len <= max;
}

static bool is_label_name(const char *s)
{
	return matches(s, "-", 1, 63);
}

/*
 * Labels on their way out, within the service's limits: it would refuse the
 * whole message for one label too many. A value too long is cut; a label
 * without name or value, with a name that is not allowed, or past the limits is
 * left out.
 */
struct fitted {
	struct cprof_label label[CPROF_MAX_LABELS];
	size_t nr;
	char text[CPROF_MAX_LABELS_BYTES + CPROF_MAX_LABELS];
	size_t text_len;
	size_t bytes; /* names and values */
};

/* `s` as valid UTF-8 in `out`, which takes `max` bytes and a NUL. */
static size_t fit_value(const char *s, char *out, size_t max)
{
	char clean[CPROF_MAX_LABEL_BYTES * CPROF_UTF8_GROWTH];
	size_t len = strnlen(s, CPROF_MAX_LABEL_BYTES + 1);

	len = cprof_utf8_cut(s, len, CPROF_MAX_LABEL_BYTES);
	len = cprof_utf8_clean(clean, s, len);
	len = cprof_utf8_cut(clean, len, CPROF_MAX_LABEL_BYTES);
	if (len > max)
		return 0;
	memcpy(out, clean, len);
	out[len] = '\0';
	return len;
}

static void fit_label(struct fitted *f, const struct cprof_label *label)
{
	char *value = f->text + f->text_len;
	size_t name_len, len;

	if (f->nr == CPROF_MAX_LABELS || !label->name || !label->value ||
		!is_label_name(label->name))
		return;
	name_len = strlen(label->name);
	if (name_len > CPROF_MAX_LABELS_BYTES - f->bytes)
		return;
	len = fit_value(label->value, value,
		CPROF_MAX_LABELS_BYTES - f->bytes - name_len);
	if (!len)
		return;
	f->label[f->nr++] = (struct cprof_label){ label->name, value };
	f->text_len += len + 1;
	f->bytes += name_len + len;
}

static void fit_labels(
	struct fitted *f, const struct cprof_label *label, size_t nr)
{
	*f = (struct fitted){ 0 };
	for (size_t i = 0; i < nr; i++)
		fit_label(f, &label[i]);
}

/* A Deployment and all that it points to. */
struct packed_deployment {
	V2(Deployment) message;
	V2(Deployment__LabelsEntry) entry[CPROF_MAX_LABELS];
	V2(Deployment__LabelsEntry) *list[CPROF_MAX_LABELS];
	struct fitted labels;
};

static bool is_text(const char *s, size_t max_bytes)
{
	size_t len = strnlen(s, max_bytes + 1);

	if (len > max_bytes || cprof_utf8_good(s, len) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	}
	return true;
}

static int fill_deployment(struct packed_deployment *p,
	const struct cprof_deployment *d, struct cprof_error *err)
{
	if (!is_text(d->project, CPROF_MAX_TARGET_BYTES))
		return cprof_fail(err, CPROF_EINVAL,
			"the project's name is too long or not printable");
	if (!is_text(d->target, CPROF_MAX_TARGET_BYTES))
		return cprof_fail(err, CPROF_EINVAL,
			"the service's name is too long or not printable");
	fit_labels(&p->labels, d->label, d->label_nr);
	p->message = (V2(Deployment))INIT(DEPLOYMENT);
	p->message.project_id = (char *)d->project;
	p->message.target = (char *)d->target;
	p->message.labels = p->list;
	p->message.n_labels = p->labels.nr;
	for (size_t i = 0; i < p->labels.nr; i++) {
		p->entry[i] = (V2(Deployment__LabelsEntry))INIT(
			DEPLOYMENT__LABELS_ENTRY);
		p->entry[i].key = (char *)p->labels.label[i].name;
		p->entry[i].value = (char *)p->labels.label[i].value;
		p->list[i] = &p->entry[i];
	}
	return 0;
}

int cprof_encode_create_request(const struct cprof_deployment *d,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_buffer *out, struct cprof_error *err)
{
	V2(CreateProfileRequest) m = INIT(CREATE_PROFILE_REQUEST);
	V2(ProfileType) wanted[CPROF_PROFILE_HEAP_ALLOC + 1];
	char parent[sizeof("projects/") + CPROF_MAX_TARGET_BYTES];
	struct packed_deployment deployment;
	int r;

	if (type_nr > sizeof(wanted) / sizeof(wanted[0]))
		return cprof_fail(
			err, CPROF_EINVAL, "more profile types than there are");
	for (size_t i = 0; i < type_nr; i++)
		wanted[i] = (V2(ProfileType))type[i];
	m.profile_type = wanted;
	m.n_profile_type = type_nr;
	if (d) {
		r = fill_deployment(&deployment, d, err);
		if (r < 0)
			return r;
		snprintf(parent, sizeof(parent), "projects/%s", d->project);
		m.deployment = &deployment.message;
		m.parent = parent;
	}
	return pack(&m.base, out, err);
}

/* The head of a length-delimited field: its tag, and the length as a varint. */
static size_t field_head(uint8_t tag, uint64_t len, uint8_t out[11])
{
	size_t nr = 0;

	out[nr++] = tag;
	for (; len >= 0x80; len >>= 7)
		out[nr++] = (uint8_t)(len | 0x80);
	out[nr++] = (uint8_t)len;
	return nr;
}

/*
 * UpdateProfileRequest.profile by hand: `raw` and then the packed `tail` are
 * one Profile, as the later of two fields wins and a map takes both.
 */
static int join(const struct cprof_buffer *raw, const V2(Profile) *tail,
	struct cprof_buffer *out, struct cprof_error *err)
{
	uint8_t head[11];
	size_t len = protobuf_c_message_get_packed_size(&tail->base);
	size_t head_len = field_head(0x0a, raw->len + len, head);
	int r;

	/* All at once, so that what follows cannot fail half way. */
	r = cprof_buffer_reserve(out, head_len + raw->len + len, err);
	if (r < 0)
		return r;
	cprof_buffer_add(out, head, head_len, NULL);
	cprof_buffer_add(out, raw->data, raw->len, NULL);
	return pack(&tail->base, out, err);
}

int cprof_encode_update_request(const struct cprof_assignment *a,
	const struct cprof_label *label, size_t label_nr,
	const uint8_t *profile, size_t profile_len, struct cprof_buffer *out,
	struct cprof_error *err)
{
	V2(Profile) tail = INIT(PROFILE);
	V2(Profile__LabelsEntry) entry[CPROF_MAX_LABELS];
	V2(Profile__LabelsEntry) *list[CPROF_MAX_LABELS];
	struct fitted labels;

	fit_labels(&labels, label, label_nr);
	for (size_t i = 0; i < labels.nr; i++) {
		entry[i] =
			(V2(Profile__LabelsEntry))INIT(PROFILE__LABELS_ENTRY);
		entry[i].key = (char *)labels.label[i].name;
		entry[i].value = (char *)labels.label[i].value;
		list[i] = &entry[i];
	}
	tail.profile_bytes.data = (uint8_t *)profile;
	tail.profile_bytes.len = profile_len;
	tail.labels = list;
	tail.n_labels = labels.nr;
	return join(&a->raw, &tail, out, err);
}

/* A protobuf Duration, clamped to about 30 years either way. */
static int64_t to_ns(int64_t seconds, int32_t nanos)
{
	const int64_t max_s = 1000000000;

	if (seconds > max_s)
		seconds = max_s;
	if (seconds < -max_s)
		seconds = -max_s;
	return seconds * CPROF_NS_PER_S + nanos;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
	return x < low ? low : x > high ? high : x;
}

/* `projects/P/profiles/ID`, where P and ID are left to the service. */
static bool is_profile_name(const char *s)
{
	static const char middle[] = "/profiles/";
	const char *project, *at;

	for (at = s; *at; at++) {
		if (*at < 0x21 || *at > 0x7e)
			return false;
	}
	if (at - s > CPROF_MAX_NAME_BYTES || strncmp(s, "projects/", 9))
		return false;
	project = s + 9;
	at = strstr(project, middle);
	return at && at != project && at[sizeof(middle) - 1];
}

static enum cprof_profile_type known_type(V2(ProfileType) type)
{
	if ((size_t)type > CPROF_PROFILE_HEAP_ALLOC)
		return CPROF_PROFILE_UNSPECIFIED;
	return (enum cprof_profile_type)type;
}

static int take_assignment(const V2(Profile) *m, const uint8_t *data,
	size_t len, struct cprof_assignment *ret, struct cprof_error *err)
{
	struct cprof_assignment a;
	int64_t asked_ns = 0;
	int r;

	if (!is_profile_name(m->name))
		return cprof_fail(err, CPROF_EFORMAT,
			"the profile that the service asks for has no name of "
			"the form projects/P/profiles/ID");
	if (m->duration)
		asked_ns = to_ns(m->duration->seconds, m->duration->nanos);
	cprof_assignment_init(&a);
	memcpy(a.name, m->name, strlen(m->name) + 1);
	a.type = known_type(m->profile_type);
	a.duration_ns = CPROF_DEFAULT_DURATION_NS;
	if (asked_ns > 0)
		a.duration_ns = clamp(
			asked_ns, CPROF_MIN_DURATION_NS, CPROF_MAX_DURATION_NS);
	r = cprof_buffer_add(&a.raw, data, len, err);
	if (r < 0)
		return r;
	cprof_assignment_finish(ret);
	*ret = a;
	return 0;
}

int cprof_decode_assignment(const uint8_t *data, size_t len,
	struct cprof_assignment *ret, struct cprof_error *err)
{
	struct cprof_arena arena;
	V2(Profile) *m = NULL;
	int r;

	if (len > CPROF_MAX_REPLY_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"a reply of %zu bytes is too long", len);
	r = cprof_arena_init(&arena, UNPACKED_BYTES(len), err);
	if (r < 0)
		return r;
	r = cprof_unpack(&KIND(profile), data, len, &arena, &m, err);
	if (r == 0)
		r = take_assignment(m, data, len, ret, err);
	cprof_arena_finish(&arena);
	return r;
}

static int take_delay(const Google__Rpc__RetryInfo *m, int64_t *ret_ns,
	struct cprof_error *err)
{
	int64_t delay_ns;

	if (!m->retry_delay)
		return cprof_fail(
			err, CPROF_EFORMAT, "the retry info names no delay");
	delay_ns = to_ns(m->retry_delay->seconds, m->retry_delay->nanos);
	if (delay_ns < 0)
		return cprof_fail(err, CPROF_EFORMAT,
			"the retry info names a negative delay");
	*ret_ns = clamp(delay_ns, 0, CPROF_BACKOFF_MAX_NS);
	return 0;
}

int cprof_decode_retry_info(const uint8_t *data, size_t len, int64_t *ret_ns,
	struct cprof_error *err)
{
	struct cprof_arena arena;
	Google__Rpc__RetryInfo *m = NULL;
	int r;

	if (len > CPROF_MAX_TRAILER_BYTES)
		return cprof_fail(err, CPROF_EFORMAT,
			"%zu bytes are too many for a retry info", len);
	r = cprof_arena_init(&arena, UNPACKED_BYTES(len), err);
	if (r < 0)
		return r;
	r = cprof_unpack(&google__rpc__retry_info__descriptor, data, len,
		&arena, &m, err);
	if (r == 0)
		r = take_delay(m, ret_ns, err);
	cprof_arena_finish(&arena);
	return r;
}

/* Labels on their way in. A map's later entry replaces an earlier one. */
struct taken {
	const char *field; /* for people */
	struct cprof_label *label;
	size_t *nr;
};

static int take_label(const struct taken *t, const char *name,
	const char *value, struct cprof_error *err)
{
	size_t i = 0;

	if (!is_label_name(name))
		return cprof_fail(err, CPROF_EFORMAT,
			"%s: a name must be 1 to 63 of a-z, 0-9 and '-', with "
			"a letter or digit at both ends",
			t->field);
	if (!is_text(value, CPROF_MAX_LABEL_BYTES))
		return cprof_fail(err, CPROF_EFORMAT,
			"%s: the value of '%s' must be at most %d bytes of "
			"printable UTF-8",
			t->field, name, CPROF_MAX_LABEL_BYTES);
	while (i < *t->nr && strcmp(t->label[i].name, name))
		i++;
	if (i == CPROF_MAX_LABELS)
		return cprof_fail(err, CPROF_EFORMAT, "%s: more than %d labels",
			t->field, CPROF_MAX_LABELS);
	t->label[i] = (struct cprof_label){ name, value };
	if (i == *t->nr)
		(*t->nr)++;
	return 0;
}

static int check_sum(const struct taken *t, struct cprof_error *err)
{
	size_t bytes = 0;

	for (size_t i = 0; i < *t->nr; i++)
		bytes += strlen(t->label[i].name) + strlen(t->label[i].value);
	if (bytes > CPROF_MAX_LABELS_BYTES)
		return cprof_fail(err, CPROF_EFORMAT,
			"%s: names and values are %zu bytes together, more "
			"than %d",
			t->field, bytes, CPROF_MAX_LABELS_BYTES);
	return 0;
}

/*
 * The API's patterns; but a project may be shorter than Google's shortest,
 * because the local service's own is called "local".
 */
static int take_deployment(const V2(Deployment) *m, struct cprof_deployment *d,
	struct cprof_error *err)
{
	const struct taken labels = { "deployment.labels", d->label,
		&d->label_nr };

	if (!matches(m->project_id, "-:.", 2, 63) ||
		!strchr(LOWER, m->project_id[0]))
		return cprof_fail(err, CPROF_EFORMAT,
			"deployment.project_id: must be 2 to 63 of a-z, 0-9, "
			"'-', ':' and '.', with a letter first and a letter "
			"or digit last");
	if (!matches(m->target, "-_.", 1, CPROF_MAX_TARGET_BYTES))
		return cprof_fail(err, CPROF_EFORMAT,
			"deployment.target: must be 1 to %d of a-z, 0-9, '-', "
			"'_' and '.', with a letter or digit at both ends",
			CPROF_MAX_TARGET_BYTES);
	d->project = m->project_id;
	d->target = m->target;
	for (size_t i = 0; i < m->n_labels; i++) {
		int r = take_label(
			&labels, m->labels[i]->key, m->labels[i]->value, err);

		if (r < 0)
			return r;
	}
	return check_sum(&labels, err);
}

/* Known types, each once, in the order of the client. */
static int take_types(const V2(CreateProfileRequest) *m,
	struct cprof_service_request *req, struct cprof_error *err)
{
	for (size_t i = 0; i < m->n_profile_type; i++) {
		enum cprof_profile_type type = known_type(m->profile_type[i]);
		size_t k = 0;

		while (k < req->wanted_nr && req->wanted[k] != type)
			k++;
		if (type != CPROF_PROFILE_UNSPECIFIED && k == req->wanted_nr)
			req->wanted[req->wanted_nr++] = type;
	}
	if (!req->wanted_nr)
		return cprof_fail(err, CPROF_EFORMAT,
			"profile_type: none that this service knows");
	return 0;
}

static int take_create(const ProtobufCMessage *base,
	struct cprof_service_request *req, struct cprof_error *err)
{
	const V2(CreateProfileRequest) *m = (const void *)base;
	int r;

	if (!m->deployment)
		return cprof_fail(err, CPROF_EFORMAT, "deployment: missing");
	r = take_deployment(m->deployment, &req->deployment, err);
	if (r < 0)
		return r;
	if (*m->parent &&
		(strncmp(m->parent, "projects/", 9) ||
			strcmp(m->parent + 9, req->deployment.project)))
		return cprof_fail(err, CPROF_EFORMAT,
			"parent: must be 'projects/%s', as the deployment says",
			req->deployment.project);
	return take_types(m, req, err);
}

static int take_profile_labels(const V2(Profile) *m,
	struct cprof_service_request *req, struct cprof_error *err)
{
	const struct taken labels = { "profile.labels", req->label,
		&req->label_nr };

	for (size_t i = 0; i < m->n_labels; i++) {
		int r = take_label(
			&labels, m->labels[i]->key, m->labels[i]->value, err);

		if (r < 0)
			return r;
	}
	return check_sum(&labels, err);
}

static int take_update(const ProtobufCMessage *base,
	struct cprof_service_request *req, struct cprof_error *err)
{
	const V2(UpdateProfileRequest) *update = (const void *)base;
	const V2(Profile) *m = update->profile;
	int r = 0;

	if (!m)
		return cprof_fail(err, CPROF_EFORMAT, "profile: missing");
	if (!is_profile_name(m->name))
		return cprof_fail(err, CPROF_EFORMAT,
			"profile.name: must be of the form "
			"projects/P/profiles/ID, at most %d bytes",
			CPROF_MAX_NAME_BYTES);
	req->deployment.project = "";
	req->deployment.target = "";
	if (m->deployment)
		r = take_deployment(m->deployment, &req->deployment, err);
	if (r < 0)
		return r;
	req->name = m->name;
	req->type = known_type(m->profile_type);
	if (m->duration)
		req->duration_ns =
			clamp(to_ns(m->duration->seconds, m->duration->nanos),
				0, CPROF_MAX_DURATION_NS);
	req->profile = m->profile_bytes.data;
	req->profile_len = m->profile_bytes.len;
	return take_profile_labels(m, req, err);
}

typedef int (*take_fn)(const ProtobufCMessage *m,
	struct cprof_service_request *req, struct cprof_error *err);

static int decode_in(struct cprof_arena *arena,
	const ProtobufCMessageDescriptor *kind, take_fn take_fields,
	const uint8_t *data, size_t len, struct cprof_service_request **ret,
	struct cprof_error *err)
{
	struct cprof_service_request *req =
		cprof_arena_take(arena, sizeof(*req));
	struct cprof_arena *kept = cprof_arena_take(arena, sizeof(*kept));
	const ProtobufCMessage *m = NULL;
	int r;

	if (!req || !kept)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	r = cprof_unpack(kind, data, len, arena, &m, err);
	if (r < 0)
		return r;
	r = take_fields(m, req, err);
	if (r < 0)
		return r;
	*kept = *arena;
	req->memory = kept;
	*ret = req;
	return 0;
}

static int decode(const ProtobufCMessageDescriptor *kind, take_fn take_fields,
	const uint8_t *data, size_t len, struct cprof_service_request **ret,
	struct cprof_error *err)
{
	struct cprof_arena arena;
	int r;

	if (len > CPROF_MAX_REQUEST_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"a request of %zu bytes is too long", len);
	r = cprof_arena_init(&arena, UNPACKED_BYTES(len), err);
	if (r < 0)
		return r;
	r = decode_in(&arena, kind, take_fields, data, len, ret, err);
	if (r < 0)
		cprof_arena_finish(&arena);
	return r;
}

int cprof_decode_create_request(const uint8_t *data, size_t len,
	struct cprof_service_request **ret, struct cprof_error *err)
{
	return decode(&KIND(create_profile_request), take_create, data, len,
		ret, err);
}

int cprof_decode_update_request(const uint8_t *data, size_t len,
	struct cprof_service_request **ret, struct cprof_error *err)
{
	return decode(&KIND(update_profile_request), take_update, data, len,
		ret, err);
}

void cprof_service_request_destroy(struct cprof_service_request *r)
{
	struct cprof_arena arena;

	if (!r)
		return;
	/* The arena holds its own header too: copied before it is unmapped. */
	memcpy(&arena, r->memory, sizeof(arena));
	cprof_arena_finish(&arena);
}

int cprof_encode_profile(const char *name, enum cprof_profile_type type,
	int64_t duration_ns, const struct cprof_deployment *d,
	struct cprof_buffer *out, struct cprof_error *err)
{
	V2(Profile) m = INIT(PROFILE);
	V2(Duration) duration = INIT(DURATION);
	struct packed_deployment deployment;
	int r;

	if (!is_profile_name(name))
		return cprof_fail(err, CPROF_EINVAL,
			"a profile's name must be of the form "
			"projects/P/profiles/ID");
	r = fill_deployment(&deployment, d, err);
	if (r < 0)
		return r;
	duration.seconds = duration_ns / CPROF_NS_PER_S;
	duration.nanos = (int32_t)(duration_ns % CPROF_NS_PER_S);
	m.name = (char *)name;
	m.profile_type = (V2(ProfileType))type;
	m.duration = &duration;
	m.deployment = &deployment.message;
	return pack(&m.base, out, err);
}

int cprof_encode_retry_info(
	int64_t delay_ns, struct cprof_buffer *out, struct cprof_error *err)
{
	Google__Rpc__RetryInfo m = GOOGLE__RPC__RETRY_INFO__INIT;
	Google__Rpc__RetryInfo__Delay delay =
		GOOGLE__RPC__RETRY_INFO__DELAY__INIT;

	delay.seconds = delay_ns / CPROF_NS_PER_S;
	delay.nanos = (int32_t)(delay_ns % CPROF_NS_PER_S);
	m.retry_delay = &delay;
	return pack(&m.base, out, err);
}
