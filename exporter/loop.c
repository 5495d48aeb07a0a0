/* SPDX-License-Identifier: MIT */

#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

/* How long to accept nobody after the system had no descriptor or no memory. */
#define BACKOFF_NS VITALS_MS(250)
#define ACCEPTS_A_TURN 16

/* So many turns in such a time, none of which accepted or answered, earn a nap. */
#define GUARD_NS VITALS_MS(100)
#define GUARD_TURNS 500u
#define NAP_NS VITALS_MS(20)

enum {
	WAKE,
	HTTP,
	LISTENER,
	POLLED
};

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / VITALS_S(1)), (long)(ns % VITALS_S(1)) };
}

/*
 * Return: 0, or -EAGAIN if nothing is known of @fds: a host that forbids itself new
 * descriptors, RLIMIT_NOFILE 0, has forbidden polling as well. It has slept a little
 * then.
 */
static int poll_ns(struct pollfd *fds, unsigned n, uint64_t ns)
{
	struct timespec timeout = timespec_of(ns), nap = timespec_of(NAP_NS);

	if (ppoll(fds, n, ns == VITALS_FOREVER ? NULL : &timeout, NULL) >= 0)
		return 0;
	nanosleep(&nap, NULL);
	return -EAGAIN;
}

static bool loop_is_ours(const struct vx_loop *loop)
{
	return vx_wake_is_ours(loop->wake) && vx_fd_is_ours(loop->listener) &&
	       vx_http_is_ours(loop->http);
}

/* Return: 0; -EAGAIN: nothing more to accept for now; -EBADF: the HTTP library gave up.
 */
static int loop_accept_at(struct vx_loop *loop, uint64_t now_ns)
{
	int fd, r;

	vx_connections_make_room(loop->connections);
	if (loop->stats->connections >= loop->connections->limit) {
		r = vx_http_run_at(loop->http, now_ns);
		if (r || loop->stats->connections >= loop->connections->limit)
			return r ? r : -EAGAIN;
	}
	fd = vx_fd_above_stdio(
		accept4(loop->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	if (fd >= 0) {
		loop->stats->accepted++;
		r = vx_http_add_at(loop->http, fd, now_ns);
		return r == -ENOMEM ? -EAGAIN : r;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return -EAGAIN;
	/* The client stays in the queue and the socket readable: asking again would spin.
	 */
	loop->accept_after_ns = now_ns + BACKOFF_NS;
	loop->stats->accept_backoffs++;
	return -EAGAIN;
}

static uint64_t loop_timeout_at(struct vx_loop *loop, uint64_t now_ns)
{
	uint64_t next_ns = vx_connections_deadline(loop->connections);

	if (vx_http_has_more(loop->http))
		return 0;
	if (loop->accept_after_ns > now_ns && loop->accept_after_ns < next_ns)
		next_ns = loop->accept_after_ns;
	if (next_ns == UINT64_MAX)
		return VITALS_FOREVER;
	return next_ns > now_ns ? next_ns - now_ns : 0;
}

/* Against what is not foreseen here: a loop that spins harms its host. */
static void loop_guard_at(struct vx_loop *loop, uint64_t now_ns)
{
	struct pollfd wake = { .fd = loop->wake, .events = POLLIN };
	uint64_t progress = loop->stats->accepted + loop->stats->answers;

	if (progress != loop->guard_progress || now_ns - loop->guard_from_ns > GUARD_NS) {
		loop->guard_progress = progress;
		loop->guard_from_ns = now_ns;
		loop->guard_turns = 0;
	} else if (++loop->guard_turns >= GUARD_TURNS) {
		loop->guard_turns = 0;
		loop->stats->naps++;
		(void)poll_ns(&wake, 1, NAP_NS);
	}
}

static int loop_work_at(struct vx_loop *loop, bool acceptable, uint64_t now_ns)
{
	unsigned i;
	int r;

	vx_connections_expire_at(loop->connections, now_ns);
	r = vx_http_run_at(loop->http, now_ns);
	for (i = 0; acceptable && !r && i < ACCEPTS_A_TURN; i++)
		r = loop_accept_at(loop, now_ns);
	loop_guard_at(loop, now_ns);
	return r == -EBADF ? r : 0;
}

int vx_loop_turn(struct vx_loop *loop)
{
	uint64_t now_ns = clock_now();
	bool accepts = now_ns >= loop->accept_after_ns;
	struct pollfd fds[POLLED] = {
		[WAKE] = { .fd = loop->wake, .events = POLLIN },
		[HTTP] = { .fd = vx_http_fd(loop->http), .events = POLLIN },
		[LISTENER] = { .fd = accepts ? loop->listener->fd : -1,
			       .events = POLLIN },
	};

	if (poll_ns(fds, POLLED, loop_timeout_at(loop, now_ns)))
		fds[LISTENER].revents = accepts ? POLLIN : 0;
	if (!loop_is_ours(loop))
		return -EBADF;
	return loop_work_at(loop, fds[LISTENER].revents != 0, clock_now());
}
