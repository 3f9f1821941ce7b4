#include "agent/link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/roots.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/wipe.h"
#include "google/given.h"
#include "google/metadata.h"
#include "google/token.h"

/* A project has 63 characters at most, an instance 63, a zone some 20. */
#define VALUE_BYTES 256

struct cprof_link {
	struct cprof_link_options opts;
	const atomic_bool *stop;

	/* What the metadata server told; empty where it did not. */
	bool asked, missed; /* all of it; a label, for the time being */
	char project[VALUE_BYTES], zone[VALUE_BYTES], instance[VALUE_BYTES];

	struct cprof_token_source token;
	struct cprof_file_stamp key; /* as it was read */

	pthread_mutex_t lock; /* protects `profiler` against cancel */
	struct cprof_profiler *profiler;
};

/* A token of Google's opens an account: it is for TLS, even on this host. */
static bool is_safe(const struct cprof_link_options *opts)
{
	return opts->profiler.channel.security == CPROF_SECURITY_TLS ||
	       opts->token == CPROF_LINK_NO_TOKEN ||
	       opts->token == CPROF_LINK_FILE_TOKEN;
}

int cprof_link_create(const struct cprof_link_options *opts,
	const atomic_bool *stop, struct cprof_link **ret,
	struct cprof_error *err)
{
	struct cprof_link *l;

	if (!is_safe(opts))
		return cprof_fail(
			err, CPROF_EINVAL, "a token is sent over TLS only");
	l = calloc(1, sizeof(*l));
	if (!l)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	if (opts->metadata_host) {
		struct cprof_http_address at;
		int r = cprof_metadata_address(opts->metadata_host, &at, err);

		if (r < 0) {
			free(l);
			return r;
		}
		cprof_token_source_init(&l->token, &at);
	}
	l->opts = *opts;
	l->stop = stop;
	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	return 0;
}

void cprof_link_disconnect(struct cprof_link *l)
{
	struct cprof_profiler *profiler;

	/* From here on nobody else can reach it to cancel. */
	pthread_mutex_lock(&l->lock);
	profiler = l->profiler;
	l->profiler = NULL;
	pthread_mutex_unlock(&l->lock);
	cprof_profiler_close(profiler);
}

