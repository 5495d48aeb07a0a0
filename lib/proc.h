/* SPDX-License-Identifier: MIT */

/*
 * Proc
 *
 * The kernel's files about a process and its threads, this one's or another's. No heap, no stdio.
 */

#ifndef VT_PROC_H
#define VT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Through what they are read. A descriptor is kept to be given up for a moment where the table is
 * full. One thread at a time.
 */
struct vt_proc {
	uint32_t pid; /* 0: this process */
	int spare;    /* 0: none yet, or lost; kept + 1 */
	uint64_t
		spare_device; /* what it was when it was kept: a host's closefrom may take it */
	uint64_t spare_inode;
};

/* Sets it up, without a spare; vt_proc_keep() then keeps one where it can. */
void vt_proc_begin(struct vt_proc *proc, uint32_t pid);
void vt_proc_keep(struct vt_proc *proc);
void vt_proc_end(struct vt_proc *proc);

/*
 * Reads "/proc/PID/task/TID/FILE", or, @tid 0, "/proc/PID/FILE", as far as it fits, and ends it with
 * a 0. Return: bytes; the negative errno of open or read (-ESRCH, -ENOENT: the thread is gone).
 */
ssize_t vt_proc_read(struct vt_proc *proc, uint32_t tid, const char *file, char *buffer,
		     size_t size);

/* What the link "/proc/PID/FILE" says, ended with a 0. Return: as above. */
ssize_t vt_proc_link(struct vt_proc *proc, const char *file, char *buffer, size_t size);

#endif
