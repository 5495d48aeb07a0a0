/* SPDX-License-Identifier: MIT */

#include "calls.h"

bool vt_call_futex(const struct vt_sample *sample, struct vt_futex_call *futex)
{
	(void)sample;
	(void)futex;
	return false;
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
