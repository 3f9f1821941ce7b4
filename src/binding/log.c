/*
 * The one door for words: records of the ring go to Python's logging from a
 * thread that exists for nothing else. Whatever a log handler does there,
 * sampling goes on; and where the interpreter ends that thread, nobody waits
 * for it.
 */
#include "binding/binding.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

/* The callable (level, text); never freed, for the thread may be within it. */
static PyObject *speaker;

static struct {
	pthread_mutex_t lock;	/* protects what follows */
	pthread_cond_t changed; /* `running` */
	bool running;
	bool ready; /* `changed` and the fork handler are */
} thread = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void speak(long level, const char *words)
{
	PyObject *text = cprof__text(words), *result = NULL;

	if (text)
		result = PyObject_CallFunction(speaker, "lO", level, text);
	/* A handler's failure is not the program's. */
	if (!result)
		PyErr_Clear();
	Py_XDECREF(result);
	Py_XDECREF(text);
}

/* Speak all there is. With the GIL held. */
static void speak_all(void)
{
	struct cprof_log_record record;
	uint64_t lost = cprof_log_take_lost();
	char text[64];

	while (speaker && cprof_log_pop(&record))
		speak(record.level, record.text);
	if (!speaker || !lost)
		return;
	snprintf(text, sizeof(text), "%llu log messages were lost",
		(unsigned long long)lost);
	speak(CPROF_WARNING, text);
}

static void *run(void *arg)
{
	PyGILState_STATE gil;

	(void)arg;
	cprof_thread_name(CPROF_THREAD_PREFIX "log");
	/* Closed means that the interpreter may be ending: no GIL then. */
	while (cprof_log_wait()) {
		gil = PyGILState_Ensure();
		speak_all();
		PyGILState_Release(gil);
	}
	pthread_mutex_lock(&thread.lock);
	thread.running = false;
	pthread_cond_broadcast(&thread.changed);
	pthread_mutex_unlock(&thread.lock);
	return NULL;
}

/* The thread did not come along, and the lock may be held by it. */
static void after_fork_in_child(void)
{
	pthread_mutex_init(&thread.lock, NULL);
	cprof_cond_init(&thread.changed);
	thread.running = false;
}

static int get_ready(struct cprof_error *err)
{
	if (thread.ready)
		return 0;
	if (pthread_atfork(NULL, NULL, after_fork_in_child))
		return cprof_fail(err, CPROF_ENOMEM, "out of memory");
	cprof_cond_init(&thread.changed);
	thread.ready = true;
	return 0;
}

int cprof__log_open(struct cprof_error *err)
{
	int r;

	pthread_mutex_lock(&thread.lock);
	r = get_ready(err);
	if (!r)
		cprof_log_open();
	if (!r && !thread.running) {
		r = cprof_thread_start(run, NULL, err);
		thread.running = !r;
	}
	pthread_mutex_unlock(&thread.lock);
	return r;
}

/* A handler that blocks holds the thread: it is not waited for longer. */
#define CLOSE_BOUND_NS (200 * CPROF_NS_PER_MS)

void cprof__log_close(void)
{
	int64_t when_ns = cprof_now_ns() + CLOSE_BOUND_NS;
	bool stuck;

	Py_BEGIN_ALLOW_THREADS
	cprof_log_close();
	pthread_mutex_lock(&thread.lock);
	while (thread.running &&
		cprof_cond_wait_until(&thread.changed, &thread.lock, when_ns))
		;
	stuck = thread.running;
	pthread_mutex_unlock(&thread.lock);
	Py_END_ALLOW_THREADS
	/* It is within a handler: whoever speaks now waits for its lock. */
	if (!stuck)
		speak_all();
}

/*
 * Up to 3.6 there is no GIL before a program's first thread: ours and the
 * program would run Python at once. Later versions do nothing here.
 */
static void make_gil(void)
{
	void *at = dlsym(RTLD_DEFAULT, "PyEval_InitThreads");
	void (*init)(void);

	memcpy(&init, &at, sizeof(init));
	if (init)
		init();
}

PyObject *cprof__speak_through(PyObject *self, PyObject *arg)
{
	(void)self;
	make_gil();
	Py_INCREF(arg);
	speaker = arg;
	Py_RETURN_NONE;
}
