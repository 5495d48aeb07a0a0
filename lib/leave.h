/* SPDX-License-Identifier: MIT */

/*
 * Leave
 *
 * The end of the process, at once, from any thread and whatever the others hold.
 */

#ifndef VT_LEAVE_H
#define VT_LEAVE_H

#include <stdbool.h>

/* With @status; or, if @core, by SIGABRT, after the host's handler if there is one. */
__attribute__((noreturn)) void vt_leave(bool core, int status);

#endif
