#include "agent/loop.h"

#include "agent/backoff.h"
#include "agent/words.h"
#include "base/limits.h"
#include "base/log.h"

/* A service that is just restarting is not worth a person's attention. */
#define QUIET_FAILURES 2

struct loop {
	const struct cprof_loop_ops *ops;
	void *ctx;
	const enum cprof_profile_type *type;
	size_t type_nr;
	struct cprof_backoff backoff;
	unsigned int failures; /* of CreateProfile, in a row, ABORTED apart */
	unsigned int warned;   /* a bit for each kind told in this outage */
	bool odd_type;	       /* told of one, since an assignment went well */
	bool upload_failed;    /* the same */
};

static bool enabled(const struct loop *l, enum cprof_profile_type type)
{
	for (size_t i = 0; i < l->type_nr; i++)
		if (l->type[i] == type)
			return true;
	return false;
}

/* Each kind of failure is told once in an outage; the rest is for debugging. */
static bool is_news(
	struct loop *l, enum cprof_code code, enum cprof_trouble trouble)
{
	bool may_pass = code == CPROF_EUNAVAILABLE &&
			trouble != CPROF_TROUBLE_CERTIFICATE;
	unsigned int bit = 1U << trouble;

	/* However a service is away, it is away. */
	if (may_pass)
		bit = 1U << CPROF_TROUBLE_NO_ROUTE;
	else if (trouble == CPROF_TROUBLE_OTHER)
		bit = 1U << (CPROF_TROUBLES - (int)code);
	if (l->warned & bit)
		return false;
	if (may_pass && l->failures <= QUIET_FAILURES)
		return false;
	l->warned |= bit;
	return true;
}

/* The service let us in: what went wrong before is over. */
static void recovered(struct loop *l)
{
	/* Of an upload that failed meanwhile, too, this is the good news. */
	if (l->warned) {
		cprof_log(CPROF_INFO, "The profiler service answers again");
		l->upload_failed = false;
	}
	l->failures = 0;
	l->warned = 0;
}

static bool back_off(
	struct loop *l, int64_t retry_ns, const struct cprof_error *err)
{
	int64_t delay_ns = cprof_backoff_next(
		&l->backoff, retry_ns, l->ops->random(l->ctx));
	enum cprof_trouble trouble = cprof_trouble_of(err);
	const char *advice = "";
	bool news = false;

	/* To have nothing for us is an answer. */
	if (err->code == CPROF_EABORTED) {
		recovered(l);
	} else {
		l->failures++;
		news = is_news(l, err->code, trouble);
	}
	if (news)
		advice = cprof_trouble_advice(trouble);
	cprof_log(news ? CPROF_WARNING : CPROF_DEBUG,
		"Failed to create profile (will retry after %.3fs): %s%s%s",
		(double)delay_ns / CPROF_NS_PER_S, err->message,
		*advice ? "; " : "", advice);
	return l->ops->wait(l->ctx, delay_ns);
}

static int upload(struct loop *l, const struct cprof_assignment *a,
	const struct cprof_buffer *profile, struct cprof_error *err)
{
	int64_t pause_ns = CPROF_UPLOAD_PAUSE_NS;
	int r = 0;

	for (int try = 1; try <= CPROF_UPLOAD_TRIES; try++) {
		cprof_log(CPROF_DEBUG, "Starting to upload profile");
		r = l->ops->update_profile(
			l->ctx, a, profile->data, profile->len, err);
		if (r != CPROF_EUNAVAILABLE || try == CPROF_UPLOAD_TRIES)
			break;
		if (!l->ops->wait(l->ctx, pause_ns))
			return cprof_fail(err, CPROF_ECANCELED, "stopped");
		pause_ns *= 2;
	}
	return r;
}

static int collect_and_upload(struct loop *l, const struct cprof_assignment *a,
	struct cprof_error *err)
{
	struct cprof_buffer profile;
	int r;

	cprof_buffer_init(&profile, CPROF_MAX_UPLOAD_BYTES);
	r = l->ops->collect(l->ctx, a->type, a->duration_ns, &profile, err);
	if (!r)
		r = upload(l, a, &profile, err);
	cprof_buffer_finish(&profile);
	return r;
}

/* Told once until an assignment goes well again. */
static enum cprof_level complaint_level(bool *told)
{
	enum cprof_level level = *told ? CPROF_DEBUG : CPROF_WARNING;

	*told = true;
	return level;
}

/* One assignment; false when it is time to stop. */
static bool run_assignment(struct loop *l, const struct cprof_assignment *a)
{
	const char *name = cprof_profile_type_name(a->type);
	struct cprof_error err;
	int r;

	if (!enabled(l, a->type)) {
		cprof_log(complaint_level(&l->odd_type),
			"Unexpected profile type: %s", name);
		return l->ops->wait(l->ctx, CPROF_MIN_RETRY_NS);
	}
	cprof_log(CPROF_DEBUG, "Successfully created a %s profile", name);
	r = collect_and_upload(l, a, &err);
	if (r == CPROF_ECANCELED)
		return false;
	if (r < 0) {
		cprof_log(complaint_level(&l->upload_failed),
			"Failed to collect and upload profile whose profile "
			"type is %s: %s",
			name, err.message);
		return l->ops->wait(l->ctx, CPROF_MIN_RETRY_NS);
	}
	if (l->upload_failed)
		cprof_log(CPROF_INFO, "Profiles are uploaded again");
	l->upload_failed = l->odd_type = false;
	return true;
}

/* One round; false when it is time to stop. */
static bool run_round(struct loop *l)
{
	struct cprof_assignment a;
	struct cprof_error err;
	int64_t retry_ns = -1;
	bool go_on;
	int r;

	cprof_assignment_init(&a);
	cprof_log(CPROF_DEBUG, "Starting to create profile");
	r = l->ops->create_profile(l->ctx, &a, &retry_ns, &err);
	if (r == CPROF_ECANCELED) {
		go_on = false;
	} else if (r < 0) {
		go_on = back_off(l, r == CPROF_EABORTED ? retry_ns : -1, &err);
	} else {
		recovered(l);
		cprof_backoff_reset(&l->backoff);
		go_on = run_assignment(l, &a);
	}
	cprof_assignment_finish(&a);
	return go_on;
}

void cprof_loop_run(const struct cprof_loop_ops *ops, void *ctx,
	const enum cprof_profile_type *type, size_t type_nr,
	int64_t backoff_min_ns, int64_t backoff_max_ns)
{
	struct loop l = {
		.ops = ops,
		.ctx = ctx,
		.type = type,
		.type_nr = type_nr,
	};

	cprof_backoff_init(&l.backoff, backoff_min_ns, backoff_max_ns);
	while (run_round(&l))
		;
}
