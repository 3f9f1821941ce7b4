#include "binding/binding.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/cores.h"
#include "agent/words.h"
#include "base/limits.h"
#include "base/thread.h"

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
		{ "authorized_user", CPROF_CREDENTIALS_NONE,
			CPROF_LINK_GIVEN_TOKEN },
		{ "external_account", CPROF_CREDENTIALS_NONE,
			CPROF_LINK_GIVEN_TOKEN },
		{ "metadata", CPROF_CREDENTIALS_NONE,
			CPROF_LINK_METADATA_TOKEN },
		{ "object", CPROF_CREDENTIALS_NONE, CPROF_LINK_GIVEN_TOKEN },
		{ "token_file", CPROF_CREDENTIALS_NONE, CPROF_LINK_FILE_TOKEN },
	};

	if (!type)
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(type, table[i].type))
			continue;
		l->profiler.channel.credentials = table[i].credentials;
		l->token = table[i].token;
		if (l->token == CPROF_LINK_FILE_TOKEN)
			l->token_path = l->key_path;
		/* A file that is exchanged for tokens is read in Python. */
		if (l->token != CPROF_LINK_NO_TOKEN)
			l->key_path = NULL;
		return 0;
	}
	PyErr_Format(PyExc_ValueError, "unknown credentials type '%s'", type);
	return -1;
}

/* Whoever asks for ten times as many ticks asks for what they cost. */
static int64_t budget_of(int64_t period_ns)
{
	return period_ns < CPROF_BUDGET_PERIOD_NS
		       ? CPROF_BUDGET_PPM * CPROF_BUDGET_PERIOD_NS / period_ns
		       : CPROF_BUDGET_PPM;
}

/* The strings live as long as `args` and `kwargs`. */
static int read_options(PyObject *args, PyObject *kwargs,
	struct cprof_agent_options *opts, const char **transport_path,
	double *timeout_s)
{
	static char *names[] = { "transport_path", "target", "tls", "proxy",
		"roots", "credentials_type", "credentials_path",
		"quota_project", "metadata_host", "project", "service",
		"labels", "zone", "instance", "cpu", "wall", "wall_main",
		"period_ns", "user_agent", "api_client", "backoff_ns",
		"timeout_s", "budget_ppm", NULL };
	struct cprof_link_options *l = &opts->link;
	struct cprof_channel_options *ch = &l->profiler.channel;
	struct cprof_deployment *d = &l->profiler.deployment;
	const char *credentials_type;
	PyObject *labels, *roots;
	int tls, zone, cpu, wall, wall_main;
	long long period_ns, backoff_min_ns = 0, backoff_max_ns = 0;
	long long budget_ppm = -1;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs,
		    "sspzO!zzzzzsO!pzpppLss|(LL)dL", names, transport_path,
		    &ch->target, &tls, &ch->proxy, &PyTuple_Type, &roots,
		    &credentials_type, &l->key_path, &l->profiler.quota_project,
		    &l->metadata_host, &d->project, &d->target, &PyTuple_Type,
		    &labels, &zone, &l->profiler.instance, &cpu, &wall,
		    &wall_main, &period_ns, &ch->user_agent,
		    &l->profiler.api_client, &backoff_min_ns, &backoff_max_ns,
		    timeout_s, &budget_ppm) ||
		read_labels(labels, d->label, &d->label_nr) < 0 ||
		read_roots(roots, l) < 0 ||
		read_credentials(credentials_type, l) < 0)
		return -1;
	if (period_ns < CPROF_MIN_PERIOD_NS ||
		period_ns > CPROF_MAX_PERIOD_NS) {
		PyErr_SetString(PyExc_ValueError, "period_ns is out of range");
		return -1;
	}
	if (cpu)
		opts->type[opts->type_nr++] = CPROF_PROFILE_CPU;
	if (wall)
		opts->type[opts->type_nr++] = CPROF_PROFILE_WALL;
	l->zone_wanted = !zone;
	ch->security = tls ? CPROF_SECURITY_TLS : CPROF_SECURITY_PLAINTEXT;
	ch->keepalive_ns = CPROF_KEEPALIVE_NS;
	ch->keepalive_timeout_ns = CPROF_KEEPALIVE_TIMEOUT_NS;
	ch->max_reply_bytes = CPROF_MAX_REPLY_BYTES;
	opts->sampler.period_ns = period_ns;
	opts->sampler.budget_ppm = budget_of(period_ns);
	opts->sampler.wall_main = wall_main;
	/* Given by tests only, which cannot wait for a minute and more, nor for
	 * as many ticks as a share takes that is not chance. */
	if (budget_ppm >= 0)
		opts->sampler.budget_ppm = budget_ppm;
	opts->backoff_min_ns = backoff_min_ns;
	opts->backoff_max_ns = backoff_max_ns;
	return 0;
}

