/* SPDX-License-Identifier: MIT */

#include "options.h"

#include <errno.h>
#include <string.h>

static uint32_t size_of(const void *at)
{
	uint32_t size;

	memcpy(&size, at, sizeof(size));
	return size;
}

int vt_options_load(void *to, size_t size, const void *from)
{
	const unsigned char *bytes = from;
	size_t theirs, i;

	memset(to, 0, size);
	if (!from)
		return 0;
	theirs = size_of(from);
	if (theirs < sizeof(uint32_t))
		return -EINVAL;
	for (i = size; i < theirs; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(to, from, theirs < size ? theirs : size);
	return 0;
}

int vt_record_store(void *to, const void *from, size_t size)
{
	uint32_t theirs;

	if (!to)
		return -EINVAL;
	theirs = size_of(to);
	if (theirs < sizeof(uint32_t))
		return -EINVAL;
	memcpy(to, from, theirs < size ? theirs : size);
	memcpy(to, &theirs, sizeof(theirs));
	return 0;
}
