#include "agent/loop.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "check.h"

#define NAME   "projects/prj/profiles/1"
#define S(sec) ((sec) * CPROF_NS_PER_S)
/* What `random` answers: far below any envelope, so that it is the delay. */
#define JITTER 12345
#define GOOD   { .code = 0 }

/* One answer of an op. The script is over when there is no step left. */
struct step {
	int code; /* enum cprof_code */
	enum cprof_profile_type type;
	int64_t retry_ns;
	bool has_retry;
};

struct script {
	const struct step *create, *collect, *update;
	size_t create_nr, collect_nr, update_nr; /* then as the last one */
	int waits; /* so many are waited for, then it is time to stop */

	/* told: what was done */
	size_t creates, collects, updates;
	int64_t wait_ns[64], duration_ns;
	enum cprof_profile_type collected;
	int waited;
	char trace[256];
};

static void note(struct script *s, const char *what)
{
	size_t len = strlen(s->trace);

	CHECK(len + strlen(what) + 2 < sizeof(s->trace));
	snprintf(s->trace + len, sizeof(s->trace) - len, "%s%s", len ? " " : "",
		what);
}

static struct step step_at(const struct step *step, size_t nr, size_t i)
{
	if (!nr)
		return (struct step)GOOD;
	return step[i < nr ? i : nr - 1];
}

static int fail(struct cprof_error *err, int code)
{
	return cprof_fail(err, (enum cprof_code)code, "the script says so");
}

static int create_profile(void *ctx, struct cprof_assignment *ret,
	int64_t *ret_retry_ns, struct cprof_error *err)
{
	struct script *s = ctx;
	struct step step;

	note(s, "create");
	if (s->creates == s->create_nr)
		return fail(err, CPROF_ECANCELED);
	step = step_at(s->create, s->create_nr, s->creates++);
	if (step.has_retry)
		*ret_retry_ns = step.retry_ns;
	if (step.code)
		return fail(err, step.code);
	memcpy(ret->name, NAME, sizeof(NAME));
	ret->type = step.type ? step.type : CPROF_PROFILE_CPU;
	ret->duration_ns = S(7);
	CHECK_EQ(cprof_buffer_add(&ret->raw, "raw", 3, NULL), 0);
	return 0;
}

static int collect(void *ctx, enum cprof_profile_type type, int64_t duration_ns,
	struct cprof_buffer *out, struct cprof_error *err)
{
	struct script *s = ctx;
	struct step step = step_at(s->collect, s->collect_nr, s->collects++);

	note(s, "collect");
	s->collected = type;
	s->duration_ns = duration_ns;
	CHECK_EQ(cprof_buffer_add(out, "profile", 7, err), 0);
	return step.code ? fail(err, step.code) : 0;
}

static int update_profile(void *ctx, const struct cprof_assignment *a,
	const uint8_t *profile, size_t len, struct cprof_error *err)
{
	struct script *s = ctx;
	struct step step = step_at(s->update, s->update_nr, s->updates++);

	note(s, "update");
	CHECK_STR(a->name, NAME);
	CHECK_EQ(a->raw.len, 3);
	CHECK_EQ(len, 7);
	CHECK(!memcmp(profile, "profile", 7));
	return step.code ? fail(err, step.code) : 0;
}

static bool wait(void *ctx, int64_t delay_ns)
{
	struct script *s = ctx;

	note(s, "wait");
	CHECK(s->waited < 64);
	s->wait_ns[s->waited++] = delay_ns;
	return s->waited <= s->waits;
}

static uint64_t next_random(void *ctx)
{
	(void)ctx;
	return JITTER;
}

static const struct cprof_loop_ops ops = {
	.create_profile = create_profile,
	.update_profile = update_profile,
	.collect = collect,
	.wait = wait,
	.random = next_random,
};

static void run(struct script *s)
{
	static const enum cprof_profile_type type[] = { CPROF_PROFILE_CPU,
		CPROF_PROFILE_WALL };

	cprof_loop_run(&ops, s, type, 2, 0, 0);
}

#define STEPS(name, ...)                                                       \
	.name = (const struct step[]){ __VA_ARGS__ },                          \
	.name##_nr = sizeof((const struct step[]){ __VA_ARGS__ }) /            \
		     sizeof(struct step)
#define FAIL(c) { .code = CPROF_##c }

