#ifndef CPROF_BASE_LOG_H
#define CPROF_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The agent's words on their way to Python's logging: a bounded ring of
 * records. Native threads push; whoever holds the interpreter pops and speaks
 * (src/binding/log.c). Pushing never waits for a reader: when the ring is full
 * the record is counted as lost and dropped.
 *
 * There is one ring for the process, because there is one logger. It may be
 * touched by any thread; one mutex protects it and is held for a copy only.
 */

/* The numbers of Python's logging module. */
enum cprof_level {
	CPROF_DEBUG = 10,
	CPROF_INFO = 20,
	CPROF_WARNING = 30,
	CPROF_ERROR = 40
};

struct cprof_log_record {
	enum cprof_level level;
	char text[1024]; /* cut, never split; always a C string */
};

/* Format and push one record. Safe before a reader exists. */
__attribute__((format(printf, 2, 3))) void cprof_log(
	enum cprof_level level, const char *fmt, ...);

/* Take the oldest record, if there is one. Never waits. */
bool cprof_log_pop(struct cprof_log_record *ret);

/*
 * Wait until more than `heard` records were pushed since the ring was made, or
 * cprof_log_close() was called. Returns how many were; 0 once the ring is
 * closed. The caller must not hold the GIL.
 */
uint64_t cprof_log_wait(uint64_t heard);

/* Open (again) and close the ring for waiters; records can still be popped. */
void cprof_log_open(void);
void cprof_log_close(void);

/* Records lost because the ring was full, and forget the count. */
uint64_t cprof_log_take_lost(void);

/*
 * For the child of a fork: the lock may be held by a thread that does not exist
 * here. Makes the ring new and empty. No other thread may exist yet.
 */
void cprof_log_abandon(void);

#endif
