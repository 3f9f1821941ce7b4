#include "fake-transport.h"

#include "check.h"

struct fake_transport fake_transport = {
	.body = { .max_bytes = 64 << 20 },
};

/* There is one channel, and nothing in it. */
static char the_channel;

static int start(bool own_descriptors, struct cprof_error *err)
{
	(void)own_descriptors;
	if (fake_transport.start_result < 0)
		return cprof_fail(
			err, fake_transport.start_result, "cannot start");
	fake_transport.started++;
	return 0;
}

static const char *version(void)
{
	return "29.0.0";
}

static int channel_create(const struct cprof_channel_options *opts,
	struct cprof_channel **ret, struct cprof_error *err)
{
	if (fake_transport.channel_result < 0)
		return cprof_fail(
			err, fake_transport.channel_result, "no channel");
	fake_transport.channels++;
	fake_transport.made++;
	snprintf(fake_transport.key, sizeof(fake_transport.key), "%s",
		opts->credentials_json ? opts->credentials_json : "");
	snprintf(fake_transport.roots, sizeof(fake_transport.roots), "%s",
		opts->roots_pem ? opts->roots_pem : "");
	snprintf(fake_transport.target, sizeof(fake_transport.target), "%s",
		opts->target);
	*ret = (struct cprof_channel *)&the_channel;
	return 0;
}

static void channel_destroy(struct cprof_channel *ch)
{
	if (ch)
		fake_transport.channels--;
}

static void remember(const struct cprof_call *c)
{
	struct fake_transport *f = &fake_transport;

	f->calls++;
	snprintf(f->method, sizeof(f->method), "%s", c->method);
	f->headers[0] = '\0';
	for (size_t i = 0; i < c->metadata_nr; i++) {
		size_t len = strlen(f->headers);

		snprintf(f->headers + len, sizeof(f->headers) - len, "%s: %s\n",
			c->metadata[i].key, c->metadata[i].value);
	}
	snprintf(f->trailer, sizeof(f->trailer), "%s",
		c->trailer_key ? c->trailer_key : "");
	f->timeout_ns = c->timeout_ns;
	cprof_buffer_finish(&f->body);
	CHECK_EQ(cprof_buffer_add(&f->body, c->body, c->body_len, NULL), 0);
}

static int call(struct cprof_channel *ch, const struct cprof_call *c,
	struct cprof_reply *ret, struct cprof_error *err)
{
	CHECK((char *)ch == &the_channel);
	remember(c);
	if (fake_transport.cancelled)
		return cprof_fail(err, CPROF_ECANCELED, "cancelled");
	if (fake_transport.call_result < 0)
		return cprof_fail(err, fake_transport.call_result, "no call");
	fake_transport.released--;
	*ret = fake_transport.reply;
	if (fake_transport.refuse > 0) {
		fake_transport.refuse--;
		*ret = (struct cprof_reply){ .status = 16 };
	}
	return 0;
}

static void channel_cancel(struct cprof_channel *ch)
{
	CHECK((char *)ch == &the_channel);
	fake_transport.cancelled = true;
}

/* The sum of `released` is 0 when each reply is released once. */
static void reply_release(struct cprof_reply *reply)
{
	fake_transport.released++;
	*reply = (struct cprof_reply){ 0 };
}

const struct cprof_transport fake_transport_table = {
	.start = start,
	.version = version,
	.channel_create = channel_create,
	.channel_destroy = channel_destroy,
	.call = call,
	.channel_cancel = channel_cancel,
	.reply_release = reply_release,
};
