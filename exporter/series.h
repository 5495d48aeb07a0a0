/* SPDX-License-Identifier: MIT */

/*
 * Series
 *
 * The metrics that have one series a group, a heartbeat, a quitter, a scope or a readiness part,
 * and how many of each go into an exposition that may not grow beyond a number of series.
 */

#ifndef VX_SERIES_H
#define VX_SERIES_H

#include "render.h"
#include "table.h"

#include <assert.h>

#define VX_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Of each one. */
#define VX_GROUP_SERIES 11u
#define VX_HISTOGRAM_SERIES (2 * (VX_BUCKETS + 2))
#define VX_HEARTBEAT_SERIES 8u /* and one more of one that is not well */
#define VX_QUITTER_SERIES 10u
#define VX_SCOPE_SERIES 2u

/* How many of each; a thing is in with all its series or with none. */
struct vx_budget {
	uint64_t groups;
	uint64_t histograms; /* the first so many of the groups have them */
	uint64_t quitters;
	uint64_t scopes;
	uint64_t heartbeats;
	int worst; /* of the heartbeats only the worst */
};

struct vx_budget vx_series_budget(const struct vx_look *look);

/* Heartbeats that are not closed. */
uint64_t vx_series_alive(const struct vx_look *look);

/*
 * Each gathers its rows in the empty @table, writes its families to @to, and answers how
 * many series it left out.
 */
uint64_t vx_series_groups(const struct vx_look *look, const struct vx_budget *budget,
			  struct vx_table *table, struct vx_exposition *to);
uint64_t vx_series_heartbeats(const struct vx_look *look, const struct vx_budget *budget,
			      struct vx_table *table, struct vx_exposition *to);
uint64_t vx_series_quitters(const struct vx_look *look, const struct vx_budget *budget,
			    struct vx_table *table, struct vx_exposition *to);
uint64_t vx_series_scopes(const struct vx_look *look, const struct vx_budget *budget,
			  struct vx_table *table, struct vx_exposition *to);
void vx_series_parts(const struct vx_look *look, struct vx_table *table,
		     struct vx_exposition *to);

/* "running", "quitting", "done" or "timed_out". */
const char *vx_quitter_state(const struct vitals_quitter_info *quitter);

#endif
