#include "sampler/sampler.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "check.h"
#include "fake-python.h"
#include "profile/reader.h"
#include "sampler/window.h"

#define MS CPROF_NS_PER_MS
/* A thread's id that no thread has: over what Linux allows. */
#define TID(n) (5000000 + (n))

/*
 * Here, real time passes: what a window is about is how much of it is charged
 * to whom. Only ratios are looked at; a machine that is busy with something
 * else may spoil one, but not all in a row.
 */
#define TRIES 5

static void retry(bool (*attempt)(void))
{
	for (int i = 0; i < TRIES; i++)
		if (attempt())
			return;
	fprintf(stderr, "not once in %d tries\n", TRIES);
	exit(1);
}

/* Within `slack`; says so where it is not. */
static bool is_near(const char *what, int64_t got, int64_t want, int64_t slack)
{
	if (got >= want - slack && got <= want + slack)
		return true;
	fprintf(stderr, "%s is %.3f ms, not %.3f +- %.3f\n", what,
		(double)got / MS, (double)want / MS, (double)slack / MS);
	return false;
}

struct world {
	struct fake_python *py;
	char *interp;
	struct cprof_sampler_options opts;
	struct cprof_read_profile *profile; /* of the last window */
	int64_t took_ns;		    /* to make it, in all */
};

static struct world open_world(int64_t period_ns)
{
	struct world w = { .py = fake_python_create() };

	w.interp = fake_interp(w.py);
	w.opts = (struct cprof_sampler_options){ .layout = w.py->lay,
		.roots = fake_roots(w.py),
		.period_ns = period_ns };
	return w;
}

static void close_world(struct world *w)
{
	cprof_read_profile_destroy(w->profile);
	fake_python_destroy(w->py);
}

/* A thread that runs `leaf`, called by main. */
static struct fake_thread *add_thread(
	struct world *w, uint64_t id, int32_t tid, const char *leaf)
{
	struct fake_thread *t = fake_thread(w->py, w->interp, id, tid);

	fake_push(t, fake_function(w->py, "main"), 1);
	fake_push(t, fake_function(w->py, leaf), 2);
	return t;
}

static void collect(
	struct world *w, enum cprof_sampler_kind kind, int64_t duration_ns)
{
	int64_t before_ns = cprof_now_ns();
	struct cprof_buffer out;

	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	CHECK_EQ(cprof_sampler_collect(
			 &w->opts, kind, duration_ns, NULL, &out, NULL),
		0);
	w->took_ns = cprof_now_ns() - before_ns;
	CHECK_EQ(cprof_profile_read(out.data, out.len, &w->profile, NULL), 0);
	CHECK(w->profile->duration_ns >= duration_ns);
	cprof_buffer_finish(&out);
}

static int64_t value(const struct world *w, const struct cprof_read_sample *s)
{
	return s->value[w->profile->default_value_type];
}

static bool is_stack(const struct world *w, const struct cprof_read_sample *s,
	const char *leaf, const char *root)
{
	const struct cprof_read_location *l = w->profile->location;

	if (strcmp(l[s->location[0]].line[0].function, leaf))
		return false;
	if (!root)
		return s->location_nr == 1;
	return s->location_nr == 2 &&
	       !strcmp(l[s->location[1]].line[0].function, root);
}

/* What is charged to this stack; `root` may be NULL for a stack of one. */
static int64_t charged(
	const struct world *w, const char *leaf, const char *root)
{
	int64_t sum = 0;

	for (size_t i = 0; i < w->profile->sample_nr; i++)
		if (is_stack(w, &w->profile->sample[i], leaf, root))
			sum += value(w, &w->profile->sample[i]);
	return sum;
}

