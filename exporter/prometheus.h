/* SPDX-License-Identifier: MIT */

/*
 * Prometheus
 *
 * Renders a look as the Prometheus text format 0.0.4. docs/metrics.md says what each
 * metric means. Allocates nothing once its storage has grown to the size of the
 * exposition.
 */

#ifndef VX_PROMETHEUS_H
#define VX_PROMETHEUS_H

#include "render.h"
#include "table.h"

#define VX_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct vx_prometheus {
	struct vx_table table;
	uint64_t series;  /* of the last exposition */
	uint64_t dropped; /* those that its limit kept out */
};

void vx_prometheus_free(struct vx_prometheus *prometheus);

/* Return: 0 or -ENOMEM; then @out is not whole. */
int vx_prometheus_render(struct vx_prometheus *prometheus, const struct vx_look *look,
			 struct vx_buffer *out);

#endif
