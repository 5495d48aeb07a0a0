/* SPDX-License-Identifier: MIT */

/*
 * Escape
 *
 * The way out of a library that would rather abort:
 *
 *	if (setjmp(*vx_escape_arm()))
 *		return -EBADF;
 *	library_call();
 *	vx_escape_disarm();
 *
 * What the library calls when it gives up leaves that call, for good: its objects are
 * never to be touched again, and what it held is lost.
 */

#ifndef VX_ESCAPE_H
#define VX_ESCAPE_H

#include <setjmp.h>

jmp_buf *vx_escape_arm(void);
void vx_escape_disarm(void);

/* Leaves the call under way in this thread. Returns only if there is none. */
void vx_escape(void);

#endif