/* What is charged to a thread, whatever it did. */
static int64_t charged_to(const struct world *w, int32_t tid)
{
	int64_t sum = 0;

	for (size_t i = 0; i < w->profile->sample_nr; i++) {
		const struct cprof_read_sample *s = &w->profile->sample[i];

		for (size_t k = 0; k < s->label_nr; k++)
			if (!strcmp(s->label[k].key, "thread_id") &&
				s->label[k].number == tid)
				sum += value(w, s);
	}
	return sum;
}

/* Real threads, which do something as long as `go_on`. */
struct helper {
	pthread_t thread;
	const char *name;
	void (*body)(struct helper *h);
	atomic_int tid;
	atomic_bool go_on;

	/* of some */
	struct fake_thread *fake;
	const char *code;
	int32_t sampler_tid;
	int64_t at_unix_ns;
	atomic_bool stop;
};

static void *helper_main(void *arg)
{
	struct helper *h = arg;

	if (h->name)
		pthread_setname_np(pthread_self(), h->name);
	h->tid = gettid();
	h->body(h);
	return NULL;
}

static void helper_start(struct helper *h)
{
	h->go_on = true;
	h->sampler_tid = gettid();
	CHECK_EQ(pthread_create(&h->thread, NULL, helper_main, h), 0);
	while (!h->tid)
		sched_yield();
}

static void helper_stop(struct helper *h)
{
	h->go_on = false;
	pthread_join(h->thread, NULL);
}

static void burn(struct helper *h)
{
	while (h->go_on)
		;
}

static long sleeps_of(int32_t tid)
{
	static const char key[] = "voluntary_ctxt_switches:";
	char path[64], line[256];
	long nr = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	f = fopen(path, "re");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, sizeof(key) - 1))
			nr = strtol(line + sizeof(key) - 1, NULL, 10);
	fclose(f);
	CHECK(nr >= 0);
	return nr;
}

/* Returns after some ticks: the sampler sleeps before each and else never. */
static void meet_the_sampler(const struct helper *h)
{
	long before = sleeps_of(h->sampler_tid);

	while (sleeps_of(h->sampler_tid) < before + 5)
		cprof_sleep_until_ns(cprof_now_ns() + 1 * MS);
}

/* Once the window is open, wait until this much of it is over. */
static void wait_in_window(const struct helper *h, int64_t delay_ns)
{
	meet_the_sampler(h);
	cprof_sleep_until_ns(cprof_now_ns() + delay_ns);
}

static bool share_wall_time(void)
{
	struct world w = open_world(5 * MS);
	bool good = true;

	add_thread(&w, 1, TID(1), "one");
	add_thread(&w, 2, 0, "two");
	fake_thread(w.py, fake_interp(w.py), 3, TID(3));
	collect(&w, CPROF_SAMPLER_WALL, 150 * MS);
	good &= is_near("one", charged(&w, "one", "main"),
		w.profile->duration_ns, w.profile->duration_ns / 10);
	good &= is_near("thread one", charged_to(&w, TID(1)),
		charged(&w, "one", "main"), 0);
	good &= is_near("two", charged(&w, "two", "main"),
		w.profile->duration_ns, w.profile->duration_ns / 10);
	good &= is_near("none", charged(&w, "[no Python frame]", NULL),
		w.profile->duration_ns, w.profile->duration_ns / 10);
	CHECK_EQ(w.profile->sample_nr, 3);
	close_world(&w);
	return good;
}

void test_sampler__every_thread_gets_the_whole_wall_time(void)
{
	retry(share_wall_time);
}

static bool share_wall_time_of_cold_threads(void)
{
	struct world w = open_world(3 * MS);
	bool good = true;

	/* More than one turn's worth of them. */
	for (int i = 0; i < 2 * CPROF_COLD_TICKS; i++)
		add_thread(&w, 1 + (uint64_t)i, TID(i), "still");
	collect(&w, CPROF_SAMPLER_WALL, 360 * MS);
	for (int i = 0; i < 2 * CPROF_COLD_TICKS && good; i++)
		good = is_near("a thread", charged_to(&w, TID(i)),
			w.profile->duration_ns, w.profile->duration_ns / 10);
	close_world(&w);
	return good;
}

