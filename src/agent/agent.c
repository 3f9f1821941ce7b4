#include "agent/agent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cores.h"
#include "agent/home.h"
#include "agent/loop.h"
#include "agent/orphan.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "base/thread.h"
#include "google/given.h"
#include "google/metadata.h"
#include "sampler/names.h"
#include "sampler/senses.h"

/* All strings of the options: paths are the long ones. */
#define STRINGS_BYTES (256 << 10)

struct agent {
	struct cprof_tenant tenant; /* its first member */
	struct cprof_agent_options opts;
	struct cprof_arena strings;
	uint64_t random;
	bool forked;		    /* it came to this process by a fork */
	struct cprof_senses senses; /* as it was told; the thread's */

	atomic_bool stop, enough;
	pthread_mutex_t lock;	 /* protects what follows */
	pthread_cond_t changed;	 /* `stop` or `ended` */
	struct cprof_link *link; /* set and cleared by the thread */
	bool busy;		 /* with a profile, to collect and upload it */
	bool ended;
	int users; /* the thread and whoever stops it: the last one frees */
};

static struct {
	pthread_mutex_t lock; /* protects what follows */
	struct agent *agent;
	bool ready; /* for forks */
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *keep(struct agent *a, const char *s)
{
	size_t len = s ? strlen(s) + 1 : 0;
	char *to = s ? cprof_arena_take(&a->strings, len) : NULL;

	if (to)
		memcpy(to, s, len);
	return to;
}

/* False when the strings are too long for the arena. */
static bool keep_strings(struct agent *a)
{
	struct cprof_link_options *l = &a->opts.link;
	struct cprof_profiler_options *p = &l->profiler;
	struct cprof_deployment *d = &p->deployment;
	const char **all[] = { &l->key_path, &l->token_path, &l->metadata_host,
		&p->channel.target, &p->channel.proxy, &p->channel.user_agent,
		&p->api_client, &p->instance, &p->quota_project, &d->project,
		&d->target };
	bool fits = true;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool given = *all[i] != NULL;

		*all[i] = keep(a, *all[i]);
		fits = fits && (*all[i] != NULL) == given;
	}
	for (size_t i = 0; i < l->root_nr; i++) {
		l->root[i] = keep(a, l->root[i]);
		fits = fits && l->root[i];
	}
	for (size_t i = 0; i < d->label_nr; i++) {
		d->label[i].name = keep(a, d->label[i].name);
		d->label[i].value = keep(a, d->label[i].value);
		fits = fits && d->label[i].name && d->label[i].value;
	}
	return fits;
}

/* All that is not the same in a forked child. */
static void reset(struct agent *a)
{
	a->link = NULL;
	a->random = (uint64_t)cprof_now_ns() | 1;
	a->stop = a->enough = a->busy = a->ended = false;
	pthread_mutex_init(&a->lock, NULL);
	cprof_cond_init(&a->changed);
	a->users = 2;
}

static int create(const struct cprof_agent_options *opts, struct agent **ret,
	struct cprof_error *err)
{
	struct agent *a = calloc(1, sizeof(*a));
	struct cprof_http_address at;
	int r = 0;

	if (!a)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	/* What is wrong for good is told at once. */
	if (opts->link.metadata_host)
		r = cprof_metadata_address(opts->link.metadata_host, &at, err);
	if (!r)
		r = cprof_arena_init(&a->strings, STRINGS_BYTES, err);
	if (r < 0)
		goto fail_agent;
	a->opts = *opts;
	a->opts.sampler.enough = &a->enough;
	if (!keep_strings(a)) {
		r = cprof_fail(err, CPROF_EINVAL,
			"the configuration is longer than %d bytes",
			STRINGS_BYTES);
		goto fail_strings;
	}
	a->senses = (struct cprof_senses){
		.told = CPROF_TASKS_CALLS,
		.clocks = CPROF_CLOCKS_FINE,
	};
	reset(a);
	*ret = a;
	return 0;

fail_strings:
	cprof_arena_finish(&a->strings);
fail_agent:
	free(a);
	return r;
}

static void leave(struct agent *a)
{
	bool last;

	pthread_mutex_lock(&a->lock);
	last = --a->users == 0;
	pthread_mutex_unlock(&a->lock);
	if (!last)
		return;
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	cprof_arena_finish(&a->strings);
	free(a);
}

