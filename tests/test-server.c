/* SPDX-License-Identifier: MIT */

/* What the exporter does to its host, and its host to it. */

#include "exporter-fixture.h"
#include "fake-snapshot.h"
#include "harness.h"
#include "http-client.h"
#include "http.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Nobody there: not one turn. */
START_TEST(sleeps_when_nobody_is_connected)
{
	exporter_run(NULL);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
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

	exporter_run(NULL);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
	for (i = 0; i < 8; i++)
		clients[i] = client_socket();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = _i ? 0 : 3; /* poll takes no more descriptors than that either */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(client_join(clients[i], exporter_at), 0);
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
	if (_i)
		return;
	/* It was for this that it did not spin, not for the guard against what is
	 * unforeseen. */
	reply = client_ask(exporter_at, "/metrics");
	ck_assert_ptr_null(
		strstr(reply.body, "\nvitals_exporter_accept_backoffs_total 0"));
	ck_assert_ptr_nonnull(strstr(reply.body, "\nvitals_exporter_naps_total 0\n"));
	reply_free(&reply);
}
END_TEST

START_TEST(opens_nothing_that_an_exec_would_inherit)
{
	int fds[FDS];
	unsigned n;

	exporter_run(NULL);
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

	exporter_run(NULL);
	client = client_connect(exporter_at);
	client_send(client, HALF);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
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
	i = client_try_connect(exporter_at);
	if (i >= 0) {
		ck_assert(client_is_closed(i));
		close(i);
	}
	ck_assert_uint_lt(cpu_ns_during(500), VITALS_MS(50));
	ck_assert_int_lt(client_try_connect(exporter_at), 0);
	exporter_end();
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
	char line[128];
	int fds[FDS];
	unsigned n;

	exporter_run(NULL);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
	ck_assert(thread_status("SigBlk:", line, sizeof(line)));
	n = fds_of_exporter(fds);
	while (n-- > 0)
		close(fds[n]);
	exporter_end();
	ck_assert(!thread_status("SigBlk:", line, sizeof(line)));
	_exit(0);
}
END_TEST

/* A descriptor closed at a moment when nobody looks: the library would end the process.
 */
START_TEST(lives_on_when_the_library_gives_up)
{
	static struct vx_stats stats;
	struct vx_connections connections = { .stats = &stats };
	struct vx_routes routes = { .stats = &stats };
	struct vx_http *http;
	int ends[2], wake = vx_wake_new();

	ck_assert_int_ge(wake, 0);
	ck_assert_int_eq(vx_connections_init(&connections, 4), 0);
	ck_assert_int_eq(vx_routes_init(&routes), 0);
	ck_assert_int_eq(vx_http_new(&routes, &connections, wake, &http), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(vx_http_add_at(http, ends[0], 0), 0);
	ck_assert_int_eq(vx_http_run_at(http, 0), 0);
	ck_assert(vx_http_is_ours(http));
	close(ends[0]);
	ck_assert(!vx_http_is_ours(http));
	ck_assert_int_eq(vx_http_free(http), -EBADF);
	_exit(0);
}
END_TEST

START_TEST(leaves_nothing_when_it_stops)
{
	int fds, i;

	exporter_run(NULL);
	exporter_end();
	fds = fd_count();
	for (i = 0; i < 200; i++) {
		exporter_run(NULL);
		if (i % 10 == 0)
			ck_assert_int_eq(client_get(exporter_at, "/metrics"), 200);
		exporter_end();
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

	exporter_run(NULL);
	idle = client_connect(exporter_at);
	client_send(idle, GET_HEALTH);
	reply = client_receive(idle, 1);
	reply_free(&reply);
	half = client_connect(exporter_at);
	client_send(half, HALF);
	before = wall_ns();
	exporter_end();
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

	exporter_run(NULL);
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
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
	exporter_end();
	ck_assert_int_lt(client_try_connect(exporter_at), 0);
}
END_TEST

START_TEST(serves_on_while_children_come_and_go)
{
	int status, i;
	pid_t child;

	exporter_run(NULL);
	for (i = 0; i < 50; i++) {
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0)
			_exit(vitals_exporter_stop(exporter) ? 2 : 0);
		ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(takes_no_signal_of_its_host)
{
	char line[128];
	uint64_t blocked;

	exporter_run(NULL);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
	ck_assert(thread_status("SigBlk:", line, sizeof(line)));
	blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
	/* All but KILL, STOP and the two that the C library keeps to itself. */
	ck_assert_uint_eq(blocked | 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) |
				  3ull << 31,
			  UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, exporter_setup, exporter_teardown);
	tcase_add_test(tc, sleeps_when_nobody_is_connected);
	tcase_add_loop_test(tc, does_not_spin_without_descriptors, 0, 2);
	tcase_add_test(tc, opens_nothing_that_an_exec_would_inherit);
	if (!RACES_ARE_REPORTED)
		tcase_add_loop_exit_test(tc, is_lost_when_its_descriptors_are_closed, 0,
					 0, 2);
	if (!RACES_ARE_REPORTED)
		tcase_add_exit_test(tc, stops_though_its_descriptors_are_closed, 0);
	tcase_add_exit_test(tc, lives_on_when_the_library_gives_up, 0);
	tcase_add_test(tc, leaves_nothing_when_it_stops);
	tcase_add_test(tc, stops_at_once_with_clients);
	tcase_add_test(tc, is_left_alone_by_a_forked_child);
	tcase_add_test(tc, serves_on_while_children_come_and_go);
	tcase_add_test(tc, takes_no_signal_of_its_host);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
