#include "cpython/chain.h"

#include "cpython/glance.h"
#include "hostile-python.h"

#define PLACES 24

/* A thread with a few frames, and what may be overwritten of it. */
struct world {
	struct fake_python *py;
	struct cprof_codes *codes;
	struct cprof_roots roots;
	struct cprof_callees *callees;
	struct cprof_walker *walker;
	struct fake_thread *thread;
	struct cprof_chain_hint *hint;
	struct cprof_stack *stack;
	uint32_t tick;
	char *place[PLACES];
	size_t bytes[PLACES];
	size_t nr;
};

/* Large, and empty at the beginning of each input. */
static struct cprof_threads threads;

static void may_change(struct world *w, void *at, size_t bytes)
{
	CHECK(w->nr < PLACES);
	w->place[w->nr] = at;
	w->bytes[w->nr++] = bytes;
}

/* The leaf calls a C function, where a version tells that. */
static void call(struct world *w)
{
	char *code, *frame, *function;

	if (!w->py->lay->function.m_ml)
		return;
	code = fake_calling(w->py, "caller");
	frame = fake_push(w->thread, code, FAKE_CALL);
	function =
		fake_c_function(w->py, "sorted", fake_str(w->py, "zlib"), NULL);
	fake_call(w->py, frame, function);
	may_change(w, frame, w->py->lay->frame.size + 32U);
	may_change(w, code, w->py->lay->code.size + 32U);
	may_change(w, function, w->py->lay->function.size);
}

static void push(struct world *w, const char *name)
{
	char *code = fake_function(w->py, name);
	char *frame = fake_push(w->thread, code, 1);

	may_change(w, frame, w->py->lay->frame.size);
	may_change(w, code, w->py->lay->code.size);
}

static struct world *open_world(struct input *in)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct cprof_layout *lay;
	char *interp;

	CHECK(w);
	threads.nr = threads.before_nr = 0;
	w->py = hostile_python(in);
	lay = w->py->lay;
	interp = fake_interp(w->py);
	w->thread = fake_thread(w->py, interp, 1, 0);
	w->thread->chunk_bytes = 512;
	may_change(w, w->thread->state, lay->thread.size);
	may_change(w, w->thread->cframe, 8U + lay->cframe.size);
	may_change(w, interp, lay->interp.threads_head + 8U);
	push(w, "root");
	for (int i = 0; i < 4; i++)
		push(w, "f");
	call(w);
	if (w->thread->chunk)
		may_change(w, w->thread->chunk, 512);
	may_change(
		w, fake_thread(w->py, interp, 2, 0)->state, lay->thread.size);

	CHECK_EQ(cprof_codes_create(
			 lay, fake_address(w->py->code_type), &w->codes, NULL),
		0);
	w->roots = fake_roots(w->py);
	CHECK_EQ(cprof_callees_create(lay, &w->roots, w->codes, the_peek(),
			 &w->callees, NULL),
		0);
	CHECK_EQ(cprof_walker_create(lay, the_peek(), w->codes, w->callees,
			 &w->walker, NULL),
		0);
	w->hint = calloc(1, cprof_chain_hint_size(lay));
	w->stack = calloc(1, sizeof(*w->stack));
	CHECK(w->hint && w->stack);
	return w;
}

static void close_world(struct world *w)
{
	cprof_walker_destroy(w->walker);
	cprof_callees_destroy(w->callees);
	cprof_codes_destroy(w->codes);
	fake_python_destroy(w->py);
	free(w->hint);
	free(w->stack);
	free(w);
}

static bool glance(struct world *w, const struct cprof_thread_ref *ref)
{
	struct cprof_glance g;

	cprof_peek_begin(the_peek());
	g = cprof_glance_want(the_peek(), w->py->lay, ref, w->hint, true);
	cprof_peek_run(the_peek());
	return cprof_glance_same(&g, the_peek(), w->py->lay, w->hint);
}

static void check_frame(
	const struct world *w, const struct cprof_frame *f, int i)
{
	const char *name;

	if (f->code < CPROF_CALLEE_FIRST) {
		check_code(w->codes, cprof_codes_content(w->codes, f->code),
			f->instr);
	} else if (f->code < CPROF_CODE_PSEUDO) {
		name = cprof_callees_name(w->callees, f->code);
		CHECK(!i && *name &&
			strlen(name) <= 2 * CPROF_MAX_CALLEE_PART_BYTES + 1);
	}
}

static void walk(struct world *w, const struct cprof_thread_ref *ref)
{
	const struct cprof_walk_stats *stats = cprof_walker_stats(w->walker);
	uint64_t before = stats->tries, print = w->hint->print;
	bool same = glance(w, ref);
	enum cprof_walk how =
		cprof_walk(w->walker, ref, w->hint, ++w->tick, w->stack);

	/* A glance may miss that all is as it was, and never the opposite. */
	if (same && how == CPROF_WALK_SETTLED && w->hint->print)
		CHECK(w->hint->print == print);
	CHECK(stats->tries <= before + CPROF_WALK_TRIES);
	if (how == CPROF_WALK_ENDED)
		return;
	CHECK(w->stack->nr >= 1 && w->stack->nr <= CPROF_MAX_KEPT_FRAMES);
	for (int i = 0; i < w->stack->nr; i++)
		check_frame(w, &w->stack->frame[i], i);
}

/* The list of threads, and the stacks of some that it says there are. */
static void look(struct world *w)
{
	struct cprof_roots roots = fake_roots(w->py);
	struct cprof_thread_ref ref = fake_ref(w->thread);

	walk(w, &ref);
	cprof_threads_update(&threads, the_peek(), w->py->lay, &roots);
	CHECK(threads.nr >= 0 && threads.nr <= CPROF_MAX_THREADS);
	for (int i = 0; i < threads.nr && i < 3; i++)
		walk(w, &threads.ref[i]);
}

/* Words that memory may hold by accident, or by somebody's will. */
static uint64_t word(struct world *w, struct input *in)
{
	static const uint64_t odd[] = { 0, 1, 8, 4096, INT64_MAX, 1ull << 63,
		UINT64_MAX, UINT64_MAX - 7, 1ull << 47, (1ull << 47) - 8,
		0xffff800000000000ull, 1ull << 32, UINT32_MAX, 3, 255,
		1 << 20 };
	uint8_t how = input_byte(in);
	uint64_t value;

	switch (how % 4) {
	case 0:
		return odd[how / 4 % 16];
	case 1:
		return fake_address(w->place[how / 4 % w->nr]) + input_byte(in);
	case 2:
		return how / 4;
	default:
		input_take(in, &value, sizeof(value));
		return value;
	}
}

/* Words of the memory are overwritten, with looks in between. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	struct world *w = open_world(&in);
	int looks = 8;

	look(w);
	while (in.left && looks) {
		size_t p = input_byte(&in), at = input_byte(&in);

		if (p / w->nr % 4 == 3) {
			look(w);
			looks--;
			continue;
		}
		p %= w->nr;
		at = at % (w->bytes[p] / 8) * 8;
		fake_store(w->place[p], at, word(w, &in));
	}
	look(w);
	cprof_codes_confirm(w->codes, the_peek(), w->tick);
	close_world(w);
	return 0;
}
