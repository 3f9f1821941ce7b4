#include "agent/orphan.h"

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

static struct {
	pthread_key_t key; /* whose destructor tells of a thread's end */
	bool works;
	void (*last_word)(void);
} orphan;

static bool is_named_as_ours(const char *tid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", tid);
	f = fopen(path, "re");
	if (!f)
		return true; /* it has ended */
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return !strncmp(name, CPROF_THREAD_PREFIX, strlen(CPROF_THREAD_PREFIX));
}

/* The child's first thread, whose end is known, apart. */
static bool only_ours_are_left(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	bool only = dir != NULL;

	while (dir && only && (entry = readdir(dir))) {
		long tid = strtol(entry->d_name, NULL, 10);

		only = tid <= 0 || tid == getpid() ||
		       is_named_as_ours(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return only;
}

/* The C library's own way, with its own status. */
static void exit_if_last(void)
{
	if (only_ours_are_left())
		exit(0);
}

static void *wait_for_the_others(void *unused)
{
	(void)unused;
	cprof_thread_name(CPROF_THREAD_PREFIX "orphan");
	/* Soon at first: one of ours may not have its name yet. */
	for (int64_t pause_ns = CPROF_NS_PER_MS;;) {
		exit_if_last();
		cprof_sleep_until_ns(cprof_now_ns() + pause_ns);
		if (pause_ns < CPROF_NS_PER_S)
			pause_ns *= 2;
	}
	return NULL;
}

static void thread_ends(void *unused)
{
	(void)unused;
	orphan.last_word();
	exit_if_last();
	cprof_thread_start(wait_for_the_others, NULL, NULL);
}

void cprof_orphan_prepare(void (*last_word)(void))
{
	orphan.last_word = last_word;
	orphan.works = !pthread_key_create(&orphan.key, thread_ends);
}

void cprof_orphan_watch(void)
{
	if (orphan.works)
		pthread_setspecific(orphan.key, &orphan);
}
