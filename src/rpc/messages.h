#ifndef CPROF_RPC_MESSAGES_H
#define CPROF_RPC_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/limits.h"

/*
 * The messages of google.devtools.cloudprofiler.v2, both ways: our agent writes
 * requests and reads replies, our local service reads requests and writes
 * replies. Everything read is bounded and checked here; what is handed out can
 * be used as it is.
 */

#define CPROF_METHOD_CREATE_PROFILE                                            \
	"/google.devtools.cloudprofiler.v2.ProfilerService/CreateProfile"
#define CPROF_METHOD_UPDATE_PROFILE                                            \
	"/google.devtools.cloudprofiler.v2.ProfilerService/UpdateProfile"

/* The API's numbers. */
enum cprof_profile_type {
	CPROF_PROFILE_UNSPECIFIED = 0,
	CPROF_PROFILE_CPU = 1,
	CPROF_PROFILE_WALL = 2,
	CPROF_PROFILE_HEAP = 3,
	CPROF_PROFILE_THREADS = 4,
	CPROF_PROFILE_CONTENTION = 5,
	CPROF_PROFILE_PEAK_HEAP = 6,
	CPROF_PROFILE_HEAP_ALLOC = 7
};

/* "CPU", "WALL", ...; "UNKNOWN" for a number the API does not have. */
const char *cprof_profile_type_name(enum cprof_profile_type type);

struct cprof_label {
	const char *name;
	const char *value;
};

/* Whom a profile is of. The strings belong to whoever made the struct. */
struct cprof_deployment {
	const char *project;
	const char *target; /* the service's name */
	struct cprof_label label[CPROF_MAX_LABELS];
	size_t label_nr;
};

/*
 * What the service asks for, as it answered CreateProfile. `raw` is the Profile
 * exactly as received: it goes back with the upload, fields we do not know
 * included.
 */
struct cprof_assignment {
	char name[CPROF_MAX_NAME_BYTES + 1];
	enum cprof_profile_type type;
	int64_t duration_ns; /* clamped; the default where none came */
	struct cprof_buffer raw;
};

void cprof_assignment_init(struct cprof_assignment *a);
void cprof_assignment_finish(struct cprof_assignment *a);

/*
 * Agent: what goes out. Appended to `out`. Labels are made to fit the service's
 * limits: values are cut, and a label that does not fit any more is left out.
 *
 * A request for some types of profile. With `d` NULL only the types are
 * written, to follow a request written without any: a parser merges the two.
 */
int cprof_encode_create_request(const struct cprof_deployment *d,
	const enum cprof_profile_type *type, size_t type_nr,
	struct cprof_buffer *out, struct cprof_error *err);

/*
 * The assignment as received, followed by `profile_bytes` and the labels: a
 * protobuf parser merges such a sequence into one Profile.
 */
int cprof_encode_update_request(const struct cprof_assignment *a,
	const struct cprof_label *label, size_t label_nr,
	const uint8_t *profile, size_t profile_len, struct cprof_buffer *out,
	struct cprof_error *err);

/* Agent: what comes in. `ret` is initialised and unchanged on failure. */
int cprof_decode_assignment(const uint8_t *data, size_t len,
	struct cprof_assignment *ret, struct cprof_error *err);

/*
 * The delay of a google.rpc.RetryInfo, at least 0 and at most
 * CPROF_BACKOFF_MAX_NS. CPROF_EFORMAT when there is none or it is negative.
 */
int cprof_decode_retry_info(const uint8_t *data, size_t len, int64_t *ret_ns,
	struct cprof_error *err);

/*
 * Service: what comes in. Strings live as long as the struct; both are released
 * by cprof_service_request_destroy(). CPROF_EFORMAT says which field is wrong,
 * in words that may be sent to the client.
 */
struct cprof_service_request {
	struct cprof_deployment deployment;
	/* of CreateProfile */
	enum cprof_profile_type wanted[8];
	size_t wanted_nr;
	/* of UpdateProfile, where the deployment may be two empty strings */
	const char *name;
	enum cprof_profile_type type;
	int64_t duration_ns;
	struct cprof_label label[CPROF_MAX_LABELS]; /* of the profile itself */
	size_t label_nr;
	const uint8_t *profile;
	size_t profile_len;
	void *memory; /* private */
};

int cprof_decode_create_request(const uint8_t *data, size_t len,
	struct cprof_service_request **ret, struct cprof_error *err);
int cprof_decode_update_request(const uint8_t *data, size_t len,
	struct cprof_service_request **ret, struct cprof_error *err);

/* Accepts NULL. */
void cprof_service_request_destroy(struct cprof_service_request *r);

/* Service: what goes out. Appended to `out`. */
int cprof_encode_profile(const char *name, enum cprof_profile_type type,
	int64_t duration_ns, const struct cprof_deployment *d,
	struct cprof_buffer *out, struct cprof_error *err);
int cprof_encode_retry_info(
	int64_t delay_ns, struct cprof_buffer *out, struct cprof_error *err);

#endif
