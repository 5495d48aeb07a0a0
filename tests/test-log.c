/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "chance.h"
#include "clock.h"
#include "heartbeat.h"
#include "log.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS VITALS_MS(1)
#define S VITALS_S(1)
#define MANY 500u
#define FLAPS (SANITIZED ? 1500u : 6000u)

static vitals_registry *registry;
static uint64_t now;
static int reading = -1, writing = -1;

/* What came out: lines without their time, and how many reports they stand for. */
#define LINES_MAX 2000
static char lines[LINES_MAX][VT_NEWS_LINE];
static unsigned n_lines;
static uint64_t reports, suppressed;

static char partial[2 * VT_NEWS_LINE];

/* The heap, which is nobody's while a line is written. */
static _Atomic int counting, allocations;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	allocations += counting;
	return __real_malloc(size);
}

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = S * 100;
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	reading = fds[0];
	writing = fds[1];
	ck_assert_int_eq(fcntl(reading, F_SETFL, O_NONBLOCK), 0);
	n_lines = 0;
	reports = suppressed = 0;
	partial[0] = 0;
}

static void teardown(void)
{
	registry = vitals_registry_free(registry);
	(void)close(reading);
	(void)close(writing);
}

static uint64_t number_in(const char *line, const char *field, uint64_t otherwise)
{
	const char *at = strstr(line, field);

	return at ? strtoull(at + strlen(field), NULL, 10) : otherwise;
}

static void line_take(const char *line)
{
	const char *level = strstr(line, " level=");

	ck_assert_msg(strncmp(line, "time=20", 7) == 0 && level, "%s", line);
	ck_assert_uint_lt(n_lines, LINES_MAX);
	(void)snprintf(lines[n_lines++], sizeof(lines[0]), "%s", level + 1);
	suppressed += number_in(line, " suppressed=", 0);
	if (strstr(line, "were suppressed"))
		return;
	reports += strstr(line, " still ") ? 1 : number_in(line, " threads=", 1);
}

static void receive(void)
{
	size_t has = strlen(partial);
	char *end;
	ssize_t n;

	while ((n = read(reading, partial + has, sizeof(partial) - 1 - has)) > 0) {
		partial[has + (size_t)n] = 0;
		while ((end = strchr(partial, '\n'))) {
			*end = 0;
			line_take(partial);
			memmove(partial, end + 1, strlen(end + 1) + 1);
		}
		has = strlen(partial);
	}
}

static void pass(uint64_t ns, uint64_t tick_ns)
{
	uint64_t until = now + ns;

	while (now < until) {
		now = until - now > tick_ns ? now + tick_ns : until;
		ck_assert_int_eq(vitals_step(registry, now), 0);
		receive();
	}
}

static vitals_heartbeat *made(const char *name, uint64_t timeout_ns)
{
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(vt_heartbeat_new_at(registry, name, timeout_ns, NULL, now,
					     &heartbeat),
			 0);
	return heartbeat;
}

static void beat(vitals_heartbeat *heartbeat)
{
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
}

static uint64_t the_lock;

static uint64_t locked(vitals_registry *from, uint32_t index, uint32_t gen)
{
	(void)from;
	(void)index;
	(void)gen;
	return the_lock;
}

static void log_to_pipe(uint32_t lines_per_minute)
{
	struct vt_log_terms terms = { .fd = writing,
				      .file = vt_file_of(writing),
				      .lines_per_minute = lines_per_minute,
				      .lock_of = locked };

	the_lock = 0;
	ck_assert_int_eq(vt_log_ask(registry, VT_LOG_LINES, true, &terms), 0);
}

static const struct vt_log_sink *sink(void)
{
	return &vt_log_of(registry)->sinks[VT_LOG_LINES];
}

