/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "futex.h"
#include "service.h"
#include "systemd.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define US VITALS_US(1)
#define MS VITALS_MS(1)
#define S VITALS_S(1)
#define BUDGET (100 * S)

static char dir[TEMP_PATH_MAX], name[TEMP_PATH_MAX + 16];
static struct vt_systemd_terms terms;
static vitals_registry *registry;
static vitals_quitter *root;
static uint64_t now_ns;
static int listener = -1;

/* As in a process that runs with changed privileges. */
static bool privileged;

char *__real_secure_getenv(const char *variable);
char *__wrap_secure_getenv(const char *variable);
char *__wrap_secure_getenv(const char *variable)
{
	return privileged ? NULL : __real_secure_getenv(variable);
}

/* What the threads of all heartbeats are doing. */
static struct {
	uint32_t thread_class;
	uint32_t reason;
	const char *text;
} doing = { .text = "" };

bool __real_vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment,
			     uint32_t index, struct vitals_heartbeat_info *info);
bool __wrap_vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment,
			     uint32_t index, struct vitals_heartbeat_info *info);
bool __wrap_vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment,
			     uint32_t index, struct vitals_heartbeat_info *info)
{
	bool there = __real_vt_row_heartbeat(view, moment, index, info);

	info->thread_class = doing.thread_class;
	info->reason = doing.reason;
	(void)snprintf(info->doing, sizeof(info->doing), "%s", doing.text);
	return there;
}

const char *__wrap_vitals_class_name(int thread_class);
const char *__wrap_vitals_class_name(int thread_class)
{
	return thread_class == VITALS_ON_LOCK ? "lock" : "unknown";
}

const char *__wrap_vitals_reason_text(int reason);
const char *__wrap_vitals_reason_text(int reason)
{
	return reason == VITALS_REASON_SECCOMP ? "a filter is in the way" : "";
}

static void listen_at(const char *address)
{
	ck_assert_int_eq(vt_address_parse(address, &terms.to), 0);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&terms.to.un,
			      terms.to.length),
			 0);
}

static void setup(void)
{
	temp_dir_make(dir);
	(void)snprintf(name, sizeof(name), "%s/notify", dir);
	memset(&terms, 0, sizeof(terms));
	memset(&doing, 0, sizeof(doing));
	doing.text = "";
	listen_at(name);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now_ns = vt_clock_now();
}

static void teardown(void)
{
	root = vitals_quitter_free(root);
	registry = vitals_registry_free(registry);
	(void)close(listener);
	temp_dir_remove(dir);
}

static void ask(void)
{
	vt_lock(&registry->lock);
	ck_assert_int_eq(vt_systemd_ask(registry, &terms), 0);
	vt_unlock(&registry->lock);
}

/* What was received and not looked at yet: the kernel's queue is short. */
static char inbox[200][1200];
static unsigned n_received, n_looked_at;

static void receive(void)
{
	ssize_t n;

	if (n_looked_at == n_received)
		n_looked_at = n_received = 0;
	while (n_received < 200 &&
	       (n = recv(listener, inbox[n_received], sizeof(inbox[0]) - 1, 0)) >= 0)
		inbox[n_received++][n] = 0;
}

/* Time goes by, with a turn every tick. */
static void step(uint64_t ns)
{
	uint64_t until_ns = now_ns + ns;

	do {
		now_ns = now_ns + 500 * MS < until_ns ? now_ns + 500 * MS : until_ns;
		ck_assert_int_eq(vitals_step(registry, now_ns), 0);
		receive();
	} while (now_ns < until_ns);
}

/* The next message, "": there is none. */
static const char *told(void)
{
	receive();
	return n_looked_at < n_received ? inbox[n_looked_at++] : "";
}

/* Is @part in one of those that are there? */
static bool told_of(const char *part)
{
	const char *message;

	do
		message = told();
	while (message[0] && !strstr(message, part));
	return message[0];
}

#define TOLD(message) ck_assert_str_eq(told(), message)
#define TOLD_NOTHING() TOLD("")

static void told_all(void)
{
	while (told()[0])
		continue;
}

static vitals_heartbeat *beating(const char *called, uint64_t timeout_ns)
{
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(
		vitals_heartbeat_new(registry, called, timeout_ns, NULL, &heartbeat), 0);
	return heartbeat;
}

