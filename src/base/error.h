#ifndef CPROF_BASE_ERROR_H
#define CPROF_BASE_ERROR_H

/*
 * How a function of ours fails: it returns a negative code and fills one
 * sentence for a person. Success is 0 (or a count), and leaves `err` untouched.
 * The sentence says what failed first, in lower case, without a full stop and
 * without secrets: "cannot open '/x/key.json': permission denied".
 */
enum cprof_code {
	CPROF_OK = 0,
	CPROF_ENOMEM = -1, /* allocation failed; state unchanged */
	CPROF_EINVAL = -2, /* bad configuration, or refused as such */
	CPROF_EIO = -3,	   /* the operating system said no */
	CPROF_EAUTH = -4,  /* no credentials, or the server refused them */
	CPROF_EUNAVAILABLE = -5,  /* try again later */
	CPROF_ETOOBIG = -6,	  /* a limit in limits.h was hit */
	CPROF_EFORMAT = -7,	  /* bytes from outside do not parse */
	CPROF_ECANCELED = -8,	  /* stopped from our own side */
	CPROF_EABORTED = -9,	  /* the service has nothing to do for us now */
	CPROF_EUNSUPPORTED = -10, /* this interpreter or kernel is not served */
	CPROF_EDENIED = -11,	  /* known, but may not do this */
	CPROF_ENOTFOUND = -12	  /* the peer knows no such thing */
};

struct cprof_error {
	enum cprof_code code;
	char message[512];
};

/*
 * Fill `err` (which may be NULL) and return `code`, so that
 * `return cprof_fail(...)` reads well. A message that is too long is cut.
 */
__attribute__((format(printf, 3, 4))) int cprof_fail(
	struct cprof_error *err, enum cprof_code code, const char *fmt, ...);

#endif
