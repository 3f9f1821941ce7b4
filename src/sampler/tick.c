/*
 * What happens at each tick. Within it: no allocation, no lock, no string, no
 * Python call; every foreign byte comes through cprof_peek.
 */
#include "sampler/window.h"

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"

/* What a tick first tells of a thread, by its clock and one copy for all. */
enum look {
	LOOK_STILL, /* it did not run since its stack was copied */
	LOOK_SAME,  /* it ran a little, without the GIL, and has that stack */
	LOOK_MOVED, /* or may have */
	LOOK_STALE  /* it is not on the list any more, or not where it was */
};

static struct cprof_live *live_at(struct cprof_window *w, int i)
{
	return &w->live[w->live_of[i]];
}

static bool same_ref(
	const struct cprof_thread_ref *a, const struct cprof_thread_ref *b)
{
	return a->state == b->state && a->id == b->id;
}

/* Close the account of a thread: its CPU time as far as it was seen. */
static void end_thread(struct cprof_window *w, struct cprof_live *t)
{
	if (t->cpu_first_ns >= 0)
		cprof__seen_set_cpu(
			&w->seen[t->seen], t->cpu_last_ns - t->cpu_first_ns);
	t->in_use = false;
}

static uint32_t new_seen(struct cprof_window *w)
{
	/* The last one is shared by all that have no room. */
	if (w->seen_nr == CPROF_MAX_SEEN_THREADS)
		return w->seen_nr - 1;
	w->seen[w->seen_nr] = (struct cprof_seen){ 0 };
	return w->seen_nr++;
}

static struct cprof_live new_live(struct cprof_window *w,
	const struct cprof_thread_ref *ref, struct cprof_chain_hint *hint)
{
	cprof_chain_hint_reset(hint);
	return (struct cprof_live){
		.ref = *ref,
		.seen = new_seen(w),
		.in_use = true,
		.visited_period = w->period - w->weight_periods,
		.visited_wall_ns = w->wall_ns - w->weight_ns,
		.cpu_first_ns = -1,
		.cpu_last_ns = -1,
		.cpu_seen_ns = -1,
		.hint = hint,
	};
}

static int begin_thread(
	struct cprof_window *w, const struct cprof_thread_ref *ref)
{
	int i = 0;

	while (i < w->live_nr && w->live[i].in_use)
		i++;
	if (i == w->live_nr)
		w->live_nr++;
	w->rests[i] = 0;
	w->live[i] = new_live(w, ref,
		(void *)(w->hints +
			 (size_t)i * cprof_chain_hint_size(w->opts->layout)));
	return i;
}

/* New threads show at the head of a list, whoever is due. */
static void find_heads(struct cprof_window *w)
{
	size_t offset = w->opts->layout->interp.threads_head;

	w->head_nr = 0;
	for (int i = 0; i < w->threads->nr; i++) {
		const struct cprof_thread_ref *ref = &w->threads->ref[i];

		if (ref->link == ref->interp + offset &&
			w->head_nr < CPROF_MAX_INTERPRETERS)
			w->head[w->head_nr++] = i;
	}
}

/* Bring `threads` and `live` up to date; a list that changes has to wait. */
static void refresh_list(struct cprof_window *w)
{
	const struct cprof_threads *list = w->threads;
	int cursor = 0;

	memcpy(w->live_before, w->live_of,
		(size_t)list->nr * sizeof(w->live_of[0]));
	if (cprof_threads_update(
		    w->threads, w->peek, w->opts->layout, &w->opts->roots) < 0)
		return;
	w->list_stale = false;
	w->threads_lost += (uint64_t)list->lost;

	/* Both are in list order, new threads at the head of the new one. */
	for (int i = 0; i < list->nr; i++) {
		const struct cprof_thread_ref *ref = &list->ref[i];
		int at = cursor;

		while (at < list->before_nr &&
			!same_ref(&list->before[at], ref))
			at++;
		if (at == list->before_nr) {
			w->live_of[i] = UINT16_MAX;
			continue;
		}
		for (; cursor < at; cursor++)
			end_thread(w, &w->live[w->live_before[cursor]]);
		cursor++;
		w->live_of[i] = w->live_before[at];
		w->live[w->live_before[at]].ref =
			*ref; /* its link may be new */
	}
	for (; cursor < list->before_nr; cursor++)
		end_thread(w, &w->live[w->live_before[cursor]]);
	for (int i = 0; i < list->nr; i++)
		if (w->live_of[i] == UINT16_MAX)
			w->live_of[i] =
				(uint16_t)begin_thread(w, &list->ref[i]);
	find_heads(w);
}

