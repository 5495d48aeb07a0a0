/* SPDX-License-Identifier: MIT */

/*
 * Task
 *
 * One thread as the kernel knows it.
 */

#ifndef VT_TASK_H
#define VT_TASK_H

#include <stdbool.h>
#include <stdint.h>

/* The calling thread's id. */
uint32_t vt_task_self(void);

/*
 * Is there still a thread with this id, not the caller's, in this process? It asks for the thread's clock, which even a
 * strict filter of system calls lets pass, and, of the first thread alone, opens a file below /proc:
 * gone, that one leaves a clock behind. What cannot be told exists.
 */
bool vt_task_exists(uint32_t tid);

/* What the thread has used of processors, to the nanosecond; 0: it is gone, or not of this process. */
uint64_t vt_task_clock_ns(uint32_t tid);

#endif
