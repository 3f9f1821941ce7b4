#include "agent/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Codes alone do not tell all of them apart. What is looked for in a message is
 * Google's own reason, our service's or core's, as seen with the versions we
 * build on; where it has changed the advice is the general one.
 */
static const struct {
	enum cprof_code code;
	const char *words; /* one of them must be there; NULL: any message */
	enum cprof_trouble trouble;
} table[] = {
	{ CPROF_EDENIED, "SERVICE_DISABLED", CPROF_TROUBLE_API_DISABLED },
	{ CPROF_EDENIED, "has not been used", CPROF_TROUBLE_API_DISABLED },
	{ CPROF_EDENIED, "is disabled", CPROF_TROUBLE_API_DISABLED },
	{ CPROF_EDENIED, NULL, CPROF_TROUBLE_NO_ROLE },
	{ CPROF_EAUTH, "no CA certificates", CPROF_TROUBLE_NO_CERTIFICATES },
	{ CPROF_EAUTH, "cannot read a token", CPROF_TROUBLE_TOKEN },
	{ CPROF_EAUTH, "service wants a", CPROF_TROUBLE_TOKEN },
	{ CPROF_EAUTH, NULL, CPROF_TROUBLE_CREDENTIALS },
	{ CPROF_EINVAL, "INVALID_ARGUMENT", CPROF_TROUBLE_REFUSED },
	{ CPROF_ENOTFOUND, NULL, CPROF_TROUBLE_NO_PROJECT },
	{ CPROF_EUNAVAILABLE, "CERTIFICATE_VERIFY", CPROF_TROUBLE_CERTIFICATE },
	{ CPROF_EUNAVAILABLE, "certificate verify", CPROF_TROUBLE_CERTIFICATE },
	{ CPROF_EUNAVAILABLE, "Hostname Verification",
		CPROF_TROUBLE_CERTIFICATE },
	{ CPROF_EUNAVAILABLE, "failed to connect", CPROF_TROUBLE_NO_ROUTE },
	{ CPROF_EUNAVAILABLE, "DNS", CPROF_TROUBLE_NO_ROUTE },
	{ CPROF_EUNAVAILABLE, "resolving", CPROF_TROUBLE_NO_ROUTE },
};

static const char *const advice[CPROF_TROUBLES] = {
	[CPROF_TROUBLE_OTHER] = "",
	[CPROF_TROUBLE_API_DISABLED] = "enable the Cloud Profiler API: gcloud "
				       "services enable "
				       "cloudprofiler.googleapis.com",
	[CPROF_TROUBLE_NO_ROLE] = "grant the account the role "
				  "roles/cloudprofiler.agent in this project",
	[CPROF_TROUBLE_TOKEN] = "name a file with the service's token in "
				"GOOGLE_CLOUD_PROFILER_TOKEN_FILE",
	[CPROF_TROUBLE_CREDENTIALS] = "check the credentials: the key may be "
				      "deleted, expired or of another project",
	[CPROF_TROUBLE_REFUSED] = "check the service's name, its version and "
				  "the project's id",
	[CPROF_TROUBLE_NO_PROJECT] = "check the project's id and the endpoint",
	[CPROF_TROUBLE_NO_CERTIFICATES] = "",
	[CPROF_TROUBLE_CERTIFICATE] =
		"check SSL_CERT_FILE: whoever opens TLS on the way, as a "
		"company's proxy does, needs its CA there",
	[CPROF_TROUBLE_NO_ROUTE] =
		"check the network, the firewall and https_proxy",
};

enum cprof_trouble cprof_trouble_of(const struct cprof_error *err)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (err->code == table[i].code &&
			(!table[i].words ||
				strstr(err->message, table[i].words)))
			return table[i].trouble;
	return CPROF_TROUBLE_OTHER;
}

const char *cprof_trouble_advice(enum cprof_trouble trouble)
{
	return advice[trouble];
}
