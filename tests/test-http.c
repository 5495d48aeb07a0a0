/* SPDX-License-Identifier: MIT */

/* The exporter as its callers and their clients see it: real sockets, a made-up process.
 */

#include "fake-snapshot.h"
#include "harness.h"
#include "http-client.h"
#include "vitals-exporter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
#define HALF "GET /health HTTP/1.1\r\nHost: x\r\n"
#define FDS 256

/* One thread that closes what another uses is a race, and here it is meant. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define RACES_ARE_REPORTED 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define RACES_ARE_REPORTED 1
#endif
#ifndef RACES_ARE_REPORTED
#define RACES_ARE_REPORTED 0
#endif

static vitals_exporter *exporter;
static char address[128]; /* outlives the exporter */
static bool open_before[FDS];

static bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void start(const struct vitals_exporter_options *options)
{
	int fd;

	for (fd = 0; fd < FDS; fd++)
		open_before[fd] = fd_is_open(fd);
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", options, &exporter),
			 0);
	ck_assert_ptr_nonnull(vitals_exporter_address(exporter));
	snprintf(address, sizeof(address), "%s", vitals_exporter_address(exporter));
}

static void setup(void)
{
	unsetenv("VITALS");
	unsetenv("VITALS_LISTEN");
	fake_service();
	fake.process.health = VITALS_PASS;
}

static void teardown(void)
{
	exporter = vitals_exporter_stop(exporter);
}

/* Of the whole process, whose other thread is asleep meanwhile. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

/* What the process uses while this thread does nothing for @ms: the subject is the time.
 */
static uint64_t cpu_ns_during(int ms)
{
	uint64_t before = cpu_ns();

	poll(NULL, 0, ms);
	return cpu_ns() - before;
}

