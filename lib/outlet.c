/* SPDX-License-Identifier: MIT */

#include "outlet.h"

#include "rawfd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Whose it is, no unit, warnings, no priorities in the lines, and no more copies of them. */
#define JOURNAL_HEADER "vitals-capture\n\n4\n0\n0\n0\n0\n"

static int socket_open(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_connect, fd, &to, sizeof(to)) < 0 ||
	    syscall(SYS_write, fd, JOURNAL_HEADER, strlen(JOURNAL_HEADER)) < 0) {
		r = -errno;
		vt_raw_close(fd);
		return r;
	}
	(void)syscall(SYS_shutdown, fd, SHUT_RD);
	return fd;
}

int vt_outlet_open(const char *path)
{
	int fd = vt_raw_open(path,
			     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK |
				     O_NOCTTY | O_CLOEXEC,
			     0600);

	/* A socket is no such device, nor a pipe that nobody reads. */
	if (fd < 0)
		return errno == ENXIO ? socket_open(path) : -errno;
	return fd;
}

void vt_outlet_block(int fd)
{
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL, 0);

	if (flags >= 0)
		(void)syscall(SYS_fcntl, fd, F_SETFL, flags & ~O_NONBLOCK);
}
