/* SPDX-License-Identifier: MIT */

#include "listing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel fills it in. */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* The least that an entry takes. */
#define ENTRY_BYTES 24u

static bool number_of(const char *name, uint32_t *ret)
{
	uint32_t number = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		number = number * 10 + (uint32_t)(*name - '0');
	*ret = number;
	return !*name;
}

struct listing {
	int64_t *position;
	unsigned most;
	bool (*fn)(uint32_t number, void *user);
	void *user;
};

/* Return: as vt_listing_go_on(). */
static int entries_take(struct listing *listing, const char *buffer, size_t n)
{
	size_t at;

	for (at = 0; at < n;) {
		const struct entry *entry = (const void *)(buffer + at);
		uint32_t number;

		if (!listing->most)
			return 1;
		at += entry->size;
		*listing->position = entry->next;
		if (!number_of(entry->name, &number))
			continue;
		listing->most--;
		if (!listing->fn(number, listing->user))
			return -ECANCELED;
	}
	return 1;
}

static int listing_read(int fd, struct listing *listing)
{
	_Alignas(struct entry) char buffer[64 * ENTRY_BYTES];
	long n;
	int r = 1;

	if (*listing->position && lseek(fd, *listing->position, SEEK_SET) < 0)
		return -errno;
	while (r == 1 && listing->most) {
		n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = entries_take(listing, buffer, (size_t)n);
	}
	return r;
}

int vt_listing_go_on(const char *directory, int64_t *position, unsigned most,
		     bool (*fn)(uint32_t number, void *user), void *user)
{
	struct listing listing = { position, most, fn, user };
	int saved = errno, fd, r;

	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : listing_read(fd, &listing);
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return r;
}
