/* SPDX-License-Identifier: MIT */

#include "connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FOR_EACH(connection, connections)                                                \
	for ((connection) = (connections)->places;                                       \
	     (connection) < (connections)->places + (connections)->limit;                \
	     (connection)++)

static bool connection_lives(const struct vx_connection *connection)
{
	return connection->fd.fd >= 0 && !connection->closing;
}

static uint64_t connection_deadline(const struct vx_connections *connections,
				    const struct vx_connection *connection)
{
	return connection->begun_ns +
	       (connection->asked ? connections->connection_ns : connections->request_ns);
}

/* Only asked for: who reads from it closes it. */
static void connection_shut(struct vx_connections *connections,
			    struct vx_connection *connection, enum vx_eviction why)
{
	if (vx_fd_is_ours(&connection->fd))
		shutdown(connection->fd.fd, SHUT_RDWR);
	connection->closing = true;
	connections->stats->evictions[why]++;
}

static struct vx_connection *connection_oldest(struct vx_connections *connections,
					       size_t least, size_t most)
{
	struct vx_connection *connection, *oldest = NULL;

	FOR_EACH(connection, connections)
	if (connection_lives(connection) && connection->sending >= least &&
	    connection->sending <= most &&
	    (!oldest || connection->begun_ns < oldest->begun_ns))
		oldest = connection;
	return oldest;
}

int vx_connections_init(struct vx_connections *connections, unsigned limit)
{
	struct vx_connection *connection;

	connections->places = calloc(limit, sizeof(*connections->places));
	if (!connections->places)
		return -ENOMEM;
	connections->limit = limit;
	FOR_EACH(connection, connections)
	connection->fd.fd = -1;
	return 0;
}

void vx_connections_deinit(struct vx_connections *connections)
{
	free(connections->places);
	connections->places = NULL;
	connections->limit = 0;
}

struct vx_connection *vx_connections_add_at(struct vx_connections *connections, int fd,
					    uint64_t now_ns)
{
	struct vx_connection *connection;

	FOR_EACH(connection, connections)
	{
		if (connection->fd.fd >= 0)
			continue;
		memset(connection, 0, sizeof(*connection));
		connection->fd = vx_fd_of(fd);
		if (connection->fd.fd < 0)
			return NULL;
		connection->begun_ns = now_ns;
		connections->stats->connections++;
		return connection;
	}
	return NULL;
}

void vx_connections_drop(struct vx_connections *connections,
			 struct vx_connection *connection)
{
	connection->fd.fd = -1;
	connections->stats->connections--;
}

void vx_connection_keep(struct vx_connection *connection, const char *target)
{
	size_t n = strlen(target);

	connection->too_long = n >= sizeof(connection->target);
	if (!connection->too_long)
		memcpy(connection->target, target, n + 1);
}

uint64_t vx_connections_deadline(const struct vx_connections *connections)
{
	const struct vx_connection *connection;
	uint64_t next_ns = UINT64_MAX, deadline_ns;

	FOR_EACH(connection, connections)
	{
		if (!connection_lives(connection))
			continue;
		deadline_ns = connection_deadline(connections, connection);
		if (deadline_ns < next_ns)
			next_ns = deadline_ns;
	}
	return next_ns;
}

void vx_connections_expire_at(struct vx_connections *connections, uint64_t now_ns)
{
	struct vx_connection *connection;

	FOR_EACH(connection, connections)
	if (connection_lives(connection) &&
	    now_ns >= connection_deadline(connections, connection))
		connection_shut(connections, connection,
				connection->asked ? VX_EVICTION_CONNECTION
						  : VX_EVICTION_REQUEST);
}

void vx_connections_make_room(struct vx_connections *connections)
{
	struct vx_connection *oldest;

	if (connections->stats->connections < connections->limit)
		return;
	oldest = connection_oldest(connections, 0, 0);
	if (!oldest)
		oldest = connection_oldest(connections, 0, SIZE_MAX);
	if (oldest)
		connection_shut(connections, oldest, VX_EVICTION_FULL);
}

void vx_connections_limit_large(struct vx_connections *connections)
{
	const struct vx_connection *connection;
	struct vx_connection *oldest;
	unsigned n = 0;

	FOR_EACH(connection, connections)
	n += connection_lives(connection) && connection->sending > VX_LARGE;
	oldest = connection_oldest(connections, VX_LARGE + 1, SIZE_MAX);
	if (n > VX_LARGE_LIMIT && oldest)
		connection_shut(connections, oldest, VX_EVICTION_FULL);
}

bool vx_connections_are_ours(const struct vx_connections *connections)
{
	const struct vx_connection *connection;

	FOR_EACH(connection, connections)
	if (connection->fd.fd >= 0 && !vx_fd_is_ours(&connection->fd))
		return false;
	return true;
}

void vx_connections_forget(struct vx_connections *connections)
{
	struct vx_connection *connection;

	FOR_EACH(connection, connections)
	vx_fd_close(&connection->fd);
}
