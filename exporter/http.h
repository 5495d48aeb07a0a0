/* SPDX-License-Identifier: MIT */

/*
 * HTTP
 *
 * libmicrohttpd, as little of it as will do: it parses requests and sends answers on
 * sockets it is given. It has no thread, no listening socket and no timeout here; all
 * that is the server's.
 *
 * Its panic function, one for the whole process, is set with every exporter: where the
 * library would abort in a call of ours, because a descriptor was closed under it, the
 * call is left and the daemon never touched again; elsewhere it aborts, as it does by
 * itself. A host that sets one of its own later gets its aborts back, here too.
 *
 * Connections are kept alive, for a scraper or a page that comes every second, but never
 * longer than their time; past half of it an answer says that it is the last, so
 * that no client sends into a closing socket. A request with a body is refused and
 * its connection closed, which leaves nothing for two parsers to disagree about.
 *
 * One thread at a time.
 */

#ifndef VX_HTTP_H
#define VX_HTTP_H

#include "connections.h"
#include "routes.h"

struct vx_http;

/* @marker: a descriptor that stays open as long, by which http_is_ours() knows its epoll.
 */
int vx_http_new(struct vx_routes *routes, struct vx_connections *connections, int marker,
		struct vx_http **ret);

/*
 * Closes all connections. To be called only while they, and the epoll, are ours.
 *
 * Return: 0, or -EBADF: it is still there, only to be forgotten.
 */
int vx_http_free(struct vx_http *http);

/* Closes the epoll if it is ours, and does no more; never to be freed after that. */
void vx_http_forget(struct vx_http *http);

/* Readable when there is something to run for. */
int vx_http_fd(const struct vx_http *http);
bool vx_http_is_ours(const struct vx_http *http);

/* Takes the socket over, whatever the answer. Return: 0, -ENOMEM or -EBADF: it gave up.
 */
int vx_http_add_at(struct vx_http *http, int fd, uint64_t now_ns);

/* Return: 0, or -EBADF: it gave up. */
int vx_http_run_at(struct vx_http *http, uint64_t now_ns);

/* True: there is more to run for at once, though nothing is readable. */
bool vx_http_has_more(struct vx_http *http);

#endif
