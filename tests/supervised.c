/* SPDX-License-Identifier: MIT */

/*
 * Both ends of being supervised, for tests/systemd.sh:
 *
 *   supervised listen SOCKET   prints every message that comes, line by line
 *   supervised stuck           asks for SIGTERM, and never does anything about it
 *
 * and for tests/systemd-boots.sh, which reports on stderr:
 *
 *   supervised idle            has nothing to do until SIGTERM
 *   supervised deadlock        two threads that soon have each other's lock
 */

#include "vitals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_run(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char message[4096];
	ssize_t n;

	if (strlen(path) >= sizeof(address.sun_path))
		return 2;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return 2;
	printf("listening\n");
	while ((n = recv(fd, message, sizeof(message), 0)) >= 0)
		printf("%.*s\n", (int)n, message);
	return 1;
}

static int stuck_run(void)
{
	vitals_quitter *service;

	if (vitals_quitter_new_main(NULL, VITALS_S(60), NULL, &service) ||
	    vitals_quitter_on_signal(service, SIGTERM, NULL) < 0)
		return 2;
	printf("stuck\n");
	for (;;)
		(void)pause();
}

/* Both have theirs before either asks for the other's. */
static pthread_mutex_t locks[2] = { PTHREAD_MUTEX_INITIALIZER,
				    PTHREAD_MUTEX_INITIALIZER };
static pthread_barrier_t both;

static void report(const struct vitals_event *event, void *unused)
{
	(void)unused;
	if (event->kind == VITALS_EVENT_HEARTBEAT && event->to >= VITALS_SILENT)
		fprintf(stderr, "%s turned %s%s%s\n", event->name,
			vitals_state_name(event->to), event->doing[0] ? ": " : "",
			event->doing);
}

static int locks_cross(vitals_thread *self, void *arg)
{
	unsigned i = arg == &locks[1];

	(void)pthread_mutex_lock(&locks[i]);
	(void)pthread_barrier_wait(&both);
	(void)vitals_heartbeat_pulse(vitals_thread_heartbeat(self));
	return pthread_mutex_lock(&locks[!i]);
}

static int unit_run(bool locked)
{
	vitals_quitter *service;
	struct pollfd told = { .events = POLLIN };
	struct vitals_result result;
	vitals_heartbeat *idle;
	unsigned i;

	if (vitals_on_event(NULL, report, NULL) ||
	    vitals_heartbeat_new(NULL, "idler", VITALS_MS(300), NULL, &idle) ||
	    vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &service) ||
	    vitals_quitter_on_signal(service, SIGTERM, NULL) < 0)
		return 2;
	vitals_heartbeat_idle(idle);
	(void)pthread_barrier_init(&both, NULL, 2);
	for (i = 0; locked && i < 2; i++)
		if (vitals_thread_fork(service, i ? "worker-2" : "worker-1",
				       VITALS_MS(300), locks_cross, &locks[i], NULL))
			return 2;
	if (vitals_systemd(NULL, 0))
		return 2;
	told.fd = vitals_quitter_fd(service);
	while (poll(&told, 1, -1) != 1)
		continue;
	VITALS_INIT(&result);
	(void)vitals_quitter_finish(service, &result, NULL);
	return result.status;
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return listen_run(argv[2]);
	if (argc == 2 && strcmp(argv[1], "stuck") == 0)
		return stuck_run();
	if (argc == 2 && strcmp(argv[1], "idle") == 0)
		return unit_run(false);
	if (argc == 2 && strcmp(argv[1], "deadlock") == 0)
		return unit_run(true);
	return 2;
}
