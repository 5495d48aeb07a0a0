/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "changes.h"
#include "findings.h"
#include "monitor.h"
#include "witness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static vitals_registry *registry;
static vitals_events *events;
static struct vt_tick tick;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_step(registry, VITALS_S(100)), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	vt_tick_load(&registry->root->tick, &tick);
}

static void teardown(void)
{
	events = vitals_events_close(events);
	registry = vitals_registry_free(registry);
}

static struct vitals_event next(int result)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(events, 0, &event), result);
	return event;
}

/* How many findings there are to see; the last is in @info. */
static uint32_t seen(struct vitals_finding_info *info)
{
	vitals_snapshot *snapshot = NULL;
	uint32_t n = 0;

	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	VITALS_INIT(info);
	while (vitals_snapshot_finding(snapshot, n, info) == 0)
		n++;
	(void)vitals_snapshot_free(snapshot);
	return n;
}

static struct vitals_process_info process(void)
{
	struct vitals_process_info info;
	vitals_snapshot *snapshot = NULL;

	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &info), 0);
	(void)vitals_snapshot_free(snapshot);
	return info;
}

START_TEST(a_deadlock_is_told_once)
{
	struct vitals_finding_info info;
	struct vitals_event event;
	uint32_t first = vt_findings_deadlock(registry, 7, 2, "a waits for b", &tick);

	ck_assert_uint_ne(first, 0);
	ck_assert_uint_eq(vt_findings_deadlock(registry, 7, 2, "b waits for a", &tick),
			  first);
	event = next(0);
	ck_assert_uint_eq(event.kind, VITALS_EVENT_DEADLOCK);
	ck_assert_uint_eq(event.threads, 2);
	ck_assert_str_eq(event.doing, "a waits for b");
	(void)next(-ETIMEDOUT);
	ck_assert_uint_eq(seen(&info), 1);
	ck_assert_uint_eq(info.number, event.number);
	ck_assert_uint_eq(process().deadlocks, 1);
}
END_TEST

START_TEST(one_that_is_over_and_comes_back_is_told_again)
{
	struct vitals_finding_info info;
	uint32_t first = vt_findings_deadlock(registry, 7, 2, "a", &tick);

	(void)next(0);
	vt_findings_over(registry, first);
	ck_assert_uint_eq(seen(&info), 1);
	ck_assert_uint_eq(info.over, 1);
	(void)next(-ETIMEDOUT);
	(void)vt_findings_deadlock(registry, 7, 2, "again", &tick);
	ck_assert_str_eq(next(0).doing, "again");
	ck_assert_uint_eq(process().deadlocks, 2);
}
END_TEST

START_TEST(the_newest_eight_are_kept)
{
	struct vitals_finding_info info;
	uint64_t key;

	for (key = 1; key <= 20; key++)
		(void)vt_findings_deadlock(registry, key, 3, "x", &tick);
	ck_assert_uint_eq(seen(&info), VT_FINDINGS - 1);
	ck_assert_uint_eq(process().deadlocks, 20);
	/* A reader that did not read has lost what was overwritten, and is told so. */
	ck_assert_uint_eq(next(0).lost, 20 - (VT_FINDINGS - 1));
	for (key = 1; key < VT_FINDINGS - 1; key++)
		(void)next(0);
	(void)next(-ETIMEDOUT);
}
END_TEST

START_TEST(all_asleep_is_a_state_of_the_process_while_it_lasts)
{
	struct vitals_finding_info info;
	struct vitals_event event;

	vt_findings_awake(registry);
	ck_assert_uint_eq(process().asleep, 0);
	vt_findings_asleep(registry, 3, "all 3 threads are asleep", &tick);
	event = next(0);
	ck_assert_uint_eq(event.kind, VITALS_EVENT_ASLEEP);
	ck_assert_uint_eq(event.threads, 3);
	ck_assert_uint_eq(process().asleep, 1);
	ck_assert_uint_eq(seen(&info), 1);
	vt_findings_awake(registry);
	ck_assert_uint_eq(process().asleep, 0);
}
END_TEST