static void send_head(char *text, size_t size, const char *method, const char *target)
{
	snprintf(text, size, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
}

START_TEST(answers_on_one_connection)
{
	struct reply get, head;
	int fd, i;

	start(NULL);
	fd = client_connect(address);
	for (i = 0; i < 100; i++) {
		client_send(fd, GET_HEALTH);
		get = client_receive(fd, 1);
		ck_assert_int_eq(get.status, 200);
		ck_assert_ptr_nonnull(strstr(get.body, "\"status\":\"pass\""));
		ck_assert_ptr_nonnull(
			strstr(get.head, "Content-Type: application/json\r\n"));
		ck_assert_ptr_nonnull(strstr(get.head, "Cache-Control: no-store\r\n"));
		ck_assert_ptr_nonnull(
			strstr(get.head, "X-Content-Type-Options: nosniff\r\n"));
		ck_assert_ptr_null(strstr(get.head, "Connection: close"));

		client_send(fd, "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
		head = client_receive(fd, 0);
		ck_assert_int_eq(head.status, 200);
		ck_assert_uint_eq(head.length, get.length);
		reply_free(&get);
		reply_free(&head);
	}
	close(fd);
}
END_TEST

static const struct {
	const char *request;
	int status;
	const char *header;
} refusals[] = {
	{ "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404, "" },
	{ "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 405,
	  "Allow: GET, HEAD\r\n" },
	{ "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nhel", 405,
	  "Allow: GET, HEAD\r\n" },
	{ "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: GET, HEAD\r\n" },
	{ "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: GET, HEAD\r\n" },
	{ "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413,
	  "Connection: close\r\n" },
	{ "GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 413,
	  "Connection: close\r\n" },
	{ "GET /health HTTP/1.1\r\n\r\n", 400, "Connection: close\r\n" },
};

START_TEST(refuses)
{
	struct reply reply;
	int fd;

	start(NULL);
	fd = client_connect(address);
	client_send(fd, refusals[_i].request);
	reply = client_receive(fd, 1);
	ck_assert_int_eq(reply.status, refusals[_i].status);
	ck_assert_ptr_nonnull(strstr(reply.head, refusals[_i].header));
	if (reply.status != 404)
		ck_assert(client_is_closed(fd));
	reply_free(&reply);
	close(fd);
	ck_assert_int_eq(client_get(address, "/health"), 200);
}
END_TEST

START_TEST(refuses_what_is_too_long)
{
	static char text[40000];
	struct reply reply;
	int fd;

	start(NULL);
	snprintf(text, sizeof(text), "GET /%0600d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
	fd = client_connect(address);
	client_send(fd, text);
	reply = client_receive(fd, 1);
	ck_assert_int_eq(reply.status, 414);
	reply_free(&reply);
	close(fd);

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nX: %030000d\r\n\r\n",
		 0);
	fd = client_connect(address);
	client_send(fd, text);
	reply = client_receive(fd, 1);
	ck_assert_int_eq(reply.status, 431);
	reply_free(&reply);
	close(fd);
}
END_TEST

/* Twice as many half requests as there are places, and each probe gets its answer. */
START_TEST(answers_while_slow_clients_fill_it)
{
	const struct vitals_exporter_options options = { .size = sizeof(options),
							 .connections = 16 };
	int slow[32], i;

	start(&options);
	for (i = 0; i < 32; i++) {
		slow[i] = client_connect(address);
		client_send(slow[i], HALF);
		ck_assert_int_eq(client_get(address, "/livez"), 503);
		ck_assert_int_eq(client_get(address, "/health"), 200);
	}
	ck_assert(client_is_closed(slow[0]));
	for (i = 0; i < 32; i++)
		close(slow[i]);
}
END_TEST

/* A byte now and then is no excuse. */
START_TEST(ends_a_request_that_never_ends)
{
	const struct vitals_exporter_options options = { .size = sizeof(options),
							 .request_ns = VITALS_MS(100) };
	struct pollfd closed = { .events = POLLIN };
	int i;

	start(&options);
	closed.fd = client_connect(address);
	client_send(closed.fd, HALF);
	for (i = 0; i < 2000 && poll(&closed, 1, 10) == 0; i++)
		(void)send(closed.fd, "X", 1, MSG_NOSIGNAL);
	ck_assert(client_is_closed(closed.fd));
	ck_assert_int_ge(i, 1);
	close(closed.fd);
}
END_TEST

/* Kept alive, but not for ever, and told so before. */
START_TEST(ends_a_connection_that_has_lived_its_time)
{
	const struct vitals_exporter_options options = { .size = sizeof(options),
							 .connection_ns = VITALS_S(2) };
	struct reply reply;
	bool told = false;
	int fd, i;

	start(&options);
	fd = client_connect(address);
	for (i = 0; i < 2000 && !told; i++) {
		client_send(fd, GET_HEALTH);
		reply = client_receive(fd, 1);
		ck_assert_int_eq(reply.status, 200);
		told = strstr(reply.head, "Connection: close") != NULL;
		reply_free(&reply);
		poll(NULL, 0, told ? 0 : 20);
	}
	ck_assert(told);
	ck_assert(client_is_closed(fd));
	close(fd);

	fd = client_connect(address);
	client_send(fd, GET_HEALTH);
	reply = client_receive(fd, 1);
	reply_free(&reply);
	ck_assert(client_is_closed(fd));
	close(fd);
}
END_TEST

/* Nobody there: not one turn. */
START_TEST(sleeps_when_nobody_is_connected)
{
	start(NULL);
	ck_assert_int_eq(client_get(address, "/health"), 200);
	ck_assert_uint_lt(cpu_ns_during(500), VITALS_MS(25));
}
END_TEST

/*
 * The clients are connected as far as the kernel goes, and nobody can accept them: their
 * socket stays readable all the time.
 */
START_TEST(does_not_spin_without_descriptors)
{
	struct rlimit before, none;
	struct reply reply;
	int clients[8], i;

	start(NULL);
	ck_assert_int_eq(client_get(address, "/health"), 200);
	for (i = 0; i < 8; i++)
		clients[i] = client_socket();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = _i ? 0 : 3; /* poll takes no more descriptors than that either */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(client_join(clients[i], address), 0);
		client_send(clients[i], GET_HEALTH);
	}
	ck_assert_uint_lt(cpu_ns_during(1000), VITALS_MS(100));

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (i = 0; i < 8; i++) {
		reply = client_receive(clients[i], 1);
		ck_assert_int_eq(reply.status, 200);
		reply_free(&reply);
		close(clients[i]);
	}
}
END_TEST

/* What start has opened; the numbers of it. */
static unsigned fds_of_exporter(int *ret)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < FDS; fd++)
		if (fd_is_open(fd) && !open_before[fd])
			ret[n++] = fd;
	return n;
}

