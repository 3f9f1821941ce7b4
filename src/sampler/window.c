#include "sampler/window.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/thread.h"

/*
 * The least there is. Where a tick has to wait until others' turns end, it
 * finds them at the places where turns end, such as certain system calls.
 */
#define SLICE_NS (100 * CPROF_NS_PER_US)

static void *take(struct cprof_window *w, size_t nr, size_t size)
{
	return cprof_arena_take(&w->arena, nr * size);
}

/*
 * From an arena, where untouched pages cost nothing. A heap zeroes them, once
 * it has had so much back, and keeps some of it between windows.
 */
static int take_arrays(struct cprof_window *w, struct cprof_error *err)
{
	size_t hint_size = cprof_chain_hint_size(w->opts->layout);
	int r = cprof_arena_init(&w->arena,
		CPROF_LIVE_ARENA_BYTES + CPROF_MAX_THREADS * hint_size, err);

	if (r < 0)
		return r;
	w->threads = take(w, 1, sizeof(*w->threads));
	w->live_of = take(w, CPROF_MAX_THREADS, sizeof(*w->live_of));
	w->live_before = take(w, CPROF_MAX_THREADS, sizeof(*w->live_before));
	w->looks = take(w, CPROF_MAX_THREADS, sizeof(*w->looks));
	w->rests = take(w, CPROF_MAX_THREADS, sizeof(*w->rests));
	w->due = take(w, CPROF_MAX_THREADS, sizeof(*w->due));
	w->stack = take(w, 1, sizeof(*w->stack));
	w->live = take(w, CPROF_MAX_THREADS, sizeof(*w->live));
	w->hints = take(w, CPROF_MAX_THREADS, hint_size);
	w->seen = take(w, CPROF_MAX_SEEN_THREADS, sizeof(*w->seen));
	w->task = take(w, CPROF_MAX_THREADS, sizeof(*w->task));
	if (!w->threads || !w->live_of || !w->live_before || !w->looks ||
		!w->rests || !w->due || !w->stack || !w->live || !w->hints ||
		!w->seen || !w->task)
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	return 0;
}

/* A new thread is told by not being on a list that has all. */
static void list_tasks(struct cprof_window *w)
{
	if (w->senses.told == CPROF_TASKS_NOTHING)
		return;
	w->task_nr = cprof_tasks_list(w->task, CPROF_MAX_THREADS);
	w->tasks_known = w->task_nr && w->task_nr < CPROF_MAX_THREADS;
}

int cprof__window_open(const struct cprof_sampler_options *opts,
	enum cprof_sampler_kind kind, struct cprof_window *w,
	struct cprof_error *err)
{
	int r;

	*w = (struct cprof_window){
		.opts = opts,
		.kind = kind,
		.pid = (int32_t)getpid(),
		.own_cpu_ns = cprof_own_cpu_ns(),
		.list_stale = true,
	};
	r = cprof_peek_create(CPROF_PEEK_ANY, &w->peek, err);
	if (r < 0)
		return r;
	r = cprof_codes_create(
		opts->layout, opts->roots.code_type, &w->codes, err);
	if (r < 0)
		goto fail;
	r = cprof_callees_create(opts->layout, &opts->roots, w->codes, w->peek,
		&w->callees, err);
	if (r < 0)
		goto fail;
	r = cprof_walker_create(
		opts->layout, w->peek, w->codes, w->callees, &w->walker, err);
	if (r < 0)
		goto fail;
	r = cprof_stacks_create(&w->stacks, err);
	if (r < 0)
		goto fail;
	r = take_arrays(w, err);
	if (r < 0)
		goto fail;
	w->senses = cprof_senses_try();
	list_tasks(w);
	cprof_thread_set_slice(SLICE_NS);
	w->process_cpu_ns = cprof_process_cpu_ns();
	w->start_unix_ns = cprof_unix_ns();
	w->start_ns = w->last_ns = cprof_now_ns();
	cprof_budget_open(
		&w->budget, opts->budget_ppm, w->start_ns, w->own_cpu_ns);
	return 0;

fail:
	cprof__window_close(w);
	return r;
}

void cprof__window_close(struct cprof_window *w)
{
	cprof_thread_set_slice(0);
	cprof_arena_finish(&w->arena);
	cprof_stacks_destroy(w->stacks);
	cprof_walker_destroy(w->walker);
	cprof_callees_destroy(w->callees);
	cprof_codes_destroy(w->codes);
	cprof_peek_destroy(w->peek);
}
