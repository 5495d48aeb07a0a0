/* SPDX-License-Identifier: MIT */

#include "lock.h"

#include <string.h>

bool vt_lock_of(struct vt_proc *proc, const struct vt_sample *sample,
		struct vt_wait *wait)
{
	(void)proc;
	(void)sample;
	memset(wait, 0, sizeof(*wait));
	return false;
}
