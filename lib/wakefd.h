/* SPDX-License-Identifier: MIT */

/*
 * Wakefd
 *
 * A descriptor that others poll and that we make readable. A timerfd that is set rather than
 * an eventfd that is written to: after a host's closefrom the number may be the host's file,
 * and setting a timer on a file is an error while writing to it is damage. Its period is a
 * signature of ours, looked at before the number is used again; being short it also means that
 * a reader cannot drain it: it is readable again a microsecond later.
 */

#ifndef VT_WAKEFD_H
#define VT_WAKEFD_H

#include <stdbool.h>

/*
 * A host may have closed its standard descriptors, and writes to their numbers all the same: none of
 * ours may be there. Return: @fd, or another for the same, above 2 and close-on-exec; negative @fd as
 * it is; a negative errno, and @fd is closed.
 */
int vt_fd_above_stdio(int fd);

/* Return: the descriptor, not readable, close-on-exec; or a negative errno. */
int vt_wakefd_new(void);

/* Makes it readable, and not. Does nothing to a number that is no longer ours. */
void vt_wakefd_set(int fd);
void vt_wakefd_clear(int fd);

/*
 * In a forked child: a timer of its own under the same number, for the inherited one is the
 * parent's too.
 */
void vt_wakefd_renew(int fd);

/* Is the number still a descriptor of ours? */
bool vt_wakefd_ours(int fd);

/* Closes it if it is ours. */
void vt_wakefd_close(int fd);

#endif
