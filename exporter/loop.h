/* SPDX-License-Identifier: MIT */

/*
 * Loop
 *
 * One poll, round after round: a descriptor to be woken by, the HTTP library's epoll, and
 * the listening socket. It accepts by itself, and so is not made to spin by a process
 * that has run out of descriptors; it keeps the time of every connection by itself, and
 * so is not held up by slow clients; it looks at its descriptors before it uses them, and
 * so ends when its host has closed them. Without connections it sleeps for ever.
 *
 * One thread at a time.
 */

#ifndef VX_LOOP_H
#define VX_LOOP_H

#include "http.h"

struct vx_loop {
	struct vx_http *http;
	struct vx_connections *connections;
	struct vx_stats *stats;
	const struct vx_fd *listener;
	int wake;

	/* its own, from 0 */
	uint64_t accept_after_ns;
	uint64_t guard_from_ns;
	uint64_t guard_progress;
	unsigned guard_turns;
};

/*
 * Waits for something to do, or for the descriptor that wakes it, and does it.
 *
 * Return: 0; -EBADF when a descriptor is no longer ours.
 */
int vx_loop_turn(struct vx_loop *loop);

#endif
