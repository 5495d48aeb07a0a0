/* SPDX-License-Identifier: MIT */

#include "proc.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The spare lies above the numbers that hosts count on (what is handed over begins at 3, shells use
 * 10), and so low that no larger table is needed for it.
 */
#define SPARE_MIN 48
#define PATH_BYTES 192

void vt_proc_begin(struct vt_proc *proc, uint32_t pid)
{
	memset(proc, 0, sizeof(*proc));
	proc->pid = pid;
}

/* Is the spare's number still that of our file? */
static bool spare_ours(const struct vt_proc *proc)
{
	struct stat status;

	return proc->spare && fstat(proc->spare - 1, &status) == 0 &&
	       (uint64_t)status.st_dev == proc->spare_device &&
	       (uint64_t)status.st_ino == proc->spare_inode;
}

/*
 * A directory of this very thread: a host has hardly one open itself, so that device and inode tell
 * ours from what it may have put there since. Without /proc none is needed.
 */
void vt_proc_keep(struct vt_proc *proc)
{
	struct stat status;
	int saved = errno, fd, high;

	proc->keeps = true;
	if (spare_ours(proc))
		goto done;
	proc->spare = 0;
	fd = open("/proc/thread-self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		goto done;
	high = fcntl(fd, F_DUPFD_CLOEXEC, SPARE_MIN);
	if (high >= 0) {
		(void)close(fd);
		fd = high;
	}
	if (fstat(fd, &status)) {
		(void)close(fd);
		goto done;
	}
	proc->spare = fd + 1;
	proc->spare_device = (uint64_t)status.st_dev;
	proc->spare_inode = (uint64_t)status.st_ino;
done:
	errno = saved;
}

/* Return: whether there was one to give. */
static bool spare_give(struct vt_proc *proc)
{
	bool ours = spare_ours(proc);

	if (ours)
		(void)close(proc->spare - 1);
	proc->spare = 0;
	return ours;
}

void vt_proc_end(struct vt_proc *proc)
{
	int saved = errno;

	(void)spare_give(proc);
	proc->keeps = false;
	errno = saved;
}

/* "/proc/PID" */
static void path_begin(const struct vt_proc *proc, char *path, struct vt_text *text)
{
	vt_text_init(text, path, PATH_BYTES);
	vt_text_add(text, "/proc/");
	if (proc->pid)
		vt_text_add_u64(text, proc->pid);
	else
		vt_text_add(text, "self");
}

static int file_open(struct vt_proc *proc, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		int full = errno;

		if (spare_give(proc))
			fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		else
			errno = full;
	}
	return fd < 0 ? -errno : fd;
}

/* Return: bytes, or the negative errno of the first read. */
static ssize_t file_read(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !length)
			return -errno;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

ssize_t vt_proc_read_path(struct vt_proc *proc, const char *path, char *buffer,
			  size_t size)
{
	int saved = errno, fd = file_open(proc, path);
	bool gave = fd >= 0 && proc->keeps && !proc->spare;
	ssize_t n = fd;

	if (fd >= 0) {
		n = file_read(fd, buffer, size - 1);
		(void)close(fd);
	}
	buffer[n > 0 ? n : 0] = 0;
	/* Also one that a host's closefrom took: the next time there may be no room for it. */
	if (gave)
		vt_proc_keep(proc);
	errno = saved;
	return n;
}

ssize_t vt_proc_read(struct vt_proc *proc, uint32_t tid, const char *file, char *buffer,
		     size_t size)
{
	char path[PATH_BYTES];
	struct vt_text text;

	path_begin(proc, path, &text);
	if (tid) {
		vt_text_add(&text, "/task/");
		vt_text_add_u64(&text, tid);
	}
	vt_text_add(&text, "/");
	vt_text_add(&text, file);
	return vt_proc_read_path(proc, path, buffer, size);
}

ssize_t vt_proc_link(struct vt_proc *proc, const char *file, char *buffer, size_t size)
{
	char path[PATH_BYTES];
	struct vt_text text;
	int saved = errno;
	ssize_t n;

	path_begin(proc, path, &text);
	vt_text_add(&text, "/");
	vt_text_add(&text, file);
	n = readlink(path, buffer, size - 1);
	if (n < 0)
		n = -errno;
	buffer[n > 0 ? n : 0] = 0;
	errno = saved;
	return n;
}

bool vt_proc_mounted(const struct vt_proc *proc)
{
	char path[PATH_BYTES];
	struct vt_text text;
	struct stat status;
	int saved = errno;
	bool mounted;

	path_begin(proc, path, &text);
	vt_text_add(&text, "/stat");
	mounted = stat(path, &status) == 0;
	errno = saved;
	return mounted;
}
