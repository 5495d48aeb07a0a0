/* SPDX-License-Identifier: MIT */

/*
 * Health
 *
 * Renders a look as the body of /health, in JSON: a short one for whoever asks every
 * second, a verbose one with every heartbeat, quitter and thread for whoever wants to
 * know why. docs/health.md says what each member means.
 */

#ifndef VX_HEALTH_H
#define VX_HEALTH_H

#include "render.h"

#include <stdbool.h>

#define VX_HEALTH_TYPE "application/json"

/* The short body never is longer: there are askers that keep no more. */
#define VX_HEALTH_MAX 4096u

/* For when there is no memory for another. */
#define VX_HEALTH_NO_MEMORY "{\"status\":\"fail\",\"summary\":\"out of memory\"}\n"

/* Return: 0 or -ENOMEM; then @out is not whole. */
int vx_health_render(const struct vx_look *look, bool verbose, struct vx_buffer *out);

#endif