START_TEST(opens_nothing_that_an_exec_would_inherit)
{
	int fds[FDS];
	unsigned n;

	start(NULL);
	n = fds_of_exporter(fds);
	ck_assert_uint_eq(n, 3);
	while (n-- > 0)
		ck_assert_int_eq(fcntl(fds[n], F_GETFD), FD_CLOEXEC);
}
END_TEST

/*
 * What closefrom(3) does to it, and then the host opens files under the same numbers:
 * nobody spins, nobody answers, and what is the host's stays the host's.
 */
START_TEST(is_lost_when_its_descriptors_are_closed)
{
	struct stat host, now;
	int fds[FDS], pipes[2], client, i;
	unsigned n, k;

	start(NULL);
	client = client_connect(address);
	client_send(client, HALF);
	ck_assert_int_eq(client_get(address, "/health"), 200);
	n = fds_of_exporter(fds);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(fstat(pipes[0], &host), 0);
	for (k = 0; k < n; k++) {
		if (fds[k] == client)
			continue;
		close(fds[k]); /* or it has been by now: it was lost with the first */
		if (_i)
			ck_assert_int_eq(dup2(pipes[0], fds[k]), fds[k]);
	}
	/* Whether it noticed by itself or by this: */
	i = client_try_connect(address);
	if (i >= 0) {
		ck_assert(client_is_closed(i));
		close(i);
	}
	ck_assert_uint_lt(cpu_ns_during(500), VITALS_MS(50));
	ck_assert_int_lt(client_try_connect(address), 0);
	exporter = vitals_exporter_stop(exporter);
	for (k = 0; _i && k < n; k++) {
		if (fds[k] == client)
			continue;
		ck_assert_int_eq(fstat(fds[k], &now), 0);
		ck_assert_uint_eq(now.st_ino, host.st_ino);
		close(fds[k]);
	}
	/* What the call that was left in the middle held is lost: no search for leaks. */
	_exit(0);
}
END_TEST

/* Asleep for ever, and the descriptor that would wake it is gone. */
START_TEST(stops_though_its_descriptors_are_closed)
{
	uint64_t before;
	int fds[FDS];
	unsigned n;

	start(NULL);
	n = fds_of_exporter(fds);
	while (n-- > 0)
		close(fds[n]);
	before = wall_ns();
	exporter = vitals_exporter_stop(exporter);
	ck_assert_uint_lt(wall_ns() - before, VITALS_S(10));
	_exit(0);
}
END_TEST

START_TEST(leaves_nothing_when_it_stops)
{
	int fds, i;

	start(NULL);
	exporter = vitals_exporter_stop(exporter);
	fds = fd_count();
	for (i = 0; i < 200; i++) {
		start(NULL);
		if (i % 10 == 0)
			ck_assert_int_eq(client_get(address, "/metrics"), 200);
		exporter = vitals_exporter_stop(exporter);
	}
	ck_assert_int_eq(fd_count(), fds);
	ck_assert_uint_eq(fake.stops, 0);
}
END_TEST

