/* SPDX-License-Identifier: MIT */

/*
 * Render
 *
 * What every renderer is given: one look at a registry, and what the exporter counts of
 * itself. A renderer fills a buffer from it and knows nothing of HTTP.
 */

#ifndef VX_RENDER_H
#define VX_RENDER_H

#include "buffer.h"

#include <vitals.h>

enum vx_handler {
	VX_HANDLER_HEALTH,
	VX_HANDLER_LIVEZ,
	VX_HANDLER_READYZ,
	VX_HANDLER_STARTUPZ,
	VX_HANDLER_METRICS,
	VX_HANDLER_INDEX,
	VX_HANDLER_OTHER, /* no such path */
	VX_HANDLERS
};

enum vx_code {
	VX_CODE_200,
	VX_CODE_404,
	VX_CODE_405,
	VX_CODE_413,
	VX_CODE_414,
	VX_CODE_503,
	VX_CODES
};

/* Why a connection was closed before its client did. */
enum vx_eviction {
	VX_EVICTION_REQUEST,    /* its request took too long */
	VX_EVICTION_CONNECTION, /* it did, in all */
	VX_EVICTION_FULL,       /* one more came, or one more large body */
	VX_EVICTIONS
};

enum vx_error {
	VX_ERROR_MEMORY,
	VX_ERROR_SNAPSHOT,
	VX_ERRORS
};

/* Written and read by the thread that serves, and by nobody else. */
struct vx_stats {
	uint64_t requests[VX_HANDLERS][VX_CODES];
	uint64_t evictions[VX_EVICTIONS];
	uint64_t errors[VX_ERRORS];
	uint64_t answers; /* the sum of the requests */
	uint64_t accepted;
	uint64_t accept_backoffs; /* out of descriptors or memory */
	uint64_t naps;            /* turns without progress, too many a second */
	uint64_t connections;
	uint64_t in_flight; /* answers not sent whole yet */

	/* of the exposition before */
	uint64_t scrape_ns;
	uint64_t scrape_series;
	uint64_t dropped_series;
};

#define VX_SWITCH_MAX 128

/* The environment as it was at start, longer values cut; empty: not set. */
struct vx_environment {
	char vitals[VX_SWITCH_MAX];
	char listen[VX_SWITCH_MAX];
	char timeout_scale[VX_SWITCH_MAX];
	char abort[VX_SWITCH_MAX];
};

struct vx_look {
	vitals_snapshot *snapshot;
	struct vitals_process_info process;
	const struct vx_stats *stats;
	const struct vx_environment *environment;
	uint32_t max_series;
};

/* CLOCK_MONOTONIC to CLOCK_REALTIME, with one offset for the whole look. */
static inline uint64_t vx_look_realtime(const struct vx_look *look, uint64_t ns)
{
	return ns + (look->process.real_ns - look->process.from_ns);
}

#endif
