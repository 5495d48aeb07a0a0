/* SPDX-License-Identifier: MIT */

/*
 * All at once, and nobody reading. The workers have roles: what beats only beats, what looks looks
 * until the others are done. VITALS_STRESS_SECONDS and VITALS_STRESS_THREADS make it long and wide.
 */

#include "chance.h"
#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "notifier.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
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

/* Who counts what, exactly. */
enum group {
	SHARED,
	BEATEN,
	PASSING,
	MIXED,
	GROUPS
};
static const char *const group_names[GROUPS] = { "shared", "beaten", "passing", "mixed" };
static _Atomic uint64_t pulses[GROUPS];
static _Atomic uint64_t firsts[GROUPS]; /* pulses that began something */

static _Atomic uint32_t beaters_left, over;
static vitals_heartbeat *shared;

#define BEATERS_MAX 64
#define BEATS_MIN 2000

static vitals_heartbeat *heartbeat_in(enum group group, const char *name, uint32_t flags,
				      uint64_t timeout_ns)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat = NULL;

	VITALS_INIT(&options);
	options.flags = flags;
	options.group = group_names[group];
	(void)worker_check(vitals_heartbeat_new(registry, name, timeout_ns, &options,
						&heartbeat) == 0);
	return heartbeat;
}

static bool is_over(void)
{
	return atomic_load_explicit(&over, memory_order_relaxed);
}

/* Beats its own, and the one of all; the third kind also touches, idles and asks. */
static void *beater_run(void *arg)
{
	uint32_t kind = *(const uint32_t *)arg % 4;
	enum group group = kind == 3 ? MIXED : BEATEN;
	vitals_heartbeat *mine;
	uint64_t beats;

	mine = heartbeat_in(group, "beater", kind == 1 ? VITALS_COARSE_HISTOGRAM : 0, T);
	if (!mine) {
		atomic_fetch_sub(&beaters_left, 1);
		return NULL;
	}
	(void)worker_check(vitals_heartbeat_own(mine) == 0);
	for (beats = 0; !is_over() || beats < BEATS_MIN; beats++) {
		(void)worker_check(vitals_heartbeat_pulse(mine) == 0);
		(void)worker_check(vitals_heartbeat_pulse(shared) == 0);
		if (kind == 3) {
			vitals_heartbeat_touch(mine);
			vitals_heartbeat_touch(shared);
			(void)vitals_heartbeat_due(mine);
			(void)vitals_heartbeat_due(shared);
			/* Ends what the pulse began: every pulse has its interval. */
			(void)worker_check(vitals_heartbeat_idle(mine) == 0);
		}
	}
	atomic_fetch_add(&pulses[group], beats);
	atomic_fetch_add(&firsts[group], kind == 3 ? 0 : 1);
	atomic_fetch_add(&pulses[SHARED], beats);
	/* Some leave it dead. */
	if (kind != 2)
		vitals_heartbeat_close(mine);
	(void)vitals_heartbeat_unref(mine);
	atomic_fetch_sub(&beaters_left, 1);
	return NULL;
}

/* As the beaters are done everybody is. */
static bool writers_done(void)
{
	return atomic_load(&beaters_left) == 0;
}