static struct cprof_log_record pop_above(enum cprof_level level)
{
	struct cprof_log_record r;

	while (cprof_log_pop(&r))
		if (r.level > level)
			return r;
	return (struct cprof_log_record){ .level = 0 };
}

static void said(enum cprof_level level, const char *begin)
{
	struct cprof_log_record r;

	if (!cprof_log_pop(&r)) {
		fprintf(stderr, "nobody said '%s'\n", begin);
		exit(1);
	}
	if (strncmp(r.text, begin, strlen(begin)))
		CHECK_STR(r.text, begin);
	CHECK_EQ(r.level, level);
}

static void said_above_debug(enum cprof_level level, const char *begin)
{
	struct cprof_log_record r = pop_above(CPROF_DEBUG);

	CHECK_EQ(r.level, level);
	if (strncmp(r.text, begin, strlen(begin)))
		CHECK_STR(r.text, begin);
}

static void said_no_more(void)
{
	CHECK_STR(pop_above(CPROF_DEBUG).text, "");
}

void test_loop__it_waits_collects_uploads_and_repeats(void)
{
	struct script s = { STEPS(
		create, GOOD, { .type = CPROF_PROFILE_WALL }) };

	run(&s);
	CHECK_STR(
		s.trace, "create collect update create collect update create");
	CHECK_EQ(s.collected, CPROF_PROFILE_WALL);
	CHECK_EQ(s.duration_ns, S(7));
}

/* Programs that read the original agent's log find the same words. */
void test_loop__its_words_are_the_usual_ones(void)
{
	struct script s = { STEPS(create, GOOD, FAIL(EINVAL)), .waits = 1 };

	run(&s);
	said(CPROF_DEBUG, "Starting to create profile");
	said(CPROF_DEBUG, "Successfully created a CPU profile");
	said(CPROF_DEBUG, "Starting to upload profile");
	said(CPROF_DEBUG, "Starting to create profile");
	said(CPROF_WARNING,
		"Failed to create profile (will retry after 0.000s): "
		"the script says so");
	said(CPROF_DEBUG, "Starting to create profile");
}

void test_loop__the_delay_is_told_in_seconds(void)
{
	struct script s = { STEPS(
		create, { .code = CPROF_EABORTED,
				.retry_ns = S(90) + 2 * CPROF_NS_PER_MS,
				.has_retry = true }) };

	run(&s);
	said(CPROF_DEBUG, "Starting to create profile");
	said(CPROF_DEBUG,
		"Failed to create profile (will retry after 90.002s): "
		"the script says so");
}

void test_loop__a_delay_that_is_asked_for_is_obeyed(void)
{
	static const int64_t asked_ns[] = { S(1), S(17) + 3, S(3600) };

	for (size_t i = 0; i < sizeof(asked_ns) / sizeof(asked_ns[0]); i++) {
		struct script s = { STEPS(create,
					    { .code = CPROF_EABORTED,
						    .retry_ns = asked_ns[i],
						    .has_retry = true }),
			.waits = 1 };

		run(&s);
		CHECK_STR(s.trace, "create wait create");
		CHECK_EQ(s.wait_ns[0], asked_ns[i]);
	}
}

void test_loop__only_an_aborted_call_may_ask_for_a_delay(void)
{
	struct script s = { STEPS(create, { .code = CPROF_EUNAVAILABLE,
						  .retry_ns = S(17),
						  .has_retry = true }) };

	run(&s);
	CHECK_EQ(s.wait_ns[0], JITTER);
}

void test_loop__without_a_delay_asked_for_it_is_random(void)
{
	struct script s = { STEPS(create, FAIL(EABORTED), FAIL(EUNAVAILABLE)),
		.waits = 2 };

	run(&s);
	CHECK_STR(s.trace, "create wait create wait create");
	CHECK_EQ(s.wait_ns[0], JITTER);
	CHECK_EQ(s.wait_ns[1], JITTER);
}

void test_loop__a_type_that_is_not_ours_is_declined(void)
{
	static const enum cprof_profile_type type[] = { CPROF_PROFILE_HEAP,
		CPROF_PROFILE_UNSPECIFIED + 99, CPROF_PROFILE_WALL };
	static const enum cprof_profile_type cpu = CPROF_PROFILE_CPU;

	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		struct script s = { STEPS(create, { .type = type[i] }),
			.waits = 1 };

		cprof_loop_run(&ops, &s, &cpu, 1, 0, 0);
		CHECK_STR(s.trace, "create wait create");
		CHECK(s.wait_ns[0] >= CPROF_MIN_RETRY_NS);
		said_above_debug(CPROF_WARNING, "Unexpected profile type: ");
		said_no_more();
	}
}

