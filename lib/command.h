/* SPDX-License-Identifier: MIT */

/*
 * Command
 *
 * A program and its arguments, copied and found before they are needed.
 */

#ifndef VT_COMMAND_H
#define VT_COMMAND_H

#include "vitals-act.h"

#include <limits.h>
#include <stdint.h>

/* In PATH, as it was then, and what a child is to have for it. */
struct vt_command {
	uint32_t n;
	uint32_t used;
	uint16_t at[VITALS_CAPTURE_ARGUMENTS]; /* in bytes */
	char bytes[VITALS_CAPTURE_BYTES];
	char program[PATH_MAX]; /* instead of the first */
	char path[1024];        /* "PATH=…" */
};

/* Return: 0; -EINVAL, -E2BIG, -ENAMETOOLONG, -ENOENT, -EACCES, as vitals_capture(). */
int vt_command_set(struct vt_command *command, const char *const *argv);

/*
 * The arguments, ended by NULL, with @pid for "%p"; they point into @command and to @pid.
 */
void vt_command_arguments(const struct vt_command *command, const char *pid,
			  const char *argv[VITALS_CAPTURE_ARGUMENTS + 1]);

#endif