/*
 * Elements that the frames of those looked at in one tick may take, for the
 * room in the peek list.
 */
#define MAX_FRAMES 5000

/* Looked at every 2^n ticks then, if the budget allows no more. */
#define MAX_RESTS 16

static bool is_no_main(const struct cprof_window *w, const struct cprof_live *t)
{
	int32_t tid = w->seen[t->seen].tid;

	return tid && tid != w->pid;
}

/*
 * Of many threads, those that do not move are visited ever more seldom, in
 * rotation, by a number that stays while others come and go.
 */
static bool is_due(const struct cprof_window *w, int i)
{
	uint32_t number = w->live_of[i], every;

	if (w->opts->wall_main && w->kind == CPROF_SAMPLER_WALL &&
		is_no_main(w, &w->live[number]))
		return false;
	if (w->threads->nr <= CPROF_HOT_THREADS || w->closing)
		return true;
	/* Powers of two, both. */
	every = 1U << w->rests[number];
	if (every > w->budget.cold_ticks)
		every = w->budget.cold_ticks;
	return ((w->tick + number) & (every - 1)) == 0;
}

static bool is_taken(const struct cprof_window *w, int32_t tid)
{
	for (int i = 0; i < w->live_nr; i++)
		if (w->live[i].in_use && w->seen[w->live[i].seen].tid == tid)
			return true;
	return false;
}

/* Whether a thread's own state says that it has the GIL (from 3.12). */
static bool is_attached(const struct cprof_layout *lay, const void *state)
{
	uint16_t word;

	if (!lay->thread.attached_mask)
		return false;
	word = (uint16_t)cprof_load_u32(state, lay->thread.attached);
	return (word & lay->thread.attached_mask) == lay->thread.attached_value;
}

/*
 * What waits for the GIL, or anything else, wakes up for some microseconds now
 * and then; a thread that had the GIL long enough to call something else, and
 * came back, most often used more.
 */
static bool used_little(
	const struct cprof_window *w, const struct cprof_live *t)
{
	return t->cpu_seen_ns >= 0 && t->cpu_now_ns >= 0 &&
	       t->cpu_now_ns - t->cpu_seen_ns <=
		       (w->wall_ns - t->visited_wall_ns) / 100;
}

static int want_link(struct cprof_window *w, int i)
{
	return cprof_peek_add(w->peek, w->threads->ref[i].link, 8);
}

static bool is_linked(const struct cprof_window *w, int i, int link)
{
	const void *at = cprof_peek_at(w->peek, link);

	return at && cprof_load_ptr(at, 0) == w->threads->ref[i].state;
}

/* `holder` is the state that has the GIL, where one word tells (to 3.11). */
static enum look look(struct cprof_window *w, int i, uintptr_t holder)
{
	const struct cprof_layout *lay = w->opts->layout;
	struct cprof_live *t = live_at(w, i);
	const void *state = cprof_peek_at(w->peek, t->glance.state);

	if (!is_linked(w, i, t->link) || !state ||
		cprof_load_u64(state, lay->thread.id) != t->ref.id)
		return LOOK_STALE;
	if (!t->tally)
		cprof_chain_hint_begin(t->hint, lay, state);
	t->holds_gil = holder == t->ref.state || is_attached(lay, state);
	t->thread_id = cprof_load_ptr(state,
		lay->thread.native_thread_id ? lay->thread.native_thread_id
					     : lay->thread.thread_id);
	t->runs =
		lay->cframe.size
			? cprof_load_ptr(state, lay->thread.cframe) !=
				  t->ref.state + lay->thread.root_cframe
			: cprof_load_ptr(state, lay->thread.current_frame) != 0;
	return t->tally && !t->holds_gil && used_little(w, t) &&
			       cprof_glance_same(
				       &t->glance, w->peek, lay, t->hint)
		       ? LOOK_SAME
		       : LOOK_MOVED;
}

/*
 * A new state has the id of the thread that made it, until the new one writes
 * its own. It has done so once it runs Python; or if nobody else is known by
 * that id when it is met again.
 */
