/* SPDX-License-Identifier: MIT */

#include "server.h"

#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)256 * 1024)

/* One a second. */
#define NUDGES 3u

struct vx_server {
	struct vx_stats stats;
	struct vx_routes routes;
	struct vx_connections connections;
	struct vx_http *http;
	struct vx_address address;
	struct vx_fd listener;
	int wake;

	struct vx_loop loop; /* the thread's own */

	/* Release and acquire: who sees the state sees what the thread did before it. */
	_Atomic int state;
	_Atomic bool stopping;
	pthread_t thread;
	bool running;
	struct vx_server *kept; /* the one kept before */
};

/* Closes all that is still ours but the descriptor to wake the thread by. */
static void server_drop(struct vx_server *server)
{
	vx_fd_close(&server->listener);
	vx_connections_forget(&server->connections);
	if (server->http)
		vx_http_forget(server->http);
}

static void *server_run(void *arg)
{
	struct vx_server *server = arg;
	int r;

	pthread_setname_np(pthread_self(), "vitals-http");
	/* Past the room for such threads nobody is told that all are asleep. */
	(void)vitals_thread_looks_on();
	do
		r = vx_loop_turn(&server->loop);
	while (r == 0 && !atomic_load_explicit(&server->stopping, memory_order_acquire));
	if (r == -EBADF) {
		/* Clients are turned away rather than kept waiting. */
		server_drop(server);
		atomic_store_explicit(&server->state, VX_SERVER_LOST,
				      memory_order_release);
	}
	return NULL;
}

/*
 * Its wake descriptor is the host's now, or nobody's, so the thread cannot be woken by
 * it. While it sleeps, though, the kernel keeps the listening socket alive for it: a
 * connection to that wakes it too.
 */
static void server_nudge(const struct vx_server *server)
{
	int fd = socket(server->address.any.sa_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	(void)connect(fd, &server->address.any, server->address.size);
	close(fd);
}

/* For good, and where a search for leaks sees that it is meant. */
static void server_keep(struct vx_server *server)
{
	static _Atomic(struct vx_server *) kept;

	/* Relaxed: nobody reads it. */
	server->kept = atomic_exchange_explicit(&kept, server, memory_order_relaxed);
}

/* Return: 0, or -ETIMEDOUT: it does not end. */
static int server_join(struct vx_server *server)
{
	struct timespec until;
	unsigned i;

	atomic_store_explicit(&server->stopping, true, memory_order_release);
	if (vx_server_state(server) == VX_SERVER_LOST || !vx_wake_fire(server->wake))
		return -pthread_join(server->thread, NULL);
	for (i = 0; i < NUDGES; i++) {
		server_nudge(server);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		if (!pthread_timedjoin_np(server->thread, NULL, &until))
			return 0;
	}
	return -ETIMEDOUT;
}

static int server_open(struct vx_server *server, struct vx_address *address,
		       const struct vx_server_options *options)
{
	int r;

	server->routes.registry = options->registry;
	server->routes.stats = &server->stats;
	server->routes.environment = options->environment;
	server->routes.max_series = options->max_series;
	server->connections.stats = &server->stats;
	server->connections.request_ns = options->request_ns;
	server->connections.connection_ns = options->connection_ns;

	r = vx_address_listen(address);
	if (r < 0)
		return r;
	server->listener = vx_fd_of(r);
	server->address = *address;
	r = vx_wake_new();
	if (r < 0)
		return r;
	server->wake = r;
	r = vx_connections_init(&server->connections, options->connections);
	if (r)
		return r;
	r = vx_routes_init(&server->routes);
	if (r)
		return r;
	r = vx_http_new(&server->routes, &server->connections, server->wake,
			&server->http);
	server->loop = (struct vx_loop){
		.http = server->http,
		.connections = &server->connections,
		.stats = &server->stats,
		.listener = &server->listener,
		.wake = server->wake,
	};
	return r;
}

int vx_server_new(struct vx_address *address, const struct vx_server_options *options,
		  struct vx_server **ret)
{
	struct vx_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->listener.fd = -1;
	server->wake = -1;
	r = server_open(server, address, options);
	if (r) {
		vx_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

int vx_server_start(struct vx_server *server)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	/* A signal is the host's: none is ever delivered to a thread of ours. */
	sigfillset(&all);
	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	/* Relaxed: the thread does not exist yet, and making it publishes this. */
	atomic_store_explicit(&server->state, VX_SERVER_SERVING, memory_order_relaxed);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&server->thread, &attr, server_run, server);
	if (r == EINVAL) /* a host with much thread-local storage */
		r = pthread_create(&server->thread, NULL, server_run, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		server->running = true;
	return -r;
}

struct vx_server *vx_server_free(struct vx_server *server)
{
	if (!server)
		return NULL;
	/*
	 * A thread that cannot be ended keeps what it uses, and the HTTP library cannot
	 * be trusted with descriptors that are not its own: then memory is the price.
	 */
	if (server->running && server_join(server)) {
		server_keep(server);
		return NULL;
	}
	if (vx_server_state(server) == VX_SERVER_LOST ||
	    (server->http && !vx_http_is_ours(server->http)) ||
	    vx_http_free(server->http)) {
		vx_server_forget(server);
		server_keep(server);
		return NULL;
	}
	vx_routes_deinit(&server->routes);
	vx_connections_deinit(&server->connections);
	vx_fd_close(&server->listener);
	if (vx_wake_is_ours(server->wake))
		close(server->wake);
	free(server);
	return NULL;
}

enum vx_server_state vx_server_state(const struct vx_server *server)
{
	return (enum vx_server_state)atomic_load_explicit(&server->state,
							  memory_order_acquire);
}

void vx_server_forget(struct vx_server *server)
{
	server_drop(server);
	if (vx_wake_is_ours(server->wake))
		close(server->wake);
	server->wake = -1;
}