START_TEST(stops_at_once_with_clients)
{
	struct reply reply;
	int idle, half;
	uint64_t before;

	start(NULL);
	idle = client_connect(address);
	client_send(idle, GET_HEALTH);
	reply = client_receive(idle, 1);
	reply_free(&reply);
	half = client_connect(address);
	client_send(half, HALF);
	before = wall_ns();
	exporter = vitals_exporter_stop(exporter);
	ck_assert_uint_lt(wall_ns() - before, VITALS_S(2));
	ck_assert(client_is_closed(idle));
	ck_assert(client_is_closed(half));
	close(idle);
	close(half);
}
END_TEST

START_TEST(is_left_alone_by_a_forked_child)
{
	int status, fds[FDS];
	pid_t child;
	unsigned n;

	start(NULL);
	n = fds_of_exporter(fds);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		/* Its copies are closed, so that it does not keep the port. */
		while (n-- > 0)
			if (fd_is_open(fds[n]))
				_exit(1);
		_exit(vitals_exporter_stop(exporter) ? 2 : 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(client_get(address, "/health"), 200);
	exporter = vitals_exporter_stop(exporter);
	ck_assert_int_lt(client_try_connect(address), 0);
}
END_TEST

START_TEST(serves_on_while_children_come_and_go)
{
	int status, i;
	pid_t child;

	start(NULL);
	for (i = 0; i < 50; i++) {
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0)
			_exit(vitals_exporter_stop(exporter) ? 2 : 0);
		ck_assert_int_eq(client_get(address, "/health"), 200);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

static const struct {
	const char *address;
	int result;
} addresses[] = {
	{ "", -EINVAL },
	{ "127.0.0.1", -EINVAL },
	{ ":9464", -EINVAL },
	{ "127.0.0.1:", -EINVAL },
	{ "127.0.0.1:65536", -EINVAL },
	{ "127.0.0.1:-1", -EINVAL },
	{ "127.0.0.1:9464x", -EINVAL },
	{ "127.0.0.1:99999999999999999999", -EINVAL },
	{ "127.0.0.256:0", -EINVAL },
	{ "example.com:0", -EINVAL },
	{ "::1:0", -EINVAL },
	{ "[::1]", -EINVAL },
	{ "[::1:0", -EINVAL },
	{ "[]:0", -EINVAL },
	{ "[127.0.0.1]:0", -EINVAL },
	{ "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:0", -EINVAL },
	{ "0.0.0.0:0", -EACCES },
	{ "192.0.2.1:0", -EACCES },
	{ "[::]:0", -EACCES },
	{ "[::ffff:127.0.0.1]:0", -EACCES },
};

START_TEST(refuses_an_address)
{
	static char anything[64];
	vitals_exporter *none = (vitals_exporter *)(void *)anything;
	int fds = fd_count();

	ck_assert_int_eq(vitals_exporter_start(NULL, addresses[_i].address, NULL, &none),
			 addresses[_i].result);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(fd_count(), fds);
	ck_assert_uint_eq(fake.starts, 0);
}
END_TEST

static const char *const accepted[] = { "127.0.0.1:0", "localhost:0", "127.1.2.3:0",
					"[::1]:0" };

START_TEST(takes_an_address)
{
	int r = vitals_exporter_start(NULL, accepted[_i], NULL, &exporter);

	if (r == -EADDRNOTAVAIL && accepted[_i][0] == '[')
		return; /* no IPv6 here */
	ck_assert_int_eq(r, 0);
	ck_assert_ptr_null(strstr(vitals_exporter_address(exporter), ":0"));
}
END_TEST

START_TEST(listens_beyond_loopback_when_told)
{
	const struct vitals_exporter_options options = { .size = sizeof(options),
							 .flags = 1 };

	ck_assert_int_eq(vitals_exporter_start(NULL, "0.0.0.0:0", &options, &exporter),
			 0);
	ck_assert_int_eq(client_get(vitals_exporter_address(exporter), "/health"), 200);
}
END_TEST

/* A failed start is an errno and nothing else. */
START_TEST(leaves_nothing_when_it_fails)
{
	struct rlimit before, none;
	vitals_exporter *second;
	int fds;

	start(NULL);
	fds = fd_count();
	ck_assert_int_eq(vitals_exporter_start(NULL, address, NULL, &second),
			 -EADDRINUSE);
	ck_assert_ptr_null(second);
	fake.start_result = -EAGAIN;
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &second),
			 -EAGAIN);
	fake.start_result = -ECANCELED;
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &second),
			 -ECANCELED);
	fake.take_result = -ENOMEM;
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &second),
			 -ENOMEM);
	ck_assert_int_eq(fd_count(), fds);
	fake.take_result = 0;
	fake.start_result = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	for (none.rlim_cur = 0; (int)none.rlim_cur < FDS; none.rlim_cur++) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
		if (!vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &second))
			break;
		ck_assert_ptr_null(second);
	}
	vitals_exporter_stop(second);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(fd_count(), fds);
}
END_TEST

