/* SPDX-License-Identifier: MIT */

#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)

static uint64_t fnv1a(uint64_t hash, const unsigned char *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

/* What the walker saw as a file may be a pipe by now: neither follow a link nor wait. */
static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	struct stat info;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int hash_file(vitals_thread *self, const char *path, uint64_t *bytes, uint64_t *hash)
{
	unsigned char piece[PIECE];
	int fd = open_file(path);
	int r = 0;
	ssize_t n;

	*bytes = 0;
	*hash = fnv1a(0xcbf29ce484222325u, (const unsigned char *)path, strlen(path));
	if (fd < 0)
		return fd;

	while (*bytes < HASH_FILE_MAX) {
		if (!vitals_thread_go_on(self)) {
			r = -ECANCELED;
			break;
		}
		n = read(fd, piece, sizeof(piece));
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		*bytes += (uint64_t)n;
		*hash = fnv1a(*hash, piece, (size_t)n);
	}
	close(fd);
	return r;
}
