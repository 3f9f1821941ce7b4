/*
 * All threads of an agent at once, and those of a program whose frames move
 * meanwhile, with no gRPC core: ThreadSanitizer knows all of the code that
 * runs.
 */
#include <pthread.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cores.h"
#include "base/log.h"
#include "base/thread.h"
#include "check.h"
#include "fake-python.h"
#include "scripted-transport.h"

#define MS CPROF_NS_PER_MS

struct program {
	struct fake_python *py;
	char *interp;
	char *code;
	struct fake_thread *mover;
	atomic_bool go_on;
	atomic_int records;
	pthread_t thread[3];
};

/* Calls and returns. */
static void *move(void *arg)
{
	struct program *p = arg;
	char *frame = fake_push(p->mover, p->code, 1);

	while (p->go_on) {
		fake_instr(p->py, frame, p->code, 2);
		fake_push(p->mover, p->code, 3);
		fake_pop(p->mover);
		fake_instr(p->py, frame, p->code, 1);
	}
	return NULL;
}

/* As cprof-log, without Python. */
static void *listen_to_words(void *arg)
{
	struct program *p = arg;
	struct cprof_log_record r;
	uint64_t heard = 0;

	while ((heard = cprof_log_wait(heard)))
		while (cprof_log_pop(&r))
			p->records++;
	return NULL;
}

/* Others may ask, and speak, at any time. */
static void *ask(void *arg)
{
	struct program *p = arg;

	while (p->go_on) {
		cprof_agent_running();
		cprof_log(CPROF_DEBUG, "a word");
	}
	return NULL;
}

static struct cprof_agent_options options(const struct program *p)
{
	return (struct cprof_agent_options){
		.link = { .profiler = {
				  .channel = { .target = "127.0.0.1:1" },
				  .deployment = { .project = "prj",
					  .target = "shop" },
				  .api_client = "gl-python/3.11.0",
			  } },
		.sampler = { .layout = p->py->lay,
			.roots = fake_roots(p->py),
			.period_ns = MS },
		.type = { CPROF_PROFILE_CPU, CPROF_PROFILE_WALL },
		.type_nr = 2,
		.backoff_min_ns = MS,
		.backoff_max_ns = 2 * MS,
	};
}

static void open_program(struct program *p)
{
	static void *(*const body[])(void *) = { move, listen_to_words, ask };

	*p = (struct program){ .py = fake_python_create(), .go_on = true };
	p->interp = fake_interp(p->py);
	p->code = fake_function(p->py, "f");
	p->mover = fake_thread(p->py, p->interp, 1, 0);
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&p->thread[i], NULL, body[i], p), 0);
}

static void close_program(struct program *p)
{
	p->go_on = false;
	cprof_log_close();
	for (size_t i = 0; i < 3; i++)
		pthread_join(p->thread[i], NULL);
	fake_python_destroy(p->py);
}

/* Stopped once all was done, and in the middle of a window. */
void test_races__all_threads_work_beside_a_program_that_runs(void)
{
	struct scripted *script = the_script(SCRIPTED_PATH);
	struct cprof_agent_options opts;
	struct program p;

	open_program(&p);
	cprof_cores_map(SCRIPTED_PATH);
	opts = options(&p);
	for (int i = 0; i < 6; i++) {
		script->created = 0;
		script->updated = 0;
		script->rounds = 6;
		CHECK_EQ(cprof_agent_start(&opts, NULL), 0);
		wait_created(script, i % 2 ? 2 : 7);
		if (i % 3 == 2)
			cprof_agent_finish(CPROF_NS_PER_S);
		else
			cprof_agent_stop();
		CHECK(!cprof_agent_running());
		if (i % 2 == 0)
			CHECK_EQ(script->updated, 4);
	}
	CHECK(p.records > 0);
	close_program(&p);
}
