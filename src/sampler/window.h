#ifndef CPROF_SAMPLER_WINDOW_H
#define CPROF_SAMPLER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "cpython/callee.h"
#include "cpython/chain.h"
#include "cpython/code.h"
#include "cpython/glance.h"
#include "cpython/peek.h"
#include "cpython/threads.h"
#include "sampler/budget.h"
#include "sampler/sampler.h"
#include "sampler/senses.h"
#include "sampler/stacks.h"
#include "sampler/taken.h"
#include "sampler/tasks.h"

/*
 * One window of sampling: all memory it needs, taken when it opens and given
 * back when it closes. Private to src/sampler; see tick.c for what a tick does
 * and report.c for what comes out.
 */

/* A thread that was seen in this window, living or ended. */
struct cprof_seen {
	int32_t tid; /* the kernel's; 0 if it never told */
	int64_t cpu_ns;
	/* That met it on a CPU; their weight. */
	struct cprof_punctual cpu_looks, cpu_ticks;
	char name[16];
};

/* Its id may have been another thread's meanwhile: time never runs backwards.
 */
static inline void cprof__seen_set_cpu(struct cprof_seen *seen, int64_t cpu_ns)
{
	seen->cpu_ns = cpu_ns > 0 ? cpu_ns : 0;
}

/* A thread that lives, as the next tick needs it. */
struct cprof_live {
	struct cprof_thread_ref ref;
	uint32_t seen; /* index of its struct cprof_seen */
	bool in_use;
	uint32_t visited_period;
	int64_t visited_wall_ns;	   /* on the window's own clock */
	int64_t cpu_first_ns, cpu_last_ns; /* -1: not read yet */
	int64_t cpu_seen_ns;	   /* just before its stack was copied, or -1 */
	struct cprof_tally *tally; /* NULL: no stack yet */
	struct cprof_chain_hint *hint;
	/* Of the tick that runs, or the last look: what its state tells. */
	uintptr_t thread_id;
	bool runs, holds_gil;
	enum cprof_task_state state;
	bool state_guessed;
	/* Of the tick that runs. */
	int64_t cpu_now_ns;
	bool on_cpu;
	int link;
	struct cprof_glance glance;
};

struct cprof_window {
	const struct cprof_sampler_options *opts;
	enum cprof_sampler_kind kind;
	int32_t pid; /* and the main thread's number */
	struct cprof_peek *peek;
	struct cprof_codes *codes;
	struct cprof_callees *callees; /* NULL where they are not told */
	struct cprof_walker *walker;
	struct cprof_stacks *stacks;

	struct cprof_arena arena; /* has all that is pointed to below */
	struct cprof_threads *threads;
	/* For each thread on the list, and on the one before, its `live`. */
	uint16_t *live_of, *live_before;
	/* For each `live`, how often in a row it was met at rest. */
	uint8_t *rests;
	/* The first of each interpreter, on the list: new ones show there. */
	int head[CPROF_MAX_INTERPRETERS], head_nr;
	/* Who is looked at in the tick that runs, on the list; and how that
	 * was, an enum look of tick.c. */
	uint16_t *due;
	uint8_t *looks;
	int due_nr;
	struct cprof_stack *stack; /* the one that is being charged */
	struct cprof_live *live;
	char *hints; /* for each `live`, cprof_chain_hint_size() bytes */
	int live_nr; /* in use or free again */
	struct cprof_seen *seen;
	uint32_t seen_nr;
	bool list_stale; /* something did not fit: read the list anew */
	bool closing;	 /* this tick is the last: look at everybody */
	struct cprof_senses senses;
	struct cprof_taken taken; /* in the tick that runs */

	/* The kernel's threads when the window opened, if all are known. */
	struct cprof_task *task;
	int task_nr;
	bool tasks_known;

	struct cprof_budget budget;
	uint32_t tick, missed_ticks, skipped_ticks;
	uint32_t period; /* that ticks stand for so far */
	int64_t start_ns, last_ns, start_unix_ns;
	/* The window's clock: time that ticks stand for, and this one does. */
	int64_t wall_ns, weight_ns;
	uint32_t weight_periods;
	int64_t process_cpu_ns, own_cpu_ns; /* as it opened */
	uint64_t threads_lost;
};

int cprof__window_open(const struct cprof_sampler_options *opts,
	enum cprof_sampler_kind kind, struct cprof_window *w,
	struct cprof_error *err);
void cprof__window_close(struct cprof_window *w);

/*
 * Look at the program once, at `now_ns` of the monotonic clock, where it should
 * have been `due_ns`, for the `periods` since the last time.
 */
void cprof__window_tick(struct cprof_window *w, int64_t due_ns, int64_t now_ns,
	uint32_t periods);

/* After the last tick: the profile, encoded. */
int cprof__window_report(struct cprof_window *w, struct cprof_buffer *out,
	struct cprof_error *err);

#endif
