/* SPDX-License-Identifier: MIT */

#include "exporter-fixture.h"

#include "fake-snapshot.h"
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

vitals_exporter *exporter;
char exporter_at[128];

static bool open_before[FDS];

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

void exporter_setup(void)
{
	unsetenv("VITALS");
	unsetenv("VITALS_LISTEN");
	fake_service();
	fake.process.health = VITALS_PASS;
}

void exporter_teardown(void)
{
	exporter_end();
}

void exporter_run(const struct vitals_exporter_options *options)
{
	int fd;

	for (fd = 0; fd < FDS; fd++)
		open_before[fd] = fd_is_open(fd);
	ck_assert_int_eq(vitals_exporter_start(NULL, "127.0.0.1:0", options, &exporter),
			 0);
	ck_assert_ptr_nonnull(vitals_exporter_address(exporter));
	snprintf(exporter_at, sizeof(exporter_at), "%s",
		 vitals_exporter_address(exporter));
}

void exporter_end(void)
{
	exporter = vitals_exporter_stop(exporter);
}

bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

unsigned fds_of_exporter(int ret[FDS])
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < FDS; fd++)
		if (fd_is_open(fd) && !open_before[fd])
			ret[n++] = fd;
	return n;
}

uint64_t wall_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t cpu_ns_during(int ms)
{
	uint64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	poll(NULL, 0, ms);
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
}
