/* SPDX-License-Identifier: MIT */

/*
 * Helper
 *
 * A thread of ours in somebody else's process.
 */

#ifndef VT_HELPER_H
#define VT_HELPER_H

#include <pthread.h>

/* Starts one: every signal blocked, a name, a small stack. Return: 0 or a negative errno. */
int vt_helper_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);

#endif
