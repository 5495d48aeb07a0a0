/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "log.h"
#include "vitals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CROWD 500u
#define T VITALS_MS(400)
#define STUCK_NS VITALS_MS(1600)
#define TICK_NS (T / 8)
/* Of a machine that does something else. */
#define SLACK_NS VITALS_MS(SANITIZED ? 5000 : 1000)

static vitals_registry *registry;
static vitals_events *events;
static int log_fds[2];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t threads[CROWD];
static pthread_barrier_t together;
static _Atomic bool is_over;

static void *one_of_them(void *arg)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	(void)arg;
	VITALS_INIT(&options);
	options.start_ns = VITALS_S(60);
	if (!worker_check(vitals_heartbeat_new(registry, "worker", T, &options,
					       &heartbeat) == 0))
		return NULL;
	worker_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)pthread_barrier_wait(&together);
	worker_check(vitals_heartbeat_pulse(heartbeat) == 0);
	(void)pthread_mutex_lock(&lock);
	(void)pthread_mutex_unlock(&lock);
	/* Nobody is to be late once more. */
	worker_check(vitals_heartbeat_idle(heartbeat) == 0);
	while (!atomic_load(&is_over))
		(void)usleep(50000);
	vitals_heartbeat_close(heartbeat);
	vitals_heartbeat_unref(heartbeat);
	return NULL;
}