void test_loop__an_upload_is_tried_again_but_not_for_ever(void)
{
	struct script s = { STEPS(create, GOOD),
		STEPS(update, FAIL(EUNAVAILABLE)), .waits = 64 };

	run(&s);
	CHECK_EQ(s.updates, CPROF_UPLOAD_TRIES);
	/* Between the tries, and once more before the next assignment. */
	CHECK_EQ(s.waited, CPROF_UPLOAD_TRIES);
	for (int i = 0; i < CPROF_UPLOAD_TRIES - 1; i++)
		CHECK_EQ(s.wait_ns[i], CPROF_UPLOAD_PAUSE_NS << i);
	CHECK(s.wait_ns[CPROF_UPLOAD_TRIES - 1] >= CPROF_MIN_RETRY_NS);
	said_above_debug(CPROF_WARNING, "Failed to collect and upload profile");
	said_no_more();
}

void test_loop__an_upload_that_succeeds_late_is_a_success(void)
{
	struct script s = { STEPS(create, GOOD),
		STEPS(update, FAIL(EUNAVAILABLE), GOOD), .waits = 64 };

	run(&s);
	CHECK_STR(s.trace, "create collect update wait update create");
	said_no_more();
}

void test_loop__an_upload_that_is_refused_is_not_repeated(void)
{
	static const enum cprof_code code[] = { CPROF_EINVAL, CPROF_EAUTH,
		CPROF_ETOOBIG, CPROF_EABORTED };

	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
		struct script s = { STEPS(create, GOOD),
			STEPS(update, { .code = code[i] }), .waits = 64 };

		run(&s);
		CHECK_STR(s.trace, "create collect update wait create");
		CHECK(s.wait_ns[0] >= CPROF_MIN_RETRY_NS);
	}
}

void test_loop__a_failed_collection_is_not_the_end(void)
{
	struct script s = { STEPS(create, GOOD, GOOD),
		STEPS(collect, FAIL(ENOMEM), GOOD), .waits = 64 };

	run(&s);
	CHECK_STR(s.trace, "create collect wait create collect update create");
	CHECK(s.wait_ns[0] >= CPROF_MIN_RETRY_NS);
	said_above_debug(CPROF_WARNING, "Failed to collect and upload profile");
	said_above_debug(CPROF_INFO, "Profiles are uploaded again");
	said_no_more();
}

void test_loop__canceled_ends_it_wherever_it_comes_from(void)
{
	struct script create = { STEPS(create, FAIL(ECANCELED)), .waits = 64 };
	struct script collect = { STEPS(create, GOOD, GOOD),
		STEPS(collect, FAIL(ECANCELED)), .waits = 64 };
	struct script update = { STEPS(create, GOOD, GOOD),
		STEPS(update, FAIL(ECANCELED)), .waits = 64 };

	run(&create);
	CHECK_STR(create.trace, "create");
	run(&collect);
	CHECK_STR(collect.trace, "create collect");
	run(&update);
	CHECK_STR(update.trace, "create collect update");
	said_no_more();
}

void test_loop__a_wait_that_is_cut_short_ends_it(void)
{
	struct script create = { STEPS(create, FAIL(EABORTED), GOOD) };
	struct script declined = { STEPS(
		create, { .type = CPROF_PROFILE_HEAP }, GOOD) };
	struct script collect = { STEPS(create, GOOD, GOOD),
		STEPS(collect, FAIL(EIO)) };
	struct script upload = { STEPS(create, GOOD, GOOD),
		STEPS(update, FAIL(EUNAVAILABLE)) };
	struct script again = { STEPS(create, GOOD, GOOD),
		STEPS(update, FAIL(EINVAL)) };

	run(&create);
	CHECK_STR(create.trace, "create wait");
	run(&declined);
	CHECK_STR(declined.trace, "create wait");
	run(&collect);
	CHECK_STR(collect.trace, "create collect wait");
	run(&upload);
	CHECK_STR(upload.trace, "create collect update wait");
	run(&again);
	CHECK_STR(again.trace, "create collect update wait");
}

