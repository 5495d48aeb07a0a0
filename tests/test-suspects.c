/* SPDX-License-Identifier: MIT */

/*
 * What the monitor finds out about real threads, as events and rows say it. In real time: what a
 * thread does is nothing that a clock of the test's own could say.
 */

#include "harness.h"

#include "clock.h"
#include "suspects.h"
#include "task.h"
#include "vitals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define T VITALS_MS(100)
#define SOON VITALS_S(20)

static vitals_registry *registry;
static vitals_events *events;
static _Atomic uint32_t stop;

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static int ends[2];

static void setup(void)
{
	atomic_store(&stop, 0);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void teardown(void)
{
	events = vitals_events_close(events);
	registry = vitals_registry_free(registry);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* A thread that beats once, does something for ever, and the next event of a kind and state. */
struct fault {
	const char *name;
	void (*happens)(void);
	vitals_heartbeat *heartbeat;
	pthread_t thread;
};

static void *falls_silent(void *arg)
{
	struct fault *fault = arg;

	worker_check(vitals_heartbeat_own(fault->heartbeat) == 0);
	worker_check(vitals_heartbeat_pulse(fault->heartbeat) == 0);
	fault->happens();
	(void)vitals_heartbeat_close(fault->heartbeat);
	return NULL;
}

static void fault_begin(struct fault *fault)
{
	ck_assert_int_eq(vitals_heartbeat_new(registry, fault->name, T, NULL,
					      &fault->heartbeat),
			 0);
	ck_assert_int_eq(pthread_create(&fault->thread, NULL, falls_silent, fault), 0);
}

static void fault_end(struct fault *fault)
{
	ck_assert_int_eq(pthread_join(fault->thread, NULL), 0);
	(void)vitals_heartbeat_unref(fault->heartbeat);
	worker_checks_passed();
}

static struct vitals_event event_of(uint32_t kind, int to)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	do
		ck_assert_int_eq(vitals_events_next(events, SOON, &event), 0);
	while (event.kind != kind || (kind == VITALS_EVENT_HEARTBEAT && event.to != to));
	return event;
}

/* The row says what the event has said. */
static void row_agrees(const struct vitals_event *event)
{
	struct vitals_heartbeat_info info;
	struct vitals_evidence evidence;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	VITALS_INIT(&evidence);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_int_eq(vitals_snapshot_evidence(snapshot, 0, &evidence), 0);
	ck_assert_uint_eq(info.thread_class, event->thread_class);
	ck_assert_uint_eq(evidence.thread_class, event->thread_class);
	ck_assert_uint_eq(evidence.tid, info.tid);
	ck_assert_uint_ge(evidence.looks, 1);
	(void)vitals_snapshot_free(snapshot);
}

static void spins(void)
{
	while (!atomic_load(&stop))
		continue;
}

static void receives(void)
{
	char byte;

	worker_check(recv(ends[0], &byte, 1, 0) == 1);
}

static void locks(void)
{
	worker_check(pthread_mutex_lock(&first) == 0);
	worker_check(pthread_mutex_unlock(&first) == 0);
}

START_TEST(says_that_a_thread_spins)
{
	struct fault fault = { .name = "spinner", .happens = spins };
	struct vitals_event event;

	fault_begin(&fault);
	event = event_of(VITALS_EVENT_HEARTBEAT, VITALS_STUCK);
	/* On a machine that does not let it run it is starved, or neither, and said to be. */
	ck_assert(event.thread_class == VITALS_SPINNING ||
		  event.thread_class == VITALS_STARVED ||
		  event.thread_class == VITALS_RUNNING);
	ck_assert_ptr_nonnull(strstr(event.doing, "% of a processor over"));
	row_agrees(&event);
	atomic_store(&stop, 1);
	fault_end(&fault);
}
END_TEST

START_TEST(says_what_a_thread_waits_for_and_forgets_it_when_it_goes_on)
{
	struct fault fault = { .name = "receiver", .happens = receives };
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	struct vitals_event event;

	fault_begin(&fault);
	event = event_of(VITALS_EVENT_HEARTBEAT, VITALS_SILENT);
	ck_assert_uint_eq(event.thread_class, VITALS_ON_IO);
	ck_assert_ptr_nonnull(strstr(event.doing, "a socket"));
	row_agrees(&event);
	ck_assert_int_eq(vitals_heartbeat_idle(fault.heartbeat), 0);
	event = event_of(VITALS_EVENT_HEARTBEAT, VITALS_IDLE);
	ck_assert_uint_eq(event.thread_class, VITALS_UNKNOWN);
	ck_assert_str_eq(event.doing, "");
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_str_eq(info.doing, "");
	(void)vitals_snapshot_free(snapshot);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	fault_end(&fault);
}
END_TEST

START_TEST(names_the_holder_of_the_lock)
{
	struct fault fault = { .name = "waiter", .happens = locks };
	struct vitals_event event;

	ck_assert_int_eq(vitals_lock_name(&first, "journal"), 0);
	(void)pthread_mutex_lock(&first);
	fault_begin(&fault);
	event = event_of(VITALS_EVENT_HEARTBEAT, VITALS_SILENT);
	ck_assert_uint_eq(event.thread_class, VITALS_ON_LOCK);
	ck_assert_ptr_nonnull(strstr(event.doing, "mutex journal"));
	ck_assert_ptr_nonnull(strstr(event.doing, "held by"));
	row_agrees(&event);
	(void)pthread_mutex_unlock(&first);
	(void)vitals_lock_name(&first, NULL);
	fault_end(&fault);
}
END_TEST

/* Timed, so that the test ends. */
static void crosses(pthread_mutex_t *one, pthread_mutex_t *other)
{
	struct timespec until;

	(void)pthread_mutex_lock(one);
	(void)pthread_barrier_wait(&barrier);
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	worker_check(pthread_mutex_timedlock(other, &until) == ETIMEDOUT ||
		     pthread_mutex_unlock(other) == 0);
	(void)pthread_mutex_unlock(one);
}

static void crosses_there(void)
{
	crosses(&first, &second);
}

static void crosses_back(void)
{
	crosses(&second, &first);
}

START_TEST(tells_of_a_deadlock_once_whichever_of_its_threads_is_seen)
{
	struct fault there = { .name = "there", .happens = crosses_there };
	struct fault back = { .name = "back", .happens = crosses_back };
	struct vitals_process_info process;
	vitals_snapshot *snapshot = NULL;
	struct vitals_event event;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	fault_begin(&there);
	fault_begin(&back);
	event = event_of(VITALS_EVENT_DEADLOCK, 0);
	ck_assert_uint_eq(event.threads, 2);
	ck_assert_ptr_nonnull(strstr(event.doing, "there waits for mutex"));
	ck_assert_ptr_nonnull(strstr(event.doing, "back waits for mutex"));
	(void)event_of(VITALS_EVENT_HEARTBEAT, VITALS_STUCK);
	(void)event_of(VITALS_EVENT_HEARTBEAT, VITALS_STUCK);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &process), 0);
	ck_assert_uint_eq(process.deadlocks, 1);
	(void)vitals_snapshot_free(snapshot);
	fault_end(&there);
	fault_end(&back);
}
END_TEST

