/* SPDX-License-Identifier: MIT */

/*
 * Address
 *
 * Where to listen, as text and as the kernel wants it. Names are not looked up: that may
 * block, and load what the host did not ask for. Only localhost is known, as 127.0.0.1.
 */

#ifndef VX_ADDRESS_H
#define VX_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* "[IPv6]:65535" and its end. */
#define VX_ADDRESS_MAX (INET6_ADDRSTRLEN + 8)

struct vx_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t size;
};

/* @text: "127.0.0.1:9464", "[::1]:0", "localhost:9464". Return: 0 or -EINVAL. */
int vx_address_parse(const char *text, struct vx_address *ret);

bool vx_address_is_loopback(const struct vx_address *address);

void vx_address_text(const struct vx_address *address, char text[VX_ADDRESS_MAX]);

/*
 * A listening socket that does not block; @address becomes the one it got.
 *
 * Return: the descriptor, or the errno of socket, bind or listen, negative.
 */
int vx_address_listen(struct vx_address *address);

#endif
