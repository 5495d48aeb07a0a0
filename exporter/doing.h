/* SPDX-License-Identifier: MIT */

/*
 * Doing
 *
 * What a thread that is not well is doing, in JSON: its class and the sentence of a row, and the
 * figures behind them.
 */

#ifndef VX_DOING_H
#define VX_DOING_H

#include "json.h"
#include "render.h"

/* As a row has it; nothing was looked at: nothing is written. */
struct vx_doing {
	uint32_t thread_class;
	uint32_t reason;
	const char *text;
	size_t room; /* for the sentence, in bytes as JSON writes it */
};

/* Members of the object that is begun. */
void vx_doing_write(struct vx_json *json, const struct vx_doing *doing);

/* A member of the object that was ended last, if the thread of that heartbeat was looked at. */
void vx_doing_figures(const struct vx_look *look, struct vx_json *json, uint32_t index);

/* Was its thread looked at? */
static inline bool vx_doing_of(const struct vitals_heartbeat_info *row)
{
	return row->thread_class || row->reason;
}

#endif