/* In no circle, but behind one: it waits, gives up and goes on, again and again. */
static void *waits_behind(void *arg)
{
	vitals_heartbeat *heartbeat = arg;
	struct timespec until;

	worker_check(vitals_heartbeat_own(heartbeat) == 0);
	while (!atomic_load(&stop)) {
		worker_check(vitals_heartbeat_pulse(heartbeat) == 0);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 300000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_mutex_timedlock(&first, &until) == 0)
			worker_check(pthread_mutex_unlock(&first) == 0);
	}
	vitals_heartbeat_close(heartbeat);
	return NULL;
}

static bool deadlock_over(void)
{
	struct vitals_finding_info info;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_finding(snapshot, 0, &info), 0);
	(void)vitals_snapshot_free(snapshot);
	ck_assert_uint_eq(info.kind, VITALS_EVENT_DEADLOCK);
	return info.over;
}

START_TEST(a_deadlock_lasts_whoever_else_goes_on_and_ends_with_its_threads)
{
	struct fault there = { .name = "there", .happens = crosses_there };
	struct fault back = { .name = "back", .happens = crosses_back };
	struct vitals_event event;
	vitals_heartbeat *behind;
	unsigned told = 0, recovered = 0;
	uint64_t until_ns;
	pthread_t thread;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "behind", T, NULL, &behind), 0);
	fault_begin(&there);
	fault_begin(&back);
	ck_assert_int_eq(pthread_create(&thread, NULL, waits_behind, behind), 0);
	until_ns = vt_clock_now() + VITALS_MS(1600);
	VITALS_INIT(&event);
	while (vt_clock_now() < until_ns)
		if (vitals_events_next(events, VITALS_MS(20), &event) == 0) {
			told += event.kind == VITALS_EVENT_DEADLOCK;
			recovered += event.kind == VITALS_EVENT_HEARTBEAT &&
				     event.to == VITALS_HEALTHY &&
				     strcmp(event.name, "behind") == 0;
		}
	ck_assert_uint_gt(recovered, 1);
	ck_assert_uint_eq(told, 1);
	ck_assert(!deadlock_over());
	fault_end(&there);
	fault_end(&back);
	atomic_store(&stop, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	(void)vitals_heartbeat_unref(behind);
	until_ns = vt_clock_now() + SOON;
	while (!deadlock_over() && vt_clock_now() < until_ns)
		(void)usleep(10000);
	ck_assert(deadlock_over());
}
END_TEST