static void learn_tid(struct cprof_window *w, struct cprof_live *t)
{
	const struct cprof_layout *lay = w->opts->layout;
	struct cprof_seen *seen = &w->seen[t->seen];
	int32_t tid = (int32_t)t->thread_id;

	/* A pthread_t. Where it is all that tells a state (3.6), ask again. */
	if (!lay->thread.native_thread_id &&
		((seen->tid && lay->thread.id != lay->thread.thread_id) ||
			!cprof_peek_one(w->peek,
				t->thread_id + w->opts->roots.tid_offset,
				sizeof(tid), &tid)))
		return;
	if (seen->tid && seen->tid != tid && t->runs &&
		lay->thread.id == lay->thread.thread_id) {
		/* Another thread, with the address and pthread_t of one before.
		 */
		struct cprof_thread_ref ref = t->ref;

		end_thread(w, t);
		*t = new_live(w, &ref, t->hint);
		t->runs = true;
		seen = &w->seen[t->seen];
	}
	if (tid > 0 &&
		(t->runs || (!seen->tid && t->tally && !is_taken(w, tid))))
		seen->tid = tid;
}

static int64_t read_clock(
	const struct cprof_window *w, const struct cprof_live *t)
{
	int32_t tid = w->seen[t->seen].tid;

	return tid ? cprof_thread_cpu_ns(tid) : -1;
}

/* Its clock, or what that showed last. */
static int64_t read_cpu(struct cprof_window *w, struct cprof_live *t)
{
	struct cprof_seen *seen = &w->seen[t->seen];
	int64_t cpu_ns = read_clock(w, t);
	const struct cprof_task *before;

	if (cpu_ns < 0)
		return t->cpu_last_ns;
	if (t->cpu_first_ns < 0) {
		/* What it used before the window opened is not the window's. */
		before = cprof_tasks_find(w->task, w->task_nr, seen->tid);
		t->cpu_first_ns = before	   ? before->cpu_ns
				  : w->tasks_known ? 0
						   : cpu_ns;
		t->cpu_last_ns = t->cpu_first_ns;
	}
	return cpu_ns;
}

static void read_state(const struct cprof_window *w, struct cprof_live *t)
{
	const struct cprof_roots *roots = &w->opts->roots;

	t->state = cprof_task_state(
		w->seen[t->seen].tid, roots->runtime, roots->runtime_bytes);
}

/*
 * Was the thread on a CPU when it was looked at? Certainly if its clock went on
 * during the look. Else the sampler itself may have taken its CPU, if it used
 * some since the last look and could go on at once (if that is told): it is one
 * of those that `taken` is asked about, and `used_ns` is returned. Where it was
 * not on a CPU, wall time is that of what it waited for.
 */
static int64_t find_state(const struct cprof_window *w, struct cprof_live *t,
	int64_t before_ns, int64_t after_ns)
{
	int64_t used_ns = before_ns - t->cpu_last_ns;

	t->state_guessed = false;
	t->on_cpu = after_ns > before_ns;
	t->state = t->on_cpu ? CPROF_TASK_RUNNING : CPROF_TASK_UNKNOWN;
	if (t->on_cpu || (used_ns <= 0 && w->kind == CPROF_SAMPLER_CPU))
		return 0;
	read_state(w, t);
	return t->state == CPROF_TASK_RUNNING ||
			       w->senses.told == CPROF_TASKS_NOTHING
		       ? used_ns
		       : 0;
}

/*
 * The same for one that shows the same stack: it still waits for the GIL,
 * mostly, if it did; and once it has come to rest that is made sure of.
 */
static void find_state_again(
	const struct cprof_window *w, struct cprof_live *t, enum look how)
{
	if (w->kind == CPROF_SAMPLER_CPU)
		return;
	if (how == LOOK_SAME && t->on_cpu)
		t->state = CPROF_TASK_RUNNING;
	else if (how == LOOK_SAME ? t->state != CPROF_TASK_GIL
				  : t->state_guessed)
		read_state(w, t);
	t->state_guessed = how == LOOK_SAME;
}

/*
 * Charge the time since the last visit to the stack that was seen now, if it is
 * wanted (see did_nothing). Returns the ticks that this look stands for.
 */
static uint32_t charge(struct cprof_window *w, struct cprof_live *t)
{
	uint32_t ticks = w->period - t->visited_period;

	if (t->tally) {
		t->tally->in[t->state].ticks += ticks;
		t->tally->in[t->state].wall_ns +=
			w->wall_ns - t->visited_wall_ns;
	}
	t->visited_period = w->period;
	t->visited_wall_ns = w->wall_ns;
	return ticks;
}