static void ready_is(const char *part, int ready)
{
	ck_assert_int_eq(vitals_set_ready(registry, part, ready), 0);
}

static vitals_quitter *staged(const char *called, uint32_t stage)
{
	struct vitals_quitter_options options;
	vitals_quitter *child;

	VITALS_INIT(&options);
	options.stage = stage;
	ck_assert_int_eq(vitals_quitter_new(root, called, &options, &child), 0);
	return child;
}

static void main_made(uint64_t ready_off_ns)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.ready_off_ns = ready_off_ns;
	ck_assert_int_eq(vitals_quitter_new_main(registry, BUDGET, &options, &root), 0);
}

static void hold(const char *what)
{
	ck_assert_int_eq(vitals_quitter_hold(root, what), 0);
}

static void release(const char *what)
{
	ck_assert_int_eq(vitals_quitter_release(root, what), 0);
}

/* The request, and a time that counts from it. */
static void quit(void)
{
	struct vitals_cause cause;

	VITALS_INIT(&cause);
	ck_assert_int_eq(vitals_quitter_send_quit(root, 0, "stop"), 0);
	ck_assert_int_eq(vitals_quitter_cause(root, &cause), 0);
	/* Turns before it may have been ahead of the clock. */
	now_ns = cause.kind != VITALS_CAUSE_NONE && cause.at_ns > now_ns ? cause.at_ns
									 : now_ns;
}

START_TEST(says_nothing_before_it_is_asked)
{
	main_made(0);
	step(S);
	quit();
	step(S);
	ck_assert_int_eq(vitals_reloading(registry), 0);
	step(S);
	TOLD_NOTHING();
}
END_TEST

START_TEST(is_ready_once_the_first_time_all_are)
{
	vitals_heartbeat *heartbeat = beating("worker", 100 * S);

	ready_is("db", 0);
	ready_is("index", 0);
	ask();
	step(0);
	TOLD("STATUS=starting, waiting for db and 1 more");
	ready_is("db", 1);
	step(S);
	TOLD("STATUS=starting, waiting for index");
	ready_is("index", 1);
	step(S);
	TOLD("STATUS=starting");
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	step(S);
	TOLD("READY=1\nSTATUS=ready");
	ready_is("db", 0);
	step(0);
	TOLD("STATUS=not ready, waiting for db");
	ready_is("db", 1);
	step(0);
	TOLD("STATUS=ready");
	step(10 * S);
	TOLD_NOTHING();
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(asked_twice_says_it_once)
{
	ask();
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	ask();
	step(S);
	TOLD_NOTHING();
}
END_TEST

/* In whatever order the service says that it reloads and that a part is not ready. */
START_TEST(a_reload_ends_with_the_next_part_that_is_ready)
{
	ready_is("config", 1);
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	vt_systemd_reload_at(registry, 1234567 * US + 89);
	step(0);
	TOLD("RELOADING=1\nMONOTONIC_USEC=1234567\nSTATUS=reloading");
	step(10 * S);
	TOLD_NOTHING();
	ready_is("config", 0);
	step(S);
	TOLD_NOTHING();
	ready_is("config", 1);
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	/* Both before anybody has looked: one after the other. */
	ready_is("config", 0);
	vt_systemd_reload_at(registry, 2 * S);
	ready_is("config", 1);
	step(0);
	TOLD("RELOADING=1\nMONOTONIC_USEC=2000000\nSTATUS=reloading");
	TOLD("READY=1\nSTATUS=ready");
	step(10 * S);
	TOLD_NOTHING();
}
END_TEST

START_TEST(a_reload_before_it_is_ready_is_told_after)
{
	ready_is("config", 0);
	ask();
	vt_systemd_reload_at(registry, S);
	step(0);
	TOLD("STATUS=starting, waiting for config");
	ready_is("config", 1);
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	step(10 * S);
	TOLD_NOTHING();
}
END_TEST

/* Readiness goes first, then those that drain are told: nothing of that is the stop. */
START_TEST(stops_with_the_quit_stage_and_not_before)
{
	vitals_quitter *drain;

	main_made(5 * S);
	drain = staged("http", VITALS_STAGE_DRAIN);
	ck_assert_int_eq(vitals_quitter_hold(drain, "request"), 0);
	hold("worker");
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	now_ns = vt_clock_now();
	quit();
	step(0);
	ck_assert(told_of("EXTEND_TIMEOUT_USEC=30000000\n"
			  "STATUS=stopping, nobody was told yet"));
	step(4 * S);
	told_all();
	step(2 * S);
	/* Nobody else was told. */
	ck_assert(told_of("STATUS=draining, waiting for main/http/request, 9"));
	step(10 * S);
	ck_assert(!told_of("STOPPING"));
	ck_assert_int_eq(vitals_quitter_release(drain, "request"), 0);
	step(0);
	ck_assert(told_of("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\n"
			  "STATUS=quitting, waiting for main/worker"));
	step(10 * S);
	ck_assert(!told_of("STOPPING"));
	vitals_quitter_free(drain);
	release("worker");
}
END_TEST

START_TEST(names_who_is_missing_and_who_is_late)
{
	vitals_quitter *pool;
	unsigned i;
	char what[16];

	main_made(0);
	pool = child_of(root, "pool");
	for (i = 1; i <= 5; i++) {
		(void)snprintf(what, sizeof(what), "worker-%u", i);
		ck_assert_int_eq(vitals_quitter_hold(pool, what), 0);
	}
	ask();
	step(0);
	told_all();
	quit();
	step(0);
	TOLD("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=quitting, waiting for "
	     "main/pool/worker-1, main/pool/worker-2, main/pool/worker-3 and 2 more, "
	     "100s of 100s left");
	for (i = 1; i <= 4; i++) {
		(void)snprintf(what, sizeof(what), "worker-%u", i);
		ck_assert_int_eq(vitals_quitter_release(pool, what), 0);
	}
	step(1500 * MS);
	TOLD("STATUS=quitting, waiting for main/pool/worker-5, 99s of 100s left");
	step(BUDGET - 1600 * MS);
	told_all();
	step(300 * MS);
	TOLD("STATUS=late: main/pool/worker-5, 100.2s, allowed 100s");
	ck_assert_int_eq(vitals_quitter_release(pool, "worker-5"), 0);
	step(S);
	TOLD("STATUS=quitting, all have left");
	vitals_quitter_free(pool);
}
END_TEST

START_TEST(time_without_end_is_not_told)
{
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_FOREVER, NULL, &root),
			 0);
	hold("work");
	ask();
	step(0);
	told_all();
	quit();
	step(0);
	TOLD("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\nSTATUS=quitting, waiting for "
	     "main/work");
	release("work");
}
END_TEST

