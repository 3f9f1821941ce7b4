#ifndef CPROF_AGENT_ORPHAN_H
#define CPROF_AGENT_ORPHAN_H

/*
 * A child that was forked by a thread, which then just ends: so would the
 * process, if our threads did not stay. Python runs nothing at such an end, but
 * the C library exits with its last thread, and so do we.
 */

/* Once, before any fork. */
void cprof_orphan_prepare(void (*last_word)(void));

/*
 * In the fork handler of a child: when the calling thread ends before the
 * process, `last_word` is called, and the process exits with the last thread
 * that is not ours.
 */
void cprof_orphan_watch(void);

#endif
