/* SPDX-License-Identifier: MIT */

/*
 * Connections
 *
 * Who is connected, since when, and who must go: a request that has not come whole in
 * time, a connection that has lived its time, the oldest if one more comes than there is
 * room for. The limits are absolute: a byte now and then buys nobody another second.
 *
 * To go is to be shut down here; whoever reads from the socket finds its end and drops
 * it.
 */

#ifndef VX_CONNECTIONS_H
#define VX_CONNECTIONS_H

#include "fd.h"
#include "render.h"
#include "request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vx_connection {
	struct vx_fd fd; /* its fd is -1 in a free place */
	uint64_t begun_ns;
	bool closing;   /* was shut down */
	bool asked;     /* a request has come whole */
	size_t sending; /* size of the answer under way */
	bool too_long;  /* the target */
	char target[VX_TARGET_MAX];
};

struct vx_connections {
	struct vx_connection *places;
	unsigned limit;
	uint64_t request_ns;
	uint64_t connection_ns;
	struct vx_stats *stats; /* its connections are how many there are */
};

/* Return: 0 or -ENOMEM. */
int vx_connections_init(struct vx_connections *connections, unsigned limit);
void vx_connections_deinit(struct vx_connections *connections);

/* Return: the new one; NULL if there is no room, or @fd is none. */
struct vx_connection *vx_connections_add_at(struct vx_connections *connections, int fd,
					    uint64_t now_ns);
void vx_connections_drop(struct vx_connections *connections,
			 struct vx_connection *connection);

/* What the client asks for. */
void vx_connection_keep(struct vx_connection *connection, const char *target);

/* The next moment at which somebody must go; UINT64_MAX: none. */
uint64_t vx_connections_deadline(const struct vx_connections *connections);
void vx_connections_expire_at(struct vx_connections *connections, uint64_t now_ns);

/* Room for one more: of those that wait the oldest goes, or else of those that are sent
 * to. */
void vx_connections_make_room(struct vx_connections *connections);

/* Of large answers no more than so many are kept in memory at once; the oldest goes. */
#define VX_LARGE (64u * 1024u)
#define VX_LARGE_LIMIT 8u

void vx_connections_limit_large(struct vx_connections *connections);

/* Is every socket still what it was? */
bool vx_connections_are_ours(const struct vx_connections *connections);

/* Closes those that are ours; in a forked child its copies. */
void vx_connections_forget(struct vx_connections *connections);

#endif