void cprof_link_destroy(struct cprof_link *l)
{
	if (!l)
		return;
	cprof_link_disconnect(l);
	cprof_token_source_finish(&l->token);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void cprof_link_cancel(struct cprof_link *l)
{
	pthread_mutex_lock(&l->lock);
	if (l->profiler)
		cprof_profiler_cancel(l->profiler);
	pthread_mutex_unlock(&l->lock);
}

/* Profiles do without a label that the server does not tell. */
static int without(struct cprof_link *l, const char *label, int r,
	const struct cprof_error *why)
{
	if (!r || r == CPROF_ECANCELED)
		return r;
	l->missed |= r == CPROF_EUNAVAILABLE;
	/* On Cloud Run and App Engine an instance has no name. */
	if (r != CPROF_ENOTFOUND)
		cprof_log(CPROF_DEBUG, "Profiles go without the label %s: %s",
			label, why->message);
	return 0;
}

/*
 * What nobody told us and a metadata server may know. What it was too busy to
 * tell is asked for again with the next connection: labels are sent by one.
 */
static int ask_metadata(struct cprof_link *l, struct cprof_error *err)
{
	const struct cprof_http_address *from = &l->token.from;
	int64_t until_ns = cprof_now_ns() + CPROF_METADATA_PATIENCE_NS;
	struct cprof_error why;
	int r = 0;

	if (l->asked || l->profiler || !l->opts.metadata_host)
		return 0;
	l->missed = false;
	if (!l->opts.profiler.deployment.project)
		r = cprof_metadata_project(
			from, l->project, VALUE_BYTES, until_ns, l->stop, err);
	if (!r && l->opts.zone_wanted)
		r = without(l, "zone",
			cprof_metadata_zone(from, l->zone, VALUE_BYTES,
				until_ns, l->stop, &why),
			&why);
	if (!r && !l->opts.profiler.instance)
		r = without(l, "instance",
			cprof_metadata_instance(from, l->instance, VALUE_BYTES,
				until_ns, l->stop, &why),
			&why);
	l->asked = !r && !l->missed;
	return r;
}

static void fill_deployment(
	const struct cprof_link *l, struct cprof_profiler_options *p)
{
	struct cprof_deployment *d = &p->deployment;

	if (!d->project)
		d->project = l->project;
	if (*l->zone && d->label_nr < CPROF_MAX_LABELS)
		d->label[d->label_nr++] =
			(struct cprof_label){ "zone", l->zone };
	if (!p->instance && *l->instance)
		p->instance = l->instance;
}

static int read_key(
	struct cprof_link *l, struct cprof_buffer *key, struct cprof_error *err)
{
	int r;

	if (!l->opts.key_path)
		return 0;
	cprof_file_stamp(l->opts.key_path, &l->key);
	/* Room for all of it at once, so that no copy of it stays behind. */
	r = cprof_buffer_reserve(key, CPROF_MAX_KEY_BYTES, err);
	if (!r)
		r = cprof_file_read(l->opts.key_path, key, err);
	if (!r)
		r = cprof_buffer_add(key, "", 1, err);
	/* What proves who we are is not there. */
	if (r == CPROF_EIO && err)
		err->code = CPROF_EAUTH;
	return r == CPROF_EIO ? CPROF_EAUTH : r;
}

/* The certificates and the key are given back as soon as core has them. */
static int open_profiler(struct cprof_link *l, struct cprof_profiler **ret,
	struct cprof_error *err)
{
	struct cprof_profiler_options opts = l->opts.profiler;
	struct cprof_buffer roots, key;
	int r = 0;

	cprof_buffer_init(&roots, CPROF_MAX_ROOTS_BYTES);
	cprof_buffer_init(&key, 2 * CPROF_MAX_KEY_BYTES);
	fill_deployment(l, &opts);
	if (opts.channel.security == CPROF_SECURITY_TLS)
		r = cprof_roots_read(
			l->opts.root, l->opts.root_nr, &roots, err);
	if (!r)
		r = read_key(l, &key, err);
	if (!r) {
		opts.channel.roots_pem = (const char *)roots.data;
		opts.channel.credentials_json = (const char *)key.data;
		r = cprof_profiler_open(&opts, ret, err);
	}
	cprof_buffer_wipe(&key);
	cprof_buffer_finish(&roots);
	return r;
}

static int connect_profiler(struct cprof_link *l, struct cprof_error *err)
{
	struct cprof_profiler *profiler = NULL;
	struct cprof_file_stamp key;
	int r;

	if (l->profiler && l->opts.key_path) {
		cprof_file_stamp(l->opts.key_path, &key);
		if (!cprof_file_stamp_same(&key, &l->key)) {
			cprof_log(CPROF_DEBUG, "The credentials file changed");
			cprof_link_disconnect(l);
		}
	}
	if (l->profiler)
		return 0;
	r = open_profiler(l, &profiler, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->lock);
	l->profiler = profiler;
	if (atomic_load(l->stop))
		cprof_profiler_cancel(profiler);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

static int read_token(const char *path, char *header, struct cprof_error *err)
{
	struct cprof_error why;

	memcpy(header, CPROF_BEARER, strlen(CPROF_BEARER));
	if (!cprof_secret_read(path, header + strlen(CPROF_BEARER), &why))
		return 0;
	/* What proves who we are is not there. */
	return cprof_fail(err, CPROF_EAUTH, "%s", why.message);
}

static int authorize(struct cprof_link *l, struct cprof_error *err)
{
	char given[sizeof(CPROF_BEARER) + CPROF_MAX_TOKEN_BYTES];
	const char *header = given;
	int r = 0;

	switch (l->opts.token) {
	case CPROF_LINK_NO_TOKEN:
		return 0;
	case CPROF_LINK_GIVEN_TOKEN:
		r = cprof_given_get(given, sizeof(given), l->stop, err);
		break;
	case CPROF_LINK_FILE_TOKEN:
		r = read_token(l->opts.token_path, given, err);
		break;
	case CPROF_LINK_METADATA_TOKEN:
		/* A token grows old in a machine that sleeps, too. */
		r = cprof_token_get(
			&l->token, cprof_boot_ns(), &header, l->stop, err);
		break;
	}
	if (!r)
		r = cprof_profiler_authorize(l->profiler, header, err);
	cprof_wipe(given, sizeof(given));
	return r;
}

static int prepare(struct cprof_link *l, struct cprof_error *err)
{
	int r = ask_metadata(l, err);

	if (!r)
		r = connect_profiler(l, err);
	if (!r)
		r = authorize(l, err);
	return r;
}

/* The service does not take what proves who we are: get another one. */
static void forget_token(struct cprof_link *l)
{
	if (l->opts.token == CPROF_LINK_GIVEN_TOKEN)
		cprof_given_refuse();
	cprof_token_drop(&l->token);
}

/* Whether another one can be had at once. A file's was read just now. */
static bool has_more_tokens(const struct cprof_link *l)
{
	return l->opts.token == CPROF_LINK_METADATA_TOKEN ||
	       l->opts.token == CPROF_LINK_GIVEN_TOKEN;
}

/* Once more with another token: one may have been taken back early. */
static int create_profile(struct cprof_link *l,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err)
{
	struct cprof_error why;
	int r = prepare(l, err), again;

	if (r < 0)
		return r;
	r = cprof_profiler_create_profile(
		l->profiler, type, type_nr, ret, ret_retry_ns, err);
	if (r != CPROF_EAUTH || !has_more_tokens(l))
		return r;
	forget_token(l);
	again = prepare(l, &why);
	/* That the service refused us is what there is to tell. */
	if (again < 0)
		return again == CPROF_ECANCELED ? again : r;
	r = cprof_profiler_create_profile(
		l->profiler, type, type_nr, ret, ret_retry_ns, err);
	if (r == CPROF_EAUTH)
		forget_token(l);
	return r;
}

int cprof_link_create_profile(struct cprof_link *l,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_assignment *ret, int64_t *ret_retry_ns,
	struct cprof_error *err)
{
	int r = create_profile(l, type, type_nr, ret, ret_retry_ns, err);

	if (r < 0 && r != CPROF_EABORTED && r != CPROF_ECANCELED)
		cprof_link_disconnect(l);
	return r;
}

int cprof_link_update_profile(struct cprof_link *l,
	const struct cprof_assignment *assignment, const uint8_t *profile,
	size_t len, struct cprof_error *err)
{
	int r = prepare(l, err);

	if (r < 0)
		return r;
	r = cprof_profiler_update_profile(
		l->profiler, assignment, profile, len, err);
	if (r == CPROF_EAUTH)
		forget_token(l);
	/* A connection that was cut silently would take the next try, too. */
	if (r == CPROF_EUNAVAILABLE)
		cprof_link_disconnect(l);
	return r;
}
