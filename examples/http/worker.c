/* SPDX-License-Identifier: MIT */

#include "worker.h"

#include "readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define REQUEST_MAX 4096u
/* How long a client may take with its next request, or with its close, once front was told. */
#define LINGER_NS VITALS_MS(500)

struct connection {
	struct connection *next, **link;
	int fd;
	bool closing; /* answered for the last time; what comes now is thrown away */
	uint64_t heard_ns;
	size_t length;
	char text[REQUEST_MAX];
};

_Atomic uint32_t worker_connections;
_Atomic uint64_t worker_answered;

/* Requests */

static void send_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = send(fd, text, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd writable = { .fd = fd, .events = POLLOUT };

			if (poll(&writable, 1, 1000) == 1)
				continue;
		}
		if (n <= 0)
			return; /* the client has gone */
		text += n;
		length -= (size_t)n;
	}
}

/* Until the answer is sent a request is counted, and named in the report if it is late. */
static void answer(struct worker *worker, struct connection *connection)
{
	bool probe = strncmp(connection->text, "GET /readyz ", 12) == 0;
	bool held = vitals_quitter_hold(worker->workers, "request") == 0;
	bool good = !probe || readiness(&worker->snapshot);
	struct timespec pause = { .tv_nsec = (long)worker->work_us * 1000 };
	char text[256];
	int length;

	if (probe)
		readiness_say(good);
	if (worker->work_us && !probe)
		nanosleep(&pause, NULL);
	connection->closing = vitals_quitter_must_quit(worker->front) ||
			      strcasestr(connection->text, "\nConnection: close");
	length = snprintf(text, sizeof(text),
			  "HTTP/1.1 %s\r\nContent-Length: 3\r\nConnection: %s\r\n\r\n%s",
			  good ? "200 OK" : "503 Service Unavailable",
			  connection->closing ? "close" : "keep-alive",
			  good ? "ok\n" : "no\n");
	send_all(connection->fd, text, (size_t)length);
	/* Its end, for the client. To close now would reset it if one more byte came. */
	if (connection->closing)
		shutdown(connection->fd, SHUT_WR);
	if (!probe)
		atomic_fetch_add(&worker_answered, 1);
	if (held)
		(void)vitals_quitter_release(worker->workers, "request");
}

/* Requests have no bodies here: they end with the first empty line. */
static void answer_whole(struct worker *worker, struct connection *connection)
{
	while (!connection->closing) {
		char *end;

		connection->text[connection->length] = '\0';
		end = strstr(connection->text, "\r\n\r\n");
		if (!end)
			return;
		end[2] = '\0';
		answer(worker, connection);
		connection->length -= (size_t)(end + 4 - connection->text);
		memmove(connection->text, end + 4, connection->length);
	}
	connection->length = 0;
}

static void connection_close(struct connection *connection)
{
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	close(connection->fd);
	free(connection);
	atomic_fetch_sub(&worker_connections, 1);
}

static void connection_serve(struct worker *worker, struct connection *connection)
{
	for (;;) {
		size_t room = REQUEST_MAX - 1 - connection->length;
		ssize_t n = recv(connection->fd, connection->text + connection->length,
				 room, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break; /* closed by the client, or longer than we take */
		connection->heard_ns = clock_now();
		connection->length += (size_t)n;
		answer_whole(worker, connection);
	}
	connection_close(connection);
}

/* Workers */

static void connectioworker_connections(struct worker *worker, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

	if (!connection || epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		free(connection);
		close(fd);
		atomic_fetch_sub(&worker_connections, 1);
		return;
	}
	connection->fd = fd;
	connection->heard_ns = clock_now();
	connection->next = worker->first;
	connection->link = &worker->first;
	if (worker->first)
		worker->first->link = &connection->next;
	worker->first = connection;
}

/* What there is to do now. */
static void serve(struct worker *worker)
{
	struct epoll_event events[BATCH];
	int fd, i, n;

	while (read(worker->handover[0], &fd, sizeof(fd)) == (ssize_t)sizeof(fd))
		connectioworker_connections(worker, fd);
	n = epoll_wait(worker->epoll_fd, events, BATCH, 0);
	for (i = 0; i < n; i++)
		connection_serve(worker, events[i].data.ptr);
}

/* Those from which nothing has come since; half a request is waited for to the end. */
static void close_idle(struct worker *worker, uint64_t since_ns, bool half)
{
	struct connection *connection, *next;

	for (connection = worker->first; connection; connection = next) {
		next = connection->next;
		if (connection->heard_ns < since_ns && (half || !connection->length))
			connection_close(connection);
	}
}

static int work(vitals_thread *self, void *arg)
{
	struct worker *worker = arg;
	struct pollfd fds[] = { { .fd = worker->epoll_fd, .events = POLLIN },
				{ .fd = worker->handover[0], .events = POLLIN },
				{ .fd = vitals_quitter_fd(worker->front), .events = POLLIN } };
	int r;

	do {
		/* Front's descriptor, once readable, stays so: it has been heard. */
		bool draining = vitals_quitter_must_quit(worker->front);

		r = vitals_thread_poll(self, fds, draining ? 2 : 3,
				       draining ? VITALS_MS(10) : VITALS_FOREVER);
		serve(worker);
		if (draining)
			close_idle(worker, clock_now() - LINGER_NS, false);
	} while (r != -ECANCELED);
	readiness_say_told("worker");
	close_idle(worker, UINT64_MAX, true);
	vitals_snapshot_free(worker->snapshot);
	return 0;
}

int worker_fork(struct worker *worker)
{
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0 || pipe2(worker->handover, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	return vitals_thread_fork(worker->workers, "worker", VITALS_S(2), work, worker,
				  NULL);
}

void worker_give(struct worker *worker, int fd)
{
	atomic_fetch_add(&worker_connections, 1);
	if (write(worker->handover[1], &fd, sizeof(fd)) == (ssize_t)sizeof(fd))
		return;
	close(fd);
	atomic_fetch_sub(&worker_connections, 1);
}
