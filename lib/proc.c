/* SPDX-License-Identifier: MIT */

#include "proc.h"

#include <errno.h>
#include <string.h>

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

ssize_t vt_proc_read(struct vt_proc *proc, uint32_t tid, const char *file, char *buffer,
		     size_t size)
{
	(void)proc;
	(void)tid;
	(void)file;
	if (size)
		buffer[0] = 0;
	return -ENOENT;
}

ssize_t vt_proc_link(struct vt_proc *proc, const char *file, char *buffer, size_t size)
{
	return vt_proc_read(proc, 0, file, buffer, size);
}
