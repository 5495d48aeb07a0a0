/* SPDX-License-Identifier: MIT */

/*
 * Both ends of being supervised, for tests/systemd.sh:
 *
 *   supervised listen SOCKET   prints every message that comes, line by line
 *   supervised stuck           asks for SIGTERM, and never does anything about it
 */

#include "vitals.h"

#include <signal.h>
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

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return listen_run(argv[2]);
	if (argc == 2 && strcmp(argv[1], "stuck") == 0)
		return stuck_run();
	return 2;
}