void test_sampler__threads_that_never_move_get_it_too(void)
{
	retry(share_wall_time_of_cold_threads);
}

/* As on a machine that is so busy that ticks are missed. */
void test_sampler__more_threads_than_its_ticks_can_look_at_are_all_seen(void)
{
	struct world w = open_world(50 * MS);
	const int nr = 2 * CPROF_DUE_THREADS + 1;

	for (int i = 0; i < nr; i++)
		add_thread(&w, 1 + (uint64_t)i, TID(i), "still");
	collect(&w, CPROF_SAMPLER_WALL, 50 * MS);
	for (int i = 0; i < nr; i++)
		CHECK(charged_to(&w, TID(i)) >= 10 * MS);
	close_world(&w);
}

/* Some microseconds: a look takes one, and what is shorter may hide from it. */
static void hold(void)
{
	for (volatile int i = 0; i < 5000; i++)
		;
}

/* Python code that is never long at one place. */
static void move(struct helper *h)
{
	char *frame = fake_leaf(h->fake);

	for (int i = 0; h->go_on; i++) {
		fake_instr(h->fake->py, frame, h->code, i % 16);
		fake_push(h->fake, h->code, i % 7);
		hold();
		fake_pop(h->fake);
		hold();
	}
}

static bool share_wall_time_of_a_thread_that_moves(void)
{
	struct world w = open_world(5 * MS);
	struct helper mover = { .body = move,
		.fake = fake_thread(w.py, w.interp, 1, TID(1)) };
	bool good;

	mover.code = fake_function(w.py, "mover");
	fake_push(mover.fake, mover.code, 0);
	add_thread(&w, 2, TID(2), "still");
	helper_start(&mover);
	collect(&w, CPROF_SAMPLER_WALL, 150 * MS);
	helper_stop(&mover);
	good = is_near("mover", charged_to(&w, TID(1)), w.profile->duration_ns,
		w.profile->duration_ns / 10);
	/* Both of the places that it is at are seen. */
	good &= charged(&w, "mover", NULL) > 0;
	good &= charged(&w, "mover", "mover") > 0;
	close_world(&w);
	return good;
}

void test_sampler__threads_that_always_move_get_it_too(void)
{
	retry(share_wall_time_of_a_thread_that_moves);
}

static void unlink_in_time(struct helper *h)
{
	wait_in_window(h, 50 * MS);
	fake_thread_unlink(h->fake);
	h->at_unix_ns = cprof_unix_ns();
}

static bool remove_a_thread(void)
{
	struct world w = open_world(5 * MS);
	struct helper remover = { .body = unlink_in_time };
	bool good = true;
	int64_t lived_ns;

	add_thread(&w, 1, TID(1), "stays");
	remover.fake = add_thread(&w, 2, TID(2), "leaves");
	add_thread(&w, 3, TID(3), "stays");
	helper_start(&remover);
	collect(&w, CPROF_SAMPLER_WALL, 200 * MS);
	helper_stop(&remover);
	lived_ns = remover.at_unix_ns - w.profile->time_unix_ns;
	good &= is_near("leaves", charged(&w, "leaves", "main"), lived_ns,
		w.profile->duration_ns / 10);
	good &= is_near("stays", charged(&w, "stays", "main"),
		2 * w.profile->duration_ns, w.profile->duration_ns / 10);
	close_world(&w);
	return good;
}

void test_sampler__a_thread_that_ends_keeps_its_wall_time(void)
{
	retry(remove_a_thread);
}

/* Of what a thread used up to now, the part that the window is of. */
static int64_t window_part(const struct world *w, int64_t used_ns)
{
	return (int64_t)((double)used_ns * (double)w->profile->duration_ns /
			 (double)w->took_ns);
}

