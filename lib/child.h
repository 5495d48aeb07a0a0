/* SPDX-License-Identifier: MIT */

/*
 * Child
 *
 * A command in a process of its own, which inherits nothing of the host's. From a thread of ours that
 * has a descriptor table to itself: what the child gets is then simply what the thread has, no
 * descriptor of the host's can leak or be kept open, and no list of what to do with them has to be
 * made, which takes memory from an allocator that may be the one somebody is stuck in.
 */

#ifndef VT_CHILD_H
#define VT_CHILD_H

#include <stdatomic.h>
#include <stdint.h>

/* Which it takes. */
#define VT_CHILD_SHELL "/bin/sh"

/*
 * Gives the calling thread, for good, a table of its own with /dev/null at 0, 1 and 2. Return: 0; a
 * negative errno.
 */
int vt_child_alone(void);

/* How a child has ended. */
enum vt_ended {
	VT_ENDED_EXITED,
	VT_ENDED_SIGNALED,
	VT_ENDED_TIMEOUT, /* it was killed */
	VT_ENDED_UNKNOWN, /* somebody else has waited for it */
};

struct vt_child {
	int32_t pid; /* and process group */
	int gate;
};

/*
 * Runs /bin/sh, which waits at a gate before it becomes @argv, ended by NULL. Output to @fd. Return:
 * 0; a negative errno.
 */
int vt_child_spawn(const char *const *argv, const char *const *environment, int fd,
		   struct vt_child *ret);

/* It may. */
void vt_child_go(struct vt_child *child);

/*
 * Waits for it, at most @timeout_ns, and no longer than @running is not 0; then it is killed, and in
 * any case whatever it has left behind in its process group. @ret_status: the exit status or signal.
 */
enum vt_ended vt_child_wait(struct vt_child *child, uint64_t timeout_ns,
			    const _Atomic uint32_t *running, int *ret_status);

#endif
