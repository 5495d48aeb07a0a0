/* SPDX-License-Identifier: MIT */

#include "calls.h"

#include <linux/futex.h>
#include <sys/syscall.h>

bool vt_call_futex(const struct vt_sample *sample, struct vt_futex_call *futex)
{
	uint32_t op = (uint32_t)sample->args[1];

	if (sample->call != SYS_futex)
		return false;
	futex->address = sample->args[0];
	futex->op = op & (uint32_t)FUTEX_CMD_MASK;
	futex->val = (uint32_t)sample->args[2];
	futex->private = op & FUTEX_PRIVATE_FLAG;
	futex->timed = sample->args[3] != 0;
	return futex->op == FUTEX_WAIT || futex->op == FUTEX_WAIT_BITSET ||
	       futex->op == FUTEX_LOCK_PI || futex->op == 13 ||
	       futex->op == FUTEX_WAIT_REQUEUE_PI;
}

enum vitals_class vt_call_class(const struct vt_sample *sample)
{
	(void)sample;
	return VITALS_UNKNOWN;
}

void vt_call_describe(struct vt_proc *proc, const struct vt_sample *sample,
		      struct vt_text *text)
{
	(void)proc;
	(void)sample;
	(void)text;
}