static int stays(vitals_thread *self, void *unused)
{
	char byte;

	(void)self;
	(void)unused;
	return recv(ends[0], &byte, 1, 0) == 1 ? 0 : 1;
}

START_TEST(a_late_row_says_what_the_thread_is_doing)
{
	struct vitals_thread_info info;
	vitals_quitter *quitter;
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(20), NULL, &quitter),
			 0);
	ck_assert_int_eq(vitals_thread_fork(quitter, "stays", 0, stays, NULL, NULL), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, "test"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_MS(400), &late),
			 -ETIMEDOUT);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_uint_eq(info.thread_class, VITALS_ON_IO);
	ck_assert_ptr_nonnull(strstr(info.doing, "a socket"));
	late = vitals_snapshot_free(late);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, SOON, NULL), 0);
	vitals_quitter_free(quitter);
}
END_TEST

/* It waits for a message, then for a lock, with a beat in between. */
static int stays_elsewhere(vitals_thread *self, void *unused)
{
	char byte;

	(void)unused;
	worker_check(recv(ends[0], &byte, 1, 0) == 1);
	worker_check(vitals_heartbeat_pulse(vitals_thread_heartbeat(self)) == 0);
	atomic_store(&stop, 1);
	locks();
	return 0;
}

START_TEST(a_late_row_says_nothing_that_was_before_the_last_beat)
{
	struct vitals_thread_info info;
	vitals_quitter *quitter;
	vitals_snapshot *late;

	(void)pthread_mutex_lock(&first);
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(20), NULL, &quitter),
			 0);
	ck_assert_int_eq(vitals_thread_fork(quitter, "stays", VITALS_S(60),
					    stays_elsewhere, NULL, NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, "test"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_MS(100), &late),
			 -ETIMEDOUT);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_ptr_nonnull(strstr(info.doing, "a socket"));
	late = vitals_snapshot_free(late);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	while (!atomic_load(&stop))
		(void)usleep(1000);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, 0, &late), -ETIMEDOUT);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_str_eq(info.doing, "");
	late = vitals_snapshot_free(late);
	(void)pthread_mutex_unlock(&first);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, SOON, NULL), 0);
	vitals_quitter_free(quitter);
	worker_checks_passed();
}
END_TEST

START_TEST(nobody_is_looked_at_for_starting)
{
	struct vitals_evidence evidence;
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	vitals_quitter *quitter;

	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(20), NULL, &quitter),
			 0);
	ck_assert_int_eq(
		vitals_thread_fork(quitter, "slow", VITALS_S(8), stays, NULL, NULL), 0);
	/* Long enough for some looks at it, and not for half its time. */
	(void)usleep(1200000);
	VITALS_INIT(&info);
	VITALS_INIT(&evidence);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_uint_eq(info.state, VITALS_STARTING);
	ck_assert_int_eq(vitals_snapshot_evidence(snapshot, 0, &evidence), -ENODATA);
	(void)vitals_snapshot_free(snapshot);
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, "test"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, SOON, NULL), 0);
	vitals_quitter_free(quitter);
}
END_TEST

