/* SPDX-License-Identifier: MIT */

/*
 * Curl trial
 *
 * What the curl examples try their perform() on: a server that never answers, a thread
 * that waits for it, and a quit 300 ms later.
 *
 *	curl-... [connect | URL]
 *
 * With "connect" the server does not even take the connection. Prints what came of it,
 * and how long after the quit.
 */

#ifndef EXAMPLES_CURL_TRIAL_H
#define EXAMPLES_CURL_TRIAL_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <vitals.h>

/* The example's own: curl_easy_perform(), until @self is told to leave. */
static CURLcode perform(vitals_thread *self, CURL *curl);

/*
 * The kernel takes connections while the queue has room, and nobody ever looks at them.
 * With @full its one place is taken: the next to come stays in connect(). 0, or -1.
 */
static int open_silent_server(int full, char url[64])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, any, length) || listen(fd, full ? 0 : 16) ||
	    getsockname(fd, any, &length))
		return -1;
	snprintf(url, 64, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	if (!full)
		return 0;
	return connect(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), any, length);
}

static int fetch(vitals_thread *self, void *url)
{
	CURL *curl = curl_easy_init();
	struct vitals_cause cause;
	struct timespec now;
	CURLcode code;

	/* A call that may take long has a budget of its own: after that it is reported. */
	VITALS_SCOPE(vitals_thread_heartbeat(self), "fetch", VITALS_S(30));
	curl_easy_setopt(curl, CURLOPT_URL, (char *)url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* as ever with threads */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	code = perform(self, curl);
	clock_gettime(CLOCK_MONOTONIC, &now);
	curl_easy_cleanup(curl);

	VITALS_INIT(&cause);
	vitals_quitter_cause(vitals_thread_quitter(self), &cause);
	if (cause.kind == VITALS_CAUSE_NONE) {
		printf("not cancelled: %s\n", curl_easy_strerror(code));
		return 1;
	}
	printf("cancelled after %.1f ms: %s\n",
	       (double)(VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec - cause.at_ns) / 1e6,
	       curl_easy_strerror(code));
	return 0;
}

int main(int argc, char **argv)
{
	int full = argc > 1 && strcmp(argv[1], "connect") == 0;
	char url[64];
	vitals_quitter *main_quitter;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE,
	       SIG_IGN); /* TLS says goodbye, also on a socket that is shut down */
	if (open_silent_server(full, url) || curl_global_init(CURL_GLOBAL_ALL) ||
	    vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &main_quitter) ||
	    vitals_thread_fork(main_quitter, "fetch", VITALS_S(1), fetch,
			       argc > 1 && !full ? argv[1] : url, NULL))
		return 2;

	usleep(300 * 1000); /* at 200 ms curl wakes by itself, for the next address */
	vitals_quitter_send_quit(main_quitter, 0, "300 ms are over");
	status = vitals_quitter_finish(main_quitter, NULL, NULL);
	if (status)
		_exit(status); /* no destructors under a thread that still runs */
	vitals_quitter_free(main_quitter);
	curl_global_cleanup();
	return 0;
}

#endif
