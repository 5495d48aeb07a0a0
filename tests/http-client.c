/* SPDX-License-Identifier: MIT */

#include "http-client.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* No answer takes that long; a test that waits for it has failed. */
#define PATIENCE_S 20

int client_socket(void)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

int client_join(int fd, const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');

	ck_assert_ptr_nonnull(colon);
	to.sin_port = htons((in_port_t)atoi(colon + 1));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to));
}

int client_try_connect(const char *address)
{
	int fd = client_socket();

	if (client_join(fd, address) == 0)
		return fd;
	close(fd);
	return -1;
}

int client_connect(const char *address)
{
	int fd = client_try_connect(address);

	ck_assert_msg(fd >= 0, "%s: %s", address, strerror(errno));
	return fd;
}

void client_send(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

/* Byte by byte up to the empty line: what follows is the body's. */
static int head_receive(int fd, struct reply *reply)
{
	size_t n = 0;

	while (n < sizeof(reply->head) - 1 && recv(fd, reply->head + n, 1, 0) == 1) {
		n++;
		if (n >= 4 && memcmp(reply->head + n - 4, "\r\n\r\n", 4) == 0)
			return 0;
	}
	return -1;
}

struct reply client_receive(int fd, int with_body)
{
	struct reply reply = { 0 };
	const char *length;
	ssize_t n;
	size_t got = 0;

	if (head_receive(fd, &reply))
		return reply;
	ck_assert_int_eq(sscanf(reply.head, "HTTP/1.%*d %d", &reply.status), 1);
	length = strstr(reply.head, "Content-Length: ");
	ck_assert_ptr_nonnull(length);
	reply.length = (size_t)atol(length + strlen("Content-Length: "));
	reply.body = calloc(1, reply.length + 1);
	ck_assert_ptr_nonnull(reply.body);
	while (with_body && got < reply.length) {
		n = recv(fd, reply.body + got, reply.length - got, 0);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	return reply;
}

void reply_free(struct reply *reply)
{
	free(reply->body);
	reply->body = NULL;
}

int client_is_closed(int fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(fd, &byte, 1, 0);
	while (n == 1);
	return n == 0 || errno == ECONNRESET;
}

struct reply client_ask(const char *address, const char *target)
{
	int fd = client_connect(address);
	struct reply reply;
	char text[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	client_send(fd, text);
	reply = client_receive(fd, 1);
	close(fd);
	return reply;
}

int client_get(const char *address, const char *target)
{
	struct reply reply = client_ask(address, target);

	reply_free(&reply);
	return reply.status;
}
