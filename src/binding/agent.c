#include "binding/binding.h"

#include <string.h>

#include "agent/agent.h"
#include "base/limits.h"

/* A mapping of labels, as strings that live as long as `items`. */
static int read_labels(
	PyObject *items, struct cprof_label *label, size_t *ret_nr)
{
	Py_ssize_t nr = PyTuple_Size(items);

	if (nr < 0)
		return -1;
	if (nr > CPROF_MAX_LABELS) {
		PyErr_SetString(PyExc_ValueError, "too many labels");
		return -1;
	}
	for (Py_ssize_t i = 0; i < nr; i++)
		if (!PyArg_ParseTuple(PyTuple_GetItem(items, i), "ss",
			    &label[i].name, &label[i].value))
			return -1;
	*ret_nr = (size_t)nr;
	return 0;
}

static enum cprof_credentials credentials_kind(const char *kind)
{
	if (kind && !strcmp(kind, "service_account"))
		return CPROF_CREDENTIALS_SERVICE_ACCOUNT;
	if (kind && !strcmp(kind, "authorized_user"))
		return CPROF_CREDENTIALS_AUTHORIZED_USER;
	return CPROF_CREDENTIALS_NONE;
}

PyObject *cprof__start(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "transport_path", "target", "tls",
		"credentials_type", "credentials_json", "project", "service",
		"labels", "instance", "cpu", "wall", "period_ns", "user_agent",
		"api_client", NULL };
	struct cprof_agent_options opts = { 0 };
	struct cprof_channel_options *ch = &opts.profiler.channel;
	struct cprof_deployment *d = &opts.profiler.deployment;
	const char *credentials_type;
	struct cprof_error err;
	PyObject *labels;
	int tls, cpu, wall, r;
	long long period_ns;

	(void)self;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sspzzssO!zppLss:start",
		    names, &opts.transport_path, &ch->target, &tls,
		    &credentials_type, &ch->credentials_json, &d->project,
		    &d->target, &PyTuple_Type, &labels, &opts.profiler.instance,
		    &cpu, &wall, &period_ns, &ch->user_agent,
		    &opts.profiler.api_client) ||
		read_labels(labels, d->label, &d->label_nr) < 0 ||
		cprof__interpreter(&opts.sampler) < 0)
		return NULL;
	if (period_ns < CPROF_MIN_PERIOD_NS ||
		period_ns > CPROF_MAX_PERIOD_NS) {
		PyErr_SetString(PyExc_ValueError, "period_ns is out of range");
		return NULL;
	}
	if (cpu)
		opts.type[opts.type_nr++] = CPROF_PROFILE_CPU;
	if (wall)
		opts.type[opts.type_nr++] = CPROF_PROFILE_WALL;
	ch->security = tls ? CPROF_SECURITY_TLS : CPROF_SECURITY_PLAINTEXT;
	ch->credentials = credentials_kind(credentials_type);
	ch->keepalive_ns = CPROF_KEEPALIVE_NS;
	ch->keepalive_timeout_ns = CPROF_KEEPALIVE_TIMEOUT_NS;
	ch->max_reply_bytes = CPROF_MAX_REPLY_BYTES;
	opts.sampler.period_ns = period_ns;

	/* What the strings point into is kept alive by our caller. */
	Py_BEGIN_ALLOW_THREADS
	r = cprof__log_open(&err);
	if (!r)
		r = cprof_agent_start(&opts, &err);
	Py_END_ALLOW_THREADS
	if (r < 0)
		return cprof__raise(&err);
	Py_RETURN_NONE;
}

PyObject *cprof__stop(PyObject *self, PyObject *noargs)
{
	(void)self;
	(void)noargs;
	Py_BEGIN_ALLOW_THREADS
	cprof_agent_stop();
	Py_END_ALLOW_THREADS
	cprof__log_close();
	Py_RETURN_NONE;
}

PyObject *cprof__running(PyObject *self, PyObject *noargs)
{
	(void)self;
	(void)noargs;
	return PyBool_FromLong(cprof_agent_running());
}
