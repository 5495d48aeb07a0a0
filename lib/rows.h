/* SPDX-License-Identifier: MIT */

/*
 * Rows
 *
 * Fills public rows from slots, through a view. Each answers false if the slot is not in use, or
 * would not hold still: it is gone.
 */

#ifndef VT_ROWS_H
#define VT_ROWS_H

#include "verdict.h"
#include "view.h"
#include "vitals.h"

/* What every row of a snapshot is judged by. */
struct vt_moment {
	uint64_t now_ns;
	struct vt_tick tick;
};

bool vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment,
		      uint32_t index, struct vitals_heartbeat_info *info);

/*
 * The counts of the heartbeat that has @gen. Return: its schema; -ENODATA without a histogram;
 * -ENOENT if it is gone.
 */
int vt_row_buckets(const struct vt_view *view, uint32_t index, uint32_t gen,
		   uint64_t *counts, uint32_t n);

/*
 * How many of @threads, of a quitter (by index, UINT32_MAX: of all), are there: less those quick
 * holds that nobody has.
 */
uint32_t vt_rows_held(const struct vt_view *view, uint32_t quitter, uint32_t threads);

bool vt_row_quitter(const struct vt_view *view, uint32_t index,
		    struct vitals_quitter_info *info);

bool vt_row_thread(const struct vt_view *view, const struct vt_moment *moment,
		   uint32_t index, struct vitals_thread_info *info);

bool vt_row_part(const struct vt_view *view, uint32_t index,
		 struct vitals_part_info *info);

/* The @index-th finding there is, all asleep first. */
bool vt_row_finding(const struct vt_view *view, uint32_t index,
		    struct vitals_finding_info *info);

bool vt_row_scope(const struct vt_view *view, uint32_t index,
		  struct vitals_scope_info *info);

/* The process row, but for from_ns and to_ns. */
void vt_row_process(const struct vt_view *view, const struct vt_moment *moment,
		    struct vitals_process_info *info);

/* A group's row and both its histograms. */
struct vt_group_row {
	struct vitals_group_info info;
	uint64_t intervals[VT_COARSE];
	uint64_t lateness[VT_COARSE];
};

/* Fills the rows of all groups with one walk over the heartbeats. Return: how many there are. */
uint32_t vt_rows_groups(const struct vt_view *view, const struct vt_moment *moment,
			struct vt_group_row *rows);

#endif
