/* SPDX-License-Identifier: MIT */

#include "walker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define REST_NS VITALS_S(1)

/* A directory still to be read; a list, so that depth costs no stack. */
struct directory {
	struct directory *next;
	char path[];
};

struct walk {
	struct walker *walker;
	vitals_thread *self;
	struct directory *pending;
	dev_t device;
	unsigned long pass;
	unsigned long files;
	unsigned long unreadable;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

static int add_directory(struct walk *walk, const char *parent, const char *name)
{
	size_t room = strlen(parent) + strlen(name) + 2;
	struct directory *directory = malloc(sizeof(*directory) + room);

	if (!directory)
		return -ENOMEM;
	snprintf(directory->path, room, "%s/%s", parent, name);
	directory->next = walk->pending;
	walk->pending = directory;
	return 0;
}

static int add_file(struct walk *walk, const char *parent, const char *name)
{
	size_t room = strlen(parent) + strlen(name) + 2;
	struct job *job = malloc(sizeof(*job) + room);
	int r;

	if (!job)
		return -ENOMEM;
	snprintf(job->path, room, "%s/%s", parent, name);
	job->pass = walk->pass;
	r = queue_put(walk->walker->queue, walk->self, job);
	if (r)
		free(job);
	else
		walk->files++;
	return r;
}

/* 0, also for what is neither file nor directory, or elsewhere; or a negative errno. */
static int visit(struct walk *walk, DIR *dir, const char *parent, const char *name)
{
	struct stat info;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (info.st_dev != walk->device)
		return 0;
	if (S_ISDIR(info.st_mode))
		return add_directory(walk, parent, name);
	if (S_ISREG(info.st_mode))
		return add_file(walk, parent, name);
	return 0;
}

/* 0; -ECANCELED to leave. What cannot be read is counted. */
static int read_directory(struct walk *walk, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		walk->unreadable++;
	while (dir && r != -ECANCELED && (entry = readdir(dir))) {
		if (!vitals_thread_go_on(walk->self))
			r = -ECANCELED;
		else
			r = visit(walk, dir, path, entry->d_name);
		if (r && r != -ECANCELED)
			walk->unreadable++;
	}
	if (dir)
		closedir(dir);
	return r == -ECANCELED ? r : 0;
}

static int read_tree(struct walk *walk)
{
	struct directory *directory;
	struct stat info;
	int r;

	if (stat(walk->walker->root, &info)) {
		walk->unreadable++;
		return 0;
	}
	walk->device = info.st_dev;
	r = read_directory(walk, walk->walker->root);
	while ((directory = walk->pending)) {
		walk->pending = directory->next;
		if (r == 0)
			r = read_directory(walk, directory->path);
		free(directory);
	}
	return r;
}

int walker_run(vitals_thread *self, void *arg)
{
	struct walker *walker = arg;
	unsigned long pass = 0;
	uint64_t began_ns, took_ns;

	while (vitals_thread_go_on(self)) {
		struct walk walk = { .walker = walker, .self = self, .pass = ++pass };

		began_ns = now_ns();
		report_begin(walker->report, pass);
		if (read_tree(&walk))
			break;
		report_walked(walker->report, walk.files, walk.unreadable);
		took_ns = now_ns() - began_ns;
		vitals_thread_sleep(self, took_ns > REST_NS ? took_ns : REST_NS);
	}
	return 0;
}
