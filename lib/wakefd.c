/* SPDX-License-Identifier: MIT */

#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Nobody asks for a timer of this period by chance. */
#define SIGNATURE_NS 1723

static void wakefd_arm(int fd, long value_ns)
{
	struct itimerspec when = { .it_interval = { .tv_nsec = SIGNATURE_NS },
				   .it_value = { .tv_nsec = value_ns } };
	int saved = errno;

	if (vt_wakefd_ours(fd))
		(void)timerfd_settime(fd, 0, &when, NULL);
	errno = saved;
}

int vt_fd_above_stdio(int fd)
{
	int above;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (above < 0)
		above = -errno;
	(void)close(fd);
	return above;
}

int vt_wakefd_new(void)
{
	struct itimerspec when = { .it_interval = { .tv_nsec = SIGNATURE_NS } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	fd = vt_fd_above_stdio(fd);
	if (fd < 0)
		return fd;
	/* Cannot fail: the descriptor is a timer and the times are good. */
	(void)timerfd_settime(fd, 0, &when, NULL);
	return fd;
}

bool vt_wakefd_ours(int fd)
{
	struct itimerspec is;
	int saved = errno;
	bool ours;

	ours = fd >= 0 && timerfd_gettime(fd, &is) == 0 && is.it_interval.tv_sec == 0 &&
	       is.it_interval.tv_nsec == SIGNATURE_NS;
	errno = saved;
	return ours;
}

void vt_wakefd_set(int fd)
{
	wakefd_arm(fd, 1);
}

void vt_wakefd_clear(int fd)
{
	wakefd_arm(fd, 0);
}

void vt_wakefd_renew(int fd)
{
	int saved = errno, mine;

	if (!vt_wakefd_ours(fd))
		return;
	mine = vt_wakefd_new();
	if (mine < 0 || dup3(mine, fd, O_CLOEXEC) < 0)
		(void)close(fd);
	if (mine >= 0)
		(void)close(mine);
	errno = saved;
}

void vt_wakefd_close(int fd)
{
	/* Not close(3), where a thread that was cancelled would end, with a lock of ours held. */
	if (vt_wakefd_ours(fd))
		(void)syscall(SYS_close, fd);
}
