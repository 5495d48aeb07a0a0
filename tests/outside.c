/* SPDX-License-Identifier: MIT */

#include "outside.h"

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS 8

static struct vt_segment *others[OTHERS];
static size_t other_sizes[OTHERS];
static uint32_t n_others;

static void segment_map(const char *path, uint64_t registry_id)
{
	struct vt_segment *segment;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	child_check(fd >= 0 && fstat(fd, &st) == 0);
	segment = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	child_check(segment != MAP_FAILED);
	close(fd);
	if (segment->registry_id != registry_id)
		return;
	child_check(segment->number < OTHERS && !others[segment->number]);
	others[segment->number] = segment;
	other_sizes[segment->number] = (size_t)st.st_size;
	n_others++;
}

/* By name. */
unsigned outside_map(int pid, uint64_t registry_id, struct vt_view *view)
{
	char dir_path[64], path[400], target[64];
	struct dirent *entry;
	uint32_t i;
	ssize_t n;
	DIR *dir;

	(void)snprintf(dir_path, sizeof(dir_path), "/proc/%d/fd", pid);
	dir = opendir(dir_path);
	child_check(dir);
	while ((entry = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = 0;
		if (strncmp(target, "/memfd:vitals", 13) == 0)
			segment_map(path, registry_id);
	}
	closedir(dir);
	for (i = 0; i < n_others; i++)
		child_check(others[i] &&
			    vt_view_add(view, others[i], other_sizes[i]) == 0);
	return n_others;
}
