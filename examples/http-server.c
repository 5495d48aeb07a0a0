/* SPDX-License-Identifier: MIT */

/*
 * HTTP server
 *
 * A server that stops on a signal or on an error of its own; the index of the event says
 * which. Every request is a thread of the quitter "requests" and takes five seconds to
 * answer "Hello World!", or is told to leave and answers "Server shutting down!" at once.
 *
 *	http-server [--port N] [--second-ms N]
 *
 * Port 0 picks a free one; --second-ms N makes a second N milliseconds long, for tests.
 * The exit status is 0 after a signal, 1 after an error or if a thread is late.
 */

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vitals.h>

static uint64_t second_ns = VITALS_S(1);
static uint16_t port = 8080;
static int error_fd; /* readable: the server has failed */

/* The listening socket, or a negative errno. */
static int listen_on_loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, length) || listen(fd, 16) ||
	    getsockname(fd, (struct sockaddr *)&address, &length)) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return -error;
	}
	printf("Listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
	return fd;
}

static int answer(vitals_thread *self, void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	const char *body = "Hello World!";
	char text[1024];
	int length;

	/* The answer is the same whatever is asked, so the first bytes are enough. */
	if (vitals_thread_poll(self, &readable, 1, 5 * second_ns) == 1 &&
	    recv(fd, text, sizeof(text), 0) > 0) {
		if (vitals_thread_sleep(self, 5 * second_ns))
			body = "Server shutting down!";
		length = snprintf(text, sizeof(text),
				  "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
				  "Connection: close\r\n\r\n%s",
				  strlen(body), body);
		send(fd, text, (size_t)length, MSG_NOSIGNAL);
		/* What is left unread would reset the connection, and the answer with it. */
		while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
			continue;
	}
	close(fd);
	return 0;
}

/* Until it is told to leave: 0; or until the socket fails: a negative errno. */
static int accept_requests(vitals_thread *self, vitals_quitter *requests, int listening)
{
	struct pollfd readable = { .fd = listening, .events = POLLIN };
	int fd, r;

	for (;;) {
		r = vitals_thread_poll(self, &readable, 1, VITALS_FOREVER);
		if (r < 0 && r != -EINTR)
			return r == -ECANCELED ? 0 : r;
		fd = accept(listening, NULL, NULL);
		if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			return -errno;
		if (fd >= 0 && vitals_thread_fork(requests, "request", 2 * second_ns,
						  answer, (void *)(intptr_t)fd, NULL))
			close(fd);
	}
}

static int serve(vitals_thread *self, void *arg)
{
	vitals_quitter *requests = arg;
	int fd, r;

	puts("Starting service");
	fd = r = listen_on_loopback();
	if (fd >= 0) {
		r = accept_requests(self, requests, fd);
		close(fd);
	}
	if (r < 0) {
		printf("Server error: %s\n", strerror(-r));
		eventfd_write(error_fd, 1);
	}

	vitals_thread_sleep(self, VITALS_FOREVER); /* when this is told, so are they */
	puts("Stopping service");
	if (vitals_quitter_wait_done(requests, second_ns, NULL))
		puts("Failed to shutdown server gracefully");
	else
		puts("Stopped service successfully");
	return 0;
}

static int exit_main(vitals_quitter *service, int failed)
{
	struct vitals_result result;
	vitals_snapshot *late;

	VITALS_INIT(&result);
	vitals_quitter_finish(service, &result, &late);
	printf("Received quit from channel '%s' (event %d)\n", result.text, result.index);
	if (result.late) {
		puts("Failed to quit application, not all forked threads returned");
		fflush(stdout);
		vitals_snapshot_print(late, STDERR_FILENO);
		_exit(result.status);
	}
	puts("Successfully quit application, all forked threads returned");
	return result.index == failed ? 1 : result.status;
}

int main(int argc, char **argv)
{
	vitals_quitter *service, *requests;
	int failed, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			port = (uint16_t)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--second-ms") == 0)
			second_ns = VITALS_MS(strtoul(argv[i + 1], NULL, 10));
	}

	error_fd = eventfd(0, EFD_CLOEXEC);
	if (vitals_quitter_new_main(NULL, 3 * second_ns, NULL, &service) ||
	    vitals_quitter_on_signal(service, SIGINT, "OS interrupt signal") < 0 ||
	    vitals_quitter_on_signal(service, SIGTERM, "OS termination signal") < 0 ||
	    (failed = vitals_quitter_on_fd(service, error_fd, "Http server error")) < 0 ||
	    vitals_quitter_new(service, "requests", NULL, &requests) ||
	    vitals_thread_fork(service, "server", 5 * second_ns, serve, requests, NULL))
		return 2;
	return exit_main(service, failed);
}
