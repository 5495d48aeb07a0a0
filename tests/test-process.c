/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define T VITALS_MS(80)
#define TICK VITALS_MS(10)

static vitals_registry *registry;
static uint64_t now;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
}

static void teardown(void)
{
	registry = vitals_registry_free(registry);
}

static struct vitals_process_info process(void)
{
	struct vitals_process_info info;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &info), 0);
	snapshot = vitals_snapshot_free(snapshot);
	return info;
}

static void step(void)
{
	now += TICK;
	ck_assert_int_eq(vitals_step(registry, now), 0);
}

START_TEST(is_ready_by_the_heartbeats_alone_without_parts)
{
	vitals_heartbeat *heartbeat;

	step();
	ck_assert_uint_eq(process().ready, 1);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "a", T, NULL, now, &heartbeat), 0);
	step();
	ck_assert_uint_eq(process().ready, 0);
	ck_assert_uint_eq(process().health, VITALS_WARN);
	vt_heartbeat_pulse_at(heartbeat, now);
	step();
	ck_assert_uint_eq(process().ready, 1);
	ck_assert_uint_eq(process().health, VITALS_PASS);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(is_ready_when_every_part_is_and_has_started_up_for_ever_then)
{
	struct vitals_part_info part;
	vitals_snapshot *snapshot = NULL;

	ck_assert_int_eq(vitals_set_ready(registry, "cache", 0), 0);
	ck_assert_int_eq(vitals_set_ready(registry, NULL, 1), 0);
	step();
	ck_assert_uint_eq(process().ready, 0);
	ck_assert_uint_eq(process().parts, 2);
	ck_assert_uint_eq(process().parts_ready, 1);
	ck_assert_uint_eq(process().flags & VITALS_PROCESS_STARTED_UP, 0);
	ck_assert_int_eq(vitals_set_ready(registry, "cache", 7), 0);
	/* The answer does not wait for the monitor, the latch does. */
	ck_assert_uint_eq(process().ready, 1);
	step();
	ck_assert_uint_ne(process().flags & VITALS_PROCESS_STARTED_UP, 0);
	ck_assert_int_eq(vitals_set_ready(registry, "main", 0), 0);
	step();
	ck_assert_uint_eq(process().ready, 0);
	ck_assert_uint_ne(process().flags & VITALS_PROCESS_STARTED_UP, 0);

	VITALS_INIT(&part);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_part(snapshot, 0, &part), 0);
	ck_assert_str_eq(part.name, "cache");
	ck_assert_uint_eq(part.ready, 1);
	ck_assert_int_eq(vitals_snapshot_part(snapshot, 1, &part), 0);
	ck_assert_str_eq(part.name, "main");
	ck_assert_uint_eq(part.ready, 0);
	ck_assert_int_eq(vitals_snapshot_part(snapshot, 2, &part), -ENOENT);
	snapshot = vitals_snapshot_free(snapshot);
}
END_TEST

START_TEST(a_33rd_part_has_no_room)
{
	char name[32];
	int i;

	for (i = 0; i <= VITALS_PARTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "part %d", i);
		ck_assert_int_eq(vitals_set_ready(registry, name, 1),
				 i < VITALS_PARTS_MAX ? 0 : -ENOSPC);
	}
	ck_assert_int_eq(vitals_set_ready(registry, "part 0", 0), 0);
	ck_assert_int_eq(vitals_set_ready(registry, "a/b", 0), -EINVAL);
}
END_TEST

START_TEST(readiness_goes_with_the_request_to_quit_and_life_stays)
{
	vitals_quitter *service;

	ck_assert_int_eq(vitals_set_ready(registry, NULL, 1), 0);
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &service),
			 0);
	step();
	ck_assert_uint_eq(process().ready, 1);
	ck_assert_int_eq(vitals_quitter_send_quit(service, 0, NULL), 0);
	ck_assert_uint_eq(process().ready, 0);
	ck_assert_uint_eq(process().live, 1);
	ck_assert_uint_ne(process().flags & VITALS_PROCESS_QUITTING, 0);
	vitals_quitter_free(service);
}
END_TEST

START_TEST(a_step_goes_forward_and_not_beside_a_thread)
{
	step();
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(vitals_step(registry, now - 8), -EINVAL);
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_step(registry, UINT64_MAX / 2), -EBUSY);
	ck_assert_int_eq(vitals_stop(registry), 0);
}
END_TEST

static void lag_is(uint64_t lag_ns, uint64_t most_ns)
{
	struct vitals_process_info info = process();

	ck_assert_uint_eq(info.tick_at_ns, now);
	ck_assert_uint_eq(info.lag_ns, lag_ns);
	ck_assert_uint_eq(info.lag_max_ns, most_ns);
}

