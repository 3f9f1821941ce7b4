/*
 * From tallies to a profile, after the last tick: whom the CPU time belongs to,
 * and what the numbers are called.
 */
#include "sampler/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/thread.h"
#include "profile/profile.h"
#include "sampler/names.h"

/*
 * A thread met on a CPU less often than this cannot be scaled by itself: one
 * tick more or less would change too much. Such threads share one scale.
 */
#define POOL_LOOKS 10

/* Less than this may be the time it takes to read the clocks. */
#define MIN_EXITED_NS (1 * CPROF_NS_PER_MS)

struct report {
	struct cprof_window *w;
	struct cprof_profile *profile;
	uint32_t *function; /* for each code: its function + 1 */
	struct cprof_buffer name, file;
	struct cprof_profile_frame frame[CPROF_MAX_KEPT_FRAMES];
	/* CPU time of all threads that were seen, and of the pool. */
	int64_t seen_ns, pool_ns, assigned_ns;
	uint64_t pool_ticks, gone_frames;
	uint64_t late_ticks; /* those that do not count */
};

static const char *pseudo_name(uint32_t code)
{
	switch ((enum cprof_pseudo_code)code) {
	case CPROF_CODE_GONE:
		return "[code gone]";
	case CPROF_CODE_UNSETTLED:
		return "[unsettled]";
	case CPROF_CODE_ELIDED:
		return "[...]";
	case CPROF_CODE_TOO_DEEP:
		return "[too deep]";
	case CPROF_CODE_NO_FRAME:
		return "[no Python frame]";
	case CPROF_CODE_DROPPED:
		return "[dropped]";
	case CPROF_CODE_EXITED:
		return "[exited threads]";
	case CPROF_CODE_UNSAMPLED:
		return "[not sampled]";
	case CPROF_CODE_NATIVE:
		return "[native]";
	case CPROF_CODE_PROFILER:
		return "[profiler]";
	}
	return "[unknown]";
}

static int named_function(struct report *rep, const char *name, uint32_t *ret,
	struct cprof_error *err)
{
	return cprof_profile_function(
		rep->profile, name, strlen(name), "", 0, 0, ret, err);
}

/* As Python calls such a function itself. */
static int callee_function(struct report *rep, uint32_t number, uint32_t *ret,
	struct cprof_error *err)
{
	char name[160];

	snprintf(name, sizeof(name), "<built-in %s>",
		cprof_callees_name(rep->w->callees, number));
	return named_function(rep, name, ret, err);
}

static int code_function(struct report *rep, uint32_t code, uint32_t *ret,
	struct cprof_error *err)
{
	struct cprof_codes *codes = rep->w->codes;
	int r;

	if (code >= CPROF_CODE_PSEUDO)
		return named_function(rep, pseudo_name(code), ret, err);
	if (code >= CPROF_CALLEE_FIRST)
		return callee_function(rep, code, ret, err);
	if (!rep->function[code]) {
		rep->name.len = rep->file.len = 0;
		r = cprof_codes_name(codes, code, &rep->name, err);
		if (r < 0)
			return r;
		r = cprof_codes_file(codes, code, &rep->file, err);
		if (r < 0)
			return r;
		r = cprof_profile_function(rep->profile,
			(const char *)rep->name.data, rep->name.len,
			(const char *)rep->file.data, rep->file.len,
			cprof_codes_first_line(codes, code), ret, err);
		if (r < 0)
			return r;
		rep->function[code] = *ret + 1;
	}
	*ret = rep->function[code] - 1;
	return 0;
}

/* What frame `i` ran, now that the window has ended. */
static uint32_t code_at(
	const struct report *rep, const struct cprof_frame *f, int i, int nr)
{
	const struct cprof_codes *codes = rep->w->codes;
	uint32_t code = f[i].code;
	bool callee = code >= CPROF_CALLEE_FIRST && code < CPROF_CODE_PSEUDO;

	/* A C function was found by the code that called it. */
	if (callee && i + 1 < nr &&
		code_at(rep, f, i + 1, nr) == CPROF_CODE_GONE)
		return CPROF_CODE_GONE;
	return cprof_codes_confirmed(codes, code)
		       ? cprof_codes_content(codes, code)
		       : CPROF_CODE_GONE;
}

static const char *state_name(enum cprof_task_state state)
{
	switch (state) {
	case CPROF_TASK_RUNNING:
		return "running";
	case CPROF_TASK_GIL:
		return "gil-wait";
	case CPROF_TASK_LOCK:
		return "lock";
	case CPROF_TASK_IO:
		return "io";
	case CPROF_TASK_SLEEP:
		return "sleep";
	case CPROF_TASK_OTHER:
		return "other";
	case CPROF_TASK_UNKNOWN:
	case CPROF_TASK_STATES:
		break;
	}
	return NULL;
}

