#include "binding/binding.h"

#include "profile/reader.h"

/*
 * Each make_... below turns one thing of a read profile into an object. A list
 * is filled in order; on failure its missing items are NULL, which a list's
 * destructor accepts.
 */
typedef PyObject *(*make_item)(const void *array, size_t i);

static PyObject *make_list(const void *array, size_t nr, make_item make)
{
	PyObject *list = PyList_New((Py_ssize_t)nr);

	for (size_t i = 0; list && i < nr; i++) {
		PyObject *item = make(array, i);

		if (item)
			PyList_SetItem(list, (Py_ssize_t)i, item);
		else
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *make_value_type(const void *array, size_t i)
{
	const struct cprof_read_value_type *t = array;

	return Py_BuildValue(
		"(NN)", cprof__text(t[i].type), cprof__text(t[i].unit));
}

static PyObject *make_line(const void *array, size_t i)
{
	const struct cprof_read_line *line = array;

	return Py_BuildValue("(NNLL)", cprof__text(line[i].function),
		cprof__text(line[i].file), (long long)line[i].line,
		(long long)line[i].start_line);
}

static PyObject *make_location(const void *array, size_t i)
{
	const struct cprof_read_location *location = array;

	return make_list(location[i].line, location[i].line_nr, make_line);
}

static PyObject *make_index(const void *array, size_t i)
{
	const uint32_t *index = array;

	return PyLong_FromUnsignedLong(index[i]);
}

static PyObject *make_value(const void *array, size_t i)
{
	const int64_t *value = array;

	return PyLong_FromLongLong(value[i]);
}

static PyObject *make_label(const void *array, size_t i)
{
	const struct cprof_read_label *label = array;
	PyObject *value = label[i].text ? cprof__text(label[i].text)
					: PyLong_FromLongLong(label[i].number);

	return Py_BuildValue("(NNN)", cprof__text(label[i].key), value,
		cprof__text(label[i].unit));
}

static PyObject *make_comment(const void *array, size_t i)
{
	const char *const *comment = array;

	return cprof__text(comment[i]);
}

struct samples {
	const struct cprof_read_sample *sample;
	size_t value_nr;
};

static PyObject *make_sample(const void *array, size_t i)
{
	const struct samples *all = array;
	const struct cprof_read_sample *s = &all->sample[i];

	return Py_BuildValue("(NNN)",
		make_list(s->location, s->location_nr, make_index),
		make_list(s->value, all->value_nr, make_value),
		make_list(s->label, s->label_nr, make_label));
}

static PyObject *make_profile(const struct cprof_read_profile *p)
{
	struct samples samples = { p->sample, p->value_type_nr };

	return Py_BuildValue("{s:N,s:n,s:N,s:N,s:N,s:L,s:L,s:L,s:N}",
		"value_types",
		make_list(p->value_type, p->value_type_nr, make_value_type),
		"default", (Py_ssize_t)p->default_value_type, "samples",
		make_list(&samples, p->sample_nr, make_sample), "locations",
		make_list(p->location, p->location_nr, make_location),
		"comments", make_list(p->comment, p->comment_nr, make_comment),
		"time_ns", (long long)p->time_unix_ns, "duration_ns",
		(long long)p->duration_ns, "period", (long long)p->period,
		"period_type", make_value_type(&p->period_type, 0));
}

PyObject *cprof__decode_profile(PyObject *self, PyObject *arg)
{
	struct cprof_read_profile *profile;
	struct cprof_error err;
	PyObject *ret;
	Py_ssize_t len;
	char *data;
	int r;

	(void)self;
	if (PyBytes_AsStringAndSize(arg, &data, &len) < 0)
		return NULL;

	/* Bytes do not change, and our caller keeps these alive. */
	Py_BEGIN_ALLOW_THREADS
	r = cprof_profile_read(
		(const uint8_t *)data, (size_t)len, &profile, &err);
	Py_END_ALLOW_THREADS
	if (r < 0)
		return cprof__raise(&err);

	ret = make_profile(profile);
	cprof_read_profile_destroy(profile);
	return ret;
}