/* The extension is 30 s, and asked for again from half of it on. */
START_TEST(asks_for_more_time_only_while_somebody_leaves)
{
	main_made(0);
	hold("a");
	hold("b");
	hold("c");
	hold("d");
	ask();
	step(0);
	told_all();
	quit();
	step(0);
	ck_assert(told_of("EXTEND_TIMEOUT_USEC=30000000\n"));
	release("a");
	step(14 * S);
	ck_assert(!told_of("EXTEND"));
	/* At 15 s: one has left. */
	step(1 * S);
	ck_assert(told_of("EXTEND_TIMEOUT_USEC=30000000\n"));
	/* From here on nobody does, for longer than that. */
	step(40 * S);
	ck_assert(!told_of("EXTEND"));
	release("b");
	step(1 * S);
	ck_assert(told_of("EXTEND_TIMEOUT_USEC=30000000\n"));
	step(19 * S);
	told_all();
	/* At 76 s: no further than a second beyond its own 100. */
	release("c");
	step(1 * S);
	ck_assert(told_of("EXTEND_TIMEOUT_USEC=25000000\n"));
	release("d");
	step(20 * S);
	ck_assert(!told_of("EXTEND"));
}
END_TEST

START_TEST(pings_at_half_of_the_time_while_it_lives)
{
	vitals_heartbeat *heartbeat = beating("worker", 2 * S);
	unsigned i, n = 0;

	terms.watchdog_ns = 3 * S;
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ask();
	step(0);
	TOLD("READY=1\nWATCHDOG=1\nSTATUS=ready");
	step(1499 * MS);
	TOLD_NOTHING();
	step(1 * MS);
	TOLD("WATCHDOG=1");
	/* Silent from 2 s on, but not stuck before 8: alive. */
	step(6 * S);
	while (strcmp(told(), "") != 0)
		n++;
	ck_assert_uint_eq(n, 5);
	/* Stuck: the last ping was at 7.5 s. */
	step(10 * S);
	TOLD("STATUS=not well: worker is stuck");
	TOLD_NOTHING();
	vitals_heartbeat_close(heartbeat);
	for (i = 0; i < 4; i++)
		step(500 * MS);
	TOLD("WATCHDOG=1\nSTATUS=ready");
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* Messages with such a line, of all that are there. */
static unsigned told_with(const char *line)
{
	const char *message;
	unsigned n = 0;

	for (message = told(); message[0]; message = told())
		n += strstr(message, line) != NULL;
	return n;
}

/* Idle for long, not begun yet, in a scope without bound; and who is just informative. */
START_TEST(goes_on_to_ping_for_those_who_need_not_beat)
{
	vitals_heartbeat *idle = beating("idle", S), *unbounded = beating("unbounded", S);
	vitals_heartbeat *starting, *informative;
	struct vitals_heartbeat_options options;

	VITALS_INIT(&options);
	options.start_ns = 1000 * S;
	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "starting", S, &options, &starting), 0);
	VITALS_INIT(&options);
	options.flags = VITALS_INFORMATIVE;
	ck_assert_int_eq(vitals_heartbeat_new(registry, "informative", S, &options,
					      &informative),
			 0);
	vitals_heartbeat_idle(idle);
	ck_assert_int_eq(vitals_heartbeat_pulse(informative), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(unbounded), 0);
	ck_assert_int_eq(vitals_heartbeat_own(unbounded), 0);
	ck_assert_int_gt(vitals_heartbeat_enter(unbounded, "compact", 0), 0);
	terms.watchdog_ns = 3 * S;
	ask();
	step(0);
	told_all();
	step(150 * S);
	ck_assert_uint_eq(told_with("WATCHDOG=1"), 100);
	vitals_heartbeat_unref(idle);
	vitals_heartbeat_unref(unbounded);
	vitals_heartbeat_unref(starting);
	vitals_heartbeat_unref(informative);
}
END_TEST

