#ifndef CPROF_BASE_LIMITS_H
#define CPROF_BASE_LIMITS_H

#include "base/clock.h"

/*
 * Every maximum in one table, with its reason. What comes from outside (a
 * server's reply, a file, another thread's memory) is clamped to these before
 * it is used.
 */

/* words */
#define CPROF_MAX_LOG_RECORDS 64 /* the agent says about 4 a minute */

/* the service's own rules (its published API) */
#define CPROF_MAX_LABEL_BYTES  512  /* one label's value */
#define CPROF_MAX_LABELS_BYTES 1024 /* all names and values of one resource */
#define CPROF_MAX_LABELS       32   /* ours; the service names no number */
#define CPROF_MAX_TARGET_BYTES 255  /* a service name, by its pattern */
#define CPROF_MAX_NAME_BYTES   512  /* projects/P/profiles/ID */

/* the wire */
#define CPROF_MAX_REPLY_BYTES	(1 << 20)  /* a reply is some hundred bytes */
#define CPROF_MAX_REQUEST_BYTES (64 << 20) /* what our server will take in */
#define CPROF_MAX_HEADERS_BYTES (12 << 10) /* a token, and what is usual */
#define CPROF_MAX_TRAILER_BYTES 256	   /* retry info takes 10 */
#define CPROF_MAX_OPEN_CALLS	1024 /* as many agents wait in our server */
#define CPROF_HANDSHAKE_NS	(10 * CPROF_NS_PER_S)	/* with our server */
#define CPROF_CHANNEL_IDLE_NS	(1800 * CPROF_NS_PER_S) /* as grpc documents */
#define CPROF_RECONNECT_MIN_NS	(1 * CPROF_NS_PER_S)	/* core, while down */
#define CPROF_RECONNECT_MAX_NS	(30 * CPROF_NS_PER_S)	/* less than ours */

/* Google's metadata server */
#define CPROF_MAX_HEAD_BYTES	    (16 << 10) /* status, headers: some 300 */
#define CPROF_MAX_METADATA_BYTES    (4 << 10)  /* a value, blanks around it */
#define CPROF_MAX_TOKEN_BYTES	    (4 << 10)  /* Google names 2048 */
#define CPROF_MIN_TOKEN_BYTES	    16	       /* of one that a person makes */
#define CPROF_MAX_TOKEN_REPLY_BYTES (8 << 10)
#define CPROF_MAX_TOKEN_LIFE_NS	    (24 * 3600 * CPROF_NS_PER_S)
#define CPROF_TOKEN_EARLY_NS	    (300 * CPROF_NS_PER_S) /* as server */
#define CPROF_TOKEN_TIMEOUT_NS	    (3 * CPROF_NS_PER_S)
#define CPROF_HTTP_LOOK_NS	    (50 * CPROF_NS_PER_MS) /* for a stop */

/* what is read of files */
#define CPROF_MAX_KEY_BYTES    (1 << 20)  /* a key file has 2.4 kB */
#define CPROF_MAX_SECRET_BYTES (64 << 10) /* a token, blanks around it */
#define CPROF_MAX_ROOTS_BYTES  (4 << 20)  /* a system's has 0.2 MB */
#define CPROF_MAX_ROOT_FILES   1000	  /* of a folder; Debian's has 140 */

/* time */
#define CPROF_METADATA_PATIENCE_NS (5 * CPROF_NS_PER_S)	   /* a machine boots */
#define CPROF_GIVEN_PATIENCE_NS	   (10 * CPROF_NS_PER_S)   /* a first token */
#define CPROF_CREATE_DEADLINE_NS   (3600 * CPROF_NS_PER_S) /* server's own */
#define CPROF_UPDATE_DEADLINE_NS   (30 * CPROF_NS_PER_S)   /* API's advice */
#define CPROF_KEEPALIVE_NS	   (300 * CPROF_NS_PER_S) /* less is punished */
#define CPROF_KEEPALIVE_TIMEOUT_NS (30 * CPROF_NS_PER_S)
#define CPROF_BACKOFF_MIN_NS	   (60 * CPROF_NS_PER_S) /* as all agents */
#define CPROF_BACKOFF_MAX_NS	   (3600 * CPROF_NS_PER_S)
#define CPROF_MIN_RETRY_NS	   (1 * CPROF_NS_PER_S) /* no busy loop */
#define CPROF_UPLOAD_TRIES	   3
#define CPROF_UPLOAD_PAUSE_NS	   (2 * CPROF_NS_PER_S) /* doubled each time */
#define CPROF_DEFAULT_DURATION_NS  (10 * CPROF_NS_PER_S)
#define CPROF_MIN_DURATION_NS	   (100 * CPROF_NS_PER_MS)
#define CPROF_MAX_DURATION_NS	   (300 * CPROF_NS_PER_S)
#define CPROF_MIN_PERIOD_NS	   (1 * CPROF_NS_PER_MS)  /* 3 % of a core */
#define CPROF_MIN_TRIAL_PERIOD_NS  (CPROF_NS_PER_MS / 10) /* not an agent's */
#define CPROF_MAX_PERIOD_NS	   (1 * CPROF_NS_PER_S)
#define CPROF_STOP_BOUND_NS	   (800 * CPROF_NS_PER_MS) /* of a second */
#define CPROF_FORK_DELAY_NS	   (1 * CPROF_NS_PER_S)	   /* or up to twice */