/* The first thread is who holds it. */
static void setup(void)
{
	pthread_attr_t attr;
	unsigned i;

	ck_assert_int_eq(vitals_registry_new(CROWD, &registry), 0);
	ck_assert_int_eq(pipe2(log_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(log_fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(vitals_log(registry, log_fds[1], NULL), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ck_assert_int_eq(pthread_mutex_lock(&lock), 0);
	ck_assert_int_eq(pthread_barrier_init(&together, NULL, CROWD), 0);
	ck_assert_int_eq(pthread_attr_init(&attr), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, (size_t)256 << 10), 0);
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_create(&threads[i], &attr, one_of_them, NULL),
				 0);
	(void)pthread_attr_destroy(&attr);
}

static void teardown(void)
{
	unsigned i;

	atomic_store(&is_over, true);
	for (i = 0; i < CROWD; i++)
		(void)pthread_join(threads[i], NULL);
	events = vitals_events_close(events);
	registry = vitals_registry_free(registry);
	(void)close(log_fds[0]);
	(void)close(log_fds[1]);
	worker_checks_passed();
}

/* Between the first of them to beat last, and the last of them: as they came to run. */
static uint64_t spread_ns;

/* Until each of them has come to it. Return: how much later than its time the worst was. */
static uint64_t all_become(int to, uint64_t limit_ns)
{
	uint64_t late_ns, beat_ns, worst_ns = 0, first_ns = UINT64_MAX, last_ns = 0;
	struct vitals_event event;
	unsigned n = 0;

	while (n < CROWD) {
		VITALS_INIT(&event);
		ck_assert_int_eq(vitals_events_next(events, VITALS_S(20), &event), 0);
		if (event.kind != VITALS_EVENT_HEARTBEAT || event.to != to)
			continue;
		late_ns = event.silence_ns - limit_ns;
		worst_ns = late_ns > worst_ns && limit_ns ? late_ns : worst_ns;
		beat_ns = event.at_ns - event.silence_ns;
		first_ns = beat_ns < first_ns ? beat_ns : first_ns;
		last_ns = beat_ns > last_ns ? beat_ns : last_ns;
		n++;
	}
	spread_ns = last_ns - first_ns;
	return worst_ns;
}

/* Return: of how many it is said that they wait for the lock. */
static unsigned those_in_the_lock(void)
{
	struct vitals_evidence evidence;
	vitals_snapshot *snapshot = NULL;
	unsigned n = 0, i;

	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	VITALS_INIT(&evidence);
	for (i = 0; vitals_snapshot_evidence(snapshot, i, &evidence) != -ENOENT; i++)
		n += evidence.lock == (uint64_t)(uintptr_t)&lock;
	snapshot = vitals_snapshot_free(snapshot);
	return n;
}

static uint64_t number_in(const char *line, const char *field, uint64_t otherwise)
{
	const char *at = strstr(line, field);

	return at ? strtoull(at + strlen(field), NULL, 10) : otherwise;
}

/* Lines that do not say what those threads do. */
static unsigned unknown;

/* What the lines since the last time stand for. Return: how many there are, but for repeats. */
static unsigned lines_read(const char *first, uint64_t *ret_reports)
{
	static char log[64 * VT_NEWS_LINE];
	ssize_t n = read(log_fds[0], log, sizeof(log) - 1);
	unsigned n_lines = 0;
	char *line, *rest = log;

	*ret_reports = 0;
	log[n > 0 ? n : 0] = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		(void)printf("%.160s\n", line);
		if (strstr(line, "the process did not run") ||
		    strstr(line, "reports were suppressed"))
			continue;
		unknown += strstr(line, " class=") == NULL;
		if (!n_lines)
			ck_assert_msg(strstr(line, first) != NULL, "%s", line);
		*ret_reports += strstr(line, " still ") ? 1
							: number_in(line, " threads=", 1);
		n_lines += !strstr(line, " still ");
	}
	return n_lines;
}

/* Did the log tell of them before all had been looked at? On a machine that does something else. */
static bool looks_took_too_long(void)
{
	const struct vt_log *log = vt_log_of(registry);

	return log->wait_ns && log->owed_ns >= log->wait_ns;
}

/* Of all of them. Return: in how many lines. */
static unsigned reports_await(const char *first)
{
	uint64_t reports, all = 0;
	unsigned n_lines = 0, i;

	for (i = 0; i < 100 && all < CROWD; i++) {
		(void)usleep(50000);
		n_lines += lines_read(n_lines ? "" : first, &reports);
		all += reports;
	}
	(void)printf("%u lines, %llu reports\n", n_lines, (unsigned long long)all);
	/* And repeats, of those told before. */
	ck_assert_uint_ge(all, CROWD);
	ck_assert_uint_le(all, CROWD + 50);
	return n_lines;
}

/* Silent, stuck and back, and what was found by no event. */
static void counts_expect(void)
{
	const struct vt_log *log = vt_log_of(registry);

	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_uint_ge(log->sinks[VT_LOG_LINES].printed, 3 * CROWD);
	ck_assert_uint_ge(log->sinks[VT_LOG_LINES].printed +
				  log->sinks[VT_LOG_LINES].suppressed,
			  3 * CROWD + log->repeats);
}

START_TEST(five_hundred_in_one_lock_are_told_in_time_and_in_one_line)
{
	uint64_t late_ns, apart_ns;
	unsigned n, i = 0;

	late_ns = all_become(VITALS_SILENT, T);
	(void)printf("silent: at most %.1f ms late, a tick is %.1f ms\n",
		     (double)late_ns / 1e6, (double)TICK_NS / 1e6);
	ck_assert_uint_lt(late_ns, 2 * TICK_NS + SLACK_NS);
	(void)printf("their last beats: within %.1f ms\n", (double)spread_ns / 1e6);
	/* That long a report waits for more of the same. */
	apart_ns = spread_ns + late_ns;
	(void)fflush(stdout);
	n = reports_await("threads are silent: ");
	/* Only then the machine does nothing else. */
	if (apart_ns < TICK_NS && !looks_took_too_long()) {
		ck_assert_uint_eq(unknown, 0);
		ck_assert_uint_eq(n, 1);
	}
	late_ns = all_become(VITALS_STUCK, STUCK_NS);
	(void)printf("stuck: at most %.1f ms late\n", (double)late_ns / 1e6);
	ck_assert_uint_lt(late_ns, 2 * TICK_NS + SLACK_NS);
	ck_assert_uint_le(reports_await("threads are "), 50);
#ifdef __GLIBC__
	for (; i < 100 && those_in_the_lock() < CROWD; i++)
		(void)usleep(50000);
	ck_assert_uint_eq(those_in_the_lock(), CROWD);
#endif
	ck_assert_uint_lt(i, 100);
	ck_assert_int_eq(pthread_mutex_unlock(&lock), 0);
	(void)all_become(VITALS_IDLE, 0);
	ck_assert_uint_le(reports_await(""), 50);
	counts_expect();
	(void)fflush(stdout);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crowd");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, five_hundred_in_one_lock_are_told_in_time_and_in_one_line);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