START_TEST(a_line_says_what_is_known)
{
	vitals_heartbeat *heartbeat = made("a \"b\"=c", S);

	ck_assert_int_eq(vitals_log(registry, writing, NULL), 0);
	beat(heartbeat);
	pass(2 * S, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
	ck_assert_str_eq(lines[0],
			 "level=error msg=\"a \\\"b\\\"=c is silent\" "
			 "heartbeat=\"a \\\"b\\\"=c\" state=silent silence=1.125s "
			 "timeout=1s suppressed=0");
	beat(heartbeat);
	pass(2 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 2);
	ck_assert_msg(strstr(lines[1], "level=info msg=\"a \\\"b\\\"=c has recovered\""),
		      "%s", lines[1]);
	ck_assert_ptr_nonnull(strstr(lines[1], " lasted="));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(a_stall_of_ten_minutes_is_a_dozen_lines)
{
	static const uint64_t timeouts[] = { 20 * MS, 100 * MS, S, 5 * S, 30 * S };
	uint64_t timeout_ns = timeouts[_i];
	vitals_heartbeat *heartbeat = made("worker", timeout_ns);
	uint64_t tick_ns = timeout_ns / 8 > S ? S : timeout_ns / 8;
	unsigned i;

	log_to_pipe(60);
	beat(heartbeat);
	pass(600 * S, tick_ns);
	for (i = 0; i < 40; i++) {
		beat(heartbeat);
		pass(timeout_ns / 8, tick_ns);
	}
	ck_assert_uint_ge(n_lines, 5);
	(void)printf("%u lines\n", n_lines);
	ck_assert_uint_le(n_lines, 12);
	ck_assert_ptr_nonnull(strstr(lines[0], "worker is silent"));
	ck_assert_ptr_nonnull(strstr(lines[n_lines - 2], "worker is still stuck"));
	ck_assert_ptr_nonnull(strstr(lines[n_lines - 1], "worker has recovered"));
	ck_assert_uint_eq(suppressed, 0);
	ck_assert_uint_eq(reports, n_lines);
	/* Two edges, and how it ended: the others are repeats. */
	ck_assert_uint_eq(sink()->printed, n_lines);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static vitals_heartbeat *crowd[MANY];

static void crowd_made(unsigned n, uint64_t timeout_ns)
{
	char name[32];
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "worker-%u", i + 1);
		crowd[i] = made(name, timeout_ns);
		beat(crowd[i]);
	}
}

static void crowd_beats(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		beat(crowd[i]);
}

static void crowd_freed(unsigned n)
{
	while (n)
		vitals_heartbeat_unref(crowd[--n]);
}

START_TEST(five_hundred_in_one_lock_are_one_report)
{
	uint64_t before;

	log_to_pipe(60);
	the_lock = 0x5581;
	crowd_made(MANY, S);
	pass(S / 2, 125 * MS);
	/* Not all at the same moment. */
	crowd_beats(MANY / 2);
	the_lock = 0x5581;
	pass(SANITIZED ? 60 * S : 600 * S, 125 * MS);
	ck_assert_uint_le(n_lines, 13);
	ck_assert_msg(strstr(lines[0], "threads are silent: worker-"), "%s", lines[0]);
	ck_assert_ptr_nonnull(strstr(lines[0], " more\" threads="));
	ck_assert_ptr_nonnull(
		strstr(lines[n_lines - 1], "msg=\"500 threads are still stuck: "));
	before = n_lines;
	crowd_beats(MANY);
	pass(S, 125 * MS);
	ck_assert_uint_eq(n_lines, before + 1);
	ck_assert_ptr_nonnull(
		strstr(lines[n_lines - 1], "msg=\"500 threads have recovered: "));
	ck_assert_uint_eq(suppressed, 0);
	/* Silent, stuck and back, each of all; the others are repeats. */
	ck_assert_uint_gt(reports, 3 * MANY);
	ck_assert_uint_lt(reports, 3 * MANY + 12);
	crowd_freed(MANY);
}
END_TEST

START_TEST(five_hundred_at_once_say_five_hundred)
{
	log_to_pipe(60);
	the_lock = _i ? 0x5581 : 0;
	crowd_made(MANY, S);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
	ck_assert_str_eq(lines[0], "level=error msg=\"500 threads are silent: worker-1, "
				   "worker-2, worker-3 and 497 more\" threads=500 "
				   "state=silent silence=1.125s timeout=1s suppressed=0");
	crowd_freed(MANY);
}
END_TEST

START_TEST(eight_without_a_lock_in_common_are_told_one_by_one)
{
	log_to_pipe(60);
	crowd_made(8, S);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 8);
	ck_assert_ptr_nonnull(strstr(lines[7], "heartbeat=worker-8 "));
	crowd_freed(8);
}
END_TEST