/* With a watchdog shorter than a status is news: the last ping, the report, and nothing more. */
START_TEST(tells_who_is_stuck_before_the_pings_are_missed)
{
	vitals_heartbeat *heartbeat = beating("worker", 100 * MS);
	uint64_t beat_ns = vt_clock_now(), after_ns, pinged_ns = 0, named_ns = 0;
	const char *message;

	terms.watchdog_ns = 400 * MS;
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	after_ns = vt_clock_now();
	ask();
	for (now_ns = beat_ns; now_ns < after_ns + 800 * MS;) {
		step(10 * MS);
		for (message = told(); message[0]; message = told()) {
			if (strstr(message, "WATCHDOG=1"))
				pinged_ns = now_ns;
			if (strstr(message, "STATUS=not well: worker is stuck"))
				named_ns = now_ns;
			/* Not one with the report, nor after it. */
			ck_assert(!named_ns || !strstr(message, "WATCHDOG=1"));
		}
	}
	/* Stuck at 400 ms; a turn is 10 ms. */
	ck_assert_uint_ge(named_ns, beat_ns + 400 * MS);
	ck_assert_uint_le(named_ns, after_ns + 420 * MS);
	ck_assert_uint_ge(pinged_ns, beat_ns + 190 * MS);
	ck_assert_uint_lt(pinged_ns, named_ns);
	ck_assert_uint_lt(named_ns, pinged_ns + terms.watchdog_ns);
	/* And again, as soon as it is well. */
	ck_assert_int_eq(vitals_heartbeat_idle(heartbeat), 0);
	step(10 * MS);
	TOLD("WATCHDOG=1\nSTATUS=ready");
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static void *dies(void *heartbeat)
{
	(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)worker_check(vitals_heartbeat_pulse(heartbeat) == 0);
	return NULL;
}

START_TEST(does_not_ping_for_the_dead)
{
	vitals_heartbeat *heartbeat = beating("worker", 100 * S);
	pthread_t thread;

	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	terms.watchdog_ns = 3 * S;
	ask();
	step(0);
	TOLD("READY=1\nWATCHDOG=1\nSTATUS=ready");
	ck_assert_int_eq(pthread_create(&thread, NULL, dies, heartbeat), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	step(30 * S);
	ck_assert(told_of("STATUS=not well: worker is dead"));
	ck_assert_uint_eq(told_with("WATCHDOG=1"), 0);
	vitals_heartbeat_close(heartbeat);
	step(2 * S);
	ck_assert_uint_ge(told_with("WATCHDOG=1"), 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static const struct {
	uint32_t thread_class;
	uint32_t reason;
	const char *text;
	const char *status;
} doings[] = {
	{ 0, 0, "", "STATUS=not well: worker is stuck" },
	{ VITALS_ON_LOCK, 0, "waits for mutex journal (0x5581), held by flusher (tid 71)",
	  "STATUS=not well: worker is stuck (lock): waits for mutex journal (0x5581), "
	  "held "
	  "by flusher (tid 71)" },
	{ 0, VITALS_REASON_SECCOMP, "",
	  "STATUS=not well: worker is stuck: a filter is in the way" },
	/* A thread may be called so. */
	{ VITALS_ON_LOCK, 0, "held by a\nREADY=1\x7f",
	  "STATUS=not well: worker is stuck (lock): held by a?READY=1?" },
};

START_TEST(tells_what_the_thread_is_doing)
{
	vitals_heartbeat *heartbeat = beating("worker", 2 * S);

	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ask();
	step(0);
	doing.thread_class = doings[_i].thread_class;
	doing.reason = doings[_i].reason;
	doing.text = doings[_i].text;
	step(7 * S);
	told_all();
	step(3 * S);
	TOLD(doings[_i].status);
	TOLD_NOTHING();
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* The longest there can be is whole. */
START_TEST(a_long_sentence_is_whole)
{
	char text[VITALS_DOING_MAX], called[VITALS_NAME_MAX];
	vitals_heartbeat *heartbeat;
	const char *message;

	memset(text, 'x', sizeof(text) - 1);
	memset(called, 'y', sizeof(called) - 1);
	text[sizeof(text) - 1] = called[sizeof(called) - 1] = '\0';
	text[sizeof(text) - 2] = '.';
	heartbeat = beating(called, 2 * S);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ask();
	step(0);
	told_all();
	doing.thread_class = VITALS_ON_LOCK;
	doing.text = text;
	step(3 * S);
	message = told();
	ck_assert_ptr_nonnull(strstr(message, text));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(goes_on_to_ping_while_it_quits)
{
	unsigned n = 0;
	const char *message;

	main_made(0);
	hold("request");
	terms.watchdog_ns = 10 * S;
	ask();
	step(0);
	told_all();
	quit();
	step(50 * S);
	for (message = told(); message[0]; message = told())
		n += strstr(message, "WATCHDOG=1") != NULL;
	ck_assert_uint_ge(n, 9);
	release("request");
}
END_TEST

START_TEST(tells_what_is_wrong_when_it_changes)
{
	vitals_heartbeat *a = beating("a", 2 * S), *b = beating("b", 20 * S);

	ck_assert_int_eq(vitals_heartbeat_pulse(a), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(b), 0);
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	step(4 * S);
	TOLD("STATUS=not well: a is silent");
	step(15 * S);
	TOLD("STATUS=not well: a is stuck");
	step(6 * S);
	TOLD("STATUS=not well: a is stuck and 1 more");
	TOLD_NOTHING();
	vitals_heartbeat_unref(a);
	vitals_heartbeat_unref(b);
}
END_TEST

START_TEST(a_full_socket_is_tried_again)
{
	unsigned n = 0;
	int i;

	/* A queue of the kernel's length, with nobody who reads. */
	for (i = 0; vt_datagram_send(&terms.to, "x", 1) == 0; i++)
		ck_assert_int_lt(i, 100000);
	ck_assert_int_eq(vt_datagram_send(&terms.to, "x", 1), -EAGAIN);
	ask();
	step(0);
	step(1 * MS);
	while (strcmp(told(), "x") == 0)
		n++;
	ck_assert_uint_ge(n, 1);
	TOLD_NOTHING();
	step(10 * MS);
	TOLD("READY=1\nSTATUS=ready");
	step(S);
	TOLD_NOTHING();
}
END_TEST

START_TEST(a_socket_that_comes_back_is_told)
{
	ck_assert_int_eq(unlink(name), 0);
	(void)close(listener);
	ask();
	step(5 * S);
	listen_at(name);
	step(S);
	TOLD("READY=1\nSTATUS=ready");
}
END_TEST

START_TEST(an_abstract_socket_does)
{
	char abstract[64];

	(void)close(listener);
	(void)snprintf(abstract, sizeof(abstract), "@vitals-test-%d", (int)getpid());
	listen_at(abstract);
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
}
END_TEST

START_TEST(keeps_no_descriptor)
{
	int fds;

	/* With the first turn the judging keeps one. */
	step(0);
	fds = fd_count();
	terms.watchdog_ns = S;
	ask();
	step(10 * S);
	ck_assert_int_eq(fd_count(), fds);
}
END_TEST

/* Whoever comes last says it, though nobody has looked meanwhile. */
START_TEST(a_short_shutdown_is_told_too)
{
	struct vitals_result result;

	main_made(0);
	ask();
	step(0);
	TOLD("READY=1\nSTATUS=ready");
	quit();
	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_quitter_finish(root, &result, NULL), 0);
	ck_assert(told_of("STOPPING=1\n"));
	told_all();
}
END_TEST

static void child_steps(void *unused)
{
	(void)unused;
	ready_is("part", 1);
	vt_systemd_turn_at(registry, now_ns + S);
	vt_systemd_last_at(registry, now_ns + S);
	child_check(vt_systemd_look_at(registry, now_ns + S) == UINT64_MAX);
}

static void child_looks(void *unused)
{
	(void)unused;
	vt_systemd_turn_at(registry, now_ns + S);
	vt_systemd_last_at(registry, now_ns + S);
	child_check(vt_systemd_look_at(registry, now_ns + S) == UINT64_MAX);
}

START_TEST(a_forked_child_says_nothing)
{
	ready_is("part", 0);
	ask();
	/* Carried over whole, for nobody has looked yet; then one that is empty. */
	child_run(child_steps, NULL);
	TOLD_NOTHING();
	step(0);
	TOLD("STATUS=starting, waiting for part");
	child_run(child_looks, NULL);
	TOLD_NOTHING();
}
END_TEST

static void child_asks(void *unused)
{
	(void)unused;
	ask();
	vt_systemd_turn_at(registry, now_ns);
}

/* One that was carried over begins as if nothing had been said. */
START_TEST(a_forked_child_that_asks_says_its_own)
{
	ready_is("part", 0);
	ask();
	vt_systemd_turn_at(registry, now_ns);
	TOLD("STATUS=starting, waiting for part");
	child_run(child_asks, NULL);
	TOLD("STATUS=starting, waiting for part");
	TOLD_NOTHING();
}
END_TEST

static const struct {
	const char *address;
	int answer;
} addresses[] = {
	{ "/run/systemd/notify", 0 },
	{ "@a", 0 },
	{ "/", -EINVAL },
	{ "@", -EINVAL },
	{ "notify", -EINVAL },
	{ "vsock:2:1234", -EINVAL },
};

START_TEST(an_address_is_a_path_or_an_abstract_name)
{
	ck_assert_int_eq(vt_address_parse(addresses[_i].address, &terms.to),
			 addresses[_i].answer);
}
END_TEST

/* 108 bytes: a path keeps one of them for its 0. */
START_TEST(an_address_has_room_for_so_much)
{
	char path[110];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[108] = 0;
	ck_assert_int_eq(vt_address_parse(path, &terms.to), -EINVAL);
	path[0] = '@';
	ck_assert_int_eq(vt_address_parse(path, &terms.to), 0);
	path[0] = '/';
	path[107] = 0;
	ck_assert_int_eq(vt_address_parse(path, &terms.to), 0);
	path[0] = '@';
	path[107] = 'a';
	path[108] = 'a';
	path[109] = 0;
	ck_assert_int_eq(vt_address_parse(path, &terms.to), -EINVAL);
}
END_TEST

/* The public call, by the environment. */

static void environment(const char *socket, const char *usec, const char *pid)
{
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (socket)
		ck_assert_int_eq(setenv("NOTIFY_SOCKET", socket, 1), 0);
	if (usec)
		ck_assert_int_eq(setenv("WATCHDOG_USEC", usec, 1), 0);
	if (pid)
		ck_assert_int_eq(setenv("WATCHDOG_PID", pid, 1), 0);
}

static uint64_t watchdog_of(void)
{
	struct vt_systemd *systemd = atomic_load(&registry->systemd);

	return systemd ? systemd->terms.watchdog_ns : UINT64_MAX;
}

static const struct {
	const char *socket; /* NULL: none; "": the one that is listened on */
	const char *usec;
	const char *pid; /* "": ours */
	int answer;
	uint64_t watchdog_ns; /* UINT64_MAX: nobody is told */
} environments[] = {
	{ NULL, "1000", NULL, 0, UINT64_MAX },
	{ "", NULL, NULL, 0, 0 },
	{ "", "2000000", NULL, 0, VITALS_S(2) },
	{ "", "2000000", "", 0, VITALS_S(2) },
	{ "", "2000000", "1", 0, 0 },
	{ "", "2000000", "x", -EINVAL, UINT64_MAX },
	{ "", "0", NULL, -EINVAL, UINT64_MAX },
	{ "", "-1", NULL, -EINVAL, UINT64_MAX },
	{ "", "2s", NULL, -EINVAL, UINT64_MAX },
	{ "", "18446744073709551615", NULL, -EINVAL, UINT64_MAX },
	{ "notify", NULL, NULL, -EINVAL, UINT64_MAX },
};

START_TEST(the_environment_says_whom_to_tell)
{
	char ours[16];

	(void)snprintf(ours, sizeof(ours), "%d", (int)getpid());
	environment(environments[_i].socket && !environments[_i].socket[0]
			    ? name
			    : environments[_i].socket,
		    environments[_i].usec,
		    environments[_i].pid && !environments[_i].pid[0]
			    ? ours
			    : environments[_i].pid);
	step(0);
	ck_assert_int_eq(vitals_systemd(registry, 0), environments[_i].answer);
	ck_assert_uint_eq(watchdog_of(), environments[_i].watchdog_ns);
	/* Turns by hand stay that. */
	step(0);
	ck_assert_int_eq(told()[0] != 0, environments[_i].watchdog_ns != UINT64_MAX);
}
END_TEST

START_TEST(changed_privileges_read_no_environment)
{
	environment(name, "2000000", NULL);
	privileged = true;
	ck_assert_int_eq(vitals_systemd(registry, 0), 0);
	privileged = false;
	ck_assert_uint_eq(watchdog_of(), UINT64_MAX);
}
END_TEST

START_TEST(flags_that_are_not_known_are_refused)
{
	environment(name, NULL, NULL);
	ck_assert_int_eq(vitals_systemd(registry, 1), -EINVAL);
	ck_assert_uint_eq(watchdog_of(), UINT64_MAX);
}
END_TEST

START_TEST(off_is_ready_and_wants_no_pings)
{
	ck_assert_int_eq(setenv("VITALS", "off", 1), 0);
	registry = vitals_registry_free(registry);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	(void)unsetenv("VITALS");
	environment(name, "2000000", NULL);
	ready_is("db", 0);
	ck_assert_int_eq(vitals_systemd(registry, 0), 0);
	TOLD("STATUS=starting, waiting for db");
	ready_is("db", 1);
	TOLD("READY=1\nWATCHDOG_USEC=0\nSTATUS=ready");
	TOLD_NOTHING();
}
END_TEST

/* With threads, and the clock. */

/* Until a message has @part in it, ten seconds at most. */
static bool told_in_time(const char *part)
{
	struct pollfd fd = { .fd = listener, .events = POLLIN };
	uint64_t until_ns = vt_clock_now() + 10 * S;

	while (vt_clock_now() < until_ns) {
		(void)poll(&fd, 1, 1000);
		if (strstr(told(), part))
			return true;
	}
	return false;
}

/* How many threads of this process are called so. */
static int tasks_named(const char *called)
{
	DIR *tasks = opendir("/proc/self/task");
	char path[300], comm[32];
	struct dirent *task;
	int n = 0;

	ck_assert_ptr_nonnull(tasks);
	while ((task = readdir(tasks))) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			       task->d_name);
		file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		n += fgets(comm, sizeof(comm), file) &&
		     strncmp(comm, called, strlen(called)) == 0;
		(void)fclose(file);
	}
	(void)closedir(tasks);
	return n;
}

START_TEST(threads_of_ours_tell)
{
	environment(name, "200000", NULL);
	ready_is("db", 0);
	ck_assert_int_eq(vitals_systemd(registry, 0), 0);
	ck_assert(told_in_time("STATUS=starting"));
	ready_is("db", 1);
	ck_assert(told_in_time("READY=1"));
	ck_assert(told_in_time("WATCHDOG=1"));
	ck_assert(told_in_time("WATCHDOG=1"));
	ck_assert_int_eq(vitals_reloading(registry), 0);
	ck_assert(told_in_time("RELOADING=1\nMONOTONIC_USEC="));
	ready_is("db", 1);
	ck_assert(told_in_time("READY=1"));
	/* And after a stop and a start. */
	ck_assert_int_eq(vitals_stop(registry), 0);
	told_all();
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert(told_in_time("WATCHDOG=1"));
	ck_assert_int_eq(tasks_named("vitals-notifier"), 1);
	ck_assert_int_eq(vitals_stop(registry), 0);
}
END_TEST

static _Atomic uint32_t called;
static struct gate gate;

static void hangs(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	atomic_store(&called, 1);
	gate_pass(&gate);
}

/* With a watchdog, that has less patience, and without. */
START_TEST(a_callback_that_hangs_holds_up_nothing)
{
	vitals_heartbeat *heartbeat = beating("worker", 100 * S);

	environment(name, _i ? "200000" : NULL, NULL);
	ready_is("db", 0);
	ck_assert_int_eq(vitals_on_event(registry, hangs, NULL), 0);
	ck_assert_int_eq(vitals_systemd(registry, 0), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ck_assert(word_reaches(&called, 1));
	told_all();
	ready_is("db", 1);
	ck_assert(told_in_time("READY=1"));
	ck_assert(!_i || told_in_time("WATCHDOG=1"));
	ck_assert(!_i || told_in_time("WATCHDOG=1"));
	gate_open(&gate);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, says_nothing_before_it_is_asked);
	tcase_add_test(tc, is_ready_once_the_first_time_all_are);
	tcase_add_test(tc, asked_twice_says_it_once);
	tcase_add_test(tc, a_reload_ends_with_the_next_part_that_is_ready);
	tcase_add_test(tc, a_reload_before_it_is_ready_is_told_after);
	tcase_add_test(tc, stops_with_the_quit_stage_and_not_before);
	tcase_add_test(tc, names_who_is_missing_and_who_is_late);
	tcase_add_test(tc, time_without_end_is_not_told);
	tcase_add_test(tc, asks_for_more_time_only_while_somebody_leaves);
	tcase_add_test(tc, pings_at_half_of_the_time_while_it_lives);
	tcase_add_test(tc, goes_on_to_ping_for_those_who_need_not_beat);
	tcase_add_test(tc, tells_who_is_stuck_before_the_pings_are_missed);
	tcase_add_test(tc, does_not_ping_for_the_dead);
	tcase_add_loop_test(tc, tells_what_the_thread_is_doing, 0,
			    sizeof(doings) / sizeof(doings[0]));
	tcase_add_test(tc, a_long_sentence_is_whole);
	tcase_add_test(tc, goes_on_to_ping_while_it_quits);
	tcase_add_test(tc, tells_what_is_wrong_when_it_changes);
	tcase_add_test(tc, a_full_socket_is_tried_again);
	tcase_add_test(tc, a_socket_that_comes_back_is_told);
	tcase_add_test(tc, an_abstract_socket_does);
	tcase_add_test(tc, keeps_no_descriptor);
	tcase_add_test(tc, a_short_shutdown_is_told_too);
	tcase_add_test(tc, a_forked_child_says_nothing);
	tcase_add_test(tc, a_forked_child_that_asks_says_its_own);
	tcase_add_loop_test(tc, an_address_is_a_path_or_an_abstract_name, 0,
			    sizeof(addresses) / sizeof(addresses[0]));
	tcase_add_test(tc, an_address_has_room_for_so_much);
	tcase_add_loop_test(tc, the_environment_says_whom_to_tell, 0,
			    sizeof(environments) / sizeof(environments[0]));
	tcase_add_test(tc, changed_privileges_read_no_environment);
	tcase_add_test(tc, flags_that_are_not_known_are_refused);
	tcase_add_test(tc, off_is_ready_and_wants_no_pings);
	tcase_add_test(tc, threads_of_ours_tell);
	tcase_add_loop_test(tc, a_callback_that_hangs_holds_up_nothing, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
