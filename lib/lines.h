/* SPDX-License-Identifier: MIT */

/*
 * Lines
 *
 * Lines to a descriptor of the host's, whose reader may be stuck too: a pipe, a socket or a terminal
 * that takes no more is not waited for. No heap, no stdio, no signal to the host.
 */

#ifndef VT_LINES_H
#define VT_LINES_H

#include "text.h"

#include <signal.h>

struct vt_lines {
	int fd;
	bool socket;
	bool opened;       /* by us, not to block: to be closed */
	bool torn;         /* the last line was written in part */
	uint64_t until_ns; /* a reader is not waited for after that */
	unsigned n;        /* lines so far */
	sigset_t before;
	sigset_t pending;
};

/* Which file it is that a descriptor stands for; 0, 0: none. */
struct vt_file {
	uint64_t device;
	uint64_t inode;
};

struct vt_file vt_file_of(int fd);

/* What is at @fd now, if it still is @file. Return: whether there is somewhere to write to. */
bool vt_lines_begin(struct vt_lines *lines, int fd, struct vt_file file,
		    uint64_t until_ns);

/* Return: whether all of @line was written, with an end of line. */
bool vt_lines_put(struct vt_lines *lines, struct vt_text *line);

void vt_lines_end(struct vt_lines *lines);

#endif
