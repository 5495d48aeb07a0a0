/* SPDX-License-Identifier: MIT */

/*
 * Capture
 *
 * Runs the command that the service has chosen when a heartbeat is stuck, one at a time. In a thread of
 * its own: posix_spawn keeps whoever calls it until the program is found and loaded, which may be
 * on a disk that does not answer, so it is not for the monitor; and the notifier may be in a callback
 * that never returns.
 */

#ifndef VT_CAPTURE_H
#define VT_CAPTURE_H

#include "registry.h"

#include <stdbool.h>

/* Starts it again, after a stop or in a forked child, if it was asked for. Return: as the start. */
int vt_capture_resume(vitals_registry *registry);

/* Kills the command under way, and waits for the thread. */
void vt_capture_stop(vitals_registry *registry);

/* Is it a process of the command under way? */
bool vt_capture_is(vitals_registry *registry, int32_t pid);

/* What has come of it so far. */
struct vt_capture_counts {
	uint32_t begun;
	uint32_t failed;  /* there was nowhere to write to, or no process to be had */
	uint32_t skipped; /* while another ran, or too many in an hour */
	uint32_t timeouts;
};
void vt_capture_count(vitals_registry *registry, struct vt_capture_counts *counts);

#endif
