/* SPDX-License-Identifier: MIT */

#include "proc.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void vt_proc_begin(struct vt_proc *proc, uint32_t pid)
{
	memset(proc, 0, sizeof(*proc));
	proc->pid = pid;
}

void vt_proc_keep(struct vt_proc *proc)
{
	(void)proc;
}

void vt_proc_end(struct vt_proc *proc)
{
	(void)proc;
}

static void path_of(struct vt_text *text, char *path, size_t size, uint32_t pid,
		    uint32_t tid, const char *file)
{
	vt_text_init(text, path, size);
	vt_text_add(text, "/proc/");
	if (pid)
		vt_text_add_u64(text, pid);
	else
		vt_text_add(text, "self");
	if (tid) {
		vt_text_add(text, "/task/");
		vt_text_add_u64(text, tid);
	}
	vt_text_add(text, "/");
	vt_text_add(text, file);
}

ssize_t vt_proc_read(struct vt_proc *proc, uint32_t tid, const char *file, char *buffer,
		     size_t size)
{
	char path[96];
	struct vt_text text;
	int saved = errno, fd;
	ssize_t n = -1;

	path_of(&text, path, sizeof(path), proc->pid, tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, buffer, size - 1);
	if (n < 0)
		n = -errno;
	if (fd >= 0)
		(void)close(fd);
	buffer[n > 0 ? n : 0] = 0;
	errno = saved;
	return n;
}

ssize_t vt_proc_link(struct vt_proc *proc, const char *file, char *buffer, size_t size)
{
	char path[96];
	struct vt_text text;
	int saved = errno;
	ssize_t n;

	path_of(&text, path, sizeof(path), proc->pid, 0, file);
	n = readlink(path, buffer, size - 1);
	if (n < 0)
		n = -errno;
	buffer[n > 0 ? n : 0] = 0;
	errno = saved;
	return n;
}
