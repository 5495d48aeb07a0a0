/* SPDX-License-Identifier: MIT */

/*
 * Datagram
 *
 * One message to a socket that somebody else listens on. Keeps no descriptor and never waits.
 */

#ifndef VT_DATAGRAM_H
#define VT_DATAGRAM_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct vt_address {
	struct sockaddr_un un;
	socklen_t length;
};

/* "/a/path", or "@name" of the abstract namespace. Return: 0; -EINVAL. */
int vt_address_parse(const char *text, struct vt_address *ret);

/* Return: 0; -EAGAIN if its queue is full; what else socket and sendto say. */
int vt_datagram_send(const struct vt_address *to, const char *text, size_t length);

#endif
