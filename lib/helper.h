/* SPDX-License-Identifier: MIT */

/*
 * Helper
 *
 * A thread of ours in somebody else's process.
 */

#ifndef VT_HELPER_H
#define VT_HELPER_H

#include <pthread.h>

/*
 * Starts one: every signal blocked, a name, a small stack. It has begun when this returns: a filter
 * of system calls that the host installs from then on finds nothing of the C library's still to do.
 * Return: 0 or a negative errno.
 */
int vt_helper_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);

#endif
