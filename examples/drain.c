/* SPDX-License-Identifier: MIT */

/*
 * Drain
 *
 * A small HTTP server that stops without losing a request, in this order and within one timeout:
 *
 *	GET /readyz turns 503    whoever balances load sends no more (--ready-off-ms)
 *	front     DRAIN          takes what the kernel has accepted, listens no more, stays until
 *	                         the last connection has its answer and is closed
 *	workers   QUIT           answer what is read whole; each request is a hold in here
 *	ledger    FLUSH          writes how many requests were answered
 *
 * A request is held in "workers", not in "front": a quitter that was told refuses holds, and
 * front is told while requests still come. That the workers are told later is front's doing: its
 * thread stays. An answer says "Connection: close" once front was told, so no client has a
 * connection taken away that it was promised.
 *
 *	drain [--port N] [--workers N] [--work-us N] [--ready-off-ms N] [--timeout-ms N]
 *	      [--ledger FILE] [--break WHAT]
 *
 * Port 0 picks a free one. --break is for tests, which have to see what is lost then: "stage",
 * front and workers are told at once; "listener", it is closed first; "filter", connections that
 * are just being made are forgotten.
 */

#include "http/readiness.h"
#include "http/worker.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <vitals.h>

#define WORKERS_MAX 64u
/* A connection that was begun before the filter is whole after a round trip. */
#define SETTLE_NS VITALS_MS(50)

static uint16_t port = 8080;
static unsigned n_workers = 4, work_us;
static uint64_t ready_off_ns = VITALS_MS(500), timeout_ns = VITALS_S(5);
static const char *ledger, *broken = "";

static vitals_quitter *front, *workers;
static struct worker all[WORKERS_MAX];

/* Front */

static int listen_on_loopback(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, length) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&address, &length)) {
		perror("drain: cannot listen");
		exit(2);
	}
	printf("Listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
	return fd;
}

static void accept_all(int listening)
{
	static unsigned turn;
	int fd;

	while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		worker_give(&all[turn++ % n_workers], fd);
}

/*
 * Drops what would begin a connection (SYN without ACK), as if it was lost on the way; what ends
 * a handshake passes. The client tries again, and is then refused by a closed port.
 */
static void begin_no_more(int listening)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags, in TCP's header */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (setsockopt(listening, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)))
		perror("drain: connections may be reset");
}

/* Closing the listener resets what waits in it, so it is emptied, and filled no more. */
static void listen_no_more(int listening)
{
	struct pollfd readable = { .fd = listening, .events = POLLIN };

	if (strcmp(broken, "listener") != 0) {
		if (strcmp(broken, "filter") != 0) {
			begin_no_more(listening);
			poll(NULL, 0, (int)(SETTLE_NS / VITALS_MS(1)));
		}
		while (poll(&readable, 1, 0) == 1)
			accept_all(listening);
	}
	close(listening);
}

static int take(vitals_thread *self, void *arg)
{
	struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int listening = *(int *)arg;
	struct pollfd readable = { .fd = listening, .events = POLLIN };

	while (vitals_thread_poll(self, &readable, 1, VITALS_FOREVER) != -ECANCELED)
		accept_all(listening);
	readiness_say_told("front");
	listen_no_more(listening);
	/* The workers see that front was told, and answer for the last time. */
	while (atomic_load(&worker_connections) && !vitals_quitter_must_quit(workers))
		nanosleep(&pause, NULL);
	return 0;
}

static int write_ledger(vitals_thread *self, void *arg)
{
	FILE *file;

	(void)arg;
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	readiness_say_told("ledger");
	file = ledger ? fopen(ledger, "w") : stdout;
	if (!file)
		return 1;
	fprintf(file, "answered %llu\n",
		(unsigned long long)atomic_load(&worker_answered));
	return (file == stdout ? fflush(file) : fclose(file)) ? 1 : 0;
}

/* Start and end */

static void options_read(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		const char *value = argv[i + 1];
		unsigned n = (unsigned)strtoul(value, NULL, 10);

		if (strcmp(argv[i], "--port") == 0)
			port = (uint16_t)n;
		else if (strcmp(argv[i], "--workers") == 0)
			n_workers = n >= 1 && n <= WORKERS_MAX ? n : n_workers;
		else if (strcmp(argv[i], "--work-us") == 0)
			work_us = n < 1000000 ? n : 999999;
		else if (strcmp(argv[i], "--ready-off-ms") == 0)
			ready_off_ns = VITALS_MS(n);
		else if (strcmp(argv[i], "--timeout-ms") == 0)
			timeout_ns = VITALS_MS(n);
		else if (strcmp(argv[i], "--ledger") == 0)
			ledger = value;
		else if (strcmp(argv[i], "--break") == 0)
			broken = value;
	}
}

static int child(vitals_quitter *service, const char *name, uint32_t stage,
		 vitals_quitter **ret)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.stage = stage;
	return vitals_quitter_new(service, name, &options, ret);
}

static int workers_fork(void)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < n_workers && !r; i++) {
		all[i].front = front;
		all[i].workers = workers;
		all[i].work_us = work_us;
		r = worker_fork(&all[i]);
	}
	return r;
}

int main(int argc, char **argv)
{
	uint32_t first = VITALS_STAGE_DRAIN;
	vitals_quitter *service, *last;
	struct vitals_quitter_options options;
	int listening;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options_read(argc, argv);
	VITALS_INIT(&options);
	options.ready_off_ns = ready_off_ns;
	if (strcmp(broken, "stage") == 0)
		first = VITALS_STAGE_QUIT;
	if (vitals_quitter_new_main(NULL, timeout_ns, &options, &service) ||
	    vitals_quitter_on_signal(service, SIGTERM, "SIGTERM") < 0 ||
	    vitals_quitter_on_signal(service, SIGINT, "SIGINT") < 0 ||
	    child(service, "front", first, &front) ||
	    child(service, "workers", VITALS_STAGE_QUIT, &workers) ||
	    child(service, "ledger", VITALS_STAGE_FLUSH, &last))
		return 2;
	listening = listen_on_loopback();
	if (workers_fork() ||
	    vitals_thread_fork(last, "ledger", 0, write_ledger, NULL, NULL) ||
	    vitals_thread_fork(front, "front", VITALS_S(2), take, &listening, NULL))
		return 2;
	vitals_exit(service);
}
