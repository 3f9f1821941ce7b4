#include "transport/args.h"

#include <limits.h>

#include "base/clock.h"

static grpc_arg *next(struct cprof__args *a)
{
	if (a->nr == sizeof(a->arg) / sizeof(a->arg[0]))
		return NULL;
	return &a->arg[a->nr++];
}

/* The names are literals; core's struct only lacks the const. */
static char *unconst(const char *s)
{
	union {
		const char *in;
		char *out;
	} u = { .in = s };

	return u.out;
}

void cprof__args_add(struct cprof__args *a, const char *name, int64_t value)
{
	grpc_arg *arg = next(a);

	if (!arg)
		return;
	arg->type = GRPC_ARG_INTEGER;
	arg->key = unconst(name);
	arg->value.integer = value > INT_MAX ? INT_MAX : (int)value;
}

void cprof__args_add_string(
	struct cprof__args *a, const char *name, const char *value)
{
	grpc_arg *arg = next(a);

	if (!arg)
		return;
	arg->type = GRPC_ARG_STRING;
	arg->key = unconst(name);
	arg->value.string = unconst(value);
}

void cprof__args_add_ns(struct cprof__args *a, const char *name, int64_t ns)
{
	int64_t ms = ns / CPROF_NS_PER_MS;

	cprof__args_add(a, name, ms > 0 ? ms : 1);
}

grpc_channel_args cprof__args_view(struct cprof__args *a)
{
	return (grpc_channel_args){ .num_args = a->nr, .args = a->arg };
}
