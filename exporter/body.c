/* SPDX-License-Identifier: MIT */

#include "body.h"

#include <stdlib.h>

#define IDLE_MAX 2u
/* A larger one is not kept for the next answer. */
#define SIZE_MAX_KEPT ((size_t)4 * 1024 * 1024)

struct vx_body *vx_bodies_get(struct vx_bodies *bodies)
{
	struct vx_body *body = bodies->idle;

	if (body) {
		bodies->idle = body->next;
		bodies->n--;
		return body;
	}
	body = calloc(1, sizeof(*body));
	if (body)
		body->home = bodies;
	return body;
}

void vx_body_put(void *cls)
{
	struct vx_body *body = cls;
	struct vx_bodies *home = body->home;

	if (home->n >= IDLE_MAX || body->buffer.size > SIZE_MAX_KEPT) {
		vx_buffer_free(&body->buffer);
		free(body);
		return;
	}
	body->next = home->idle;
	home->idle = body;
	home->n++;
}

void vx_bodies_free(struct vx_bodies *bodies)
{
	struct vx_body *body;

	while (bodies->idle) {
		body = bodies->idle;
		bodies->idle = body->next;
		vx_buffer_free(&body->buffer);
		free(body);
	}
	bodies->n = 0;
}
