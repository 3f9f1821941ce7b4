#include "transport/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "transport/message.h"

struct cprof__session *cprof__session_create(uint64_t id)
{
	struct cprof__session *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->id = id;
	for (int i = 0; i < CPROF__EVENTS; i++)
		x->mark[i] = (struct cprof__mark){ (enum cprof__event)i, x };
	grpc_call_details_init(&x->details);
	grpc_metadata_array_init(&x->headers);
	return x;
}

void cprof__session_destroy(struct cprof__session *x)
{
	if (!x)
		return;
	if (x->core)
		grpc_call_unref(x->core);
	if (x->has_trailer)
		cprof__metadata_finish(&x->trailer);
	grpc_byte_buffer_destroy(x->request);
	grpc_byte_buffer_destroy(x->reply);
	grpc_metadata_array_destroy(&x->headers);
	grpc_call_details_destroy(&x->details);
	free(x);
}

static int counted(struct cprof__session *x, grpc_call_error e,
	const char *what, struct cprof_error *err)
{
	if (e == GRPC_CALL_OK) {
		x->pending++;
		return 0;
	}
	if (x->core)
		grpc_call_cancel(x->core, NULL);
	return cprof_fail(err, CPROF_EIO, "cannot %s a call: %s", what,
		grpc_call_error_to_string(e));
}

int cprof__session_accept(struct cprof__session *x, grpc_server *server,
	grpc_completion_queue *cq, struct cprof_error *err)
{
	return counted(x,
		grpc_server_request_call(server, &x->core, &x->details,
			&x->headers, cq, cq, &x->mark[CPROF__ACCEPTED]),
		"accept", err);
}

int cprof__session_receive(struct cprof__session *x, struct cprof_error *err)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

	op.data.recv_message.recv_message = &x->request;
	return counted(x,
		grpc_call_start_batch(
			x->core, &op, 1, &x->mark[CPROF__RECEIVED], NULL),
		"receive", err);
}

int cprof__session_watch(struct cprof__session *x, struct cprof_error *err)
{
	grpc_op op = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };

	op.data.recv_close_on_server.cancelled = &x->cancelled;
	return counted(x,
		grpc_call_start_batch(
			x->core, &op, 1, &x->mark[CPROF__CLOSED], NULL),
		"watch", err);
}

static int take_trailer(struct cprof__session *x,
	const struct cprof_answer *answer, struct cprof_error *err)
{
	int r;

	if (!answer->trailer_key)
		return 0;
	r = cprof__metadata_init(&x->trailer, answer->trailer_key,
		answer->trailer, answer->trailer_len, err);
	if (r < 0)
		return r;
	x->has_trailer = true;
	return 0;
}

int cprof__session_answer(struct cprof__session *x,
	const struct cprof_answer *answer, struct cprof_error *err)
{
	grpc_op op[3] = { { .op = GRPC_OP_SEND_INITIAL_METADATA } };
	grpc_slice words;
	grpc_call_error e;
	size_t nr = 1;
	int r;

	if (answer->status < 0 || answer->status > GRPC_STATUS_UNAUTHENTICATED)
		return cprof_fail(err, CPROF_EINVAL, "no status of grpc: %d",
			answer->status);
	r = take_trailer(x, answer, err);
	if (r < 0)
		return r;

	if (answer->status == GRPC_STATUS_OK) {
		x->reply =
			cprof__message_create(answer->body, answer->body_len);
		op[nr].op = GRPC_OP_SEND_MESSAGE;
		op[nr++].data.send_message.send_message = x->reply;
	}
	words = grpc_slice_from_copied_string(
		answer->message ? answer->message : "");
	op[nr].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	op[nr].data.send_status_from_server.status =
		(grpc_status_code)answer->status;
	op[nr].data.send_status_from_server.status_details = &words;
	op[nr].data.send_status_from_server.trailing_metadata = &x->trailer;
	op[nr++].data.send_status_from_server.trailing_metadata_count =
		x->has_trailer;
	e = grpc_call_start_batch(x->core, op, nr, &x->mark[CPROF__SENT], NULL);
	grpc_slice_unref(words);
	x->state = CPROF__SESSION_ANSWERED;
	return counted(x, e, "answer", err);
}

void cprof__session_refuse(
	struct cprof__session *x, grpc_status_code status, const char *words)
{
	struct cprof_answer answer = { .status = (int)status,
		.message = words };

	cprof__session_answer(x, &answer, NULL);
}

int cprof__session_describe(const struct cprof__session *x, size_t max_bytes,
	struct cprof_incoming *ret, struct cprof_error *err)
{
	struct cprof_incoming in = { .kind = CPROF_INCOMING_REQUEST,
		.call = x->id };
	char *peer;
	int r;

	r = cprof__message_copy(
		x->request, max_bytes, &in.body, &in.body_len, err);
	if (r < 0)
		return r;
	cprof__text_copy(x->details.method, in.method, sizeof(in.method));
	peer = grpc_call_get_peer(x->core);
	if (peer) {
		snprintf(in.peer, sizeof(in.peer), "%s", peer);
		gpr_free(peer);
	}
	*ret = in;
	return 0;
}
