#include "sampler/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

int cprof__window_open(const struct cprof_sampler_options *opts,
	struct cprof_window *w, struct cprof_error *err)
{
	int r;

	*w = (struct cprof_window){ .opts = opts, .list_stale = true };
	r = cprof_peek_create(CPROF_PEEK_ANY, &w->peek, err);
	if (r < 0)
		return r;
	r = cprof_codes_create(
		opts->layout, opts->roots.code_type, &w->codes, err);
	if (r < 0)
		goto fail;
	r = cprof_walker_create(
		opts->layout, w->peek, w->codes, &w->walker, err);
	if (r < 0)
		goto fail;
	r = cprof_stacks_create(&w->stacks, err);
	if (r < 0)
		goto fail;
	/* Untouched pages of these cost nothing. */
	w->threads = calloc(1, sizeof(*w->threads));
	w->live_of = calloc(CPROF_MAX_THREADS, sizeof(*w->live_of));
	w->live_before = calloc(CPROF_MAX_THREADS, sizeof(*w->live_before));
	w->due = calloc(CPROF_MAX_THREADS, sizeof(*w->due));
	w->stack = calloc(1, sizeof(*w->stack));
	w->live = calloc(CPROF_MAX_THREADS, sizeof(*w->live));
	w->hints =
		calloc(CPROF_MAX_THREADS, cprof_chain_hint_size(opts->layout));
	w->seen = calloc(CPROF_MAX_SEEN_THREADS, sizeof(*w->seen));
	w->task = calloc(CPROF_MAX_THREADS, sizeof(*w->task));
	if (!w->threads || !w->live_of || !w->live_before || !w->due ||
		!w->stack || !w->live || !w->hints || !w->seen || !w->task) {
		r = cprof_fail(err, CPROF_ENOMEM, "out of memory");
		goto fail;
	}
	w->task_nr = cprof_tasks_list(w->task, CPROF_MAX_THREADS);
	w->process_cpu_ns = cprof_process_cpu_ns();
	w->own_cpu_ns = cprof_own_cpu_ns();
	w->start_unix_ns = cprof_unix_ns();
	w->start_ns = w->last_ns = cprof_now_ns();
	return 0;

fail:
	cprof__window_close(w);
	return r;
}

void cprof__window_close(struct cprof_window *w)
{
	free(w->task);
	free(w->seen);
	free(w->hints);
	free(w->live);
	free(w->stack);
	free(w->due);
	free(w->live_before);
	free(w->live_of);
	free(w->threads);
	cprof_stacks_destroy(w->stacks);
	cprof_walker_destroy(w->walker);
	cprof_codes_destroy(w->codes);
	cprof_peek_destroy(w->peek);
}
