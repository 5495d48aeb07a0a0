/* SPDX-License-Identifier: MIT */

/*
 * Task
 *
 * One thread as the kernel knows it.
 */

#ifndef VT_TASK_H
#define VT_TASK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The calling thread's id, from the C library's record and not from the kernel: a strict filter may
 * kill who asks. (A child of a raw clone, which the C library does not know of, gets its parent's.)
 */
uint32_t vt_task_self(void);

/* Of a thread that is there, or not yet joined. Return: 0 if it has ended. */
uint32_t vt_task_of(pthread_t thread);

/*
 * If the caller is the first thread, it is known from now on: as the library is loaded, in a forked
 * child, and when a registry begins.
 */
void vt_task_note(void);

/*
 * Is there still a thread with this id, not the caller's, in this process? It asks for the thread's clock, which even a
 * strict filter of system calls lets pass. The first thread, gone, leaves a clock behind: of that one
 * glibc's record is read, or, without glibc or where it has not noted itself, a file below /proc. What
 * cannot be told exists.
 */
bool vt_task_exists(uint32_t tid);

/* What the thread has used of processors, to the nanosecond; 0: it is gone, or not of this process. */
uint64_t vt_task_clock_ns(uint32_t tid);

#endif
