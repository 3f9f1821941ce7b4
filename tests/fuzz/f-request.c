#include "base/limits.h"
#include "fuzz.h"
#include "rpc/messages.h"

static void check_labels(const struct cprof_label *label, size_t nr)
{
	CHECK(nr <= CPROF_MAX_LABELS);
	for (size_t i = 0; i < nr; i++) {
		CHECK(*label[i].name);
		CHECK(strlen(label[i].value) <= CPROF_MAX_LABEL_BYTES);
	}
}

static void check_request(const struct cprof_service_request *r)
{
	volatile uint8_t sum = 0;

	CHECK(strlen(r->deployment.target) <= CPROF_MAX_TARGET_BYTES);
	CHECK(strlen(r->deployment.project) <= 63);
	check_labels(r->deployment.label, r->deployment.label_nr);
	check_labels(r->label, r->label_nr);
	CHECK(r->wanted_nr <= sizeof(r->wanted) / sizeof(r->wanted[0]));
	CHECK(r->duration_ns >= 0 && r->duration_ns <= CPROF_MAX_DURATION_NS);
	for (size_t i = 0; i < r->profile_len; i++)
		sum = sum ^ r->profile[i];
}

/* What clients send to the local service: either call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cprof_service_request *r = NULL;

	if (cprof_decode_create_request(data, len, &r, NULL) == 0) {
		CHECK(r->wanted_nr);
		check_request(r);
		cprof_service_request_destroy(r);
	}
	r = NULL;
	if (cprof_decode_update_request(data, len, &r, NULL) == 0) {
		CHECK(strlen(r->name) <= CPROF_MAX_NAME_BYTES);
		check_request(r);
		cprof_service_request_destroy(r);
	}
	return 0;
}
