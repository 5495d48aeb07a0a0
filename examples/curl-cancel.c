/* SPDX-License-Identifier: MIT */

/*
 * Curl, cancelled
 *
 * A thread in a blocking curl_easy_perform() leaves at once when it is told to. While
 * nothing moves curl asks its progress callback once a second only, so the thread
 * remembers the sockets that curl opens, and to tell it is to shut them down.
 *
 * Covers connecting, TLS and the transfer. Not a name's resolution, which has no socket
 * that could be shut down: there it takes up to a second, and before curl 7.87 until the
 * resolver is done. curl-multi.c covers that too, where the call itself is yours.
 */

#include "curl-trial.h"

#include <pthread.h>

#define MAX 8 /* curl tries IPv6 and IPv4 at once */

struct sockets {
	pthread_mutex_t lock;
	int told;
	int n;
	int fds[MAX];
};

static curl_socket_t open_socket(void *user, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct sockets *sockets = user;
	int fd = CURL_SOCKET_BAD;

	(void)purpose;
	pthread_mutex_lock(&sockets->lock);
	if (!sockets->told && sockets->n < MAX)
		fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
			    address->protocol);
	if (fd >= 0)
		sockets->fds[sockets->n++] = fd;
	pthread_mutex_unlock(&sockets->lock);
	return fd;
}

/* Closed under the lock: after that its number may be somebody else's. */
static int close_socket(void *user, curl_socket_t fd)
{
	struct sockets *sockets = user;
	int i;

	pthread_mutex_lock(&sockets->lock);
	for (i = 0; i < sockets->n && sockets->fds[i] != fd; i++)
		continue;
	if (i < sockets->n)
		sockets->fds[i] = sockets->fds[--sockets->n];
	close(fd);
	pthread_mutex_unlock(&sockets->lock);
	return 0;
}

/* In the thread that tells. */
static void shut_down(void *user)
{
	struct sockets *sockets = user;
	int i;

	pthread_mutex_lock(&sockets->lock);
	sockets->told = 1; /* and open no more */
	for (i = 0; i < sockets->n; i++)
		shutdown(sockets->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&sockets->lock);
}

/* Or curl might take it for an accident, and try again. */
static int progress(void *user, curl_off_t down_total, curl_off_t down,
		    curl_off_t up_total, curl_off_t up)
{
	struct sockets *sockets = user;
	int told;

	(void)down_total, (void)down, (void)up_total, (void)up;
	pthread_mutex_lock(&sockets->lock);
	told = sockets->told;
	pthread_mutex_unlock(&sockets->lock);
	return told;
}

static CURLcode perform(vitals_thread *self, CURL *curl)
{
	struct sockets sockets = { .lock = PTHREAD_MUTEX_INITIALIZER };
	CURLcode code;

#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* no wait for its resolver */
#endif
	/* The connection must not outlive the sockets that know it. */
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &sockets);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, &sockets);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &sockets);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);

	vitals_thread_on_quit(self, shut_down, &sockets);
	code = curl_easy_perform(curl);
	vitals_thread_on_quit(self, NULL, NULL); /* from here on nobody calls it */
	return code;
}
