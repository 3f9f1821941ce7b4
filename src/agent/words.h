#ifndef CPROF_AGENT_WORDS_H
#define CPROF_AGENT_WORDS_H

#include "base/error.h"

/*
 * What a failure to get an assignment means to a person. Each kind is told once
 * in an outage, with what can be done; docs/troubleshooting.md has a section
 * for each.
 */
enum cprof_trouble {
	CPROF_TROUBLE_OTHER, /* no advice is better than a wrong one */
	CPROF_TROUBLE_API_DISABLED,
	CPROF_TROUBLE_NO_ROLE,
	CPROF_TROUBLE_TOKEN,
	CPROF_TROUBLE_CREDENTIALS,
	CPROF_TROUBLE_REFUSED,
	CPROF_TROUBLE_NO_PROJECT,
	CPROF_TROUBLE_NO_CERTIFICATES,
	CPROF_TROUBLE_CERTIFICATE,
	CPROF_TROUBLE_NO_ROUTE,
	CPROF_TROUBLES
};

enum cprof_trouble cprof_trouble_of(const struct cprof_error *err);

/* One clause in the imperative; "" for CPROF_TROUBLE_OTHER. */
const char *cprof_trouble_advice(enum cprof_trouble trouble);

#endif
