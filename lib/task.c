/* SPDX-License-Identifier: MIT */

#include "task.h"

#include <sys/syscall.h>
#include <unistd.h>

uint32_t vt_task_self(void)
{
	return (uint32_t)syscall(SYS_gettid);
}
