#include "binding/binding.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "base/thread.h"
#include "service/service.h"

#define MAX_TIMEOUT_S 3600.0

static const char server_doc[] =
	"Server(address, transport_path, certificate=None, key=None, "
	"token=None)\n"
	"--\n\n"
	"The Profiler API's server side on gRPC core, for one thread.\n\n"
	"`address` is host:port (port 0 for a free one) or unix:path; off\n"
	"loopback it needs all three: a certificate and its key in PEM, and\n"
	"the token that each call must bring. Raises ValueError or OSError\n"
	"when it cannot be used.";

/*
 * Core's threads come into being inside our calls and inherit their mask: the
 * program's signals are for Python's main thread, not for them. So each call
 * into the service stands between block and unblock.
 */
struct server {
	PyObject_HEAD struct cprof_service *service; /* NULL once closed */
	pid_t owner;	  /* core must not be touched elsewhere */
	atomic_bool busy; /* set while a method runs */
};

/* True when the caller may use the service, until leave(). */
static bool enter(struct server *s)
{
	if (atomic_exchange(&s->busy, true)) {
		PyErr_SetString(PyExc_RuntimeError,
			"the server is in use by another thread");
		return false;
	}
	if (s->service && s->owner == getpid())
		return true;

	PyErr_SetString(PyExc_RuntimeError,
		s->service ? "the server belongs to the parent process"
			   : "the server is closed");
	atomic_store(&s->busy, false);
	return false;
}

static void leave(struct server *s)
{
	atomic_store(&s->busy, false);
}

static int open_service(const char *path,
	const struct cprof_server_options *opts, struct cprof_service **ret,
	struct cprof_error *err)
{
	const struct cprof_transport *transport;
	int r;

	r = cprof_transport_load(path, &transport, err);
	if (r < 0)
		return r;

	return cprof_service_create(transport, opts, ret, err);
}

static PyObject *server_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
	static char *names[] = { "address", "transport_path", "certificate",
		"key", "token", NULL };
	struct cprof_server_options opts = { .address = NULL };
	const char *path;
	struct cprof_service *service;
	struct cprof_error err;
	struct server *s;
	sigset_t before;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kw, "ss|zzz:Server", names,
		    &opts.address, &path, &opts.cert_pem, &opts.key_pem,
		    &opts.token))
		return NULL;

	s = (struct server *)PyType_GenericAlloc(type, 0);
	if (!s)
		return NULL;

	/* The strings belong to `args`, which our caller keeps alive. */
	Py_BEGIN_ALLOW_THREADS
	cprof_signals_block(&before);
	r = open_service(path, &opts, &service, &err);
	cprof_signals_unblock(&before);
	Py_END_ALLOW_THREADS
	if (r < 0) {
		Py_DECREF((PyObject *)s);
		return cprof__raise(&err);
	}

	s->service = service;
	s->owner = getpid();
	return (PyObject *)s;
}

static void release(struct server *s)
{
	struct cprof_service *service = s->service;
	sigset_t before;

	s->service = NULL;
	/* A forked child has the memory, but not the threads: let it be. */
	if (!service || s->owner != getpid())
		return;

	Py_BEGIN_ALLOW_THREADS
	cprof_signals_block(&before);
	cprof_service_destroy(service);
	cprof_signals_unblock(&before);
	Py_END_ALLOW_THREADS
}

static void server_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	release((struct server *)self);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type); /* PyType_GenericAlloc() took it */
}

static PyObject *server_close(PyObject *self, PyObject *unused)
{
	struct server *s = (struct server *)self;

	(void)unused;
	if (s->service) {
		if (!enter(s))
			return NULL;
		release(s);
		leave(s);
	}
	Py_RETURN_NONE;
}

static PyObject *server_port(PyObject *self, void *unused)
{
	struct server *s = (struct server *)self;
	int port;

	(void)unused;
	if (!enter(s))
		return NULL;
	port = cprof_service_port(s->service);
	leave(s);
	return PyLong_FromLong(port);
}

static PyObject *make_labels(const struct cprof_label *label, size_t nr)
{
	PyObject *ret = PyDict_New();

	for (size_t i = 0; ret && i < nr; i++) {
		PyObject *name = cprof__text(label[i].name);
		PyObject *value = cprof__text(label[i].value);

		if (!name || !value || PyDict_SetItem(ret, name, value) < 0)
			Py_CLEAR(ret);
		Py_XDECREF(name);
		Py_XDECREF(value);
	}
	return ret;
}

