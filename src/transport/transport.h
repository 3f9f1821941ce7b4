#ifndef CPROF_TRANSPORT_TRANSPORT_H
#define CPROF_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * gRPC core behind one door. The core lives in a shared object of its own,
 * `_transport.so`, loaded privately by cprof_transport_load(); the only thing
 * it exports is a table of the functions below. Nothing else of gRPC is seen
 * outside of src/transport.
 *
 * All functions of the table are to be called from threads that share the
 * descriptors of the one that called `start`; `channel_cancel` alone may come
 * from anywhere. Nothing but `abandon` may be called in a forked child: core
 * does not survive a fork.
 */

enum cprof_security {
	CPROF_SECURITY_PLAINTEXT, /* loopback and unix sockets only */
	CPROF_SECURITY_TLS
};

/*
 * Whose JSON text `credentials_json` is. Core is given no credentials that it
 * has to exchange for a token by itself: core 1.51 follows a null pointer when
 * TLS with a token endpoint fails.
 */
enum cprof_credentials {
	CPROF_CREDENTIALS_NONE, /* or a token in the metadata of each call */
	CPROF_CREDENTIALS_SERVICE_ACCOUNT
};

struct cprof_channel;
struct cprof_channel_options {
	const char *target; /* "host:port" or "unix:/path" */
	enum cprof_security security;
	enum cprof_credentials credentials; /* with TLS only */
	const char *credentials_json;
	const char *roots_pem;	/* NULL: where core looks by itself */
	const char *proxy;	/* "http://host:port", with TLS; NULL: none */
	const char *user_agent; /* put before core's own */
	int64_t keepalive_ns, keepalive_timeout_ns;
	size_t max_reply_bytes;
};

/* A pair of header or trailer; both are C strings of printable ASCII. */
struct cprof_metadata {
	const char *key;
	const char *value;
};

struct cprof_call {
	const char *method; /* "/package.Service/Method" */
	const struct cprof_metadata *metadata;
	size_t metadata_nr;
	const uint8_t *body;
	size_t body_len;
	int64_t timeout_ns;
	const char *trailer_key; /* the trailer wanted in the reply, or NULL */
};

/*
 * The outcome of a call. `status` is gRPC's number (0 is OK); src/rpc says what
 * it means for us. Owned by the caller, released by reply_release().
 */
struct cprof_reply {
	int status;
	char message[512]; /* the server's words, cut, made printable */
	uint8_t *body;
	size_t body_len;
	bool connected;	      /* to the service, as the call ended */
	uint8_t trailer[256]; /* its first value, if it came and fits */
	size_t trailer_len;
};

/*
 * An address of loopback or a unix socket, or any other one with a certificate
 * and a token. Each call has to bring the token, where there is one, as
 * "authorization: Bearer TOKEN": else it ends in UNAUTHENTICATED before its
 * message is read.
 */
struct cprof_server;
struct cprof_server_options {
	const char *address; /* "127.0.0.1:0", "[::1]:8181", "unix:/path" */
	const char *cert_pem, *key_pem; /* a chain and its key, or NULL */
	const char *token;		/* one word, or NULL */
	size_t max_request_bytes;
};

enum cprof_incoming_kind {
	CPROF_INCOMING_NOTHING, /* the time is over */
	CPROF_INCOMING_REQUEST,
	CPROF_INCOMING_GONE /* the client of an open request went away */
};

/* Released by incoming_release(). `call` names the request for the answer. */
struct cprof_incoming {
	enum cprof_incoming_kind kind;
	uint64_t call;
	char method[256];
	char peer[128];
	uint8_t *body;
	size_t body_len;
};

struct cprof_answer {
	int status; /* gRPC's number */
	const char *message;
	const uint8_t *body;
	size_t body_len;
	const char *trailer_key; /* a "-bin" key, or NULL */
	const uint8_t *trailer;
	size_t trailer_len;
};

struct cprof_transport {
	/*
	 * It shares nothing with the process: a second copy of the file is a
	 * second core, which a forked child can begin with.
	 */
	bool alone;

	/*
	 * Start core, once; later calls do nothing. Its own output is silenced,
	 * OpenSSL's exit handler (which would free under running threads) is
	 * not installed. `own_descriptors`: the caller has a table of its own.
	 * CPROF_EINVAL when core was started with another word for that: it
	 * serves threads that are strangers to the caller.
	 */
	int (*start)(bool own_descriptors, struct cprof_error *err);

	/*
	 * The one that may be called in a forked child, in its fork handler:
	 * close what it inherited of core's descriptors, where the program
	 * shares them and core is bundled.
	 */
	void (*abandon)(void);

	const char *(*version)(void); /* core's own, such as "29.0.0" */

	/* A channel connects when the first call needs it. */
	int (*channel_create)(const struct cprof_channel_options *opts,
		struct cprof_channel **ret, struct cprof_error *err);
	void (*channel_destroy)(struct cprof_channel *ch); /* accepts NULL */

	/*
	 * One unary call; waits until there is a reply, the time is over or
	 * the channel was cancelled. Returns 0 with `ret` filled whatever the
	 * status, CPROF_ECANCELED after channel_cancel(), CPROF_EINVAL or
	 * CPROF_ENOMEM when no call could be made. One call at a time.
	 */
	int (*call)(struct cprof_channel *ch, const struct cprof_call *call,
		struct cprof_reply *ret, struct cprof_error *err);

	/*
	 * Make the call in flight, and every later one, end with
	 * CPROF_ECANCELED. For any thread, which uses no descriptor by it; the
	 * channel must outlive this.
	 */
	void (*channel_cancel)(struct cprof_channel *ch);

	void (*reply_release)(struct cprof_reply *reply);

	/* Listens at once. A server is used by one thread at a time. */
	int (*server_create)(const struct cprof_server_options *opts,
		struct cprof_server **ret, struct cprof_error *err);
	int (*server_port)(const struct cprof_server *s); /* 0 for unix: */

	/* The next thing that happened, waiting for `timeout_ns` at most. */
	int (*server_next)(struct cprof_server *s, int64_t timeout_ns,
		struct cprof_incoming *ret, struct cprof_error *err);

	/*
	 * Answer an open request, once. Answering one whose client is gone is
	 * harmless. CPROF_EINVAL for a call that is not open.
	 */
	int (*server_answer)(struct cprof_server *s, uint64_t call,
		const struct cprof_answer *answer, struct cprof_error *err);
	void (*incoming_release)(struct cprof_incoming *in);

	/* Cancels what is open, waits for core to let go. Accepts NULL. */
	void (*server_destroy)(struct cprof_server *s);
};

/*
 * Map `path` (the `_transport.so` beside our module) and return its table,
 * which lives as long as the process. Nothing is started yet. CPROF_EIO with
 * the dynamic linker's words when it cannot be mapped.
 */
int cprof_transport_load(const char *path, const struct cprof_transport **ret,
	struct cprof_error *err);

#endif
