/* SPDX-License-Identifier: MIT */

#include "datagram.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int vt_address_parse(const char *text, struct vt_address *ret)
{
	size_t length = strlen(text);
	struct vt_address address = { .un = { .sun_family = AF_UNIX } };

	/* A path has a 0 behind it, an abstract name has one in front. */
	if ((text[0] != '/' && text[0] != '@') || length < 2 ||
	    length + (text[0] == '/') > sizeof(address.un.sun_path))
		return -EINVAL;
	memcpy(address.un.sun_path, text, length);
	if (text[0] == '@')
		address.un.sun_path[0] = 0;
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
				     (text[0] == '/'));
	*ret = address;
	return 0;
}

int vt_datagram_send(const struct vt_address *to, const char *text, size_t length)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;

	if (fd < 0)
		return -errno;
	if (sendto(fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&to->un,
		   to->length) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}
