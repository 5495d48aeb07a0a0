/* SPDX-License-Identifier: MIT */

/*
 * Backstop
 *
 * The kernel ends the process at a given time, whatever its threads do: held by locks, blocked,
 * stopped, or gone astray in a handler.
 */

#ifndef VT_BACKSTOP_H
#define VT_BACKSTOP_H

#include <stdint.h>

/*
 * SIGKILL in @ns from now on. Needs no lock and no memory; cannot be undone. Does not reach the
 * first process of a pid namespace. Return: 0; a negative errno, and nothing is armed.
 */
int vt_backstop_arm(uint64_t ns);

#endif
