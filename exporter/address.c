/* SPDX-License-Identifier: MIT */

#include "address.h"

#include "buffer.h"
#include "fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 128

static int port_parse(const char *text, in_port_t *ret)
{
	unsigned port = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned)(*text - '0');
		if (port > 65535)
			return -EINVAL;
	}
	*ret = htons((uint16_t)port);
	return 0;
}

static int host_parse(const char *host, in_port_t port, struct vx_address *ret)
{
	struct vx_address address = { .size = 0 };

	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = port;
		address.size = sizeof(address.v4);
	} else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = port;
		address.size = sizeof(address.v6);
	} else {
		return -EINVAL;
	}
	*ret = address;
	return 0;
}

int vx_address_parse(const char *text, struct vx_address *ret)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	size_t n;
	in_port_t port;
	bool bracketed = *text == '[';

	if (!colon || port_parse(colon + 1, &port))
		return -EINVAL;
	n = (size_t)(colon - text);
	if (bracketed) {
		if (n < 2 || text[n - 1] != ']')
			return -EINVAL;
		text++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	/* Brackets and colons come together, so that no port is taken for part of a host.
	 */
	if (bracketed != (strchr(host, ':') != NULL))
		return -EINVAL;
	return host_parse(host, port, ret);
}

bool vx_address_is_loopback(const struct vx_address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

void vx_address_text(const struct vx_address *address, char text[VX_ADDRESS_MAX])
{
	bool v6 = address->any.sa_family == AF_INET6;
	uint16_t port = ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port);
	size_t n = 0;

	if (v6)
		text[n++] = '[';
	inet_ntop(address->any.sa_family,
		  v6 ? (const void *)&address->v6.sin6_addr
		     : (const void *)&address->v4.sin_addr,
		  text + n, INET6_ADDRSTRLEN);
	n = strlen(text);
	if (v6)
		text[n++] = ']';
	text[n++] = ':';
	n += vx_number_u64(text + n, port);
	text[n] = '\0';
}

int vx_address_listen(struct vx_address *address)
{
	const int on = 1;
	int fd, r;

	fd = vx_fd_above_stdio(socket(address->any.sa_family,
				      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0) /* EAFNOSUPPORT: a kernel without IPv6 */
		return errno == EAFNOSUPPORT ? -EADDRNOTAVAIL : -errno;
	/* Not SO_REUSEPORT: with it a second process would get every other scrape. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, &address->any, address->size) || listen(fd, BACKLOG) ||
	    getsockname(fd, &address->any, &address->size)) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}
