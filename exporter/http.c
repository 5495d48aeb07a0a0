/* SPDX-License-Identifier: MIT */

#include "http.h"

#include "body.h"
#include "escape.h"
#include "health.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A request line and its headers; more is answered 431 by the library. */
#define REQUEST_MEMORY ((size_t)16 * 1024)

struct vx_http {
	struct MHD_Daemon *daemon;
	struct MHD_Response *no_memory;
	struct vx_routes *routes;
	struct vx_connections *connections;
	struct vx_bodies bodies;
	int fd;
	int marker;
	uint64_t now_ns;
	struct vx_connection *adding;
};

/*
 * The library gives up when a descriptor of its own was closed under it, and its way is
 * to abort: a host would pay with its life for a closefrom() at a bad moment. A call of
 * ours is left instead; in anybody else's nothing changes.
 */
static void panic_escape(void *cls, const char *file, unsigned line, const char *reason)
{
	(void)cls;
	(void)file;
	(void)line;
	(void)reason;
	vx_escape();
	abort();
}

static void logger_ignore(void *cls, const char *format, va_list arguments)
{
	(void)cls;
	(void)format;
	(void)arguments;
}

static struct vx_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
			      enum MHD_ConnectionNotificationCode code)
{
	struct vx_http *http = cls;

	(void)mhd;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = http->adding;
	} else if (*context) {
		/* The socket is closed next: from here on its number is nobody's. */
		vx_connections_drop(http->connections, *context);
		*context = NULL;
	}
}

/* The target as it came, before the library takes it apart. */
static void *target_keep(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct vx_connection *connection = connection_of(mhd);

	(void)cls;
	if (connection)
		vx_connection_keep(connection, uri);
	return NULL;
}

static void request_completed(void *cls, struct MHD_Connection *mhd, void **context,
			      enum MHD_RequestTerminationCode code)
{
	struct vx_http *http = cls;
	struct vx_connection *connection = *context;

	(void)mhd;
	(void)code;
	if (connection && connection->sending) {
		connection->sending = 0;
		http->routes->stats->in_flight--;
	}
}

/* Takes @body over. Return: NULL: no memory. */
static struct MHD_Response *response_make(const struct vx_answer *answer,
					  struct vx_body *body, bool last)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer_with_free_callback_cls(
		body->buffer.length, body->buffer.data, vx_body_put, body);
	if (!response) {
		vx_body_put(body);
		return NULL;
	}
	if (MHD_add_response_header(response, "Content-Type", answer->content_type) &&
	    MHD_add_response_header(response, "Cache-Control", "no-store") &&
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") &&
	    (!answer->allow ||
	     MHD_add_response_header(response, "Allow", answer->allow)) &&
	    (!last || MHD_add_response_header(response, "Connection", "close")))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static enum MHD_Result no_memory_queue(struct vx_http *http, struct MHD_Connection *mhd)
{
	http->routes->stats->errors[VX_ERROR_MEMORY]++;
	return MHD_queue_response(mhd, 503, http->no_memory);
}

static enum MHD_Result request_answer(struct vx_http *http, struct MHD_Connection *mhd,
				      struct vx_connection *connection,
				      const struct vx_ask *ask)
{
	bool last = http->now_ns - connection->begun_ns >
		    http->connections->connection_ns / 2;
	struct vx_body *body = vx_bodies_get(&http->bodies);
	struct MHD_Response *response = NULL;
	struct vx_answer answer;
	size_t size;
	enum MHD_Result r;

	if (!body)
		return no_memory_queue(http, mhd);
	vx_routes_answer(http->routes, ask, &body->buffer, &answer);
	size = body->buffer.length;
	if (answer.no_memory)
		vx_body_put(body);
	else
		response = response_make(&answer, body, last);
	if (!response)
		return no_memory_queue(http, mhd);
	r = MHD_queue_response(mhd, answer.status, response);
	MHD_destroy_response(response);
	if (r != MHD_YES)
		return r;
	connection->sending = size;
	http->routes->stats->in_flight++;
	if (size > VX_LARGE)
		vx_connections_limit_large(http->connections);
	return r;
}

static bool request_has_body(struct MHD_Connection *mhd)
{
	const char *length =
		MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Content-Length");

	return (length && strcmp(length, "0") != 0) ||
	       MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Transfer-Encoding");
}

/*
 * Called first with the headers only. An answer then closes the connection, which is
 * right for a client that is about to send what nobody reads; all others are answered on
 * the next call.
 */