static int add_stack(struct report *rep, uint32_t stack,
	const struct cprof_seen *seen, enum cprof_task_state state,
	int64_t count, int64_t value_ns, struct cprof_error *err)
{
	struct cprof_profile_thread thread = { 0 };
	struct cprof_thread_label label;
	int nr, r;
	const struct cprof_frame *f =
		cprof_stacks_frames(rep->w->stacks, stack, &nr);

	for (int i = 0; i < nr; i++) {
		uint32_t code = code_at(rep, f, i, nr);

		if (code == CPROF_CODE_GONE)
			rep->gone_frames += (uint64_t)count;
		r = code_function(rep, code, &rep->frame[i].function, err);
		if (r < 0)
			return r;
		rep->frame[i].line = code < CPROF_CALLEE_FIRST
					     ? cprof_codes_line(rep->w->codes,
						       code, f[i].instr)
					     : 0;
	}
	if (seen) {
		thread.name = cprof_names_find(seen->tid, &label) ? label.name
								  : seen->name;
		thread.id = seen->tid;
		thread.state = state_name(state);
	}
	return cprof_profile_add(rep->profile, rep->frame, (size_t)nr, &thread,
		count, value_ns, err);
}

/* A sample of one frame that is no code. */
static int add_named(struct report *rep, const char *name, int64_t value_ns,
	struct cprof_error *err)
{
	struct cprof_profile_frame frame = { 0 };
	int r = named_function(rep, name, &frame.function, err);

	if (r < 0)
		return r;
	return cprof_profile_add(
		rep->profile, &frame, 1, NULL, 0, value_ns, err);
}

/* The last word on the CPU time of every thread that lives. */
static void close_accounts(struct cprof_window *w)
{
	for (int i = 0; i < w->live_nr; i++) {
		struct cprof_live *t = &w->live[i];
		struct cprof_seen *seen = &w->seen[t->seen];
		int64_t cpu_ns;

		if (!t->in_use || !seen->tid)
			continue;
		cpu_ns = cprof_thread_cpu_ns(seen->tid);
		/* Gone by now, with its state left behind: as last seen. */
		if (cpu_ns < 0)
			cpu_ns = t->cpu_last_ns;
		if (t->cpu_first_ns >= 0)
			cprof__seen_set_cpu(seen, cpu_ns - t->cpu_first_ns);
	}
}

/* Late looks favour some code. They count if they are most of a thread's. */
static uint32_t counted(const struct cprof_seen *seen, struct cprof_punctual of)
{
	bool all = seen->cpu_looks.late > seen->cpu_looks.timely;

	return of.timely + (all ? of.late : 0);
}

/* Those in the profile that Python has no name for. */
static void name_threads(struct cprof_window *w)
{
	struct cprof_thread_label label;

	for (int i = 0; i < w->live_nr; i++) {
		struct cprof_live *t = &w->live[i];
		struct cprof_seen *seen = &w->seen[t->seen];

		if (!t->in_use || !seen->tid ||
			(w->kind == CPROF_SAMPLER_CPU &&
				!counted(seen, seen->cpu_ticks)) ||
			cprof_names_find(seen->tid, &label))
			continue;
		if (seen->tid == w->pid)
			snprintf(seen->name, sizeof(seen->name), "MainThread");
		else
			cprof_task_name(seen->tid, seen->name);
	}
}

static bool pooled(const struct cprof_seen *seen)
{
	return counted(seen, seen->cpu_looks) < POOL_LOOKS;
}

static void sum_up(struct report *rep)
{
	for (uint32_t i = 0; i < rep->w->seen_nr; i++) {
		const struct cprof_seen *seen = &rep->w->seen[i];

		uint32_t ticks = counted(seen, seen->cpu_ticks);

		rep->seen_ns += seen->cpu_ns;
		rep->late_ticks +=
			seen->cpu_ticks.timely + seen->cpu_ticks.late - ticks;
		if (pooled(seen)) {
			rep->pool_ns += seen->cpu_ns;
			rep->pool_ticks += ticks;
		}
	}
}

/* The share of a thread's exact CPU time that ticks at one stack stand for. */
static int64_t cpu_value(
	const struct report *rep, const struct cprof_seen *seen, uint32_t ticks)
{
	double total =
		pooled(seen) ? (double)rep->pool_ns : (double)seen->cpu_ns;
	double all = pooled(seen) ? (double)rep->pool_ticks
				  : (double)counted(seen, seen->cpu_ticks);

	return (int64_t)(total * ticks / all);
}