/* What a thread used before the window is none of the window's business. */
static void use_some_cpu(int32_t tid)
{
	int64_t until_ns = cprof_thread_cpu_ns(tid) + 200 * MS;

	while (cprof_thread_cpu_ns(tid) < until_ns)
		sched_yield();
}

static int64_t collect_cpu_of(struct world *w, int32_t tid)
{
	int64_t before_ns = cprof_thread_cpu_ns(tid);

	collect(w, CPROF_SAMPLER_CPU, 300 * MS);
	return window_part(w, cprof_thread_cpu_ns(tid) - before_ns);
}

static bool share_cpu_time(void)
{
	struct world w = open_world(5 * MS);
	struct helper busy = { .body = burn, .name = "busy" };
	bool good = true;
	int64_t used_ns;

	helper_start(&busy);
	use_some_cpu(busy.tid);
	add_thread(&w, 1, busy.tid, "hot");
	add_thread(&w, 2, TID(2), "cold");
	used_ns = collect_cpu_of(&w, busy.tid);
	helper_stop(&busy);
	good &= is_near(
		"hot", charged(&w, "hot", "main"), used_ns, used_ns * 15 / 100);
	/* All that it used, and nothing of it twice. */
	CHECK_EQ(charged_to(&w, busy.tid), charged(&w, "hot", "main"));
	CHECK_EQ(charged(&w, "[native] busy", NULL), 0);
	CHECK_EQ(charged(&w, "cold", "main"), 0);
	good &= is_near("[exited threads]",
		charged(&w, "[exited threads]", NULL), 0, used_ns / 20);
	close_world(&w);
	return good;
}

void test_sampler__a_busy_thread_is_charged_what_it_used(void)
{
	retry(share_cpu_time);
}

static bool share_cpu_time_without_proc(void)
{
	struct world w = open_world(5 * MS);
	struct helper busy = { .body = burn, .name = "busy" };
	struct rlimit old, none;
	int64_t used_ns;
	bool good;

	helper_start(&busy);
	use_some_cpu(busy.tid);
	add_thread(&w, 1, busy.tid, "hot");
	/* No file can be opened. */
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_max = old.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	used_ns = collect_cpu_of(&w, busy.tid);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	helper_stop(&busy);
	good = is_near(
		"hot", charged(&w, "hot", "main"), used_ns, used_ns * 15 / 100);
	/* Whose the rest is nobody knows. */
	CHECK_EQ(charged(&w, "[exited threads]", NULL), 0);
	close_world(&w);
	return good;
}

void test_sampler__without_proc_a_window_has_its_own_time_only(void)
{
	retry(share_cpu_time_without_proc);
}

static bool share_cpu_time_of_others(void)
{
	struct world w = open_world(5 * MS);
	struct helper native = { .body = burn, .name = "spinner" };
	struct helper ours = { .body = burn, .name = "cprof-x" };
	int64_t native_ns, ours_ns, before_ns;
	bool good = true;

	helper_start(&native);
	helper_start(&ours);
	use_some_cpu(native.tid);
	before_ns = cprof_thread_cpu_ns(ours.tid);
	native_ns = collect_cpu_of(&w, native.tid);
	ours_ns = window_part(&w, cprof_thread_cpu_ns(ours.tid) - before_ns);
	helper_stop(&native);
	helper_stop(&ours);
	good &= is_near("native", charged(&w, "[native] spinner", NULL),
		native_ns, native_ns * 15 / 100);
	good &= is_near("ours", charged(&w, "[profiler]", NULL), ours_ns,
		ours_ns * 15 / 100);
	good &= is_near("[exited threads]",
		charged(&w, "[exited threads]", NULL), 0, native_ns / 20);
	close_world(&w);
	return good;
}

void test_sampler__threads_without_python_are_told_by_name(void)
{
	retry(share_cpu_time_of_others);
}