static void count(struct cprof_punctual *of, bool late, uint32_t nr)
{
	*(late ? &of->late : &of->timely) += nr;
}

/* And that it was on a CPU; `late`: found there after a wait. */
static void charge_cpu(struct cprof_window *w, const struct cprof_live *t,
	uint32_t ticks, bool late)
{
	struct cprof_seen *seen = &w->seen[t->seen];

	count(&t->tally->cpu_ticks, late, ticks);
	count(&seen->cpu_ticks, late, ticks);
	count(&seen->cpu_looks, late, 1);
}

static void charge_taken(struct cprof_window *w)
{
	const struct cprof_taken_one *one =
		cprof_taken_find(&w->taken, w->last_ns);

	if (one)
		charge_cpu(w, &w->live[one->live], one->ticks, w->taken.late);
}

/*
 * Of a thread that used no CPU time in this window a CPU profile does not show
 * the stack.
 */
static bool did_nothing(const struct cprof_window *w,
	const struct cprof_live *t, int64_t cpu_ns)
{
	return w->kind == CPROF_SAMPLER_CPU && !t->tally && w->tasks_known &&
	       w->senses.clocks == CPROF_CLOCKS_FINE && cpu_ns >= 0 &&
	       cpu_ns == t->cpu_first_ns;
}

static void walk(struct cprof_window *w, struct cprof_live *t)
{
	int64_t before_ns = read_cpu(w, t), after_ns, used_ns, elapsed_ns;
	enum cprof_walk how;
	uint32_t ticks;

	if (did_nothing(w, t, before_ns)) {
		t->cpu_seen_ns = before_ns;
		charge(w, t);
		return;
	}
	how = cprof_walk(w->walker, &t->ref, t->hint, w->tick, w->stack);
	if (how == CPROF_WALK_ENDED) {
		w->list_stale = true;
		return;
	}
	after_ns = read_cpu(w, t);
	used_ns = find_state(w, t, before_ns, after_ns);
	elapsed_ns = w->wall_ns - t->visited_wall_ns;
	t->cpu_seen_ns = t->hint->print ? before_ns : -1;
	t->cpu_last_ns = after_ns;
	t->tally = cprof_stacks_tally(w->stacks, t->seen, w->stack);
	ticks = charge(w, t);
	if (t->on_cpu)
		charge_cpu(w, t, ticks, false);
	else if (used_ns > 0 && w->taken.nr < CPROF_MAX_TAKEN)
		w->taken.one[w->taken.nr++] = (struct cprof_taken_one){
			.tid = w->seen[t->seen].tid,
			.live = (uint32_t)(t - w->live),
			.ticks = ticks,
			.used_ns = used_ns,
			.busy = used_ns >= elapsed_ns / 2,
			.holds_gil = t->holds_gil,
		};
}

/* Once more at rest, or not. */
static void set_rest(
	struct cprof_window *w, const struct cprof_live *t, bool rests)
{
	uint8_t *nr = &w->rests[t - w->live];

	if (!rests)
		*nr = 0;
	else if (*nr < MAX_RESTS)
		++*nr;
}

static void visit(struct cprof_window *w, struct cprof_live *t, enum look how)
{
	uint32_t ticks;
	bool stood; /* as a coarse clock may */

	switch (how) {
	case LOOK_STILL:
		set_rest(w, t, true);
		find_state_again(w, t, how);
		charge(w, t);
		break;
	case LOOK_SAME:
		stood = t->cpu_now_ns == t->cpu_seen_ns;
		set_rest(w, t, stood);
		t->cpu_seen_ns = t->cpu_last_ns = t->cpu_now_ns;
		find_state_again(w, t, stood ? LOOK_STILL : how);
		ticks = charge(w, t);
		if (t->on_cpu)
			charge_cpu(w, t, ticks, false);
		break;
	case LOOK_MOVED:
		set_rest(w, t, false);
		learn_tid(w, t);
		walk(w, t);
		break;
	case LOOK_STALE:
		break;
	}
}

/*
 * A clock that stands is proof that the thread did not run; a coarse one, that
 * it used little. Of one that does not, the question whether it is on a CPU
 * right now is asked at once.
 */