#define WILL_RETRY "Failed to create profile (will retry after "
#define RECOVERED  "The profiler service answers again"

void test_loop__a_refusal_is_told_once(void)
{
	struct script s = { STEPS(create, FAIL(EAUTH), FAIL(EAUTH),
				    FAIL(EAUTH)),
		.waits = 64 };
	struct cprof_log_record r;
	int warnings = 0, debugs = 0;

	run(&s);
	CHECK_EQ(s.waited, 3);
	while (cprof_log_pop(&r)) {
		if (strncmp(r.text, WILL_RETRY, strlen(WILL_RETRY)))
			continue;
		/* The first one is the one that is told. */
		CHECK_EQ(r.level,
			warnings + debugs ? CPROF_DEBUG : CPROF_WARNING);
		warnings += r.level == CPROF_WARNING;
		debugs += r.level == CPROF_DEBUG;
	}
	CHECK_EQ(warnings, 1);
	CHECK_EQ(debugs, 2);
}

void test_loop__each_kind_of_failure_is_told(void)
{
	struct script s = { STEPS(create, FAIL(EAUTH), FAIL(EINVAL),
				    FAIL(EAUTH), FAIL(EFORMAT), FAIL(EINVAL)),
		.waits = 64 };

	run(&s);
	said_above_debug(CPROF_WARNING, WILL_RETRY);
	said_above_debug(CPROF_WARNING, WILL_RETRY);
	said_above_debug(CPROF_WARNING, WILL_RETRY);
	said_no_more();
}

void test_loop__a_service_that_restarts_is_not_worth_a_word(void)
{
	struct script s = { STEPS(create, FAIL(EUNAVAILABLE),
				    FAIL(EUNAVAILABLE), GOOD,
				    FAIL(EUNAVAILABLE), FAIL(EUNAVAILABLE)),
		.waits = 64 };

	run(&s);
	said_no_more();
}

void test_loop__a_service_that_stays_away_is_told_once(void)
{
	struct script s = { STEPS(create, FAIL(EUNAVAILABLE),
				    FAIL(EUNAVAILABLE), FAIL(EUNAVAILABLE),
				    FAIL(EUNAVAILABLE)),
		.waits = 64 };
	struct cprof_log_record r;
	int nr = 0;

	run(&s);
	while (cprof_log_pop(&r))
		if (!strncmp(r.text, WILL_RETRY, strlen(WILL_RETRY)))
			CHECK_EQ(r.level,
				++nr == 3 ? CPROF_WARNING : CPROF_DEBUG);
	CHECK_EQ(nr, 4);
}

/* "Nothing for you now" is how a service that works answers. */
void test_loop__aborted_is_neither_told_nor_counted(void)
{
	struct script s = { STEPS(create, FAIL(EABORTED), FAIL(EABORTED),
				    FAIL(EABORTED), FAIL(EUNAVAILABLE),
				    FAIL(EUNAVAILABLE), FAIL(EABORTED),
				    FAIL(EUNAVAILABLE)),
		.waits = 64 };

	run(&s);
	CHECK_EQ(s.waited, 7);
	said_no_more();
}

void test_loop__recovery_is_told_once_and_the_next_outage_too(void)
{
	struct script s = { STEPS(create, FAIL(EAUTH), FAIL(EAUTH), GOOD, GOOD,
				    FAIL(EAUTH), GOOD),
		.waits = 64 };

	run(&s);
	said_above_debug(CPROF_WARNING, WILL_RETRY);
	said_above_debug(CPROF_INFO, RECOVERED);
	said_above_debug(CPROF_WARNING, WILL_RETRY);
	said_above_debug(CPROF_INFO, RECOVERED);
	said_no_more();
}

/* A service in virtual time: it passes only while the agent waits. */
struct outage {
	int64_t now_ns;
	int64_t from_ns, until_ns; /* away between them */
	int64_t stop_ns;
	uint64_t random;
	enum cprof_code code;

	/* told: what was done */
	int tries, uploads; /* tries while it was away */
	int64_t back_ns;    /* of the first upload after it */
	int64_t longest_ns;
	int complaints, warnings, recoveries;
};

