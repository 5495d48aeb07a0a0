/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "beacon.h"
#include "heartbeat.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS VITALS_MS(1)
#define S VITALS_S(1)

static char dir[TEMP_PATH_MAX], path[TEMP_PATH_MAX + 16];
static vitals_registry *registry;
static vitals_heartbeat *heartbeat;
static uint64_t now = 100 * S;

static void setup(void)
{
	struct vt_beacon_terms terms = { path, 2 * S, NULL };

	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/alive", dir);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "worker", S, NULL, now, &heartbeat), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	ck_assert_int_eq(vt_beacon_ask(registry, &terms, now), 0);
}

static void teardown(void)
{
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
	temp_dir_remove(dir);
}

/* It was touched since the time before: its age is put back, to see. */
static bool touched(const char *file)
{
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;
	bool is = stat(file, &st) == 0 && st.st_mtim.tv_sec != 1000;

	(void)utimensat(AT_FDCWD, file, old, 0);
	return is;
}

static void pass(uint64_t ns)
{
	uint64_t until = now + ns;

	for (; now < until; now += 125 * MS)
		ck_assert_int_eq(vitals_step(registry, now + 125 * MS), 0);
}

START_TEST(it_is_touched_while_the_process_is_live)
{
	ck_assert(touched(path));
	pass(S);
	ck_assert(!touched(path));
	pass(S);
	ck_assert(touched(path));
	/* Silent since a second: not yet a reason. */
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(3 * S);
	ck_assert(touched(path));
	/* Stuck. */
	pass(3 * S);
	(void)touched(path);
	pass(60 * S);
	ck_assert(!touched(path));
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(2 * S + 250 * MS);
	ck_assert(touched(path));
}
END_TEST

START_TEST(one_that_was_removed_is_made_again)
{
	ck_assert(touched(path));
	ck_assert_int_eq(unlink(path), 0);
	pass(2 * S);
	ck_assert(touched(path));
	ck_assert_int_eq(vitals_heartbeat_file(registry, NULL, 0), 0);
	pass(10 * S);
	ck_assert(!touched(path));
}
END_TEST

START_TEST(errors_are_told_at_once)
{
	char missing[TEMP_PATH_MAX + 16], huge[2 * VT_BEACON_PATH];

	(void)snprintf(missing, sizeof(missing), "%s/no/file", dir);
	ck_assert_int_eq(vitals_heartbeat_file(registry, missing, 0), -ENOENT);
	memset(huge, '/', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = 0;
	ck_assert_int_eq(vitals_heartbeat_file(registry, huge, 0), -ENAMETOOLONG);
	ck_assert_int_eq(vitals_heartbeat_file(registry, "alive", 0), -EINVAL);
	/* And change nothing. */
	ck_assert(touched(path));
	pass(2 * S);
	ck_assert(touched(path));
}
END_TEST

START_TEST(a_forked_child_touches_nothing)
{
	int pid;

	ck_assert(touched(path));
	pid = fork();
	if (!pid) {
		child_alarm(10);
		for (; now < 200 * S; now += 125 * MS)
			(void)vitals_step(registry, now);
		vt_beacon_turn_at(registry, now);
		_exit(0);
	}
	child_passed(pid);
	ck_assert(!touched(path));
}
END_TEST

static struct gate gate;
static _Atomic uint32_t called;

static void kept(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)atomic_fetch_add(&called, 1);
	gate_pass(user);
}

/* In memory the monitor touches it. Elsewhere nobody does, and nobody waits. */
START_TEST(a_callback_that_blocks_does_not_make_it_old)
{
	char file[] = "/dev/shm/vitals-beacon-XXXXXX";
	vitals_registry *own;
	vitals_heartbeat *other;
	unsigned young = 0;
	uint64_t until_ns;
	int fd = mkstemp(file);

	if (fd < 0)
		return;
	(void)close(fd);
	ck_assert_int_eq(vitals_registry_new(0, &own), 0);
	ck_assert_int_eq(vitals_heartbeat_new(own, "worker", S, NULL, &other), 0);
	ck_assert_int_eq(vitals_on_event(own, kept, &gate), 0);
	ck_assert_int_eq(vitals_heartbeat_file(own, file, 20 * MS), 0);
	if (_i) {
		/* As if it lay on a disk. Its first event holds the notifier up. */
		while (atomic_exchange(&vt_beacon_of(own)->busy, 1))
			nap();
		vt_beacon_of(own)->in_memory = false;
		atomic_store(&vt_beacon_of(own)->busy, 0);
		ck_assert_int_eq(vitals_heartbeat_pulse(other), 0);
		ck_assert(word_reaches(&called, 1));
		(void)touched(file);
	}
	until_ns = clock_now() + (_i ? S / 5 : 20 * S);
	while (young < 5 && clock_now() < until_ns) {
		ck_assert_int_eq(vitals_heartbeat_pulse(other), 0);
		nap();
		young += touched(file);
	}
	ck_assert_uint_eq(young, _i ? 0 : 5);
	gate_open(&gate);
	vitals_heartbeat_unref(other);
	own = vitals_registry_free(own);
	(void)unlink(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("beacon");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, it_is_touched_while_the_process_is_live);
	tcase_add_test(tc, one_that_was_removed_is_made_again);
	tcase_add_test(tc, errors_are_told_at_once);
	tcase_add_test(tc, a_forked_child_touches_nothing);
	tcase_add_loop_test(tc, a_callback_that_blocks_does_not_make_it_old, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