START_TEST(a_reader_of_one_heartbeat_hears_of_no_finding)
{
	vitals_heartbeat *heartbeat;
	vitals_events *only;
	struct vitals_event event;

	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "a", VITALS_S(1), NULL, &heartbeat), 0);
	ck_assert_int_eq(vitals_events_open(registry, heartbeat, &only), 0);
	(void)vt_findings_deadlock(registry, 7, 2, "a", &tick);
	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(only, 0, &event), -ETIMEDOUT);
	(void)vitals_events_close(only);
	(void)vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A record whose parts all say the same number. */
static void evidence_number(struct vitals_evidence *evidence, uint32_t n)
{
	memset(evidence, 0, sizeof(*evidence));
	evidence->size = sizeof(*evidence);
	evidence->tid = n;
	evidence->at_ns = n;
	memset(evidence->doing, 'a' + (int)(n % 26), sizeof(evidence->doing) - 1);
}

static bool evidence_whole(const struct vitals_evidence *evidence)
{
	char letter = (char)('a' + (int)(evidence->tid % 26));
	size_t i;

	for (i = 0; i + 1 < sizeof(evidence->doing); i++)
		if (evidence->doing[i] != letter)
			return false;
	return evidence->at_ns == evidence->tid;
}

static struct {
	struct vt_evidence_slot *slot;
	uint32_t gen;
	_Atomic uint32_t stop;
} writer;

static void *writes(void *unused)
{
	struct vitals_evidence evidence;
	uint32_t n;

	for (n = 1; !atomic_load(&writer.stop); n++) {
		evidence_number(&evidence, n);
		vt_witness_put(writer.slot, writer.gen, &evidence);
	}
	return unused;
}

START_TEST(a_record_is_read_whole_while_it_is_written)
{
	struct vitals_evidence evidence;
	vitals_heartbeat *heartbeat;
	struct vt_cold *cold;
	pthread_t thread;
	unsigned i, n = 0;

	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "a", VITALS_S(1), NULL, &heartbeat), 0);
	ck_assert_int_eq(vitals_step(registry, VITALS_S(101)), 0);
	cold = vt_slot(registry, VT_KIND_COLD, 0);
	ck_assert(!vt_witness_heartbeat(&registry->view, 0, cold->gen, &evidence));
	writer.slot = vt_slot(registry, VT_KIND_EVIDENCE, 0);
	writer.gen = cold->gen;
	atomic_store(&writer.stop, 0);
	evidence_number(&evidence, 1);
	vt_witness_put(writer.slot, writer.gen, &evidence);
	atomic_store(&cold->marks, cold->marks | VT_COLD_EVIDENCE);
	ck_assert(vt_witness_heartbeat(&registry->view, 0, writer.gen, &evidence));
	ck_assert(!vt_witness_heartbeat(&registry->view, 0, writer.gen + 2, &evidence));
	ck_assert_int_eq(pthread_create(&thread, NULL, writes, NULL), 0);
	/* A writer that was preempted in the middle hides the record for as long. */
	for (i = 0; i < 20000 || !n; i++)
		if (vt_witness_heartbeat(&registry->view, 0, writer.gen, &evidence)) {
			ck_assert(evidence_whole(&evidence));
			n++;
		}
	atomic_store(&writer.stop, 1);
	(void)pthread_join(thread, NULL);
	(void)vitals_heartbeat_unref(heartbeat);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("findings");
	TCase *tcase = tcase_create("core");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_deadlock_is_told_once);
	tcase_add_test(tcase, one_that_is_over_and_comes_back_is_told_again);
	tcase_add_test(tcase, the_newest_eight_are_kept);
	tcase_add_test(tcase, all_asleep_is_a_state_of_the_process_while_it_lasts);
	tcase_add_test(tcase, a_reader_of_one_heartbeat_hears_of_no_finding);
	tcase_add_test(tcase, a_record_is_read_whole_while_it_is_written);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
