#include "google/token.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <string.h>
#include <strings.h>

#include "base/ascii.h"
#include "base/wipe.h"
#include "google/metadata.h"

#define KEY "instance/service-accounts/default/token"
/* Of arrays and objects; a token has one. */
#define MAX_DEPTH 4

/*
 * json-c collects strings in memory of its own, which it gives back as it is. A
 * string longer than all others makes it large before, so that no part is left
 * behind as it grows, and clean after.
 */
static void overwrite(struct json_tokener *parser)
{
	char filler[CPROF_MAX_TOKEN_REPLY_BYTES + 2];

	memset(filler, '0', sizeof(filler));
	filler[0] = filler[sizeof(filler) - 1] = '"';
	json_tokener_reset(parser);
	json_object_put(json_tokener_parse_ex(parser, filler, sizeof(filler)));
}

static const char *string_of(
	struct json_object *o, const char *name, size_t *len)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v) ||
		!json_object_is_type(v, json_type_string))
		return NULL;
	*len = (size_t)json_object_get_string_len(v);
	return json_object_get_string(v);
}

static int64_t life_of(struct json_object *o)
{
	struct json_object *v;
	int64_t s;

	if (!json_object_object_get_ex(o, "expires_in", &v) ||
		!json_object_is_type(v, json_type_int))
		return -1;
	s = json_object_get_int64(v);
	if (s < 0)
		return 0;
	if (s > CPROF_MAX_TOKEN_LIFE_NS / CPROF_NS_PER_S)
		return CPROF_MAX_TOKEN_LIFE_NS;
	return s * CPROF_NS_PER_S;
}

static int copy_token(const char *text, size_t len, const char *type,
	struct cprof_token *t, struct cprof_error *err)
{
	if (!type || strcasecmp(type, "Bearer"))
		return cprof_fail(err, CPROF_EFORMAT,
			"the access token is not of type Bearer");
	if (len > CPROF_MAX_TOKEN_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"the access token has %zu bytes", len);
	if (!cprof_ascii_is_word(text, len))
		return cprof_fail(err, CPROF_EFORMAT,
			"the access token is not one word of plain text");
	memcpy(t->header, CPROF_BEARER, strlen(CPROF_BEARER));
	memcpy(t->header + strlen(CPROF_BEARER), text, len);
	return 0;
}

/* Into a zeroed token. */
static int read_token(struct json_object *o, int64_t now_ns,
	struct cprof_token *t, struct cprof_error *err)
{
	size_t len = 0, type_len;
	const char *text = string_of(o, "access_token", &len);
	const char *type = string_of(o, "token_type", &type_len);
	int64_t life_ns = life_of(o);
	int r;

	t->fetched_ns = now_ns;
	t->expires_ns = now_ns + life_ns;
	if (text && life_ns >= 0)
		r = copy_token(text, len, type, t, err);
	else
		r = cprof_fail(err, CPROF_EFORMAT,
			"an access token or its life is missing");
	/* The text is in memory of the object, which is about to be freed. */
	if (text)
		cprof_wipe((char *)text, len);
	return r;
}

int cprof_token_parse(const char *json, size_t len, int64_t now_ns,
	struct cprof_token *ret, struct cprof_error *err)
{
	struct cprof_token t = { 0 };
	struct json_tokener *parser;
	struct json_object *o;
	int r;

	if (len > CPROF_MAX_TOKEN_REPLY_BYTES)
		return cprof_fail(err, CPROF_ETOOBIG,
			"the access token comes with %zu bytes", len);
	parser = json_tokener_new_ex(MAX_DEPTH);
	if (!parser)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	json_tokener_set_flags(
		parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	overwrite(parser);
	o = json_tokener_parse_ex(parser, json, (int)len);
	/* It would take a NUL for the end. */
	if (json_object_is_type(o, json_type_object) &&
		json_tokener_get_parse_end(parser) == len)
		r = read_token(o, now_ns, &t, err);
	else
		r = cprof_fail(err, CPROF_EFORMAT,
			"the access token does not come as a JSON object");
	json_object_put(o);
	overwrite(parser);
	json_tokener_free(parser);
	if (!r)
		*ret = t;
	cprof_wipe(&t, sizeof(t));
	return r;
}

void cprof_token_source_init(
	struct cprof_token_source *s, const struct cprof_http_address *from)
{
	*s = (struct cprof_token_source){ .from = *from };
}

void cprof_token_source_finish(struct cprof_token_source *s)
{
	cprof_token_drop(s);
}

void cprof_token_drop(struct cprof_token_source *s)
{
	cprof_wipe(&s->token, sizeof(s->token));
}

static int fetch(struct cprof_token_source *s, int64_t now_ns,
	const atomic_bool *stop, struct cprof_error *err)
{
	struct cprof_http_reply reply;
	struct cprof_token t;
	int r = cprof__metadata_fetch(&s->from, KEY,
		CPROF_MAX_TOKEN_REPLY_BYTES,
		cprof_now_ns() + CPROF_TOKEN_TIMEOUT_NS, stop, &reply, err);

	if (r < 0)
		return r;
	r = cprof_token_parse(reply.body, reply.body_len, now_ns, &t, err);
	cprof_http_reply_finish(&reply);
	if (r < 0)
		return r;
	if (t.expires_ns > now_ns)
		s->token = t;
	else
		r = cprof_fail(err, CPROF_EUNAVAILABLE,
			"the metadata server %s gave a token that has expired",
			s->from.text);
	cprof_wipe(&t, sizeof(t));
	return r;
}

static bool is_fresh(const struct cprof_token *t, int64_t now_ns)
{
	int64_t half_ns = (t->expires_ns - t->fetched_ns) / 2;
	int64_t early_ns =
		half_ns < CPROF_TOKEN_EARLY_NS ? half_ns : CPROF_TOKEN_EARLY_NS;

	return t->header[0] && t->expires_ns - now_ns > early_ns;
}

int cprof_token_get(struct cprof_token_source *s, int64_t now_ns,
	const char **ret, const atomic_bool *stop, struct cprof_error *err)
{
	struct cprof_error why;
	int r = 0;

	if (now_ns >= s->token.expires_ns)
		cprof_token_drop(s);
	if (!is_fresh(&s->token, now_ns))
		r = fetch(s, now_ns, stop, &why);
	if (r == CPROF_ECANCELED || (r < 0 && !s->token.header[0])) {
		if (err)
			*err = why;
		return r;
	}
	*ret = s->token.header;
	return 0;
}