START_TEST(takes_a_monitor_that_runs_already)
{
	fake.start_result = -EALREADY;
	start(NULL);
	ck_assert_int_eq(client_get(address, "/health"), 200);
}
END_TEST

/* Room for what a later library knows. */
struct later_options {
	struct vitals_exporter_options known;
	uint64_t later;
};

START_TEST(checks_its_options)
{
	struct vitals_exporter_options options = { .size = 0 };
	struct later_options later = { .known = { .size = sizeof(later) }, .later = 1 };

	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", &options, &exporter),
			 -EINVAL);
	VITALS_INIT(&options);
	options.flags = 0x80;
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", &options, &exporter),
			 -EINVAL);
	VITALS_INIT(&options);
	options.connections = 1025;
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", &options, &exporter),
			 -EINVAL);
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", &later.known,
					       &exporter),
			 -E2BIG);
	later.later = 0;
	start(&later.known);
	exporter = vitals_exporter_stop(exporter);
	/* An older program's. */
	VITALS_INIT(&options);
	options.size = 4;
	start(&options);
}
END_TEST

START_TEST(obeys_the_environment)
{
	static const char *const switches[] = { "VITALS", "VITALS_LISTEN" };

	setenv(switches[_i], "off", 1);
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &exporter), 0);
	ck_assert_ptr_null(exporter);
	ck_assert_uint_eq(fake.starts, 0);
	unsetenv(switches[_i]);

	setenv("VITALS_LISTEN", "127.0.0.2:0", 1);
	start(NULL);
	ck_assert_int_eq(strncmp(address, "127.0.0.2:", 10), 0);
	unsetenv("VITALS_LISTEN");
}
END_TEST

START_TEST(does_nothing_for_nobody)
{
	ck_assert_ptr_null(vitals_exporter_stop(NULL));
	ck_assert_ptr_null(vitals_exporter_address(NULL));
}
END_TEST

/* @line: of /proc/self/task/TID/status of the exporter's thread. */
static bool thread_status(const char *line, char *ret, size_t size)
{
	char path[300], name[64] = "";
	struct dirent *entry;
	bool found = false;
	DIR *tasks = opendir("/proc/self/task");
	FILE *file;

	ck_assert_ptr_nonnull(tasks);
	while (!found && (entry = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && strstr(name, "vitals-http"))
			while (!found && fgets(ret, (int)size, file))
				found = strncmp(ret, line, strlen(line)) == 0;
		fclose(file);
	}
	closedir(tasks);
	return found;
}

START_TEST(takes_no_signal_of_its_host)
{
	char line[128];
	uint64_t blocked;

	start(NULL);
	ck_assert_int_eq(client_get(address, "/health"), 200);
	ck_assert(thread_status("SigBlk:", line, sizeof(line)));
	blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
	/* All but KILL, STOP and the two that the C library keeps to itself. */
	ck_assert_uint_eq(blocked | 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) |
				  3ull << 31,
			  UINT64_MAX);
}
END_TEST