PyObject *cprof__start(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct cprof_agent_options opts = { 0 };
	struct cprof_error err;
	const char *path;
	double unused;
	struct cprof_copy copy;
	int r;

	(void)self;
	if (cprof__interpreter(&opts.sampler) < 0 ||
		read_options(args, kwargs, &opts, &path, &unused) < 0)
		return NULL;
	opts.in_child = cprof__in_child;
	/* With the GIL, so that nobody forks meanwhile; less what may. */
	cprof_cores_map(path);
	Py_BEGIN_ALLOW_THREADS
	copy = cprof_cores_copy();
	Py_END_ALLOW_THREADS
	cprof_cores_refill(copy);
	r = cprof__log_open(&err);
	if (!r)
		r = cprof_agent_start(&opts, &err);
	if (r < 0)
		return cprof__raise(&err);
	Py_RETURN_NONE;
}

/* One CreateProfile, given up after `timeout_s`; what is assigned is left. */
static int ask(struct cprof_agent_options *opts, const char *transport_path,
	struct cprof_error *err)
{
	static const atomic_bool never;
	const struct cprof_transport **transport =
		&opts->link.profiler.transport;
	struct cprof_assignment a;
	struct cprof_link *l = NULL;
	int64_t retry_ns;
	int r;

	r = cprof_transport_load(transport_path, transport, err);
	if (!r)
		r = (*transport)->start(false, err);
	if (!r)
		r = cprof_link_create(&opts->link, &never, &l, err);
	if (r < 0)
		return r;
	cprof_assignment_init(&a);
	r = cprof_link_create_profile(
		l, opts->type, opts->type_nr, &a, &retry_ns, err);
	cprof_assignment_finish(&a);
	cprof_link_destroy(l);
	return r == CPROF_EABORTED ? 0 : r;
}

PyObject *cprof__ask(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct cprof_agent_options opts = { 0 };
	struct cprof_error err;
	double timeout_s = 5;
	const char *path;
	sigset_t before;
	int r;

	(void)self;
	if (read_options(args, kwargs, &opts, &path, &timeout_s) < 0)
		return NULL;
	if (!(timeout_s > 0 && timeout_s <= 60)) {
		PyErr_SetString(PyExc_ValueError, "timeout is out of range");
		return NULL;
	}
	opts.link.profiler.create_timeout_ns =
		(int64_t)(timeout_s * CPROF_NS_PER_S);
	Py_BEGIN_ALLOW_THREADS
	cprof_signals_block(&before);
	r = ask(&opts, path, &err);
	cprof_signals_unblock(&before);
	Py_END_ALLOW_THREADS
	if (!r)
		Py_RETURN_NONE;
	return Py_BuildValue("(ss)", err.message,
		cprof_trouble_advice(cprof_trouble_of(&err)));
}

PyObject *cprof__stop(PyObject *self, PyObject *args)
{
	double patience_s = 0;

	(void)self;
	if (!PyArg_ParseTuple(args, "|d:stop", &patience_s))
		return NULL;
	if (!(patience_s >= 0 && patience_s <= 60)) {
		PyErr_SetString(PyExc_ValueError, "patience is out of range");
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	if (patience_s > 0)
		cprof_agent_finish((int64_t)(patience_s * CPROF_NS_PER_S));
	else
		cprof_agent_stop();
	Py_END_ALLOW_THREADS
	if (cprof__log_close() < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyObject *cprof__running(PyObject *self, PyObject *noargs)
{
	(void)self;
	(void)noargs;
	return PyBool_FromLong(cprof_agent_running());
}
