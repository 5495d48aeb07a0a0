/* SPDX-License-Identifier: MIT */

/*
 * Routes
 *
 * Which path gives which answer: method and target in, status, headers and body out.
 * Knows nothing of sockets, so it can be asked without any.
 *
 * One thread at a time: the snapshot and the renderers' storage are used again.
 */

#ifndef VX_ROUTES_H
#define VX_ROUTES_H

#include "prometheus.h"
#include "render.h"

#include <stdbool.h>

struct vx_routes {
	vitals_registry *registry;
	vitals_snapshot *snapshot;
	struct vx_prometheus prometheus;
	struct vx_stats *stats;
	struct vx_environment environment;
	uint32_t max_series;
};

struct vx_ask {
	const char *method;
	const char *target; /* "/health?verbose"; NULL: too long to be kept */
	bool has_body;
};

struct vx_answer {
	unsigned status;
	enum vx_handler handler;
	const char *content_type;
	const char *allow; /* NULL: no such header */
	bool no_memory;    /* and so no body but VX_HEALTH_NO_MEMORY */
};

/* GET or HEAD without a body: its connection can be used again. */
bool vx_ask_is_plain(const struct vx_ask *ask);

/* Takes a first snapshot, so that later ones need no memory. Return: 0 or its errno. */
int vx_routes_init(struct vx_routes *routes);
void vx_routes_deinit(struct vx_routes *routes);

/*
 * Always gives an answer, and counts it. HEAD is answered like GET: leaving the body out
 * is the server's. @body is emptied first.
 */
void vx_routes_answer(struct vx_routes *routes, const struct vx_ask *ask,
		      struct vx_buffer *body, struct vx_answer *ret);

#endif