static int add_wall(struct report *rep, const struct cprof_tally *t,
	const struct cprof_seen *seen, struct cprof_error *err)
{
	int r = 0;

	if (rep->w->opts->wall_main && seen && seen->tid != rep->w->pid)
		return 0;
	for (int i = 0; i < CPROF_TASK_STATES && !r; i++)
		if (t->in[i].ticks)
			r = add_stack(rep, t->stack, seen,
				(enum cprof_task_state)i, t->in[i].ticks,
				t->in[i].wall_ns, err);
	return r;
}

static int add_cpu(struct report *rep, const struct cprof_tally *t,
	const struct cprof_seen *seen, struct cprof_error *err)
{
	uint32_t ticks = seen ? counted(seen, t->cpu_ticks) : 0;
	int64_t value_ns;

	if (!ticks)
		return 0;
	value_ns = cpu_value(rep, seen, ticks);
	rep->assigned_ns += value_ns;
	return add_stack(
		rep, t->stack, seen, CPROF_TASK_UNKNOWN, ticks, value_ns, err);
}

static int add_tallies(struct report *rep, struct cprof_error *err)
{
	struct cprof_window *w = rep->w;
	int r = 0;

	for (uint32_t i = 0; i < cprof_stacks_tally_nr(w->stacks) && !r; i++) {
		const struct cprof_tally *t =
			cprof_stacks_tally_at(w->stacks, i);
		const struct cprof_seen *seen = t->thread == CPROF_NO_THREAD
							? NULL
							: &w->seen[t->thread];

		/* The one that speaks has a Python state while it does. */
		if (seen && seen->tid && cprof_thread_is_ours(seen->tid))
			continue;
		r = w->kind == CPROF_SAMPLER_WALL ? add_wall(rep, t, seen, err)
						  : add_cpu(rep, t, seen, err);
	}
	return r;
}

/* CPU time of seen threads that no tick stands for. */
static int add_rest(struct report *rep, struct cprof_error *err)
{
	const struct cprof_tally *dropped =
		cprof_stacks_tally_at(rep->w->stacks, 0);
	uint32_t ticks = dropped->cpu_ticks.timely + dropped->cpu_ticks.late;
	int64_t rest_ns = rep->seen_ns - rep->assigned_ns;

	if (ticks)
		return add_stack(
			rep, 0, NULL, CPROF_TASK_UNKNOWN, ticks, rest_ns, err);
	if (rep->pool_ticks || rest_ns < MIN_EXITED_NS)
		return 0;
	return add_named(rep, pseudo_name(CPROF_CODE_UNSAMPLED), rest_ns, err);
}

