/* SPDX-License-Identifier: MIT */

/*
 * Server
 *
 * A listening socket, the thread that serves it, and all that thread uses.
 */

#ifndef VX_SERVER_H
#define VX_SERVER_H

#include "address.h"
#include "render.h"

struct vx_server;

enum vx_server_state {
	VX_SERVER_NEW,
	VX_SERVER_SERVING,
	VX_SERVER_LOST, /* its descriptors are gone; its thread has ended */
};

struct vx_server_options {
	vitals_registry *registry;
	struct vx_environment environment;
	unsigned connections;
	uint32_t max_series;
	uint64_t request_ns;
	uint64_t connection_ns;
};

/*
 * Listens, but serves nobody yet. @address becomes the one it got. After an error nothing
 * is left behind.
 */
int vx_server_new(struct vx_address *address, const struct vx_server_options *options,
		  struct vx_server **ret);

/* Return: 0; -EAGAIN, -ENOMEM or -EPERM if there is no thread to be had. */
int vx_server_start(struct vx_server *server);

/* Ends the thread, closes every connection. */
struct vx_server *vx_server_free(struct vx_server *server);

enum vx_server_state vx_server_state(const struct vx_server *server);

/*
 * Closes what is still ours, by calls that are async-signal-safe: all that may be done in
 * a forked child, whose copies they are. Never to be freed after that.
 */
void vx_server_forget(struct vx_server *server);

#endif
