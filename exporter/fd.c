/* SPDX-License-Identifier: MIT */

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* "VITA" and "LS" as seconds and nanoseconds: 46 years, which nobody else waits for. */
#define WAKE_SECONDS 0x56495441
#define WAKE_NS 0x4c53

static int marker_set(int epoll, int marker, int operation)
{
	struct epoll_event nothing = { .events = 0, .data = { .ptr = NULL } };

	return epoll_ctl(epoll, operation, marker, &nothing);
}

int vx_fd_above_stdio(int fd)
{
	int above, saved;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	saved = errno;
	close(fd);
	errno = saved;
	return above;
}

void vx_fd_stdio_hold(struct vx_fd_stdio *stdio)
{
	int fd;

	stdio->n = 0;
	while (stdio->n < 3) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return;
		if (fd > STDERR_FILENO) {
			close(fd);
			return;
		}
		stdio->held[stdio->n++] = fd;
	}
}

void vx_fd_stdio_release(struct vx_fd_stdio *stdio)
{
	while (stdio->n)
		close(stdio->held[--stdio->n]);
}

struct vx_fd vx_fd_of(int fd)
{
	struct vx_fd ret = { .fd = -1 };
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat))
		return ret;
	ret.fd = fd;
	ret.device = stat.st_dev;
	ret.inode = stat.st_ino;
	return ret;
}

bool vx_fd_is_ours(const struct vx_fd *fd)
{
	struct vx_fd now = vx_fd_of(fd->fd);

	return now.fd >= 0 && now.device == fd->device && now.inode == fd->inode;
}

void vx_fd_close(struct vx_fd *fd)
{
	if (vx_fd_is_ours(fd))
		close(fd->fd);
	fd->fd = -1;
}

int vx_wake_new(void)
{
	struct itimerspec signature = { .it_interval = { WAKE_SECONDS, WAKE_NS } };
	int fd = vx_fd_above_stdio(
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	int r;

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &signature, NULL)) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

bool vx_wake_is_ours(int fd)
{
	struct itimerspec now;

	return fd >= 0 && !timerfd_gettime(fd, &now) &&
	       now.it_interval.tv_sec == WAKE_SECONDS &&
	       now.it_interval.tv_nsec == WAKE_NS;
}

int vx_wake_fire(int fd)
{
	struct itimerspec at = { .it_interval = { WAKE_SECONDS, WAKE_NS },
				 .it_value = { 0, 1 } };

	if (!vx_wake_is_ours(fd) || timerfd_settime(fd, 0, &at, NULL))
		return -EBADF;
	return 0;
}

int vx_marker_add(int epoll, int marker)
{
	return marker_set(epoll, marker, EPOLL_CTL_ADD) ? -ENOMEM : 0;
}

bool vx_marker_is_in(int epoll, int marker)
{
	return marker_set(epoll, marker, EPOLL_CTL_MOD) == 0;
}