static int by_number(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_python(const int32_t *tid, uint32_t nr, int32_t key)
{
	return nr && bsearch(&key, tid, nr, sizeof(*tid), by_number);
}

static int add_native(struct report *rep, const struct cprof_task *now,
	int64_t *native_ns, struct cprof_error *err)
{
	struct cprof_window *w = rep->w;
	const struct cprof_task *before =
		cprof_tasks_find(w->task, w->task_nr, now->tid);
	int64_t used_ns = now->cpu_ns - (before ? before->cpu_ns : 0);
	char task[16], name[32];

	*native_ns += used_ns;
	if (used_ns <= 0)
		return 0;
	cprof_task_name(now->tid, task);
	if (!strncmp(task, CPROF_THREAD_PREFIX, strlen(CPROF_THREAD_PREFIX)))
		return add_named(
			rep, pseudo_name(CPROF_CODE_PROFILER), used_ns, err);
	snprintf(name, sizeof(name), "%s %s", pseudo_name(CPROF_CODE_NATIVE),
		task);
	return add_named(rep, name, used_ns, err);
}

/*
 * CPU time of threads that Python does not know, and of those that nobody can
 * ask any more: the process's own clock has it.
 */
static int add_others(struct report *rep, struct cprof_error *err)
{
	struct cprof_window *w = rep->w;
	struct cprof_task *task = calloc(CPROF_MAX_THREADS, sizeof(*task));
	int32_t *python = calloc(w->seen_nr + 1, sizeof(*python));
	int64_t native_ns = 0, rest_ns;
	int nr, r = 0;
	bool known;

	if (!task || !python) {
		r = cprof_fail(err, CPROF_ENOMEM, "out of memory");
		goto out;
	}
	for (uint32_t i = 0; i < w->seen_nr; i++)
		python[i] = w->seen[i].tid;
	qsort(python, w->seen_nr, sizeof(*python), by_number);
	nr = w->tasks_known ? cprof_tasks_list(task, CPROF_MAX_THREADS) : 0;
	known = nr && nr < CPROF_MAX_THREADS;
	rest_ns = cprof_process_cpu_ns() - w->process_cpu_ns - rep->seen_ns;
	for (int i = 0; i < nr && !r; i++)
		if (!is_python(python, w->seen_nr, task[i].tid))
			r = add_native(rep, &task[i], &native_ns, err);
	rest_ns -= native_ns;
	if (!r && rest_ns >= MIN_EXITED_NS)
		r = add_named(rep,
			pseudo_name(known ? CPROF_CODE_EXITED
					  : CPROF_CODE_UNSAMPLED),
			rest_ns, err);
out:
	free(python);
	free(task);
	return r;
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static uint32_t ticks_of(const struct cprof_tally *t)
{
	uint32_t ticks = 0;

	for (int i = 0; i < CPROF_TASK_STATES; i++)
		ticks += t->in[i].ticks;
	return ticks;
}

/* How good this profile is, and what it cost. */
static int add_comment(
	struct report *rep, int64_t duration_ns, struct cprof_error *err)
{
	struct cprof_window *w = rep->w;
	const struct cprof_walk_stats *st = cprof_walker_stats(w->walker);
	const struct cprof_tally *dropped = cprof_stacks_tally_at(w->stacks, 0);
	int64_t own_ns = cprof_own_cpu_ns() - w->own_cpu_ns;
	char text[512];

	snprintf(text, sizeof(text),
		"sampler: %.2f ms of CPU (%.2f %% of a core), %u ticks, "
		"%u missed, %u skipped to save CPU, %llu walks, "
		"%llu unsettled, %llu frames gone, %llu samples late, "
		"%u samples dropped, "
		"%u codes lost, %llu threads lost",
		(double)own_ns / CPROF_NS_PER_MS,
		percent((double)own_ns, (double)duration_ns), w->tick,
		w->missed_ticks, w->skipped_ticks,
		(unsigned long long)st->walks,
		(unsigned long long)st->unsettled,
		(unsigned long long)rep->gone_frames,
		(unsigned long long)rep->late_ticks, ticks_of(dropped),
		cprof_codes_lost(w->codes),
		(unsigned long long)w->threads_lost);
	return cprof_profile_comment(rep->profile, text, err);
}

static int add_lack(struct report *rep, struct cprof_error *err)
{
	char text[320] = "sampler: ";
	size_t len = strlen(text);

	cprof_senses_words(&rep->w->senses, text + len, sizeof(text) - len);
	return text[len] ? cprof_profile_comment(rep->profile, text, err) : 0;
}

static int fill(
	struct report *rep, int64_t duration_ns, struct cprof_error *err)
{
	int r;

	close_accounts(rep->w);
	sum_up(rep);
	/* At once: what the program uses meanwhile would be nobody's. */
	if (rep->w->kind == CPROF_SAMPLER_CPU) {
		r = add_others(rep, err);
		if (r < 0)
			return r;
	}
	name_threads(rep->w);
	cprof_codes_confirm(rep->w->codes, rep->w->peek, rep->w->tick);
	r = add_tallies(rep, err);
	if (r < 0)
		return r;
	if (rep->w->kind == CPROF_SAMPLER_CPU) {
		r = add_rest(rep, err);
		if (r < 0)
			return r;
	}
	r = add_lack(rep, err);
	if (r < 0)
		return r;
	return add_comment(rep, duration_ns, err);
}

int cprof__window_report(struct cprof_window *w, struct cprof_buffer *out,
	struct cprof_error *err)
{
	struct cprof_profile_options opts = {
		.value_type = w->kind == CPROF_SAMPLER_CPU ? "cpu" : "wall",
		.period_ns = w->opts->period_ns,
		.start_unix_ns = w->start_unix_ns,
	};
	int64_t duration_ns = w->last_ns - w->start_ns;
	struct report *rep = calloc(1, sizeof(*rep));
	int r;

	if (!rep)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	rep->w = w;
	/* UTF-8 takes at most twice what CPython kept. */
	cprof_buffer_init(&rep->name, 2 * CPROF_MAX_CODE_NAME_BYTES);
	cprof_buffer_init(&rep->file, 2 * CPROF_MAX_CODE_FILE_BYTES);
	rep->function = calloc(CPROF_MAX_CODES, sizeof(*rep->function));
	if (!rep->function) {
		r = cprof_fail(err, CPROF_ENOMEM, "out of memory");
		goto out;
	}
	r = cprof_profile_create(&opts, &rep->profile, err);
	if (r < 0)
		goto out;
	r = fill(rep, duration_ns, err);
	if (r < 0)
		goto out;
	r = cprof_profile_encode(rep->profile, duration_ns, out, err);
out:
	cprof_profile_destroy(rep->profile);
	free(rep->function);
	cprof_buffer_finish(&rep->file);
	cprof_buffer_finish(&rep->name);
	free(rep);
	return r;
}
