#ifndef CPROF_SAMPLER_SENSES_H
#define CPROF_SAMPLER_SENSES_H

#include <stddef.h>

#include "sampler/tasks.h"

/*
 * What this system lets a sampler know of threads. Sandboxes hide files of
 * /proc, and some kernels count CPU time by the tick. Profiles are made all the
 * same, of what there is; what they lack is said in the log, and in each.
 */
enum cprof_clocks {
	CPROF_CLOCKS_NONE,   /* the CPU clocks of threads cannot be read */
	CPROF_CLOCKS_COARSE, /* they stand while a thread runs, for ms */
	CPROF_CLOCKS_FINE
};

struct cprof_senses {
	enum cprof_tasks_told told;
	enum cprof_clocks clocks;
};

/* Try them; takes up to 50 us. */
struct cprof_senses cprof_senses_try(void);

/*
 * What is lacking, and what that means for profiles, for a person; "" where
 * nothing is. Cut to `size`; 300 bytes are enough.
 */
void cprof_senses_words(const struct cprof_senses *s, char *ret, size_t size);

#endif
