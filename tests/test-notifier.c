/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "futex.h"
#include "heartbeat.h"
#include "notifier.h"

#include <errno.h>

static vitals_registry *registry;
static vitals_heartbeat *heartbeat;

/* What callbacks say and wait for: a word each. */
static _Atomic uint32_t called, gate, second_gate, second_called;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "a", VITALS_MS(1), NULL, &heartbeat), 0);
}

static void teardown(void)
{
	vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
}

static void raise_word(_Atomic uint32_t *word)
{
	atomic_store(word, 1);
	vt_futex_wake(word, 1);
}

static void wait_word(_Atomic uint32_t *word)
{
	while (!atomic_load(word))
		(void)vt_futex_wait(word, 0, UINT64_MAX);
}

static void told(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	raise_word(&called);
}

START_TEST(is_there_again_after_a_stop_and_a_start)
{
	ck_assert_int_eq(vitals_on_event(registry, told, NULL), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	wait_word(&called);
	ck_assert_int_eq(vitals_stop(registry), 0);
	atomic_store(&called, 0);
	vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "b", VITALS_MS(1), NULL, &heartbeat), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	wait_word(&called);
}
END_TEST

static void first(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	raise_word(&called);
	wait_word(&gate);
}

static void second(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	raise_word(&second_called);
	wait_word(&second_gate);
}

static void *opens_when_replaced(void *unused)
{
	(void)unused;
	/* Once it waits for the first, or too early to: then there is nothing to see. */
	while (!atomic_load(&second_called) && !atomic_load(&second_gate))
		raise_word(&gate);
	return NULL;
}

/* The caller may hold what the new callback waits for: only the one before is waited for. */
START_TEST(a_new_callback_is_not_waited_for)
{
	vitals_heartbeat *other;
	pthread_t thread;

	ck_assert_int_eq(vitals_on_event(registry, first, NULL), 0);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "b", VITALS_MS(1), NULL, &other),
			 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(other), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	wait_word(&called);
	ck_assert_int_eq(pthread_create(&thread, NULL, opens_when_replaced, NULL), 0);
	ck_assert_int_eq(vitals_on_event(registry, second, NULL), 0);
	raise_word(&second_gate);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	vitals_heartbeat_unref(other);
}
END_TEST

static _Atomic int stop_says, on_event_says;

static void stops(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	atomic_store(&stop_says, vitals_stop(registry));
	atomic_store(&on_event_says, vitals_on_event(registry, NULL, NULL));
	raise_word(&called);
}

START_TEST(a_callback_cannot_stop_what_calls_it)
{
	ck_assert_int_eq(vitals_on_event(registry, stops, NULL), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	wait_word(&called);
	ck_assert_int_eq(atomic_load(&stop_says), -EDEADLK);
	ck_assert_int_eq(atomic_load(&on_event_says), -EDEADLK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notifier");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, is_there_again_after_a_stop_and_a_start);
	tcase_add_test(tc, a_new_callback_is_not_waited_for);
	tcase_add_test(tc, a_callback_cannot_stop_what_calls_it);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
