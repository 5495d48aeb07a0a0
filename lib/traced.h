/* SPDX-License-Identifier: MIT */

/*
 * Traced
 *
 * Who holds this process as a debugger does, and what its threads have blocked: from the kernel's
 * status files.
 */

#ifndef VT_TRACED_H
#define VT_TRACED_H

#include <stdbool.h>
#include <stdint.h>

/* Return: the process that traces the first thread of this one; 0: none, or it cannot be told. */
int32_t vt_traced_by(void);

/* Has a thread of this process blocked a signal? What cannot be told is not. */
bool vt_task_blocks(uint32_t tid, int signo);

#endif