/* forks */
#define CPROF_MAX_GENERATIONS 8 /* a core takes 7 of musl's 128 keys */

/* the interpreter's memory */
#define CPROF_PEEK_BYTES	    (4 << 20) /* the deepest stack twice */
#define CPROF_MAX_INTERPRETERS	    64
#define CPROF_MAX_THREADS	    8192
#define CPROF_MAX_WALKED_FRAMES	    4096
#define CPROF_KEPT_LEAF_FRAMES	    448 /* of a deeper stack ... */
#define CPROF_KEPT_ROOT_FRAMES	    64	/* ... with [...] between */
#define CPROF_MAX_CODE_NAME_BYTES   1024
#define CPROF_MAX_CODE_FILE_BYTES   4096
#define CPROF_MAX_CODE_LINES_BYTES  (256 << 10) /* a table of 20,000 lines */
#define CPROF_MAX_STACK_CHUNKS	    256 /* 16 KiB each, as CPython makes them */
#define CPROF_MAX_CHUNK_BYTES	    (1 << 20)
#define CPROF_WALK_TRIES	    6
#define CPROF_MAX_SITE_UNITS	    16384 /* of 2 bytes; 2500 lines */
#define CPROF_MAX_CALLEE_PART_BYTES 64	  /* of a module, type or function */

/* a window */
#define CPROF_MAX_SEEN_THREADS	 65536 /* living and ended */
#define CPROF_THREAD_NAME_BYTES	 64
#define CPROF_MAX_STACKS	 65536 /* 64 threads, 10 s, all different */
#define CPROF_MAX_CODES		 65536
#define CPROF_STACK_ARENA_BYTES	 (64 << 20)
#define CPROF_CODE_ARENA_BYTES	 (64 << 20)
#define CPROF_MAX_CALLEES	 4096 /* C functions known at once */
#define CPROF_CALLEE_ARENA_BYTES (16 << 20)
#define CPROF_LIVE_ARENA_BYTES	 (8 << 20) /* and a hint for each thread */
#define CPROF_HOT_THREADS	 32   /* so many are all looked at, always */
#define CPROF_DUE_THREADS	 1200 /* in one tick; more come in turn */
#define CPROF_COLD_TICKS	 32 /* unmoved that long: visited in rotation */
#define CPROF_MAX_COLD_TICKS	 256  /* the same, to save CPU time */
#define CPROF_MAX_STRIDE	 10   /* periods to a tick, to save CPU time */
#define CPROF_BUDGET_PPM	 5000 /* of one core, at this period or more */
#define CPROF_BUDGET_PERIOD_NS	 (10 * CPROF_NS_PER_MS)
#define CPROF_MAX_TICK_NS	 (2 * CPROF_NS_PER_S) /* weight after a stop */

/* a profile */
#define CPROF_MAX_PROFILE_BYTES (256 << 20) /* unpacked */
#define CPROF_MAX_UPLOAD_BYTES	(32 << 20)  /* gzipped */
#define CPROF_MAX_COMMENTS	16

/* a stranger's profile: what is read becomes some objects of Python's each */
#define CPROF_MAX_INFLATION	  250	    /* ours have 5 to 20, bombs 1000 */
#define CPROF_FREE_INFLATION	  (1 << 20) /* less is no bomb */
#define CPROF_MAX_READ_TYPES	  64	    /* of value; a heap has 4 */
#define CPROF_MAX_READ_COMMENTS	  1024
#define CPROF_MAX_READ_TEXTS	  (2 << 20)
#define CPROF_MAX_READ_FUNCTIONS  (1 << 20)
#define CPROF_MAX_READ_LOCATIONS  (1 << 20)
#define CPROF_MAX_READ_LINES	  (2 << 20) /* with what is inlined */
#define CPROF_MAX_READ_SAMPLES	  (1 << 20)
#define CPROF_MAX_READ_VALUES	  (8 << 20)  /* samples times types */
#define CPROF_MAX_READ_DEPTH	  (64 << 10) /* of one stack */
#define CPROF_MAX_READ_FRAMES	  (8 << 20)  /* of all stacks */
#define CPROF_MAX_READ_LABELS	  (2 << 20)
#define CPROF_MAX_READ_TEXT_BYTES (256 << 20) /* as often as referred to */

#endif
