#include "base/thread.h"
#include "transport/channel.h"
#include "transport/core.h"
#include "transport/server.h"
#include "transport/transport.h"

/*
 * The door. Core starts threads at any time and in any of these, and they get
 * the signal mask of whoever called; so the program's signals are kept out
 * here.
 */
#define QUIETLY(statement)                                                     \
	do {                                                                   \
		sigset_t old_;                                                 \
		cprof_signals_block(&old_);                                    \
		statement;                                                     \
		cprof_signals_unblock(&old_);                                  \
	} while (0)

static int start(bool own_descriptors, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__core_start(own_descriptors, err));
	return r;
}

static int channel_create(const struct cprof_channel_options *opts,
	struct cprof_channel **ret, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__channel_create(opts, ret, err));
	return r;
}

static void channel_destroy(struct cprof_channel *ch)
{
	QUIETLY(cprof__channel_destroy(ch));
}

static int call(struct cprof_channel *ch, const struct cprof_call *what,
	struct cprof_reply *ret, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__channel_call(ch, what, ret, err));
	return r;
}

static int server_create(const struct cprof_server_options *opts,
	struct cprof_server **ret, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__server_create(opts, ret, err));
	return r;
}

static int server_next(struct cprof_server *s, int64_t timeout_ns,
	struct cprof_incoming *ret, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__server_next(s, timeout_ns, ret, err));
	return r;
}

static int server_answer(struct cprof_server *s, uint64_t id,
	const struct cprof_answer *answer, struct cprof_error *err)
{
	int r;

	QUIETLY(r = cprof__server_answer(s, id, answer, err));
	return r;
}

static void server_destroy(struct cprof_server *s)
{
	QUIETLY(cprof__server_destroy(s));
}

/* The one symbol that _transport.so exports; load.c asks for it by name. */
const struct cprof_transport *cprof_transport_table(void);

__attribute__((visibility("default"))) const struct cprof_transport *
cprof_transport_table(void)
{
	static const struct cprof_transport table = {
#ifdef CPROF_BUNDLED
		.alone = true,
#endif
		.start = start,
		.abandon = cprof__core_abandon,
		.version = cprof__core_version,
		.channel_create = channel_create,
		.channel_destroy = channel_destroy,
		.call = call,
		.channel_cancel = cprof__channel_cancel,
		.reply_release = cprof__reply_release,
		.server_create = server_create,
		.server_port = cprof__server_port,
		.server_next = server_next,
		.server_answer = server_answer,
		.incoming_release = cprof__incoming_release,
		.server_destroy = server_destroy,
	};

	return &table;
}
