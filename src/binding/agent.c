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

/* A tuple of paths, as strings that live as long as it. */
static int read_roots(PyObject *items, struct cprof_link_options *l)
{
	Py_ssize_t nr = PyTuple_Size(items);

	for (Py_ssize_t i = 0; i < nr && l->root_nr < CPROF_MAX_ROOTS; i++) {
		const char **path = &l->root[l->root_nr++];

		if (!PyArg_Parse(PyTuple_GetItem(items, i), "s", path))
			return -1;
	}
	return nr < 0 ? -1 : 0;
}

/* By its type in a credentials file, or by where tokens come from. */
static int read_credentials(const char *type, struct cprof_link_options *l)
{
	static const struct {
		const char *type;
		enum cprof_credentials credentials;
		enum cprof_link_token token;
	} table[] = {
		{ "service_account", CPROF_CREDENTIALS_SERVICE_ACCOUNT,
			CPROF_LINK_NO_TOKEN },
		{ "authorized_user", CPROF_CREDENTIALS_AUTHORIZED_USER,
			CPROF_LINK_NO_TOKEN },
		{ "external_account", CPROF_CREDENTIALS_EXTERNAL_ACCOUNT,
			CPROF_LINK_NO_TOKEN },
		{ "metadata", CPROF_CREDENTIALS_NONE,
			CPROF_LINK_METADATA_TOKEN },
		{ "object", CPROF_CREDENTIALS_NONE, CPROF_LINK_GIVEN_TOKEN },
	};

	if (!type)
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(type, table[i].type))
			continue;
		l->profiler.channel.credentials = table[i].credentials;
		l->token = table[i].token;
		return 0;
	}
	PyErr_Format(PyExc_ValueError, "unknown credentials type '%s'", type);
	return -1;
}

PyObject *cprof__start(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "transport_path", "target", "tls", "proxy",
		"roots", "credentials_type", "credentials_path",
		"quota_project", "metadata_host", "project", "service",
		"labels", "zone", "instance", "cpu", "wall", "period_ns",
		"user_agent", "api_client", "backoff_ns", NULL };
	struct cprof_agent_options opts = { 0 };
	struct cprof_link_options *l = &opts.link;
	struct cprof_channel_options *ch = &l->profiler.channel;
	struct cprof_deployment *d = &l->profiler.deployment;
	const char *credentials_type;
	struct cprof_error err;
	PyObject *labels, *roots;
	int tls, zone, cpu, wall, r;
	long long period_ns, backoff_min_ns = 0, backoff_max_ns = 0;

	(void)self;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs,
		    "sspzO!zzzzzsO!pzppLss|(LL):start", names,
		    &l->transport_path, &ch->target, &tls, &ch->proxy,
		    &PyTuple_Type, &roots, &credentials_type, &l->key_path,
		    &l->profiler.quota_project, &l->metadata_host, &d->project,
		    &d->target, &PyTuple_Type, &labels, &zone,
		    &l->profiler.instance, &cpu, &wall, &period_ns,
		    &ch->user_agent, &l->profiler.api_client, &backoff_min_ns,
		    &backoff_max_ns) ||
		read_labels(labels, d->label, &d->label_nr) < 0 ||
		read_roots(roots, l) < 0 ||
		read_credentials(credentials_type, l) < 0 ||
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
	l->zone_wanted = !zone;
	ch->security = tls ? CPROF_SECURITY_TLS : CPROF_SECURITY_PLAINTEXT;
	ch->keepalive_ns = CPROF_KEEPALIVE_NS;
	ch->keepalive_timeout_ns = CPROF_KEEPALIVE_TIMEOUT_NS;
	ch->max_reply_bytes = CPROF_MAX_REPLY_BYTES;
	opts.sampler.period_ns = period_ns;
	/* Given by tests only, which cannot wait for a minute and more. */
	opts.backoff_min_ns = backoff_min_ns;
	opts.backoff_max_ns = backoff_max_ns;

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