START_TEST(three_in_one_lock_are_one_report)
{
	log_to_pipe(60);
	the_lock = 0x5581;
	crowd_made(3, S);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
	ck_assert_ptr_nonnull(strstr(lines[0], "msg=\"3 threads are silent: worker-1, "
					       "worker-2 and worker-3\" threads=3 "));
	crowd_beats(3);
	pass(S, 125 * MS);
	ck_assert_uint_eq(n_lines, 2);
	ck_assert_ptr_nonnull(strstr(lines[1], "msg=\"3 threads have recovered: "));
	crowd_freed(3);
}
END_TEST

START_TEST(there_are_no_more_lines_than_asked_for)
{
	unsigned i;

	log_to_pipe(5);
	crowd_made(8, S);
	for (i = 0; i < 60; i++) {
		pass(5 * S, 125 * MS);
		crowd_beats(8);
	}
	/* Five minutes, and the one that was saved up. */
	ck_assert_uint_le(n_lines, 5 * 5 + 5);
	ck_assert_uint_ge(n_lines, 5 * 5);
	ck_assert_uint_gt(suppressed, 100);
	crowd_freed(8);
}
END_TEST

/* A minute later, if there is nothing else to say. */
START_TEST(what_was_suppressed_is_told_in_the_end)
{
	unsigned i;

	log_to_pipe(2);
	crowd_made(8, S);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 2);
	for (i = 0; i < 130; i++) {
		crowd_beats(8);
		pass(S / 2, 125 * MS);
	}
	ck_assert_uint_eq(n_lines, 3);
	ck_assert_str_eq(lines[2],
			 "level=warning msg=\"reports were suppressed\" suppressed=14");
	ck_assert_uint_eq(sink()->untold, 0);
	crowd_freed(8);
}
END_TEST

/* Of a terminal that nobody reads the last line may be there in part. */
START_TEST(a_line_that_was_cut_short_spoils_no_other)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave;
	struct vt_news news = { .kind = VT_NEWS_FINDING, .threads = 2, .reports = 1 };
	static char all[1 << 20];
	size_t has = 0, found = 0;
	unsigned i;
	ssize_t n;
	char *at;

	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal) | unlockpt(terminal), 0);
	slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(vitals_log(registry, slave, NULL), 0);
	vt_log_of(registry)->terms.lines_per_minute = 100000;
	memset(news.event.doing, 'x', sizeof(news.event.doing) - 1);
	for (i = 0; i < 2000; i++) {
		vt_log_tell(vt_log_of(registry), &news, now);
		if (i % 100 == 0)
			while ((n = read(terminal, all + has, sizeof(all) - has)) > 0)
				has += (size_t)n;
	}
	while ((n = read(terminal, all + has, sizeof(all) - has)) > 0)
		has += (size_t)n;
	ck_assert_uint_gt(sink()->suppressed, 1000);
	ck_assert_uint_eq(sink()->printed + sink()->suppressed, 2000);
	for (at = all; (at = memmem(at, has - (size_t)(at - all), "time=20", 7)); at++) {
		ck_assert(at == all || at[-1] == '\n');
		found++;
	}
	ck_assert_uint_ge(found, sink()->printed);
	(void)close(slave);
	(void)close(terminal);
}
END_TEST

