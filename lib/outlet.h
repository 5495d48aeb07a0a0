/* SPDX-License-Identifier: MIT */

/*
 * Outlet
 *
 * Where the output of a command goes: a file, or a socket that takes a stream as journald's does. For
 * a thread of ours with a descriptor table to itself and all signals blocked.
 */

#ifndef VT_OUTLET_H
#define VT_OUTLET_H

/* journald's. */
#define VT_OUTLET_JOURNAL "/run/systemd/journal/stdout"

/*
 * Opens @path, a file to be appended to, made where it is not there, or a socket. Waits for nobody.
 * Return: the descriptor, which does not block; a negative errno.
 */
int vt_outlet_open(const char *path);

/* Whoever inherits it may block on it. */
void vt_outlet_block(int fd);

#endif
