/* SPDX-License-Identifier: MIT */

/*
 * HTTP client
 *
 * As much of one as the exporter's tests need: they want to be slow, rude and exact.
 */

#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>

struct reply {
	int status; /* 0: closed without an answer */
	size_t length;
	char head[4096];
	char *body; /* of length bytes and a 0; freed by reply_free() */
};

/* The two halves of connecting, for when there will be no descriptor for the first. */
int client_socket(void);
int client_join(int fd, const char *address);

/* Connects to "127.0.0.1:43211". Return: the socket; a failure fails the test. */
int client_connect(const char *address);

/* The same, but answers -1 when it is refused. */
int client_try_connect(const char *address);

void client_send(int fd, const char *text);

/* The next answer; @with_body: 0 for what HEAD asked for. */
struct reply client_receive(int fd, int with_body);
void reply_free(struct reply *reply);

/* Is the connection closed by the other side, within some seconds? */
int client_is_closed(int fd);

/* Connects, asks with GET, closes. */
struct reply client_ask(const char *address, const char *target);

/* The same; only the status. */
int client_get(const char *address, const char *target);

#endif