static void burn_and_end(struct helper *h)
{
	int64_t until_ns;

	meet_the_sampler(h);
	until_ns = cprof_own_cpu_ns() + 40 * MS;
	while (cprof_own_cpu_ns() < until_ns)
		;
	h->at_unix_ns = cprof_own_cpu_ns();
}

static bool share_cpu_time_of_the_ended(void)
{
	struct world w = open_world(5 * MS);
	struct helper native = { .body = burn_and_end };
	bool good;

	helper_start(&native);
	collect(&w, CPROF_SAMPLER_CPU, 300 * MS);
	helper_stop(&native);
	good = is_near("exited", charged(&w, "[exited threads]", NULL),
		native.at_unix_ns, native.at_unix_ns / 5);
	close_world(&w);
	return good;
}

void test_sampler__what_ended_threads_used_is_not_lost(void)
{
	retry(share_cpu_time_of_the_ended);
}

void test_sampler__a_profile_says_what_it_is(void)
{
	static const struct {
		enum cprof_sampler_kind kind;
		const char *name;
	} row[] = { { CPROF_SAMPLER_CPU, "cpu" },
		{ CPROF_SAMPLER_WALL, "wall" } };

	for (size_t i = 0; i < 2; i++) {
		struct world w = open_world(5 * MS);
		int64_t before_unix_ns = cprof_unix_ns();
		const struct cprof_read_profile *p;

		add_thread(&w, 1, 0, "f");
		collect(&w, row[i].kind, 20 * MS);
		p = w.profile;
		CHECK_STR(
			p->value_type[p->default_value_type].type, row[i].name);
		CHECK_STR(p->value_type[p->default_value_type].unit,
			"nanoseconds");
		CHECK_EQ(p->period, 5 * MS);
		CHECK(p->time_unix_ns >= before_unix_ns);
		CHECK_EQ(p->comment_nr, 1);
		CHECK(strstr(p->comment[0], " ticks, "));
		close_world(&w);
	}
}

/* A budget that no tick keeps to: the rate falls, and all time is charged. */
static bool charge_within_a_budget(void)
{
	struct world w = open_world(1 * MS);
	unsigned int ticks = 0, missed = 0, skipped = 0;
	int64_t took_ns, periods = 0;
	bool good;

	w.opts.budget_ppm = 1;
	add_thread(&w, 1, 0, "f");
	collect(&w, CPROF_SAMPLER_WALL, 500 * MS);
	took_ns = w.profile->duration_ns;
	CHECK_EQ(sscanf(strstr(w.profile->comment[0], "core), ") + 7,
			 "%u ticks, %u missed, %u skipped", &ticks, &missed,
			 &skipped),
		3);
	for (size_t i = 0; i < w.profile->sample_nr; i++)
		periods += w.profile->sample[i].value[0];
	good = is_near("wall", charged(&w, "f", "main"), took_ns, 2 * MS);
	good &= periods == ticks + missed + skipped;
	good &= ticks < 250 && skipped > 250;
	close_world(&w);
	return good;
}

void test_sampler__a_budget_lowers_the_rate_and_no_sum(void)
{
	retry(charge_within_a_budget);
}

/* What is done for 200 ms: one tick for so many periods of a millisecond, or
 * more, each so long after it was due. */
struct part {
	const char *name;
	uint32_t periods;
	int64_t delay_ns;
	int64_t used_ns, got_ns; /* CPU time of it, and what is shown of that */
	unsigned int left_out;	 /* samples by the end of it, as told */
};

static void tick_by(struct cprof_window *window, const struct part *part)
{
	int64_t begin_ns = cprof_now_ns(), last_ns = begin_ns, now_ns = 0;

	while (now_ns < begin_ns + 200 * MS) {
		cprof_sleep_until_ns(last_ns + part->periods * MS);
		now_ns = cprof_now_ns();
		cprof__window_tick(window, now_ns - part->delay_ns, now_ns,
			(uint32_t)((now_ns - last_ns) / MS));
		last_ns = now_ns;
	}
}

