/* SPDX-License-Identifier: MIT */

/*
 * Task
 *
 * One thread as the kernel knows it.
 */

#ifndef VT_TASK_H
#define VT_TASK_H

#include <stdint.h>

/* The calling thread's id. */
uint32_t vt_task_self(void);

#endif
