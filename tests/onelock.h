/* SPDX-License-Identifier: MIT */

/*
 * One lock
 *
 * A malloc in the place of the C library's, all of it under one mutex: who takes that, keeps everybody
 * else from the heap. glibc's own has an arena for each, and would hide who needs one.
 */

#ifndef ONELOCK_H
#define ONELOCK_H

#include <pthread.h>

extern pthread_mutex_t onelock;

#endif
