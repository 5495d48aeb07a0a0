/* SPDX-License-Identifier: MIT */

/*
 * Rows
 *
 * The lists of the verbose /health: parts, heartbeats, quitters, threads, one row a line.
 * The quitter tree is flat, a row with the id of its parent.
 */

#ifndef VX_ROWS_H
#define VX_ROWS_H

#include "json.h"
#include "render.h"

/* Each as a member of an object that is open: ,"parts":[...] and so on. */
void vx_rows_write(const struct vx_look *look, struct vx_json *json);

void vx_rows_key(struct vx_buffer *out, const char *key);
void vx_rows_separate(struct vx_buffer *out, uint64_t i);

/* Deadlocks, and all asleep: @all, or those that last, as long as @limit is not passed. */
void vx_rows_findings(const struct vx_look *look, struct vx_json *json, bool all,
		      size_t limit);

/* @whole: with everything that is known of it; @room: for its sentence. */
void vx_rows_heartbeat(struct vx_json *json, const struct vitals_heartbeat_info *row,
		       bool whole, size_t room);

#endif