/* A thread that does the one, then the other. */
static void look_at_parts(struct part *first, struct part *second)
{
	struct world w = open_world(1 * MS);
	struct helper busy = { .body = burn };
	struct cprof_window window;
	struct cprof_buffer out;
	struct fake_thread *t;
	int64_t begin_ns;

	helper_start(&busy);
	use_some_cpu(busy.tid);
	t = add_thread(&w, 1, busy.tid, first->name);
	CHECK_EQ(cprof__window_open(&w.opts, CPROF_SAMPLER_CPU, &window, NULL),
		0);
	begin_ns = cprof_thread_cpu_ns(busy.tid);
	tick_by(&window, first);
	first->used_ns = cprof_thread_cpu_ns(busy.tid) - begin_ns;
	fake_pop(t);
	fake_push(t, fake_function(w.py, second->name), 2);
	tick_by(&window, second);
	second->used_ns =
		cprof_thread_cpu_ns(busy.tid) - begin_ns - first->used_ns;
	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	CHECK_EQ(cprof__window_report(&window, &out, NULL), 0);
	cprof__window_close(&window);
	helper_stop(&busy);
	CHECK_EQ(cprof_profile_read(out.data, out.len, &w.profile, NULL), 0);
	cprof_buffer_finish(&out);
	first->got_ns = charged(&w, first->name, "main");
	second->got_ns = charged(&w, second->name, "main");
	CHECK_EQ(sscanf(strstr(w.profile->comment[0], "gone, ") + 6,
			 "%u samples late", &second->left_out),
		1);
	close_world(&w);
}

static bool parts_are_right(const struct part *first, const struct part *second)
{
	return is_near(second->name, second->got_ns, second->used_ns,
		(first->used_ns + second->used_ns) / 10);
}

static bool change_the_rate(void)
{
	struct part first = { .name = "first", .periods = 1 };
	struct part second = { .name = "second", .periods = 10 };

	look_at_parts(&first, &second);
	return parts_are_right(&first, &second);
}

void test_sampler__cpu_shares_are_right_though_the_rate_changes(void)
{
	retry(change_the_rate);
}

/* Each look takes the CPU of the thread that it is at. */
static void use_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

static bool few_come_late(void)
{
	struct part late = {
		.name = "late", .periods = 10, .delay_ns = 1 * MS
	};
	struct part timely = { .name = "timely", .periods = 1 };

	look_at_parts(&late, &timely);
	return late.got_ns == 0 && timely.left_out > 100 &&
	       is_near("timely", timely.got_ns, late.used_ns + timely.used_ns,
		       timely.used_ns / 10);
}

static bool most_come_late(void)
{
	struct part late = { .name = "late", .periods = 1, .delay_ns = 1 * MS };
	struct part timely = { .name = "timely", .periods = 10 };

	look_at_parts(&late, &timely);
	return timely.left_out == 0 && parts_are_right(&late, &timely);
}

void test_sampler__late_looks_count_only_if_most_of_a_threads_are(void)
{
	use_one_cpu();
	retry(few_come_late);
	retry(most_come_late);
}

/* An interpreter without a thread; a window that is shorter than its period. */
void test_sampler__there_may_be_nothing_to_see(void)
{
	struct world w = open_world(5 * MS);

	collect(&w, CPROF_SAMPLER_WALL, 1 * MS);
	CHECK_EQ(w.profile->sample_nr, 0);
	close_world(&w);
}

void test_sampler__a_window_does_not_open_once_stopped(void)
{
	struct world w = open_world(5 * MS);
	atomic_bool stop = true;
	struct cprof_buffer out;

	add_thread(&w, 1, 0, "f");
	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	CHECK_EQ(cprof_sampler_collect(&w.opts, CPROF_SAMPLER_WALL,
			 CPROF_MAX_DURATION_NS, &stop, &out, NULL),
		CPROF_ECANCELED);
	CHECK_EQ(out.len, 0);
	close_world(&w);
}

