/* SPDX-License-Identifier: MIT */

/*
 * Wakers
 *
 * What can wake a thread of this process that waits for another one, besides the threads: a signal
 * whose handler does, a timer, an io_uring. What cannot be told is there.
 */

#ifndef VT_WAKERS_H
#define VT_WAKERS_H

#include "proc.h"

struct vt_wakers {
	bool any;
	bool until_signal; /* quit events of ours are armed */
	uint32_t threads;  /* that there are, the ended first one too */
};

/* By signals and timers. */
void vt_wakers_find(struct vt_proc *proc, struct vt_wakers *ret);

/*
 * The same from the text of /proc/PID/status. @ret_caught: the signals that have handlers, but for
 * those of the C library and those for faults, bit signo - 1 each. Return: false if it says less.
 */
bool vt_wakers_parse(const char *status, uint64_t *ret_caught, uint32_t *ret_threads);

/*
 * Goes over some of the descriptors from @position on, 0: the first. Return: 1 if there are more; 0;
 * -EBUSY for an io_uring; -EIO if they cannot be told.
 */
int vt_wakers_rings(struct vt_proc *proc, int64_t *position);

#endif