/* One that is closed while it is silent has no event: no line either. */
START_TEST(who_is_closed_is_not_told_again)
{
	vitals_heartbeat *heartbeat = made("worker", S);

	log_to_pipe(60);
	beat(heartbeat);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
	vitals_heartbeat_close(heartbeat);
	vitals_heartbeat_unref(heartbeat);
	pass(100 * S, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
}
END_TEST

START_TEST(who_flaps_is_told_less_and_less)
{
	vitals_heartbeat *heartbeat = made("worker", 20 * MS);
	uint64_t edges;
	unsigned i;

	log_to_pipe(1000);
	beat(heartbeat);
	for (i = 0; i < FLAPS; i++) {
		pass(30 * MS, 5 * MS);
		beat(heartbeat);
		pass(10 * MS, 5 * MS);
	}
	edges = registry->root->changes - 1;
	ck_assert_uint_gt(edges, 11 * FLAPS / 6);
	/* 240 s: after 1, 2, 4 … 64 s, twice each. */
	ck_assert_uint_le(n_lines, 24);
	ck_assert_uint_ge(n_lines, 8);
	pass(100 * S, 5 * MS);
	beat(heartbeat);
	pass(100 * S, 5 * MS);
	ck_assert_uint_eq(sink()->printed, reports);
	ck_assert_uint_eq(sink()->suppressed, suppressed);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* Told late, as it was told of just before, but told. */
START_TEST(who_flaps_and_then_stalls_is_told)
{
	vitals_heartbeat *heartbeat = made("worker", 20 * MS);
	unsigned i, before;

	log_to_pipe(60);
	beat(heartbeat);
	for (i = 0; i < 100; i++) {
		pass(30 * MS, 5 * MS);
		beat(heartbeat);
		pass(10 * MS, 5 * MS);
	}
	before = n_lines;
	pass(20 * S, 5 * MS);
	ck_assert_uint_gt(n_lines, before);
	ck_assert_ptr_nonnull(strstr(lines[n_lines - 1], "worker is still stuck"));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

#define CHANCES 24u

/* Counts what is found from outside: by a reader of events, and the repeats as they come. */
START_TEST(printed_and_suppressed_are_what_was_found)
{
	struct chance chance = { chance_seed("VITALS_LOG_SEED") + (uint64_t)_i };
	uint64_t edges = 0, repeats, beats_until[CHANCES] = { 0 }, seed = chance.state;
	uint32_t limit = 1 + (uint32_t)chance_below(&chance, 100);
	struct vitals_event event;
	vitals_events *events;
	unsigned i, round;

	(void)printf("VITALS_LOG_SEED=%llu\n", (unsigned long long)seed);
	log_to_pipe(limit);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	crowd_made(CHANCES, 100 * MS);
	/* Quiet at the end for long enough that the last of it is told. */
	for (round = 0; round < 4500; round++) {
		if (round < 2500)
			the_lock = chance_below(&chance, 3) ? 0 : 0x1000;
		for (i = 0; i < CHANCES; i++) {
			if (now >= beats_until[i] && !chance_below(&chance, 40))
				beats_until[i] = now + chance_below(&chance, 8 * S);
			if (now < beats_until[i] || round >= 2500)
				beat(crowd[i]);
		}
		pass(50 * MS, 25 * MS);
		VITALS_INIT(&event);
		while (vitals_events_next(events, 0, &event) == 0) {
			bool bad = event.to == VITALS_SILENT || event.to == VITALS_STUCK;

			ck_assert_uint_eq(event.lost, 0);
			edges += event.kind == VITALS_EVENT_PAUSE || bad ||
				 event.from == VITALS_SILENT ||
				 event.from == VITALS_STUCK;
		}
	}
	ck_assert_uint_eq(sink()->printed, reports);
	ck_assert_uint_eq(sink()->suppressed, suppressed);
	repeats = vt_log_of(registry)->repeats;
	ck_assert_uint_eq(reports + suppressed, edges + repeats);
	ck_assert_uint_gt(edges, 100);
	vitals_events_close(events);
	crowd_freed(CHANCES);
}
END_TEST

START_TEST(nobody_waits_for_a_stuck_reader)
{
	vitals_heartbeat *heartbeat = made("worker", S);
	char junk[4096];
	unsigned i;

	memset(junk, 'x', sizeof(junk));
	junk[sizeof(junk) - 1] = '\n';
	(void)fcntl(writing, F_SETFL, O_NONBLOCK);
	while (write(writing, junk, sizeof(junk)) > 0)
		continue;
	(void)fcntl(writing, F_SETFL, 0);
	log_to_pipe(60);
	beat(heartbeat);
	for (i = 0; i < 5 * 8; i++) {
		now += 125 * MS;
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
	/* Silent, still, stuck. */
	ck_assert_uint_eq(sink()->printed, 0);
	ck_assert_uint_eq(sink()->suppressed, 3);
	while (read(reading, junk, sizeof(junk)) > 0)
		continue;
	beat(heartbeat);
	pass(S, 125 * MS);
	ck_assert_uint_eq(n_lines, 1);
	ck_assert_msg(strstr(lines[0], "has recovered") &&
			      strstr(lines[0], " suppressed=3"),
		      "%s", lines[0]);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(another_file_at_its_number_gets_nothing)
{
	vitals_heartbeat *heartbeat = made("worker", S);
	char dir[TEMP_PATH_MAX], path[TEMP_PATH_MAX + 8];
	int fd;

	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/other", dir);
	log_to_pipe(60);
	beat(heartbeat);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup2(fd, writing), writing);
	pass(10 * S, 125 * MS);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_assert_uint_gt(sink()->suppressed, 2);
	/* Nor is there one at all. */
	(void)close(writing);
	pass(10 * S, 125 * MS);
	(void)close(fd);
	temp_dir_remove(dir);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(a_forked_child_writes_nothing)
{
	vitals_heartbeat *heartbeat = made("worker", S);
	pid_t pid;

	log_to_pipe(60);
	/* Something is being gathered. */
	vt_log_of(registry)->terms.gather_ns = 3 * S;
	beat(heartbeat);
	pass(3 * S / 2, 125 * MS);
	pid = fork();
	if (!pid) {
		child_alarm(10);
		for (; now < 110 * S; now += 125 * MS)
			(void)vitals_step(registry, now);
		vt_log_turn_at(registry, now);
		vt_log_last_at(registry, now);
		_exit(0);
	}
	child_passed(pid);
	receive();
	ck_assert_uint_eq(n_lines, 0);
	pass(3 * S, 125 * MS);
	ck_assert_uint_ge(n_lines, 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static void interrupted(int signo)
{
	(void)signo;
}

START_TEST(signals_lose_no_line)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct itimerval often = { { 0, 200 }, { 0, 200 } },
			 never = { { 0, 0 }, { 0, 0 } };

	log_to_pipe(60);
	crowd_made(8, S);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	pass(20 * S, 125 * MS);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_uint_gt(n_lines, 20);
	ck_assert_uint_eq(suppressed, 0);
	ck_assert_uint_eq(sink()->printed, reports);
	crowd_freed(8);
}
END_TEST

/* Nor stdio, whose lock somebody holds. */
START_TEST(no_line_takes_memory_from_the_heap)
{
	log_to_pipe(60);
	crowd_made(8, S);
	flockfile(stderr);
	flockfile(stdout);
	counting = 1;
	while (now < 120 * S) {
		now += 125 * MS;
		(void)vitals_step(registry, now);
	}
	counting = 0;
	funlockfile(stdout);
	funlockfile(stderr);
	ck_assert_int_eq(allocations, 0);
	receive();
	ck_assert_uint_gt(n_lines, 20);
	crowd_freed(8);
}
END_TEST

/* A thread that reads events was stopped while it had the lock. */
START_TEST(a_reader_of_events_that_is_stopped_keeps_nobody)
{
	vitals_heartbeat *heartbeat = made("worker", S);

	log_to_pipe(60);
	beat(heartbeat);
	pass(S, 125 * MS);
	vt_lock(&registry->events_lock);
	/* As if something had come just before. */
	vt_log_of(registry)->read = 0;
	pass(S, 125 * MS);
	ck_assert_uint_eq(n_lines, 0);
	vt_unlock(&registry->events_lock);
	pass(S, 125 * MS);
	ck_assert_uint_ge(n_lines, 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* What was just being gathered is told before nobody looks any more. */
START_TEST(stopping_tells_what_was_gathered)
{
	struct vitals_log_options options;
	vitals_heartbeat *heartbeat = made("worker", S);

	VITALS_INIT(&options);
	options.gather_ns = 100 * S;
	ck_assert_int_eq(vitals_log(registry, writing, &options), 0);
	beat(heartbeat);
	pass(3 * S / 2, 125 * MS);
	ck_assert_uint_eq(n_lines, 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	receive();
	ck_assert_uint_eq(n_lines, 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static struct gate gate;

static void kept(const struct vitals_event *event, void *user)
{
	(void)event;
	gate_pass(user);
}

START_TEST(a_callback_that_blocks_keeps_no_line_back)
{
	vitals_registry *own;
	vitals_heartbeat *heartbeat;
	uint64_t until_ns;

	ck_assert_int_eq(vitals_registry_new(0, &own), 0);
	ck_assert_int_eq(vitals_on_event(own, kept, &gate), 0);
	ck_assert_int_eq(vitals_log(own, writing, NULL), 0);
	ck_assert_int_eq(vitals_heartbeat_new(own, "worker", 50 * MS, NULL, &heartbeat),
			 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	until_ns = vt_clock_now() + 20 * S;
	while (n_lines < 3 && vt_clock_now() < until_ns) {
		nap();
		receive();
	}
	ck_assert_uint_ge(n_lines, 3);
	gate_open(&gate);
	vitals_heartbeat_unref(heartbeat);
	own = vitals_registry_free(own);
}
END_TEST

/* Whatever is being written just then. */
START_TEST(it_can_be_asked_for_again_and_again)
{
	vitals_heartbeat *hearts[4];
	char name[16];
	vitals_registry *own;
	uint64_t until_ns;
	unsigned i;

	ck_assert_int_eq(vitals_registry_new(0, &own), 0);
	for (i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "worker-%u", i);
		ck_assert_int_eq(
			vitals_heartbeat_new(own, name, 10 * MS, NULL, &hearts[i]), 0);
	}
	for (i = 0; i < 300; i++) {
		ck_assert_int_eq(vitals_log(own, i % 3 ? writing : -1, NULL), 0);
		ck_assert_int_eq(vitals_log_journal(own, i % 2), 0);
		if (i % 50 == 49)
			ck_assert_int_eq(vitals_stop(own) | vitals_start(own), 0);
		ck_assert_int_eq(vitals_heartbeat_pulse(hearts[i / 10 % 4]), 0);
		nap();
		receive();
	}
	/* And works all the same. */
	ck_assert_int_eq(vitals_log(own, writing, NULL), 0);
	until_ns = vt_clock_now() + 20 * S;
	for (i = 0; !n_lines && vt_clock_now() < until_ns; i++) {
		/* For a while, so that it is seen; then it is silent. */
		if (i / 100 % 2 == 0)
			ck_assert_int_eq(vitals_heartbeat_pulse(hearts[0]), 0);
		nap();
		receive();
	}
	for (i = 0; i < 4; i++)
		vitals_heartbeat_unref(hearts[i]);
	own = vitals_registry_free(own);
	ck_assert_uint_gt(n_lines, 0);
}
END_TEST

static char *line_of(const struct vt_news *news)
{
	static char buffer[VT_NEWS_LINE];
	struct vt_text text;

	vt_text_init(&text, buffer, sizeof(buffer));
	vt_news_line(news, 1795346192123456789u, &text);
	ck_assert_uint_lt(text.length, sizeof(buffer));
	return buffer;
}

START_TEST(any_name_is_quoted)
{
	struct vt_news news = { .kind = VT_NEWS_FINDING, .threads = 3, .bad = true };

	news.event.kind = VITALS_EVENT_DEADLOCK;
	(void)snprintf(news.event.doing, sizeof(news.event.doing),
		       "a\n\"b\\\x01\xff\xc3\xbc=\xe2\x80\xa8");
	ck_assert_str_eq(line_of(&news),
			 "time=2026-11-22T11:16:32.123Z level=error msg=\"threads wait "
			 "for each other in a circle\" threads=3 "
			 "doing=\"a?\\\"b\\\\??\xc3\xbc=???\" suppressed=0");
	memset(news.event.doing, '"', sizeof(news.event.doing) - 1);
	memset(news.event.scope, '\\', sizeof(news.event.scope) - 1);
	ck_assert_ptr_nonnull(strstr(line_of(&news), " suppressed=0"));
}
END_TEST

START_TEST(options_are_as_everywhere)
{
	struct {
		struct vitals_log_options options;
		uint64_t more;
	} larger = { { sizeof(larger), 0, 0 }, 1 };

	ck_assert_int_eq(vitals_log(registry, writing, &larger.options), -E2BIG);
	larger.more = 0;
	ck_assert_int_eq(vitals_log(registry, writing, &larger.options), 0);
	larger.options.size = 0;
	ck_assert_int_eq(vitals_log(registry, writing, &larger.options), -EINVAL);
	ck_assert_int_eq(vitals_log(registry, 9999, NULL), -EBADF);
	ck_assert_int_eq(vitals_log(registry, -1, NULL), 0);
	ck_assert(!sink()->on);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_line_says_what_is_known);
	tcase_add_loop_test(tc, a_stall_of_ten_minutes_is_a_dozen_lines,
			    SANITIZED ? 2 : 0, 5);
	tcase_add_test(tc, five_hundred_in_one_lock_are_one_report);
	tcase_add_loop_test(tc, five_hundred_at_once_say_five_hundred, 0, 2);
	tcase_add_test(tc, eight_without_a_lock_in_common_are_told_one_by_one);
	tcase_add_test(tc, three_in_one_lock_are_one_report);
	tcase_add_test(tc, there_are_no_more_lines_than_asked_for);
	tcase_add_test(tc, what_was_suppressed_is_told_in_the_end);
	tcase_add_test(tc, a_line_that_was_cut_short_spoils_no_other);
	tcase_add_test(tc, who_is_closed_is_not_told_again);
	tcase_add_test(tc, who_flaps_is_told_less_and_less);
	tcase_add_test(tc, who_flaps_and_then_stalls_is_told);
	tcase_add_loop_test(tc, printed_and_suppressed_are_what_was_found, 0,
			    SANITIZED ? 1 : 3);
	tcase_add_test(tc, nobody_waits_for_a_stuck_reader);
	tcase_add_test(tc, another_file_at_its_number_gets_nothing);
	tcase_add_test(tc, a_forked_child_writes_nothing);
	tcase_add_test(tc, signals_lose_no_line);
	tcase_add_test(tc, no_line_takes_memory_from_the_heap);
	tcase_add_test(tc, a_reader_of_events_that_is_stopped_keeps_nobody);
	tcase_add_test(tc, stopping_tells_what_was_gathered);
	tcase_add_test(tc, a_callback_that_blocks_keeps_no_line_back);
	tcase_add_test(tc, it_can_be_asked_for_again_and_again);
	tcase_add_test(tc, any_name_is_quoted);
	tcase_add_test(tc, options_are_as_everywhere);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
