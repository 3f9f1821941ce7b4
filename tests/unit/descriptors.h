#ifndef TESTS_UNIT_DESCRIPTORS_H
#define TESTS_UNIT_DESCRIPTORS_H

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "check.h"

/*
 * A number that grows with the descriptors that are open in a thread, by its
 * kernel id, whose table may be its own.
 */
static inline int open_fds_of(long tid)
{
	char path[64];
	DIR *dir;
	int nr = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/fd", tid);
	dir = opendir(path);
	CHECK(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static inline int open_fds(void)
{
	return open_fds_of(getpid());
}

#endif
