/* SPDX-License-Identifier: MIT */

#include "locknames.h"

#include <errno.h>

int vitals_lock_name(const void *lock, const char *name)
{
	(void)name;
	return lock ? -ENOMEM : -EINVAL;
}

bool vt_lock_name_of(uint64_t address, char *name)
{
	(void)address;
	name[0] = 0;
	return false;
}
