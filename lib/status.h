/* SPDX-License-Identifier: MIT */

/*
 * Status
 *
 * What the process is doing, and whom it waits for, in one line for people. From a view, without a
 * lock: threads that leave meanwhile are there or not.
 */

#ifndef VT_STATUS_H
#define VT_STATUS_H

#include "rows.h"
#include "text.h"

/* In the order of a life; from VT_ACT_STOPPING on nothing leads back. */
enum vt_act {
	VT_ACT_NONE,
	VT_ACT_STARTING,
	VT_ACT_READY,
	VT_ACT_RELOADING,
	VT_ACT_NOT_READY,
	VT_ACT_NOT_WELL,
	VT_ACT_STOPPING, /* readiness is gone, nobody was told */
	VT_ACT_DRAINING,
	VT_ACT_QUITTING,
	VT_ACT_LATE, /* the deadline is over, and not all have left */
};

/* Threads that are named; the others are counted. */
#define VT_STATUS_NAMES 3
#define VT_STATUS_MAX (VT_STATUS_NAMES * VITALS_PATH_MAX + 256)

struct vt_status {
	const struct vt_view *view;
	struct vt_moment moment;
	struct vitals_process_info process;
	enum vt_act act;
	bool reloading;       /* the host said so: set before vt_status_see() */
	uint64_t begun_ns;    /* of the shutdown: as before, or when it is seen first */
	uint64_t deadline_ns; /* 0: there is none */
	uint32_t missing;     /* see vt_status_count() */
};

/* Fills in all but the threads that are missing. */
void vt_status_see(const struct vt_view *view, uint64_t now_ns, struct vt_status *status);

/* Counts who was told and is still there, in one pass over all members. */
void vt_status_count(struct vt_status *status);

void vt_status_write(const struct vt_status *status, struct vt_text *text);

#endif
