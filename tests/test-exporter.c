/* SPDX-License-Identifier: MIT */

/* The public functions: addresses, options, environment, and starts that fail. */

#include "exporter-fixture.h"
#include "fake-snapshot.h"
#include "harness.h"
#include "http-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct {
	const char *text;
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

	ck_assert_int_eq(vitals_exporter_start(NULL, addresses[_i].text, NULL, &none),
			 addresses[_i].result);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(fd_count(), fds);
	ck_assert_uint_eq(fake.starts, 0);
}
END_TEST

static void serves_without_stdio(void *arg)
{
	struct vitals_exporter *served;
	int fd;

	(void)arg;
	for (fd = 0; fd < 3; fd++)
		close(fd);
	child_check(vitals_exporter_start(NULL, "127.0.0.1:0", NULL, &served) == 0);
	for (fd = 0; fd < 3; fd++)
		child_check(fcntl(fd, F_GETFD) < 0);
	vitals_exporter_stop(served);
}

START_TEST(no_descriptor_is_where_the_host_writes_its_output)
{
	child_run(serves_without_stdio, NULL);
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

	exporter_run(NULL);
	fds = fd_count();
	ck_assert_int_eq(vitals_exporter_start(NULL, exporter_at, NULL, &second),
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
	exporter_run(NULL);
	ck_assert_int_eq(client_get(exporter_at, "/health"), 200);
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
	exporter_run(&later.known);
	exporter_end();
	/* An older program's. */
	VITALS_INIT(&options);
	options.size = 4;
	exporter_run(&options);
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
	exporter_run(NULL);
	ck_assert_int_eq(strncmp(exporter_at, "127.0.0.2:", 10), 0);
	unsetenv("VITALS_LISTEN");
}
END_TEST

START_TEST(does_nothing_for_nobody)
{
	ck_assert_ptr_null(vitals_exporter_stop(NULL));
	ck_assert_ptr_null(vitals_exporter_address(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exporter");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, exporter_setup, exporter_teardown);
	tcase_add_loop_test(tc, refuses_an_address, 0,
			    sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_loop_test(tc, takes_an_address, 0, 4);
	tcase_add_test(tc, no_descriptor_is_where_the_host_writes_its_output);
	tcase_add_test(tc, listens_beyond_loopback_when_told);
	tcase_add_test(tc, leaves_nothing_when_it_fails);
	tcase_add_test(tc, takes_a_monitor_that_runs_already);
	tcase_add_test(tc, checks_its_options);
	tcase_add_loop_test(tc, obeys_the_environment, 0, 2);
	tcase_add_test(tc, does_nothing_for_nobody);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