static PyObject *make_types(const enum cprof_profile_type *type, size_t nr)
{
	PyObject *ret = PyList_New((Py_ssize_t)nr);

	for (size_t i = 0; ret && i < nr; i++) {
		PyObject *number = PyLong_FromLong((long)type[i]);

		if (number)
			PyList_SetItem(ret, (Py_ssize_t)i, number);
		else
			Py_CLEAR(ret);
	}
	return ret;
}

static PyObject *make_create(const struct cprof_service_event *e)
{
	const struct cprof_service_request *r = e->request;
	const struct cprof_deployment *d = &r->deployment;

	return Py_BuildValue("(sKNNNNN)", "create", (unsigned long long)e->call,
		cprof__text(e->peer), cprof__text(d->project),
		cprof__text(d->target), make_labels(d->label, d->label_nr),
		make_types(r->wanted, r->wanted_nr));
}

static PyObject *make_update(const struct cprof_service_event *e)
{
	const struct cprof_service_request *r = e->request;
	const struct cprof_deployment *d = &r->deployment;

	return Py_BuildValue("(sKNNiLNNNNN)", "update",
		(unsigned long long)e->call, cprof__text(e->peer),
		cprof__text(r->name), (int)r->type, (long long)r->duration_ns,
		cprof__text(d->project), cprof__text(d->target),
		make_labels(d->label, d->label_nr),
		make_labels(r->label, r->label_nr),
		PyBytes_FromStringAndSize(
			(const char *)r->profile, (Py_ssize_t)r->profile_len));
}

static PyObject *make_event(const struct cprof_service_event *e)
{
	switch (e->kind) {
	case CPROF_SERVICE_CREATE:
		return make_create(e);
	case CPROF_SERVICE_UPDATE:
		return make_update(e);
	case CPROF_SERVICE_GONE:
		return Py_BuildValue(
			"(sK)", "gone", (unsigned long long)e->call);
	case CPROF_SERVICE_NOTHING:
		break;
	}
	Py_RETURN_NONE;
}

/* False, with an exception set, for what is no time to wait for. */
static bool seconds_to_ns(double s, int64_t *ret_ns)
{
	if (!isfinite(s) || s < 0) {
		PyErr_SetString(PyExc_ValueError,
			"a time must be a number of seconds, 0 or more");
		return false;
	}
	if (s > MAX_TIMEOUT_S)
		s = MAX_TIMEOUT_S;
	*ret_ns = (int64_t)(s * (double)CPROF_NS_PER_S);
	return true;
}

static PyObject *server_next(PyObject *self, PyObject *args)
{
	struct server *s = (struct server *)self;
	struct cprof_service_event event;
	struct cprof_error err;
	int64_t timeout_ns;
	sigset_t before;
	double timeout_s;
	PyObject *ret;
	int r;

	if (!PyArg_ParseTuple(args, "d:next", &timeout_s) ||
		!seconds_to_ns(timeout_s, &timeout_ns) || !enter(s))
		return NULL;

	/* `busy` keeps the service from being closed meanwhile. */
	Py_BEGIN_ALLOW_THREADS
	cprof_signals_block(&before);
	r = cprof_service_next(s->service, timeout_ns, &event, &err);
	cprof_signals_unblock(&before);
	Py_END_ALLOW_THREADS
	leave(s);
	if (r < 0)
		return cprof__raise(&err);

	ret = make_event(&event);
	cprof_service_request_destroy(event.request);
	return ret;
}

/*
 * The dict of labels as C labels, whose text belongs to the dict's strings and
 * is good as long as these. False with an exception set.
 */
static bool read_labels(PyObject *dict, struct cprof_deployment *d)
{
	PyObject *name, *value;
	Py_ssize_t at = 0;

	d->label_nr = 0;
	while (PyDict_Next(dict, &at, &name, &value)) {
		struct cprof_label *label = &d->label[d->label_nr];

		if (d->label_nr == CPROF_MAX_LABELS) {
			PyErr_SetString(PyExc_ValueError, "too many labels");
			return false;
		}
		if (!PyArg_Parse(name, "s", &label->name) ||
			!PyArg_Parse(value, "s", &label->value))
			return false;
		d->label_nr++;
	}
	return true;
}

/* Take `r`, the outcome of an answer, back to Python. */
static PyObject *answered(
	struct server *s, int r, const struct cprof_error *err)
{
	leave(s);
	if (r < 0)
		return cprof__raise(err);
	Py_RETURN_NONE;
}

/*
 * Answers keep the GIL: they hand bytes to core and wait for nobody, and it
 * keeps the strings and the dict as they are.
 */
