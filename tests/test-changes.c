/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "changes.h"
#include "clock.h"
#include "heartbeat.h"
#include "monitor.h"
#include "text.h"

#include <errno.h>

#define T VITALS_MS(200)

static vitals_registry *registry;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
}

static void teardown(void)
{
	registry = vitals_registry_free(registry);
}

/* The slot was taken by another heartbeat, which is not in it yet. */
START_TEST(an_event_is_not_told_under_the_next_ones_name)
{
	struct vitals_event event;
	vitals_heartbeat *heartbeat;
	vitals_events *events;
	struct vt_hot *hot;

	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "one", T, NULL, VITALS_S(1),
					     &heartbeat),
			 0);
	hot = vt_heartbeat_hot(heartbeat);
	(void)vt_heartbeat_pulse_at(heartbeat, VITALS_S(1));
	ck_assert_int_eq(vitals_step(registry, VITALS_S(1)), 0);
	vitals_heartbeat_unref(heartbeat);
	vt_slot_take(&hot->gen);
	vt_name_store(hot->name, "other");
	ck_assert_int_eq(vitals_events_next(events, 0, &event), -ETIMEDOUT);
	vitals_events_close(events);
}
END_TEST

#define SILENT 500

/* A reader that is stuck in the middle costs a turn a moment, not one for each heartbeat. */
START_TEST(a_stuck_reader_does_not_hold_up_the_monitor)
{
	static vitals_heartbeat *all[SILENT];
	uint64_t now = VITALS_S(1), before;
	unsigned i;

	for (i = 0; i < SILENT; i++)
		ck_assert_int_eq(
			vt_heartbeat_new_at(registry, "a", T, NULL, now, &all[i]), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	/* All turn silent in one turn. */
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(vitals_step(registry, now += T / 8), 0);
	ck_assert_uint_eq(atomic_load(&registry->root->changes), 0);
	vt_lock(&registry->events_lock);
	before = vt_clock_now();
	ck_assert_int_eq(vitals_step(registry, now += 4), 0);
	ck_assert_uint_lt(vt_clock_now() - before, VITALS_MS(SILENT / 2));
	vt_unlock(&registry->events_lock);
	ck_assert_uint_eq(atomic_load(&registry->root->changes), 0);
	/* What could not be told then is told now. */
	ck_assert_int_eq(vitals_step(registry, now += 4), 0);
	ck_assert_uint_eq(atomic_load(&registry->root->changes), SILENT);
	for (i = 0; i < SILENT; i++)
		vitals_heartbeat_unref(all[i]);
}
END_TEST

/* What could not be forgotten of the slot's user before is not told of the next. */
START_TEST(a_row_has_nothing_of_who_had_the_slot_before)
{
	struct vitals_heartbeat_info info;
	vitals_heartbeat *heartbeat;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "one", T, NULL, VITALS_S(1),
					     &heartbeat),
			 0);
	(void)vt_heartbeat_pulse_at(heartbeat, VITALS_S(1));
	ck_assert_int_eq(vitals_step(registry, VITALS_S(1)), 0);
	vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "two", T, NULL, VITALS_S(2),
					     &heartbeat),
			 0);
	ck_assert_uint_eq(vt_heartbeat_index(heartbeat), 0);
	vt_lock(&registry->events_lock);
	ck_assert_int_eq(vitals_step(registry, VITALS_S(2)), 0);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	vt_unlock(&registry->events_lock);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_str_eq(info.name, "two");
	ck_assert_uint_eq(info.change, 0);
	ck_assert_uint_eq(info.changed_ns, info.beat_ns);
	ck_assert_int_eq(vitals_step(registry, VITALS_S(2)), 0);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_uint_eq(info.changed_ns, info.beat_ns);
	snapshot = vitals_snapshot_free(snapshot);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("changes");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_event_is_not_told_under_the_next_ones_name);
	tcase_add_test(tc, a_stuck_reader_does_not_hold_up_the_monitor);
	tcase_add_test(tc, a_row_has_nothing_of_who_had_the_slot_before);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