static void *registrar_run(void *arg)
{
	vitals_heartbeat *heartbeat;
	int i;

	while (!writers_done()) {
		heartbeat = heartbeat_in(PASSING, "passing",
					 arg ? VITALS_COARSE_HISTOGRAM : 0, VITALS_MS(1));
		if (!heartbeat)
			return NULL;
		if (arg)
			(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
		for (i = 0; i < 3; i++) {
			/* Without an owner it enters nothing. */
			VITALS_SCOPE(heartbeat, "pass", i ? VITALS_MS(i) : 0);

			(void)worker_check(vitals_heartbeat_pulse(heartbeat) == 0);
		}
		/* Closed in it. */
		(void)worker_check(vitals_heartbeat_enter(heartbeat, "close", 0) ==
				   (arg ? 1 : -EPERM));
		(void)vitals_heartbeat_ref(heartbeat);
		vitals_heartbeat_close(heartbeat);
		(void)worker_check(vitals_heartbeat_pulse(heartbeat) == -ECANCELED);
		(void)vitals_heartbeat_unref(heartbeat);
		(void)vitals_heartbeat_unref(heartbeat);
		atomic_fetch_add(&pulses[PASSING], 3);
		atomic_fetch_add(&firsts[PASSING], 1);
	}
	return NULL;
}

static int member_run(vitals_thread *self, void *arg)
{
	(void)arg;
	while (vitals_thread_go_on(self)) {
		VITALS_SCOPE(vitals_thread_heartbeat(self), "nap", VITALS_MS(1));

		(void)vitals_thread_sleep(self, VITALS_MS(1));
	}
	return 0;
}

/* A subtree that comes and goes. */
static void *forker_run(void *arg)
{
	vitals_quitter *root = arg, *pool;
	int i;

	while (!writers_done()) {
		if (!worker_check(vitals_quitter_new(root, "pool", NULL, &pool) == 0))
			return NULL;
		for (i = 0; i < 3; i++)
			(void)worker_check(vitals_thread_fork(pool, "member", i ? T : 0,
							      member_run, NULL,
							      NULL) == 0);
		(void)worker_check(vitals_quitter_hold(pool, "work") == 0);
		(void)worker_check(vitals_quitter_send_quit(pool, 0, "enough") == 0);
		(void)worker_check(vitals_quitter_release(pool, "work") == 0);
		(void)worker_check(vitals_quitter_wait_done(pool, VITALS_S(60), NULL) ==
				   0);
		(void)vitals_quitter_free(pool);
	}
	return NULL;
}

/* A scope of somebody else would be one of a slot that changed hands. */
static bool scope_known(const struct vitals_heartbeat_info *row)
{
	if (!row->scope_depth)
		return !row->scope[0];
	if (strncmp(row->name, "passing", 7) == 0)
		return strcmp(row->scope, "pass") == 0 ||
		       strcmp(row->scope, "close") == 0;
	return strncmp(row->name, "member", 6) == 0 && strcmp(row->scope, "nap") == 0;
}

static void heartbeats_look(vitals_snapshot *snapshot)
{
	struct vitals_heartbeat_info row;
	uint64_t counts[VITALS_BUCKETS_FINE], last = 0;
	uint32_t i;
	int r;

	VITALS_INIT(&row);
	for (i = 0; vitals_snapshot_heartbeat(snapshot, i, &row) == 0; i++) {
		(void)worker_check(row.state < VITALS_STATES &&
				   row.state != VITALS_CLOSED);
		(void)worker_check(scope_known(&row));
		(void)worker_check(row.name[0] && row.group_name[0]);
		(void)worker_check(row.id != last);
		(void)worker_check(row.pulses == 0 || row.max_ns <= VITALS_S(3600));
		last = row.id;
		r = vitals_snapshot_buckets(snapshot, i, counts, VITALS_BUCKETS_FINE);
		(void)worker_check(r == 0 || r == 2 || r == -ENODATA || r == -ENOENT);
	}
	for (i = 0; vitals_snapshot_worst(snapshot, i, &row) == 0; i++)
		(void)worker_check(row.state < VITALS_CLOSED);
}

/* What is asked for by its heartbeat rather than by a walk; and printed. */
static void *one_reader_run(void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	vitals_snapshot *snapshot = NULL;
	struct vitals_event event;
	vitals_events *events;

	VITALS_INIT(&event);
	while (!writers_done()) {
		if (!worker_check(vitals_events_open(registry, shared, &events) == 0) ||
		    !worker_check(vitals_snapshot_take(registry, &snapshot) == 0))
			break;
		(void)worker_check(vitals_snapshot_print(snapshot, null) == 0);
		(void)worker_check(vitals_events_fd(events) >= 0);
		while (vitals_events_next(events, VITALS_MS(1), &event) == 0)
			(void)worker_check(strcmp(event.name, "shared") == 0);
		(void)vitals_events_close(events);
	}
	(void)vitals_snapshot_free(snapshot);
	(void)close(null);
	return arg;
}

/*
 * A group's totals never shrink, though members leave it: but for one that is left so fast that no
 * walk finds it holding still.
 */
static void groups_look(vitals_snapshot *snapshot, struct vitals_group_info *before)
{
	struct vitals_group_info row;
	uint64_t counts[VITALS_BUCKETS_FINE];
	uint32_t i;
	int r;

	VITALS_INIT(&row);
	for (i = 0; i < GROUPS && vitals_snapshot_group(snapshot, i, &row) == 0; i++) {
		(void)worker_check(row.pulses >= before[i].pulses ||
				   strcmp(row.name, group_names[PASSING]) == 0);
		(void)worker_check(row.stalls >= before[i].stalls);
		(void)worker_check(row.late_pulses >= before[i].late_pulses);
		r = vitals_snapshot_group_buckets(snapshot, i, 0, counts);
		(void)worker_check(r == 0 || r == -ENOENT);
		before[i] = row;
	}
}

static void tree_look(vitals_snapshot *snapshot)
{
	struct vitals_quitter_info quitter;
	struct vitals_thread_info thread;
	uint32_t i;

	VITALS_INIT(&quitter);
	VITALS_INIT(&thread);
	for (i = 0; vitals_snapshot_quitter(snapshot, i, &quitter) == 0; i++)
		(void)worker_check(strncmp(quitter.path, "main", 4) == 0);
	for (i = 0; vitals_snapshot_thread(snapshot, i, &thread) == 0; i++)
		(void)worker_check(thread.name[0]);
}

static void *looker_run(void *arg)
{
	struct vitals_group_info before[GROUPS] = { 0 };
	struct vitals_process_info process;
	vitals_snapshot *snapshot = NULL;
	uint64_t turns = 0;

	VITALS_INIT(&process);
	while (!writers_done()) {
		if (!worker_check(vitals_snapshot_take(registry, &snapshot) == 0))
			break;
		heartbeats_look(snapshot);
		groups_look(snapshot, before);
		tree_look(snapshot);
		(void)worker_check(vitals_snapshot_process(snapshot, &process) == 0);
		(void)worker_check(process.turns >= turns);
		(void)worker_check(process.from_ns <= process.to_ns);
		turns = process.turns;
	}
	(void)vitals_snapshot_free(snapshot);
	return arg;
}

static void *event_reader_run(void *arg)
{
	struct vitals_event event;
	uint64_t number = 0;
	int r;

	VITALS_INIT(&event);
	while (!writers_done()) {
		r = vitals_events_next(arg, VITALS_MS(10), &event);
		(void)worker_check(r == 0 || r == -ETIMEDOUT);
		if (r == 0)
			(void)worker_check(event.number > number);
		number = r == 0 ? event.number : number;
	}
	return NULL;
}

static _Atomic uint64_t calls_seen;

static void count_call(const struct vitals_event *event, void *user)
{
	(void)worker_check(event->size == sizeof(*event) && user == &calls_seen);
	atomic_fetch_add(&calls_seen, 1);
}

static void totals_expect(void)
{
	struct vitals_group_info row;
	vitals_snapshot *snapshot = NULL;
	uint64_t total;
	uint32_t i;
	int g;

	atomic_fetch_add(&firsts[SHARED], 1);
	VITALS_INIT(&row);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	for (i = 0; vitals_snapshot_group(snapshot, i, &row) == 0; i++)
		for (g = 0; g < GROUPS; g++)
			if (strcmp(row.name, group_names[g]) == 0) {
				total = atomic_load(&pulses[g]) - atomic_load(&firsts[g]);
				ck_assert_msg(row.pulses == total, "%s: %llu of %llu",
					      row.name, (unsigned long long)row.pulses,
					      (unsigned long long)total);
			}
	snapshot = vitals_snapshot_free(snapshot);
}

/* Every change since it was opened, seen or lost; nothing else. */
static uint64_t changes_read(vitals_events *events)
{
	struct vitals_event event;
	uint64_t all = 0, number = 0;

	VITALS_INIT(&event);
	while (vitals_events_next(events, 0, &event) == 0) {
		ck_assert_uint_gt(event.number, number);
		number = event.number;
		all += 1 + event.lost;
	}
	return all;
}

START_TEST(everybody_works_at_once_and_everything_is_counted)
{
	uint32_t n = (uint32_t)number_from("VITALS_STRESS_THREADS", 8), i,
		 kinds[BEATERS_MAX];
	struct timespec left = { .tv_sec = (time_t)number_from("VITALS_STRESS_SECONDS",
							       2) };
	pthread_t beaters[BEATERS_MAX], others[8];
	vitals_events *read, *unread;
	vitals_quitter *root;

	n = n < 1 ? 1 : n > BEATERS_MAX ? BEATERS_MAX : n;
	shared = heartbeat_in(SHARED, "shared", 0, T);
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(60), NULL, &root), 0);
	ck_assert_int_eq(vitals_on_event(registry, count_call, &calls_seen), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &read), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &unread), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	atomic_store(&beaters_left, n);
	for (i = 0; i < n; i++) {
		kinds[i] = i;
		ck_assert_int_eq(pthread_create(&beaters[i], NULL, beater_run, &kinds[i]),
				 0);
	}
	ck_assert_int_eq(pthread_create(&others[0], NULL, registrar_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&others[1], NULL, registrar_run, &over), 0);
	ck_assert_int_eq(pthread_create(&others[2], NULL, looker_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&others[3], NULL, looker_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&others[4], NULL, event_reader_run, read), 0);
	ck_assert_int_eq(pthread_create(&others[5], NULL, forker_run, root), 0);
	ck_assert_int_eq(pthread_create(&others[6], NULL, one_reader_run, NULL), 0);

	while (nanosleep(&left, &left) < 0)
		continue;
	atomic_store(&over, 1);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(pthread_join(beaters[i], NULL), 0);
	for (i = 0; i < 7; i++)
		ck_assert_int_eq(pthread_join(others[i], NULL), 0);
	worker_checks_passed();
	totals_expect();
	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_uint_gt(atomic_load(&calls_seen), 0);
	ck_assert_uint_gt(changes_read(unread), 0);
	read = vitals_events_close(read);
	unread = vitals_events_close(unread);
	shared = vitals_heartbeat_unref(shared);
	root = vitals_quitter_free(root);
}
END_TEST