static PyObject *server_assign(PyObject *self, PyObject *args)
{
	struct server *s = (struct server *)self;
	struct cprof_deployment d;
	struct cprof_error err;
	unsigned long long call;
	long long duration_ns;
	PyObject *labels;
	const char *name;
	sigset_t before;
	int type, r;

	if (!PyArg_ParseTuple(args, "KsiLssO:assign", &call, &name, &type,
		    &duration_ns, &d.project, &d.target, &labels))
		return NULL;
	if (!PyDict_Check(labels)) {
		PyErr_SetString(PyExc_TypeError, "labels must be a dict");
		return NULL;
	}
	if (!read_labels(labels, &d) || !enter(s))
		return NULL;

	cprof_signals_block(&before);
	r = cprof_service_assign(s->service, call, name,
		(enum cprof_profile_type)type, duration_ns, &d, &err);
	cprof_signals_unblock(&before);
	return answered(s, r, &err);
}

static PyObject *server_postpone(PyObject *self, PyObject *args)
{
	struct server *s = (struct server *)self;
	struct cprof_error err;
	unsigned long long call;
	const char *words;
	int64_t delay_ns;
	sigset_t before;
	double delay_s;
	int r;

	if (!PyArg_ParseTuple(args, "Ksd:postpone", &call, &words, &delay_s) ||
		!seconds_to_ns(delay_s, &delay_ns) || !enter(s))
		return NULL;

	cprof_signals_block(&before);
	r = cprof_service_postpone(s->service, call, words, delay_ns, &err);
	cprof_signals_unblock(&before);
	return answered(s, r, &err);
}

static PyObject *server_accept(PyObject *self, PyObject *args)
{
	struct server *s = (struct server *)self;
	struct cprof_error err;
	unsigned long long call;
	const char *name;
	sigset_t before;
	int type, r;

	if (!PyArg_ParseTuple(args, "Ksi:accept", &call, &name, &type) ||
		!enter(s))
		return NULL;

	cprof_signals_block(&before);
	r = cprof_service_accept(
		s->service, call, name, (enum cprof_profile_type)type, &err);
	cprof_signals_unblock(&before);
	return answered(s, r, &err);
}

static PyObject *server_refuse(PyObject *self, PyObject *args)
{
	struct server *s = (struct server *)self;
	struct cprof_error err;
	unsigned long long call;
	const char *words;
	sigset_t before;
	int status, r;

	if (!PyArg_ParseTuple(args, "Kis:refuse", &call, &status, &words) ||
		!enter(s))
		return NULL;

	cprof_signals_block(&before);
	r = cprof_service_refuse(s->service, call, status, words, &err);
	cprof_signals_unblock(&before);
	return answered(s, r, &err);
}

static PyMethodDef server_methods[] = {
	{ "next", server_next, METH_VARARGS,
		"next(timeout_s)\n--\n\n"
		"Wait up to `timeout_s` seconds for what happens next: None,\n"
		"('create', call, peer, project, target, labels, types),\n"
		"('update', call, peer, name, type, duration_ns, project,\n"
		"target, labels, profile_labels, profile_bytes) or\n"
		"('gone', call). Signals are held until it returns." },
	{ "assign", server_assign, METH_VARARGS,
		"assign(call, name, type, duration_ns, project, target, "
		"labels)\n--\n\n"
		"Answer a 'create' with a profile to collect." },
	{ "postpone", server_postpone, METH_VARARGS,
		"postpone(call, words, delay_s)\n--\n\n"
		"Answer a 'create' with ABORTED and a time to come again." },
	{ "accept", server_accept, METH_VARARGS,
		"accept(call, name, type)\n--\n\nAnswer an 'update' well." },
	{ "refuse", server_refuse, METH_VARARGS,
		"refuse(call, status, words)\n--\n\n"
		"Answer any call with an error of gRPC's number `status`." },
	{ "close", server_close, METH_NOARGS,
		"close()\n--\n\n"
		"Cancel what is open and free the address. May be repeated." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef server_fields[] = {
	{ "port", server_port, NULL, "The port bound; 0 for a unix socket.",
		NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

int cprof__server_add(PyObject *module)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)(uintptr_t)server_doc },
		{ Py_tp_new, (void *)(uintptr_t)server_new },
		{ Py_tp_dealloc, (void *)(uintptr_t)server_dealloc },
		{ Py_tp_methods, server_methods },
		{ Py_tp_getset, server_fields },
		{ 0, NULL },
	};
	PyType_Spec spec = {
		.name = "googlecloudprofiler._native.Server",
		.basicsize = sizeof(struct server),
		.flags = Py_TPFLAGS_DEFAULT,
		.slots = slots,
	};
	PyObject *type = PyType_FromSpec(&spec);

	if (!type)
		return -1;
	if (PyModule_AddObject(module, "Server", type) < 0) {
		Py_DECREF(type);
		return -1;
	}
	return 0;
}
