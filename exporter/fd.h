/* SPDX-License-Identifier: MIT */

/*
 * Fd
 *
 * Descriptors in a process that is somebody else's. A host may close all of them at any
 * moment, closefrom(3), and open its own under the same numbers; so nothing is closed,
 * shut down or accepted from before it was looked at again.
 */

#ifndef VX_FD_H
#define VX_FD_H

#include <stdbool.h>
#include <sys/types.h>

/* A descriptor and what it stood for when it was ours; fd -1: none. */
struct vx_fd {
	int fd;
	dev_t device;
	ino_t inode;
};

/*
 * A host may have closed its standard descriptors, and writes to their numbers all the same: none
 * of ours may be there. Return: @fd, or another for the same, above 2 and close-on-exec; -1 as it
 * is; -1 with errno set, and @fd is closed.
 */
int vx_fd_above_stdio(int fd);

/*
 * The same for a library that opens descriptors of its own: fills the numbers up to 2 that are free,
 * and gives them back.
 */
struct vx_fd_stdio {
	int held[3];
	unsigned n;
};
void vx_fd_stdio_hold(struct vx_fd_stdio *stdio);
void vx_fd_stdio_release(struct vx_fd_stdio *stdio);

/* Sockets only: what has no inode of its own, epoll for one, is all the same to this. */
struct vx_fd vx_fd_of(int fd);
bool vx_fd_is_ours(const struct vx_fd *fd);

/* Closes it if it is ours, and forgets it. */
void vx_fd_close(struct vx_fd *fd);

/*
 * A descriptor to wake a poll with: readable from vx_wake_fire() on. It is a timer, not
 * an eventfd, for nothing is ever written to it: a timer cannot be set by mistake on what
 * has become the host's file, and its interval, which it keeps though it is not running,
 * says whose it is.
 *
 * Return: the descriptor; -EMFILE, -ENFILE or -ENOMEM.
 */
int vx_wake_new(void);
bool vx_wake_is_ours(int fd);

/* Return: 0, or -EBADF if it is no longer ours. */
int vx_wake_fire(int fd);

/*
 * An epoll has no inode of its own, but it knows what is in it: a marker is put in, for
 * which no event is asked, and only the epoll that holds it lets it be set again.
 *
 * Return: 0, or -ENOMEM.
 */
int vx_marker_add(int epoll, int marker);
bool vx_marker_is_in(int epoll, int marker);

#endif