/* False when no more profile is wanted. */
static bool set_busy(struct agent *a, bool busy)
{
	bool go_on;

	pthread_mutex_lock(&a->lock);
	a->busy = busy;
	go_on = !a->enough;
	pthread_mutex_unlock(&a->lock);
	return go_on;
}

static int create_profile(void *ctx, struct cprof_assignment *ret,
	int64_t *ret_retry_ns, struct cprof_error *err)
{
	struct agent *a = ctx;

	if (!set_busy(a, false))
		return cprof_fail(err, CPROF_ECANCELED, "stopped");
	return cprof_link_create_profile(
		a->link, a->opts.type, a->opts.type_nr, ret, ret_retry_ns, err);
}

static int update_profile(void *ctx, const struct cprof_assignment *assignment,
	const uint8_t *profile, size_t len, struct cprof_error *err)
{
	struct agent *a = ctx;

	return cprof_link_update_profile(
		a->link, assignment, profile, len, err);
}

/* Once, and when it changes; a forked child lacks what its parent told of. */
static void tell_lacks(struct agent *a)
{
	struct cprof_senses now = cprof_senses_try();
	char words[320];

	if (now.told == a->senses.told && now.clocks == a->senses.clocks)
		return;
	a->senses = now;
	cprof_senses_words(&now, words, sizeof(words));
	if (*words)
		cprof_log(CPROF_INFO, "Profiles say less here: %s", words);
}

static int collect(void *ctx, enum cprof_profile_type type, int64_t duration_ns,
	struct cprof_buffer *out, struct cprof_error *err)
{
	struct agent *a = ctx;

	if (!set_busy(a, true))
		return cprof_fail(err, CPROF_ECANCELED, "stopped");
	tell_lacks(a);
	return cprof_sampler_collect(&a->opts.sampler,
		type == CPROF_PROFILE_CPU ? CPROF_SAMPLER_CPU
					  : CPROF_SAMPLER_WALL,
		duration_ns, &a->stop, out, err);
}

static bool wait(void *ctx, int64_t delay_ns)
{
	int64_t when_ns = cprof_now_ns() + delay_ns;
	struct agent *a = ctx;
	bool stop;

	pthread_mutex_lock(&a->lock);
	while (!a->stop &&
		cprof_cond_wait_until(&a->changed, &a->lock, when_ns))
		;
	stop = a->stop;
	pthread_mutex_unlock(&a->lock);
	return !stop;
}

static uint64_t next_random(void *ctx)
{
	struct agent *a = ctx;

	return cprof_random_next(&a->random);
}

static const struct cprof_loop_ops ops = {
	.create_profile = create_profile,
	.update_profile = update_profile,
	.collect = collect,
	.wait = wait,
	.random = next_random,
};

/* Where stop() finds it, to cancel what it waits for. */
static void set_link(struct agent *a, struct cprof_link *link)
{
	pthread_mutex_lock(&a->lock);
	a->link = link;
	pthread_mutex_unlock(&a->lock);
}

static int begin(
	struct agent *a, struct cprof_link **ret, struct cprof_error *err)
{
	const struct cprof_transport **transport =
		&a->opts.link.profiler.transport;
	int r = cprof_cores_take(transport, err);

	/* Only now: a spare is made for who has a core. */
	if (a->forked && a->opts.in_child)
		a->opts.in_child();
	if (!r)
		r = (*transport)->start(cprof_home_own_descriptors(), err);
	if (!r)
		r = cprof_link_create(&a->opts.link, &a->stop, ret, err);
	return r;
}

/* A child that lives for a moment only is not worth an agent. */
static bool wait_in_child(struct agent *a)
{
	uint64_t random = next_random(a);

	return wait(a,
		CPROF_FORK_DELAY_NS + (int64_t)(random % CPROF_FORK_DELAY_NS));
}

static void work(struct agent *a)
{
	struct cprof_link *link;
	struct cprof_error err;

	if (a->forked && !wait_in_child(a))
		return;
	if (begin(a, &link, &err) < 0) {
		if (err.code == CPROF_EUNSUPPORTED)
			cprof_log(CPROF_INFO,
				"The forked process %d is not profiled: %s",
				(int)getpid(), err.message);
		else
			cprof_log(CPROF_ERROR, "Cannot start profiling: %s",
				err.message);
		return;
	}
	set_link(a, link);
	cprof_loop_run(&ops, a, a->opts.type, a->opts.type_nr,
		a->opts.backoff_min_ns, a->opts.backoff_max_ns);
	set_link(a, NULL);
	cprof_link_destroy(link);
}

