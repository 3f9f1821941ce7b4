#include "scripted-transport.h"

#include <pthread.h>

#include "base/limits.h"
#include "check.h"
#include "rpc/messages.h"

/*
 * A transport in a file of its own, as _transport.so is, with a service in it:
 * it asks for a profile of each type by turns, fails each third time, takes
 * what comes, and lets the agent wait when all was done.
 */
struct cprof_channel {
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	bool cancelled;
};

struct scripted scripted;

static int start(bool own_descriptors, struct cprof_error *err)
{
	(void)own_descriptors, (void)err;
	return 0;
}

static void abandon(void)
{
}

static const char *version(void)
{
	return "29.0.0";
}

static int channel_create(const struct cprof_channel_options *opts,
	struct cprof_channel **ret, struct cprof_error *err)
{
	(void)opts, (void)err;
	*ret = calloc(1, sizeof(**ret));
	CHECK(*ret);
	pthread_mutex_init(&(*ret)->lock, NULL);
	pthread_cond_init(&(*ret)->changed, NULL);
	return 0;
}

static void channel_destroy(struct cprof_channel *ch)
{
	if (!ch)
		return;
	pthread_cond_destroy(&ch->changed);
	pthread_mutex_destroy(&ch->lock);
	free(ch);
}

/* True when it was cancelled; `for_good`: not before. */
static bool is_cancelled(struct cprof_channel *ch, bool for_good)
{
	bool cancelled;

	pthread_mutex_lock(&ch->lock);
	while (for_good && !ch->cancelled)
		pthread_cond_wait(&ch->changed, &ch->lock);
	cancelled = ch->cancelled;
	pthread_mutex_unlock(&ch->lock);
	return cancelled;
}

static void assign(int round, struct cprof_reply *ret)
{
	static const struct cprof_deployment d = { .project = "prj",
		.target = "shop" };
	struct cprof_buffer body;

	cprof_buffer_init(&body, CPROF_MAX_REPLY_BYTES);
	CHECK_EQ(cprof_encode_profile("projects/prj/profiles/1",
			 round % 2 ? CPROF_PROFILE_WALL : CPROF_PROFILE_CPU,
			 CPROF_MIN_DURATION_NS, &d, &body, NULL),
		0);
	ret->body = body.data;
	ret->body_len = body.len;
}

static int call(struct cprof_channel *ch, const struct cprof_call *c,
	struct cprof_reply *ret, struct cprof_error *err)
{
	bool is_create = !strcmp(c->method, CPROF_METHOD_CREATE_PROFILE);
	int round = is_create ? atomic_fetch_add(&scripted.created, 1) : 0;

	if (is_cancelled(ch, is_create && round >= scripted.rounds))
		return cprof_fail(err, CPROF_ECANCELED, "cancelled");
	*ret = (struct cprof_reply){ .connected = true };
	if (is_create && round % 3 == 2)
		ret->status = 14; /* UNAVAILABLE */
	else if (is_create)
		assign(round, ret);
	else
		atomic_fetch_add(&scripted.updated, 1);
	return 0;
}

static void channel_cancel(struct cprof_channel *ch)
{
	pthread_mutex_lock(&ch->lock);
	ch->cancelled = true;
	pthread_cond_broadcast(&ch->changed);
	pthread_mutex_unlock(&ch->lock);
}

static void reply_release(struct cprof_reply *reply)
{
	free(reply->body);
	*reply = (struct cprof_reply){ 0 };
}

const struct cprof_transport *cprof_transport_table(void)
{
	static const struct cprof_transport table = {
		.alone = true,
		.start = start,
		.abandon = abandon,
		.version = version,
		.channel_create = channel_create,
		.channel_destroy = channel_destroy,
		.call = call,
		.channel_cancel = channel_cancel,
		.reply_release = reply_release,
	};

	return &table;
}
