/* SPDX-License-Identifier: MIT */

#include "escape.h"

#include <stdbool.h>

static _Thread_local struct {
	jmp_buf way_out;
	bool armed;
} escape;

jmp_buf *vx_escape_arm(void)
{
	escape.armed = true;
	return &escape.way_out;
}

void vx_escape_disarm(void)
{
	escape.armed = false;
}

void vx_escape(void)
{
	if (!escape.armed)
		return;
	escape.armed = false;
	longjmp(escape.way_out, 1);
}
