/* SPDX-License-Identifier: MIT */

/*
 * Raw descriptors
 *
 * For a thread with a descriptor table to itself: calls that go past ThreadSanitizer, which takes its
 * numbers for those of the other threads, in whose table they are something else.
 */

#ifndef VT_RAWFD_H
#define VT_RAWFD_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int vt_raw_open(const char *path, int flags, unsigned mode)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline void vt_raw_close(int fd)
{
	(void)syscall(SYS_close, fd);
}

static inline int vt_raw_pipe(int fds[2])
{
	return (int)syscall(SYS_pipe2, fds, O_CLOEXEC);
}

/* @to is another than @fd, and inherited. */
static inline void vt_raw_dup(int fd, int to)
{
	(void)syscall(SYS_dup3, fd, to, 0);
}

static inline void vt_raw_write(int fd, const void *data, size_t size)
{
	(void)syscall(SYS_write, fd, data, size);
}

#endif