static void live(struct cprof_tenant *tenant)
{
	struct agent *a = (struct agent *)tenant;

	work(a);
	pthread_mutex_lock(&a->lock);
	a->ended = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	leave(a);
}

/*
 * A child has none of our threads, but the locks as they held them, and their
 * work half done. The program waits in fork() meanwhile: nothing here may
 * block.
 */
static void after_fork_in_child(void)
{
	struct agent *a = process.agent;

	pthread_mutex_init(&process.lock, NULL);
	process.agent = NULL;
	cprof_log_abandon();
	cprof_names_abandon();
	cprof_given_abandon();
	cprof_thread_abandon();
	cprof_cores_abandon();
	cprof_home_abandon();
	cprof_orphan_watch();
	if (!a)
		return;
	/* Its link was the parent's, and stays as it is, for nobody. */
	reset(a);
	a->forked = true;
	if (!cprof_home_take_in(&a->tenant, NULL))
		process.agent = a;
}

/* Returns the agent, which is still to be left; NULL where none runs. */
static struct agent *tell_to_stop(void)
{
	struct agent *a;

	pthread_mutex_lock(&process.lock);
	a = process.agent;
	process.agent = NULL;
	pthread_mutex_unlock(&process.lock);
	if (!a)
		return NULL;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	if (a->link)
		cprof_link_cancel(a->link);
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	return a;
}

void cprof_agent_stop(void)
{
	int64_t when_ns = cprof_now_ns() + CPROF_STOP_BOUND_NS;
	struct agent *a = tell_to_stop();

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	while (!a->ended &&
		cprof_cond_wait_until(&a->changed, &a->lock, when_ns))
		;
	pthread_mutex_unlock(&a->lock);
	leave(a);
}

/* NULL where none runs; to be left. */
static struct agent *visit(void)
{
	struct agent *a;

	pthread_mutex_lock(&process.lock);
	a = process.agent;
	if (a) {
		pthread_mutex_lock(&a->lock);
		a->users++;
		pthread_mutex_unlock(&a->lock);
	}
	pthread_mutex_unlock(&process.lock);
	return a;
}

void cprof_agent_finish(int64_t patience_ns)
{
	int64_t when_ns = cprof_now_ns() + patience_ns;
	struct agent *a = visit();

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->enough = true;
	while (a->busy && !a->ended &&
		cprof_cond_wait_until(&a->changed, &a->lock, when_ns))
		;
	pthread_mutex_unlock(&a->lock);
	leave(a);
	cprof_agent_stop();
}

/* There is no interpreter any more to sample or to speak through. */
static void last_word(void)
{
	struct agent *a = tell_to_stop();

	cprof_log_close();
	if (a)
		leave(a);
}

static int get_ready(struct cprof_error *err)
{
	if (process.ready)
		return 0;
	if (pthread_atfork(NULL, NULL, after_fork_in_child))
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	cprof_orphan_prepare(last_word);
	process.ready = true;
	return 0;
}

static int start_locked(
	const struct cprof_agent_options *opts, struct cprof_error *err)
{
	struct agent *a = NULL;
	int r;

	if (process.agent)
		return cprof_fail(
			err, CPROF_EINVAL, "the profiler runs already");
	r = get_ready(err);
	if (r < 0)
		return r;
	r = create(opts, &a, err);
	if (r < 0)
		return r;
	a->tenant.live = live;
	cprof_given_clear();
	r = cprof_home_take_in(&a->tenant, err);
	if (r < 0) {
		leave(a);
		leave(a);
		return r;
	}
	process.agent = a;
	return 0;
}

int cprof_agent_start(
	const struct cprof_agent_options *opts, struct cprof_error *err)
{
	int r;

	pthread_mutex_lock(&process.lock);
	r = start_locked(opts, err);
	pthread_mutex_unlock(&process.lock);
	return r;
}

bool cprof_agent_running(void)
{
	bool running;

	pthread_mutex_lock(&process.lock);
	running = process.agent != NULL;
	pthread_mutex_unlock(&process.lock);
	return running;
}
