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

/*
 * The callable (level, text) that speaks, and the one () that has speak()
 * called, by the thread or by whom the program's locks are for. Never freed,
 * for the thread may be within them.
 */
static PyObject *speaker, *hearer;

static struct {
	pthread_mutex_t lock;	/* protects what follows */
	pthread_cond_t changed; /* `running` */
	bool running;
	bool ready; /* `changed` and the fork handler are */
} thread = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int speak(long level, const char *words)
{
	PyObject *text = cprof__text(words), *result = NULL;

	if (text)
		result = PyObject_CallFunction(speaker, "lO", level, text);
	Py_XDECREF(result);
	Py_XDECREF(text);
	return result ? 0 : cprof__clear_failure();
}

/* Speak all there is. With the GIL held; -1 where it was interrupted. */
static int speak_all(void)
{
	struct cprof_log_record record;
	uint64_t lost = cprof_log_take_lost();
	char text[64];

	while (speaker && cprof_log_pop(&record))
		if (speak(record.level, record.text) < 0)
			return -1;
	if (!speaker || !lost)
		return 0;
	snprintf(text, sizeof(text), "%llu log messages were lost",
		(unsigned long long)lost);
	return speak(CPROF_WARNING, text);
}

/* With the GIL held. */
static void hear(void)
{
	PyObject *result;

	if (!hearer)
		return;
	result = PyObject_CallObject(hearer, NULL);
	if (!result)
		PyErr_Clear();
	Py_XDECREF(result);
}

static void *run(void *arg)
{
	PyGILState_STATE gil;
	uint64_t heard = 0;

	(void)arg;
	cprof_thread_name(CPROF_THREAD_PREFIX "log");
	/* Closed means that the interpreter may be ending: no GIL then. */
	while ((heard = cprof_log_wait(heard))) {
		gil = PyGILState_Ensure();
		hear();
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

int cprof__log_close(void)
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
	return stuck ? 0 : speak_all();
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

PyObject *cprof__speak_through(PyObject *self, PyObject *args)
{
	PyObject *through, *call;

	(void)self;
	if (!PyArg_ParseTuple(args, "OO", &through, &call))
		return NULL;
	make_gil();
	Py_INCREF(through);
	Py_INCREF(call);
	speaker = through;
	hearer = call;
	Py_RETURN_NONE;
}

PyObject *cprof__speak(PyObject *self, PyObject *noargs)
{
	(void)self;
	(void)noargs;
	if (speak_all() < 0)
		return NULL;
	Py_RETURN_NONE;
}