static enum MHD_Result request_handle(void *cls, struct MHD_Connection *mhd,
				      const char *url, const char *method,
				      const char *version, const char *data,
				      size_t *data_size, void **context)
{
	struct vx_connection *connection = connection_of(mhd);
	struct vx_ask ask = { .method = method, .has_body = request_has_body(mhd) };

	(void)url;
	(void)version;
	(void)data;
	if (!connection || *data_size)
		return MHD_NO;
	connection->asked = true;
	if (!connection->too_long)
		ask.target = connection->target;
	if (!*context && vx_ask_is_plain(&ask)) {
		*context = connection;
		return MHD_YES;
	}
	*context = connection;
	return request_answer(cls, mhd, connection, &ask);
}

static struct MHD_Response *no_memory_make(void)
{
	/* Not const, for the library's prototype; it writes to no body. */
	static char text[] = VX_HEALTH_NO_MEMORY;
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(sizeof(text) - 1, text,
						   MHD_RESPMEM_PERSISTENT);
	if (!response ||
	    MHD_add_response_header(response, "Content-Type", VX_HEALTH_TYPE))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static int daemon_start(struct vx_http *http)
{
	const union MHD_DaemonInfo *info;
	struct vx_fd_stdio stdio;
	int error;

	MHD_set_panic_func(panic_escape, NULL);
	vx_fd_stdio_hold(&stdio);
	errno = 0;
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, request_handle,
		http, MHD_OPTION_EXTERNAL_LOGGER, logger_ignore, NULL,
		MHD_OPTION_CONNECTION_LIMIT, http->connections->limit + 1,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
		connection_notify, http, MHD_OPTION_NOTIFY_COMPLETED, request_completed,
		http, MHD_OPTION_URI_LOG_CALLBACK, target_keep, http, MHD_OPTION_END);
	error = errno;
	vx_fd_stdio_release(&stdio);
	if (!http->daemon)
		return error == EMFILE || error == ENFILE ? -error : -ENOMEM;
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	http->fd = info ? info->epoll_fd : -1;
	return vx_marker_add(http->fd, http->marker);
}

int vx_http_new(struct vx_routes *routes, struct vx_connections *connections, int marker,
		struct vx_http **ret)
{
	struct vx_http *http = calloc(1, sizeof(*http));
	int r = -ENOMEM;

	if (!http)
		return -ENOMEM;
	http->routes = routes;
	http->connections = connections;
	http->marker = marker;
	http->no_memory = no_memory_make();
	if (http->no_memory)
		r = daemon_start(http);
	if (r) {
		vx_http_free(http);
		return r;
	}
	*ret = http;
	return 0;
}

int vx_http_free(struct vx_http *http)
{
	if (!http)
		return 0;
	if (setjmp(*vx_escape_arm()))
		return -EBADF;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	vx_escape_disarm();
	if (http->no_memory)
		MHD_destroy_response(http->no_memory);
	vx_bodies_free(&http->bodies);
	free(http);
	return 0;
}

void vx_http_forget(struct vx_http *http)
{
	if (vx_marker_is_in(http->fd, http->marker))
		close(http->fd);
	http->fd = -1;
}

int vx_http_fd(const struct vx_http *http)
{
	return http->fd;
}

bool vx_http_is_ours(const struct vx_http *http)
{
	return vx_marker_is_in(http->fd, http->marker) &&
	       vx_connections_are_ours(http->connections);
}

int vx_http_add_at(struct vx_http *http, int fd, uint64_t now_ns)
{
	enum MHD_Result added;

	http->adding = vx_connections_add_at(http->connections, fd, now_ns);
	if (!http->adding) {
		close(fd);
		return -ENOMEM;
	}
	if (setjmp(*vx_escape_arm()))
		return -EBADF;
	/* Who it is does not matter here: no limit is by address. */
	added = MHD_add_connection(http->daemon, fd, NULL, 0);
	vx_escape_disarm();
	if (added == MHD_YES)
		return 0;
	/* The library has closed it, and said so only if it had got that far. */
	if (http->adding->fd.fd >= 0)
		vx_connections_drop(http->connections, http->adding);
	return -ENOMEM;
}

int vx_http_run_at(struct vx_http *http, uint64_t now_ns)
{
	http->now_ns = now_ns;
	if (setjmp(*vx_escape_arm()))
		return -EBADF;
	MHD_run(http->daemon);
	vx_escape_disarm();
	return 0;
}

bool vx_http_has_more(struct vx_http *http)
{
	unsigned MHD_LONG_LONG ms;

	return MHD_get_timeout(http->daemon, &ms) == MHD_YES && ms == 0;
}
