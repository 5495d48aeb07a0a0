/* SPDX-License-Identifier: MIT */

/* Answers as clients see them, patient ones and others. */

#include "exporter-fixture.h"
#include "fake-snapshot.h"
#include "harness.h"
#include "http-client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void head_make(char *text, size_t size, const char *method, const char *target)
{
	snprintf(text, size, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
}

START_TEST(answers_on_one_connection)
{
	struct reply get, head;
	int fd, i;

	exporter_run(NULL);
	fd = client_connect(exporter_at);
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

	exporter_run(NULL);
	fd = client_connect(exporter_at);
	client_send(fd, refusals[_i].request);
	reply = client_receive(fd, 1);
	ck_assert_int_eq(reply.status, refusals[_i].status);
	ck_assert_ptr_nonnull(strstr(reply.head, refusals[_i].header));
	if (reply.status != 404)
		ck_assert(client_is_closed(fd));
	reply_free(&reply);
	close(fd);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
}
END_TEST

START_TEST(refuses_what_is_too_long)
{
	static char text[40000];
	struct reply reply;
	int fd;

	exporter_run(NULL);
	snprintf(text, sizeof(text), "GET /%0600d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
	fd = client_connect(exporter_at);
	client_send(fd, text);
	reply = client_receive(fd, 1);
	ck_assert_int_eq(reply.status, 414);
	reply_free(&reply);
	close(fd);

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nX: %030000d\r\n\r\n",
		 0);
	fd = client_connect(exporter_at);
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
	/* Times that nobody can wait for: only who is pushed out makes room. */
	const struct vitals_exporter_options options = { .size = sizeof(options),
							 .connections = 16,
							 .request_ns = VITALS_S(3600),
							 .connection_ns =
								 VITALS_S(3600) };
	int slow[32], i;

	exporter_run(&options);
	for (i = 0; i < 32; i++) {
		slow[i] = client_connect(exporter_at);
		client_send(slow[i], HALF);
		ck_assert_int_eq(client_get(exporter_at, "/livez"), 503);
		ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
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

	exporter_run(&options);
	closed.fd = client_connect(exporter_at);
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

	exporter_run(&options);
	fd = client_connect(exporter_at);
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

	fd = client_connect(exporter_at);
	client_send(fd, GET_HEALTH);
	reply = client_receive(fd, 1);
	reply_free(&reply);
	ck_assert(client_is_closed(fd));
	close(fd);
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
	exporter_run(&options);
	head_make(text, sizeof(text), "GET", "/metrics");
	for (i = 0; i < 24; i++) {
		slow[i] = client_connect(exporter_at);
		client_send(slow[i], text);
		ck_assert_int_eq(client_get(exporter_at, "/livez"), 200);
	}
	reader = client_connect(exporter_at);
	client_send(reader, text);
	reply = client_receive(reader, 1);
	ck_assert_int_eq(reply.status, 200);
	in_flight = strstr(reply.body, "\nvitals_exporter_requests_in_flight ");
	ck_assert_ptr_nonnull(in_flight);
	ck_assert_int_le(atoi(strchr(in_flight, ' ')), 8);
	reply_free(&reply);
	close(reader);
	exporter_end();
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
	exporter_run(&options);
	head_make(text, sizeof(text), "GET", "/metrics");
	fd = client_connect(exporter_at);
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

int main(void)
{
	Suite *suite = suite_create("http");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, exporter_setup, exporter_teardown);
	tcase_add_test(tc, answers_on_one_connection);
	tcase_add_loop_test(tc, refuses, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, refuses_what_is_too_long);
	tcase_add_test(tc, answers_while_slow_clients_fill_it);
	tcase_add_test(tc, ends_a_request_that_never_ends);
	tcase_add_test(tc, ends_a_connection_that_has_lived_its_time);
	tcase_add_test(tc, answers_while_large_bodies_are_not_read);
	tcase_add_test(tc, sends_a_large_body_whole);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