/* Bodies of megabytes that nobody reads: the others are answered, and few are kept. */
START_TEST(answers_while_large_bodies_are_not_read)
{
	struct vitals_exporter_options options = { .size = sizeof(options),
						   .max_series = 2000000 };
	int slow[24], reader, i;
	const char *in_flight;
	struct reply reply;
	char text[64];

	fake_workers(20000);
	start(&options);
	send_head(text, sizeof(text), "GET", "/metrics");
	for (i = 0; i < 24; i++) {
		slow[i] = client_connect(address);
		client_send(slow[i], text);
		ck_assert_int_eq(client_get(address, "/livez"), 200);
	}
	reader = client_connect(address);
	client_send(reader, text);
	reply = client_receive(reader, 1);
	ck_assert_int_eq(reply.status, 200);
	in_flight = strstr(reply.body, "\nvitals_exporter_requests_in_flight ");
	ck_assert_ptr_nonnull(in_flight);
	ck_assert_int_le(atoi(strchr(in_flight, ' ')), 8);
	reply_free(&reply);
	close(reader);
	exporter = vitals_exporter_stop(exporter);
	for (i = 0; i < 24; i++)
		close(slow[i]);
}
END_TEST

START_TEST(sends_a_large_body_whole)
{
	struct vitals_exporter_options options = { .size = sizeof(options),
						   .max_series = 2000000 };
	struct reply reply;
	char text[64];
	int fd, i;

	fake_workers(20000);
	start(&options);
	send_head(text, sizeof(text), "GET", "/metrics");
	fd = client_connect(address);
	for (i = 0; i < 3; i++) {
		client_send(fd, text);
		reply = client_receive(fd, 1);
		ck_assert_int_eq(reply.status, 200);
		ck_assert_uint_gt(reply.length, 10000000);
		ck_assert_uint_eq(strlen(reply.body), reply.length);
		ck_assert_ptr_nonnull(
			strstr(reply.body, "\nvitals_exporter_scrape_series "));
		reply_free(&reply);
	}
	close(fd);
}
END_TEST

static void tests_add(TCase *tc)
{
	tcase_add_test(tc, answers_on_one_connection);
	tcase_add_loop_test(tc, refuses, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, refuses_what_is_too_long);
	tcase_add_test(tc, answers_while_slow_clients_fill_it);
	tcase_add_test(tc, ends_a_request_that_never_ends);
	tcase_add_test(tc, ends_a_connection_that_has_lived_its_time);
	tcase_add_test(tc, sleeps_when_nobody_is_connected);
	tcase_add_loop_test(tc, does_not_spin_without_descriptors, 0, 2);
	tcase_add_test(tc, opens_nothing_that_an_exec_would_inherit);
	if (!RACES_ARE_REPORTED) {
		tcase_add_loop_exit_test(tc, is_lost_when_its_descriptors_are_closed, 0,
					 0, 2);
		tcase_add_exit_test(tc, stops_though_its_descriptors_are_closed, 0);
	}
	tcase_add_test(tc, leaves_nothing_when_it_stops);
	tcase_add_test(tc, stops_at_once_with_clients);
	tcase_add_test(tc, is_left_alone_by_a_forked_child);
	tcase_add_test(tc, serves_on_while_children_come_and_go);
	tcase_add_loop_test(tc, refuses_an_address, 0,
			    sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_loop_test(tc, takes_an_address, 0, 4);
	tcase_add_test(tc, listens_beyond_loopback_when_told);
	tcase_add_test(tc, leaves_nothing_when_it_fails);
	tcase_add_test(tc, takes_a_monitor_that_runs_already);
	tcase_add_test(tc, checks_its_options);
	tcase_add_loop_test(tc, obeys_the_environment, 0, 2);
	tcase_add_test(tc, does_nothing_for_nobody);
	tcase_add_test(tc, takes_no_signal_of_its_host);
	tcase_add_test(tc, answers_while_large_bodies_are_not_read);
	tcase_add_test(tc, sends_a_large_body_whole);
}

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tests_add(tc);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