static void *ends_at_once(void *arg)
{
	worker_check(vitals_heartbeat_own(arg) == 0);
	worker_check(vitals_heartbeat_pulse(arg) == 0);
	return NULL;
}

START_TEST(says_that_a_thread_has_ended)
{
	vitals_heartbeat *heartbeat;
	struct vitals_event event;
	pthread_t thread;

	ck_assert_int_eq(vitals_heartbeat_new(registry, "mortal", T, NULL, &heartbeat),
			 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, ends_at_once, heartbeat), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	event = event_of(VITALS_EVENT_HEARTBEAT, VITALS_DEAD);
	ck_assert_uint_eq(event.thread_class, VITALS_GONE);
	(void)vitals_heartbeat_unref(heartbeat);
	worker_checks_passed();
}
END_TEST

/* What the slot has, and for whom. */
static struct vitals_evidence record_of(struct vt_evidence_slot *slot)
{
	struct vitals_evidence evidence;
	uint64_t words[VT_EVIDENCE_WORDS];
	unsigned i;

	for (i = 0; i < VT_EVIDENCE_WORDS; i++)
		words[i] = atomic_load(&slot->words[i]);
	memcpy(&evidence, words, sizeof(evidence));
	return evidence;
}

START_TEST(what_there_is_no_time_for_is_not_said_by_an_earlier_stall)
{
	struct vt_suspect_key key = { .kind = VT_KIND_HOT, .gen = 1 };
	struct vt_evidence_slot slot = { 0 };
	struct vt_suspects suspects = { 0 };
	struct vt_tick tick = { 0 };
	uint64_t before_ns = vt_clock_now();

	/* The test is the monitor now. */
	ck_assert_int_eq(vitals_stop(registry), 0);
	key.tid = vt_task_self();
	key.since = before_ns;
	ck_assert_int_eq(vitals_evidence_set(registry, VITALS_EVIDENCE_ON), 0);
	vt_suspects_turn(&suspects, 0);
	(void)vt_suspects_take(registry, &suspects, &key, false, &slot, &tick);
	ck_assert_uint_eq(record_of(&slot).reason, VITALS_REASON_NONE);
	ck_assert_uint_eq(record_of(&slot).tid, key.tid);
	/* The turn's time is up: of this stall there is something already, of the next not. */
	vt_suspects_turn(&suspects, 1);
	ck_assert(!vt_suspects_take(registry, &suspects, &key, false, &slot, &tick));
	ck_assert_uint_eq(record_of(&slot).reason, VITALS_REASON_NONE);
	key.since = vt_clock_now();
	ck_assert(!vt_suspects_take(registry, &suspects, &key, false, &slot, &tick));
	ck_assert_uint_eq(record_of(&slot).reason, VITALS_REASON_NO_TIME);
	vt_suspects_end(registry, &suspects, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("suspects");
	TCase *tcase = tcase_create("core");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, says_that_a_thread_spins);
	tcase_add_test(tcase,
		       says_what_a_thread_waits_for_and_forgets_it_when_it_goes_on);
	tcase_add_test(tcase, names_the_holder_of_the_lock);
	tcase_add_test(tcase, tells_of_a_deadlock_once_whichever_of_its_threads_is_seen);
	tcase_add_test(tcase,
		       a_deadlock_lasts_whoever_else_goes_on_and_ends_with_its_threads);
	tcase_add_test(tcase, a_late_row_says_what_the_thread_is_doing);
	tcase_add_test(tcase, a_late_row_says_nothing_that_was_before_the_last_beat);
	tcase_add_test(tcase, nobody_is_looked_at_for_starting);
	tcase_add_test(tcase, says_that_a_thread_has_ended);
	tcase_add_test(tcase, what_there_is_no_time_for_is_not_said_by_an_earlier_stall);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
