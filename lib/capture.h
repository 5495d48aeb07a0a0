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

#include "command.h"
#include "registry.h"

#include <stdbool.h>

#define VT_CAPTURE_PER_HOUR 64u

struct vt_capture_terms {
	uint64_t timeout_ns;
	uint32_t per_hour;
	char output[PATH_MAX];
	struct vt_command command;
};

struct vt_capture {
	pthread_t thread;      /* guarded by notifier_control */
	bool joinable;         /* the same */
	uint32_t forks;        /* the same; see notifier.c */
	vitals_events *reader; /* the thread's, while there is one */
	_Atomic uint32_t wanted;
	_Atomic uint32_t running;
	_Atomic uint32_t ready; /* 0: not known yet; 1; 1 + errno: it cannot work */
	struct vt_capture_terms terms; /* guarded by notifier_lock */

	/* the thread's own */
	struct vt_capture_terms now; /* that it works by: too large for its stack */
	uint64_t begun_ns[VT_CAPTURE_PER_HOUR];

	_Atomic int32_t
		pid; /* of the command under way, and its process group; 0: none */
	/* Relaxed, all: facts of their own. */
	_Atomic uint32_t begun;
	_Atomic uint32_t failed;
	_Atomic uint32_t skipped;
	_Atomic uint32_t timeouts;
};

/* Starts it again, after a stop or in a forked child, if it was asked for. Return: as the start. */
int vt_capture_resume(vitals_registry *registry);

/* Kills the command under way, and waits for the thread. */
void vt_capture_stop(vitals_registry *registry);

/* Is it a process of the command under way? */
bool vt_capture_is(vitals_registry *registry, int32_t pid);

/* An event, in the thread: runs the command if it is one to run it for, and there may be one more. */
void vt_capture_consider(vitals_registry *registry, struct vt_capture *capture,
			 const struct vitals_event *event);

/* What has come of it so far. */
struct vt_capture_counts {
	uint32_t begun;
	uint32_t failed;  /* there was nowhere to write to, or no process to be had */
	uint32_t skipped; /* while another ran, or too many in an hour */
	uint32_t timeouts;
};
void vt_capture_count(vitals_registry *registry, struct vt_capture_counts *counts);

#endif