/* Nobody reads, and the callback never returns. */
#define READERS 64
#define FLAPPERS 8
#define FLAPS 50

static _Atomic uint32_t entered, release_word;
static _Atomic uint64_t callback_changes;

static void block(const struct vitals_event *event, void *user)
{
	(void)user;
	atomic_fetch_add(&callback_changes, 1 + event->lost);
	atomic_store(&entered, 1);
	vt_futex_wake(&entered, 1);
	while (!atomic_load(&release_word))
		(void)vt_futex_wait(&release_word, 0, UINT64_MAX);
}

static uint32_t state_of(const vitals_heartbeat *heartbeat)
{
	return atomic_load(&vt_heartbeat_cold(heartbeat)->state);
}

START_TEST(a_monitor_whose_events_nobody_reads_judges_on_time)
{
	const uint64_t tick = T / 8;
	vitals_heartbeat *flappers[FLAPPERS], *steady;
	vitals_events *all[READERS];
	uint64_t now = VITALS_S(100), beat, changes;
	int i, flap;

	for (i = 0; i < FLAPPERS; i++)
		ck_assert_int_eq(vt_heartbeat_new_at(registry, "flapper", T, NULL, now,
						     &flappers[i]),
				 0);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "steady", T, NULL, now, &steady),
			 0);
	/* Every other reader is for one heartbeat. */
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(vitals_events_open(registry,
						    i % 2 ? flappers[i / 2 % FLAPPERS]
							  : NULL,
						    &all[i]),
				 0);
	ck_assert_int_eq(vitals_on_event(registry, block, NULL), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	for (flap = 0; flap < FLAPS; flap++) {
		beat = now;
		for (i = 0; i < FLAPPERS; i++)
			ck_assert_int_eq(vt_heartbeat_pulse_at(flappers[i], now), 0);
		do {
			now += tick;
			ck_assert_int_eq(vt_heartbeat_pulse_at(steady, now), 0);
			ck_assert_int_eq(vitals_step(registry, now), 0);
			/* Neither early nor late. */
			for (i = 0; i < FLAPPERS; i++)
				ck_assert_uint_eq(state_of(flappers[i]),
						  now - beat > T ? VITALS_SILENT
								 : VITALS_HEALTHY);
		} while (now - beat <= T);
		ck_assert_uint_eq(state_of(steady), VITALS_HEALTHY);
		while (flap == 0 && !atomic_load(&entered))
			(void)vt_futex_wait(&entered, 0, UINT64_MAX);
	}
	/* Healthy and silent, each time; the steady one was healthy once. */
	changes = 2 * FLAPS * FLAPPERS + 1;
	ck_assert_uint_eq(atomic_load(&registry->root->changes), changes);
	for (i = 0; i < READERS; i++) {
		ck_assert_uint_eq(changes_read(all[i]), i % 2 ? 2 * FLAPS : changes);
		all[i] = vitals_events_close(all[i]);
	}
	atomic_store(&release_word, 1);
	vt_futex_wake(&release_word, 1);
	/* What the callback had missed is told before stop returns, or not at all. */
	while (atomic_load(&callback_changes) < changes)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_uint_eq(atomic_load(&callback_changes), changes);
	for (i = 0; i < FLAPPERS; i++)
		flappers[i] = vitals_heartbeat_unref(flappers[i]);
	steady = vitals_heartbeat_unref(steady);
}
END_TEST

static void ignore_event(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
}

#define STOPS 3000

/* A stop comes anywhere between two looks of the threads it stops. */
START_TEST(a_stop_is_never_slept_over)
{
	int i, k;

	for (i = 0; i < STOPS; i++) {
		ck_assert_int_eq(vitals_on_event(registry, ignore_event, NULL), 0);
		/* It looks round all the time, so that the stop comes while it does. */
		for (k = i % 64; k; k--)
			vt_notifier_wake(registry);
		if (i % 8 == 0)
			ck_assert_int_eq(vitals_start(registry), 0);
		ck_assert_int_eq(vitals_stop(registry), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = tcase_create("core");
	double seconds = (double)number_from("VITALS_STRESS_SECONDS", 2);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_monitor_whose_events_nobody_reads_judges_on_time);
	tcase_add_test(tc, a_stop_is_never_slept_over);
	suite_add_tcase(suite, tc);

	tc = tcase_create("stress");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60 + 3 * seconds);
	tcase_add_test(tc, everybody_works_at_once_and_everything_is_counted);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
