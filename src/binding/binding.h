#ifndef CPROF_BINDING_BINDING_H
#define CPROF_BINDING_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * Counting references inline, as headers before 3.12 do, wears down the counts
 * of immortal objects in later Pythons. The functions know better.
 */
#undef Py_INCREF
#undef Py_DECREF
#undef Py_XINCREF
#undef Py_XDECREF
#define Py_INCREF(o)  Py_IncRef((PyObject *)(o))
#define Py_DECREF(o)  Py_DecRef((PyObject *)(o))
#define Py_XINCREF(o) Py_IncRef((PyObject *)(o))
#define Py_XDECREF(o) Py_DecRef((PyObject *)(o))

#include "base/error.h"
#include "sampler/sampler.h"

/*
 * What the files of this folder need of each other. Everything here is called
 * with the GIL held; what returns an object returns a new reference, or NULL
 * with an exception set.
 */

/* The one place where C errors become Python exceptions. Returns NULL. */
PyObject *cprof__raise(const struct cprof_error *err);

/*
 * Text from outside as a str: bytes that are not UTF-8 become U+FFFD. NULL
 * becomes an empty str.
 */
PyObject *cprof__text(const char *text);

/*
 * Forget the exception that is set, as a stranger's failure is not the
 * program's: 0. An interrupt, and what ends a greenlet, stays: -1.
 */
int cprof__clear_failure(void);

/* Add the type `Server` to the module. 0, or -1 with an exception set. */
int cprof__server_add(PyObject *module);

/*
 * What the sampler has to know of this interpreter, less the period. 0, or -1
 * with an exception set: NotImplementedError for a Python that is not served.
 */
int cprof__interpreter(struct cprof_sampler_options *ret);

/*
 * Records of the ring reach Python from open to close. Open may be called with
 * and without the GIL; close with it, and gives it up while it waits. -1 with
 * an exception set where it was interrupted.
 */
int cprof__log_open(struct cprof_error *err);
int cprof__log_close(void);

/* What an agent has to have done in a forked child; without the GIL. */
void cprof__in_child(void);

/* What the module's functions do stands in
 * python/googlecloudprofiler/_native.pyi */
PyObject *cprof__start(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *cprof__ask(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *cprof__stop(PyObject *self, PyObject *args);
PyObject *cprof__running(PyObject *self, PyObject *noargs);
PyObject *cprof__metadata(PyObject *self, PyObject *args);
PyObject *cprof__give_token(PyObject *self, PyObject *args);
PyObject *cprof__count_roots(PyObject *self, PyObject *args);
PyObject *cprof__reads_by(PyObject *self, PyObject *noargs);
PyObject *cprof__lacks(PyObject *self, PyObject *noargs);
PyObject *cprof__transport(PyObject *self, PyObject *args);
PyObject *cprof__read_token(PyObject *self, PyObject *args);
PyObject *cprof__give_no_token(PyObject *self, PyObject *args);
PyObject *cprof__collect(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *cprof__walk_self(PyObject *self, PyObject *noargs);
PyObject *cprof__line_at(PyObject *self, PyObject *args);
PyObject *cprof__call_sites(PyObject *self, PyObject *args);
PyObject *cprof__speak_through(PyObject *self, PyObject *args);
PyObject *cprof__speak(PyObject *self, PyObject *noargs);
PyObject *cprof__name_threads(PyObject *self, PyObject *args);
PyObject *cprof__call_in_main(PyObject *self, PyObject *arg);
PyObject *cprof__call_in_child(PyObject *self, PyObject *arg);
PyObject *cprof__decode_profile(PyObject *self, PyObject *arg);

#endif