START_TEST(says_how_late_the_monitor_was)
{
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(vt_heartbeat_new_at(registry, "a", T, NULL, now, &heartbeat), 0);
	step();
	ck_assert_uint_eq(process().tick_ns, TICK);
	step();
	lag_is(0, 0);
	now += VITALS_MS(7);
	step();
	lag_is(VITALS_MS(7), VITALS_MS(7));
	ck_assert_uint_eq(process().pauses, 0);
	step();
	lag_is(0, VITALS_MS(7));
	/* So late that the whole process did not run. */
	now += VITALS_S(3);
	step();
	lag_is(VITALS_S(3), VITALS_S(3));
	ck_assert_uint_eq(process().pauses, 1);
	ck_assert_uint_eq(process().paused_ns, VITALS_S(3) + TICK);
	ck_assert_uint_eq(process().turns, 5);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(slots_reserved_ahead_take_no_segment_later)
{
	static vitals_heartbeat *all[3000];
	vitals_registry *large;
	unsigned i;

	ck_assert_int_eq(vitals_registry_new(3000, &large), 0);
	ck_assert_uint_eq(large->n_segments, 1);
	for (i = 0; i < 3000; i++)
		ck_assert_int_eq(vitals_heartbeat_new(large, "a", T, NULL, &all[i]), 0);
	ck_assert_uint_eq(large->n_segments, 1);
	for (i = 0; i < 3000; i++)
		vitals_heartbeat_unref(all[i]);
	vitals_registry_free(large);
	ck_assert_int_eq(vitals_registry_new((1u << 24) + 1, &large), -EINVAL);
	ck_assert_ptr_null(large);
}
END_TEST

START_TEST(a_registry_goes_with_the_last_that_points_into_it)
{
	vitals_heartbeat *heartbeat;
	vitals_snapshot *snapshot = NULL;
	struct vitals_heartbeat_info info;
	vitals_registry *other;

	ck_assert_int_eq(vitals_registry_new(0, &other), 0);
	ck_assert_int_eq(vitals_heartbeat_new(other, "a", T, NULL, &heartbeat), 0);
	ck_assert_int_eq(vitals_snapshot_take(other, &snapshot), 0);
	ck_assert_ptr_null(vitals_registry_free(other));
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_str_eq(info.name, "a");
	vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), -ENOENT);
	vitals_snapshot_free(snapshot);
}
END_TEST

START_TEST(knows_its_words)
{
	static const char *const names[] = {
		"starting", "healthy", "idle",   "silent",
		"stuck",    "dead",    "closed", "unbounded"
	};
	int i;

	for (i = 0; i < VITALS_STATES; i++)
		ck_assert_str_eq(vitals_state_name(i), names[i]);
	ck_assert_str_eq(vitals_state_name(-1), "unknown");
	ck_assert_str_eq(vitals_state_name(8), "unknown");
	ck_assert_str_eq(vitals_version(), PACKAGE_VERSION);
	ck_assert_int_eq(vitals_has("heartbeat"), 1);
	ck_assert_int_eq(vitals_has("telepathy"), 0);
}
END_TEST

START_TEST(prints_what_there_is_as_aligned_text)
{
	vitals_heartbeat *heartbeat;
	vitals_quitter *service, *pool;
	vitals_snapshot *snapshot = NULL;
	char text[1024];
	int pipes[2];
	ssize_t n;

	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "worker", T, NULL, now, &heartbeat), 0);
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &service),
			 0);
	ck_assert_int_eq(vitals_quitter_new(service, "pool", NULL, &pool), 0);
	ck_assert_int_eq(vitals_quitter_hold(pool, "upload"), 0);
	step();
	vt_heartbeat_pulse_at(heartbeat, now);
	step();
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	ck_assert_int_eq(vitals_snapshot_print(snapshot, pipes[1]), 0);
	n = read(pipes[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_ptr_nonnull(strstr(text,
				     "heartbeat worker                  healthy  10ms of "
				     "80ms, pulses 0\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "quitter main/pool                 running  threads 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "thread main/pool/upload (a hold)\n"));
	close(pipes[0]);
	close(pipes[1]);
	ck_assert_int_eq(vitals_snapshot_print(snapshot, pipes[1]), -EBADF);
	vitals_snapshot_free(snapshot);
	ck_assert_int_eq(vitals_quitter_release(pool, "upload"), 0);
	vitals_quitter_free(pool);
	vitals_quitter_free(service);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, is_ready_by_the_heartbeats_alone_without_parts);
	tcase_add_test(tc, is_ready_when_every_part_is_and_has_started_up_for_ever_then);
	tcase_add_test(tc, a_33rd_part_has_no_room);
	tcase_add_test(tc, readiness_goes_with_the_request_to_quit_and_life_stays);
	tcase_add_test(tc, a_step_goes_forward_and_not_beside_a_thread);
	tcase_add_test(tc, says_how_late_the_monitor_was);
	tcase_add_test(tc, slots_reserved_ahead_take_no_segment_later);
	tcase_add_test(tc, a_registry_goes_with_the_last_that_points_into_it);
	tcase_add_test(tc, knows_its_words);
	tcase_add_test(tc, prints_what_there_is_as_aligned_text);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