static void stop_in_window(struct helper *h)
{
	meet_the_sampler(h);
	h->stop = true;
}

void test_sampler__a_window_can_be_stopped(void)
{
	/* Nobody would wait for the one tick of the second. */
	static const int64_t period_ns[] = { 1 * MS, 3600 * CPROF_NS_PER_S };

	for (size_t i = 0; i < 2; i++) {
		struct world w = open_world(period_ns[i]);
		struct helper stopper = { .body = stop_in_window };
		struct cprof_buffer out;

		add_thread(&w, 1, 0, "f");
		helper_start(&stopper);
		cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
		CHECK_EQ(cprof_sampler_collect(&w.opts, CPROF_SAMPLER_WALL,
				 3600 * CPROF_NS_PER_S, &stopper.stop, &out,
				 NULL),
			CPROF_ECANCELED);
		CHECK_EQ(out.len, 0);
		helper_stop(&stopper);
		close_world(&w);
	}
}

/* Longer than a look at the flag, so that something is charged. */
void test_sampler__a_window_that_is_ended_is_a_shorter_profile(void)
{
	struct world w = open_world(1 * MS);
	struct helper ender = { .body = stop_in_window };
	struct cprof_buffer out;

	add_thread(&w, 1, 0, "f");
	w.opts.enough = &ender.stop;
	helper_start(&ender);
	cprof_buffer_init(&out, CPROF_MAX_UPLOAD_BYTES);
	CHECK_EQ(cprof_sampler_collect(&w.opts, CPROF_SAMPLER_WALL,
			 3600 * CPROF_NS_PER_S, NULL, &out, NULL),
		0);
	helper_stop(&ender);
	CHECK_EQ(cprof_profile_read(out.data, out.len, &w.profile, NULL), 0);
	CHECK(w.profile->duration_ns < 3600 * CPROF_NS_PER_S);
	CHECK_EQ(charged(&w, "f", "main"), w.profile->duration_ns);
	cprof_buffer_finish(&out);
	close_world(&w);
}

/* A thread of C code may end without giving back its Python state. */
static bool leave_a_state_behind(void)
{
	struct world w = open_world(5 * MS);
	struct helper native = { .body = burn_and_end };
	bool good;

	helper_start(&native);
	add_thread(&w, 1, native.tid, "left");
	collect(&w, CPROF_SAMPLER_CPU, 300 * MS);
	helper_stop(&native);
	/* But for what it used after the last tick that met it. */
	good = is_near("left", charged(&w, "left", "main"), native.at_unix_ns,
		native.at_unix_ns / 3);
	close_world(&w);
	return good;
}

void test_sampler__a_state_that_is_left_behind_keeps_its_cpu_time(void)
{
	retry(leave_a_state_behind);
}

/* Ticks by themselves: no time passes but what they are told. */
void test_sampler__idle_threads_are_visited_while_others_come(void)
{
	struct world w = open_world(5 * MS);
	struct cprof_window window;

	add_thread(&w, 1, 0, "idle");
	add_thread(&w, 2, 0, "idle");
	CHECK_EQ(cprof__window_open(&w.opts, CPROF_SAMPLER_WALL, &window, NULL),
		0);
	for (uint64_t i = 0; i < 5 * CPROF_COLD_TICKS; i++) {
		cprof__window_tick(
			&window, window.last_ns, window.last_ns + 5 * MS, 1);
		for (int n = 0; n < window.live_nr; n++)
			CHECK(window.period - window.live[n].visited_period <
				CPROF_COLD_TICKS);
		fake_thread(w.py, w.interp, 3 + i, 0);
	}
	CHECK_EQ(window.live_nr, 1 + 5 * CPROF_COLD_TICKS);
	cprof__window_close(&window);
	close_world(&w);
}