static bool clock_stands(const struct cprof_window *w, struct cprof_live *t)
{
	int64_t first_ns = t->cpu_seen_ns >= 0 ? read_clock(w, t) : -1;
	bool fine = w->senses.clocks == CPROF_CLOCKS_FINE;

	t->cpu_now_ns = INT64_MAX;
	t->on_cpu = false;
	if (first_ns >= 0 && first_ns == t->cpu_seen_ns) {
		t->cpu_now_ns = first_ns;
		return fine;
	}
	if (first_ns < 0 || !fine)
		return false;
	t->cpu_now_ns = read_clock(w, t);
	t->on_cpu = t->cpu_now_ns > first_ns;
	return false;
}

/* Those that are due, from another place on the list each time. */
static void find_due(struct cprof_window *w)
{
	/* What one walk learns in the first tick, others need not in the next.
	 */
	int most = w->tick == 1 && !w->closing ? CPROF_HOT_THREADS
					       : CPROF_DUE_THREADS;
	int nr = w->threads->nr, i;

	w->due_nr = 0;
	if (!nr)
		return;
	i = (int)((int64_t)w->tick * CPROF_DUE_THREADS % nr);
	for (int n = 0; n < nr && w->due_nr < most; n++) {
		if (is_due(w, i))
			w->due[w->due_nr++] = (uint16_t)i;
		if (++i == nr)
			i = 0;
	}
}

/* Look at all threads that are due, in one copy. */
static void look_at_all(struct cprof_window *w)
{
	int current, frames = 0, head[CPROF_MAX_INTERPRETERS];
	uintptr_t holder;
	const void *at;

	find_due(w);
	cprof_peek_begin(w->peek);
	current = cprof_peek_add(w->peek, w->opts->roots.current, 8);
	for (int n = 0; n < w->due_nr; n++) {
		struct cprof_live *t = live_at(w, w->due[n]);

		w->looks[n] = clock_stands(w, t) ? LOOK_STILL : LOOK_MOVED;
		if (w->looks[n] != LOOK_MOVED)
			continue;
		t->link = want_link(w, w->due[n]);
		t->glance = cprof_glance_want(w->peek, w->opts->layout, &t->ref,
			t->hint,
			t->tally && !t->holds_gil && frames < MAX_FRAMES);
		frames += t->glance.frames;
	}
	for (int n = 0; n < w->head_nr; n++)
		head[n] = want_link(w, w->head[n]);
	cprof_peek_run(w->peek);
	at = cprof_peek_at(w->peek, current);
	holder = at ? cprof_load_ptr(at, 0) : 0;
	for (int n = 0; n < w->due_nr; n++) {
		if (w->looks[n] != LOOK_MOVED)
			continue;
		w->looks[n] = (uint8_t)look(w, w->due[n], holder);
		w->list_stale |= w->looks[n] == LOOK_STALE;
	}
	for (int n = 0; n < w->head_nr; n++)
		w->list_stale |= !is_linked(w, w->head[n], head[n]);
}

/*
 * An idle machine's ticks come 70 us after they are due. One that comes later
 * had to wait until the thread that it takes the CPU of let go of it, as it
 * does at some system calls: where it stands then tells nothing of where it
 * was.
 */
#define MAX_DELAY_NS (200 * CPROF_NS_PER_US)

void cprof__window_tick(struct cprof_window *w, int64_t due_ns, int64_t now_ns,
	uint32_t periods)
{
	int64_t elapsed_ns = now_ns - w->last_ns;

	w->tick++;
	w->taken.nr = 0;
	w->taken.late = now_ns - due_ns > MAX_DELAY_NS;
	w->weight_periods = periods;
	w->period += periods;
	w->last_ns = now_ns;
	/* A process that was stopped is not a program that waited. */
	w->weight_ns =
		elapsed_ns > CPROF_MAX_TICK_NS ? CPROF_MAX_TICK_NS : elapsed_ns;
	w->wall_ns += w->weight_ns;
	if (cprof_peek_check(w->peek, NULL) < 0)
		return;
	/* Sub-interpreters come and go without touching a known list. */
	if (w->tick % CPROF_COLD_TICKS == 0)
		w->list_stale = true;
	if (w->list_stale)
		refresh_list(w);
	look_at_all(w);
	if (w->list_stale) {
		refresh_list(w);
		look_at_all(w);
	}
	for (int n = 0; n < w->due_nr; n++)
		visit(w, live_at(w, w->due[n]), (enum look)w->looks[n]);
	/* What there was no room to look at once more. */
	for (int i = 0; i < w->threads->nr && w->closing; i++)
		if (live_at(w, i)->tally)
			charge(w, live_at(w, i));
	if (w->kind == CPROF_SAMPLER_CPU)
		charge_taken(w);
}
