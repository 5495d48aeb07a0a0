/* SPDX-License-Identifier: MIT */

/*
 * Body
 *
 * What an answer is rendered into. It belongs to whoever sends it until it has been sent
 * whole, and a slow client may take long: so the next answer needs another. A few that
 * are done with wait to be used again.
 *
 * One thread at a time.
 */

#ifndef VX_BODY_H
#define VX_BODY_H

#include "buffer.h"

struct vx_bodies {
	struct vx_body *idle;
	unsigned n;
};

struct vx_body {
	struct vx_buffer buffer;
	struct vx_bodies *home;
	struct vx_body *next;
};

/* Return: one, what it holds to be emptied by the caller; NULL: no memory. */
struct vx_body *vx_bodies_get(struct vx_bodies *bodies);

/* Done with. A void pointer, so that it can be the callback of whoever sends. */
void vx_body_put(void *body);

/* Those that are idle; the others must have been put before. */
void vx_bodies_free(struct vx_bodies *bodies);

#endif
