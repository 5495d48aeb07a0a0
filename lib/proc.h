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

/* What machine.c read last, for hundreds of threads may be looked at in one turn. */
struct vt_pressure {
	uint64_t at_ns; /* 0: never */
	uint32_t cpu;   /* hundredths of a percent; UINT32_MAX: not known */
	uint32_t io;
	uint32_t memory;
};

/*
 * Through what they are read. A descriptor is kept to be given up for a moment where the table is
 * full. One thread at a time.
 */
struct vt_proc {
	uint32_t pid; /* 0: this process */
	bool keeps;   /* one is wanted */
	int spare;    /* 0: none yet, or lost; kept + 1 */
	uint64_t
		spare_device; /* what it was when it was kept: a host's closefrom may take it */
	uint64_t spare_inode;
	struct vt_pressure pressure;
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

/* The same of any file: one of the kernel's, for others may make us wait. */
ssize_t vt_proc_read_path(struct vt_proc *proc, const char *path, char *buffer,
			  size_t size);

/* What the link "/proc/PID/FILE" says, ended with a 0. Return: as above. */
ssize_t vt_proc_link(struct vt_proc *proc, const char *file, char *buffer, size_t size);

/* Is there a /proc at all, in which the process can be found? It takes no descriptor. */
bool vt_proc_mounted(const struct vt_proc *proc);

#endif