/* As often as the ring has room for; all that is told above DEBUG is known. */
static void listen(struct outage *o)
{
	struct cprof_log_record r = pop_above(CPROF_DEBUG);

	for (; r.level; r = pop_above(CPROF_DEBUG)) {
		bool is_info = r.level == CPROF_INFO;

		if (!strncmp(r.text, WILL_RETRY, strlen(WILL_RETRY)))
			o->warnings++;
		else if (is_info)
			o->recoveries++;
		else
			o->complaints++;
		if (is_info)
			CHECK_STR(r.text, RECOVERED);
	}
}

static bool is_away(const struct outage *o)
{
	return o->now_ns >= o->from_ns && o->now_ns < o->until_ns;
}

static int outage_create(void *ctx, struct cprof_assignment *ret,
	int64_t *ret_retry_ns, struct cprof_error *err)
{
	struct outage *o = ctx;

	(void)ret_retry_ns;
	listen(o);
	if (o->now_ns >= o->stop_ns)
		return fail(err, CPROF_ECANCELED);
	if (is_away(o)) {
		CHECK(++o->tries < 1000);
		return fail(err, o->code);
	}
	memcpy(ret->name, NAME, sizeof(NAME));
	ret->type = CPROF_PROFILE_CPU;
	ret->duration_ns = S(10);
	return 0;
}

static int outage_collect(void *ctx, enum cprof_profile_type type,
	int64_t duration_ns, struct cprof_buffer *out, struct cprof_error *err)
{
	struct outage *o = ctx;

	(void)type;
	(void)out;
	(void)err;
	o->now_ns += duration_ns;
	return 0;
}

static int outage_update(void *ctx, const struct cprof_assignment *a,
	const uint8_t *profile, size_t len, struct cprof_error *err)
{
	struct outage *o = ctx;

	(void)a;
	(void)profile;
	(void)len;
	if (is_away(o))
		return fail(err, CPROF_EUNAVAILABLE);
	o->uploads++;
	if (!o->back_ns && o->now_ns >= o->until_ns)
		o->back_ns = o->now_ns;
	return 0;
}

static bool outage_wait(void *ctx, int64_t delay_ns)
{
	struct outage *o = ctx;

	if (delay_ns > o->longest_ns)
		o->longest_ns = delay_ns;
	o->now_ns += delay_ns;
	return true;
}

static uint64_t outage_random(void *ctx)
{
	struct outage *o = ctx;

	return cprof_random_next(&o->random);
}

static void run_outage(struct outage *o)
{
	static const struct cprof_loop_ops outage_ops = {
		.create_profile = outage_create,
		.update_profile = outage_update,
		.collect = outage_collect,
		.wait = outage_wait,
		.random = outage_random,
	};
	static const enum cprof_profile_type cpu = CPROF_PROFILE_CPU;

	cprof_loop_run(&outage_ops, o, &cpu, 1, 0, 0);
}

void test_loop__a_service_away_for_an_hour_is_found_again(void)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct outage o = { .from_ns = S(60),
			.until_ns = S(3660),
			.stop_ns = S(4 * 3600),
			.code = CPROF_EUNAVAILABLE,
			.random = seed };

		run_outage(&o);
		/* The envelope doubles in three steps, a delay is half of it.
		 */
		CHECK(o.tries >= 4 && o.tries <= 40);
		CHECK(o.back_ns && o.back_ns < S(2 * 3600));
		/* Then it works as before: six windows a minute. */
		CHECK(o.uploads > (o.stop_ns - o.back_ns) / S(10) - 2);
		/* The window that was under way then could not be handed in. */
		CHECK_EQ(o.complaints, 1);
		CHECK_EQ(o.warnings, 1);
		CHECK_EQ(o.recoveries, 1);
	}
}

void test_loop__a_refusal_of_a_week_costs_less_than_a_try_in_ten_minutes(void)
{
	struct outage o = { .until_ns = S(7 * 24 * 3600),
		.stop_ns = S(8 * 24 * 3600),
		.code = CPROF_EAUTH,
		.random = 1 };

	run_outage(&o);
	CHECK(o.tries > 7 * 24 && o.tries < 7 * 24 * 6);
	CHECK(o.longest_ns < CPROF_BACKOFF_MAX_NS);
	CHECK(o.uploads > 0);
	CHECK_EQ(o.complaints, 0);
	CHECK_EQ(o.warnings, 1);
	CHECK_EQ(o.recoveries, 1);
}
