/* SPDX-License-Identifier: MIT */

/*
 * Verdict
 *
 * Why a process is or is not live, ready or started, and how it fares in one sentence.
 * The verdicts themselves come with the look; this puts them into words.
 */

#ifndef VX_VERDICT_H
#define VX_VERDICT_H

#include "render.h"

#include <stdbool.h>

enum vx_probe {
	VX_PROBE_LIVEZ,
	VX_PROBE_READYZ,
	VX_PROBE_STARTUPZ,
};

bool vx_verdict_passes(const struct vx_look *look, enum vx_probe probe);

/* A line a reason, "[+]name ok" or "[-]name failed: why", then "readyz check passed". */
void vx_verdict_explain(const struct vx_look *look, enum vx_probe probe,
			struct vx_buffer *out);

/* "1 of 12 heartbeats is not well: worker-2 is stuck, silent for 12.3 s, allowed 1 s" */
void vx_verdict_summary(const struct vx_look *look, struct vx_buffer *out);

/* "SIGTERM" or the like; false if the main quitter was not told. */
bool vx_verdict_cause(const struct vx_look *look, struct vitals_quitter_info *ret);

#endif
