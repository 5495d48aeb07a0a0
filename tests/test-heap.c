/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "onelock.h"
#include "outside.h"

#include "clock.h"
#include "registry.h"
#include "snapshot.h"
#include "vitals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_MS(50)
#define GRACE_NS VITALS_MS(100)
/* Of a machine that does something else. */
#define SLACK_NS VITALS_S(2)

enum how {
	PLAIN,
	CALLBACK, /* an event callback hangs in malloc, too */
	ABORT,    /* nobody reads: the end was asked for before */
	HOWS
};

/* What the service says of itself, in memory that it shares with the test. */
static struct {
	uint64_t registry_id;
	struct vitals_event silent, stuck;
	struct vitals_process_info process;
	struct vitals_heartbeat_info row;
	struct vitals_evidence evidence;
	_Atomic int hung; /* the callback */
} * board;

static int log_fds[2], ready_fds[2], go_fds[2];
static vitals_registry *registry;
static _Atomic int taken;

/* Whose thread will never give back what all need. */
static void *takes_the_lock(void *arg)
{
	(void)arg;
	(void)pthread_setname_np(pthread_self(), "taker");
	(void)pthread_mutex_lock(&onelock);
	atomic_store(&taken, 1);
	for (;;)
		(void)pause();
	return NULL;
}

static void allocate(void)
{
	/* That it is not left out. */
	void *volatile block = malloc(1);

	free(block);
}

static void *allocates(void *arg)
{
	vitals_heartbeat *heartbeat;

	(void)arg;
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	while (!atomic_load(&taken)) {
		child_check(vitals_heartbeat_pulse(heartbeat) == 0);
		(void)usleep(1000);
	}
	child_check(vitals_heartbeat_pulse(heartbeat) == 0);
	allocate();
	return NULL;
}

static void callback_allocates(const struct vitals_event *event, void *user)
{
	(void)user;
	if (event->to != VITALS_SILENT)
		return;
	atomic_store(&board->hung, 1);
	allocate();
	atomic_store(&board->hung, 0);
}

static void abort_wanted(void)
{
	struct vitals_abort_options options;

	VITALS_INIT(&options);
	options.after_ns = GRACE_NS;
	child_check(vitals_abort_when_stuck(registry, &options) == 0);
}

static void event_await(vitals_events *events, int to, struct vitals_event *event)
{
	uint64_t deadline_ns = vt_clock_now() + VITALS_S(20);

	do {
		VITALS_INIT(event);
		child_check(vitals_events_next(events, deadline_ns - vt_clock_now(),
					       event) == 0);
	} while (event->kind != VITALS_EVENT_HEARTBEAT || event->to != to);
}

static void rows_take(const struct vt_view *view, vitals_registry *from,
		      struct vitals_process_info *process,
		      struct vitals_heartbeat_info *row, struct vitals_evidence *evidence)
{
	vitals_snapshot *snapshot = NULL;

	child_check(vt_snapshot_take_at(view, from, board->stuck.at_ns, &snapshot) == 0);
	VITALS_INIT(process);
	VITALS_INIT(row);
	VITALS_INIT(evidence);
	child_check(vitals_snapshot_process(snapshot, process) == 0);
	child_check(vitals_snapshot_heartbeat(snapshot, 0, row) == 0);
	child_check(vitals_snapshot_evidence(snapshot, 0, evidence) == 0);
	snapshot = vitals_snapshot_free(snapshot);
}

/* Its first thread asks for all of it while nobody can have any memory. */
static void service_asks(vitals_events *events, enum how how)
{
	vitals_snapshot *snapshot = NULL;
	char byte = 0;

	event_await(events, VITALS_SILENT, &board->silent);
	child_check(pthread_mutex_trylock(&onelock) != 0);
	event_await(events, VITALS_STUCK, &board->stuck);
	child_check(vitals_snapshot_take(registry, &snapshot) == 0);
	snapshot = vitals_snapshot_free(snapshot);
	rows_take(&registry->view, registry, &board->process, &board->row,
		  &board->evidence);
	child_check(write(ready_fds[1], &byte, 1) == 1);
	child_check(read(go_fds[0], &byte, 1) == 1);
	if (how != ABORT)
		abort_wanted();
}

static void service(enum how how)
{
	struct rlimit no_core = { 0, 0 };
	vitals_events *events;
	pthread_t thread;

	child_alarm(CHILD_SECONDS);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	child_check(vitals_registry_new(0, &registry) == 0);
	board->registry_id = registry->id;
	child_check(vitals_lock_name(&onelock, "heap") == 0);
	child_check(vitals_log(registry, log_fds[1], NULL) == 0);
	if (how == CALLBACK)
		child_check(vitals_on_event(registry, callback_allocates, NULL) == 0);
	if (how == ABORT)
		abort_wanted();
	child_check(vitals_events_open(registry, NULL, &events) == 0);
	child_check(pthread_create(&thread, NULL, allocates, NULL) == 0);
	child_check(pthread_create(&thread, NULL, takes_the_lock, NULL) == 0);
	service_asks(events, how);
	for (;;)
		(void)pause();
}

static int pid;

static void service_fork(enum how how)
{
	ck_assert_int_eq(pipe(log_fds), 0);
	ck_assert_int_eq(pipe(ready_fds), 0);
	ck_assert_int_eq(pipe(go_fds), 0);
	pid = fork();
	if (pid == 0)
		service(how);
	ck_assert_int_gt(pid, 0);
	(void)close(log_fds[1]);
	(void)close(ready_fds[1]);
	(void)close(go_fds[0]);
}

/* Return: when that was seen, after SIGABRT. */
static uint64_t service_aborts(void)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x",
		      (unsigned)status);
	return vt_clock_now();
}

static void setup(void)
{
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(board != MAP_FAILED);
}

static void teardown(void)
{
	(void)munmap(board, sizeof(*board));
}

/* All of the log up to the line that says it. */
static char *log_read_until(const char *text)
{
	static char log[16384];
	size_t has = 0;
	ssize_t n;

	log[0] = 0;
	while (!strstr(log, text)) {
		struct pollfd pollfd = { .fd = log_fds[0], .events = POLLIN };

		ck_assert_msg(poll(&pollfd, 1, 10000) == 1, "no line says %s: %s", text,
			      log);
		n = read(log_fds[0], log + has, sizeof(log) - 1 - has);
		ck_assert_int_gt(n, 0);
		has += (size_t)n;
		log[has] = 0;
	}
	return log;
}

/* On glibc, whose locks are known. */
static void sentence_expect(const char *doing)
{
#ifdef __GLIBC__
	char wanted[64];

	(void)snprintf(wanted, sizeof(wanted), "waits for mutex heap (0x%llx), held by ",
		       (unsigned long long)(uintptr_t)&onelock);
	ck_assert_msg(strstr(doing, wanted) == doing, "%s", doing);
	ck_assert_msg(strstr(doing, "taker") != NULL, "%s", doing);
#endif
	ck_assert(doing[0]);
}

START_TEST(a_held_heap_keeps_nobody_from_telling)
{
	static struct vt_view view;
	struct vitals_heartbeat_info row;
	struct vitals_process_info process;
	struct vitals_evidence evidence;
	uint64_t asked_ns;
	char byte = 0;

	service_fork((enum how)_i);
	ck_assert_int_eq(read(ready_fds[0], &byte, 1), 1);
	/* By events, and by rows from inside. */
	ck_assert_str_eq(board->silent.name, "worker");
	sentence_expect(board->silent.doing);
	sentence_expect(board->stuck.doing);
	ck_assert_int_eq((int)board->silent.thread_class, VITALS_ON_LOCK);
	ck_assert_int_eq((int)board->row.state, VITALS_STUCK);
	sentence_expect(board->row.doing);
	ck_assert_uint_eq(board->evidence.tid, board->silent.tid);
	/* By lines. */
	ck_assert_ptr_nonnull(strstr(log_read_until("worker is stuck"), "worker is "));
	/* And from outside. */
	ck_assert_uint_ge(outside_map(pid, board->registry_id, &view), 1);
	rows_take(&view, NULL, &process, &row, &evidence);
	/* What goes on while it is looked at. */
	row.silence_ns = board->row.silence_ns;
	ck_assert_mem_eq(&row, &board->row, sizeof(row));
	ck_assert_str_eq(evidence.doing, board->evidence.doing);
	ck_assert_uint_eq(evidence.lock, board->evidence.lock);
	ck_assert_uint_eq(evidence.holder_tid, board->evidence.holder_tid);
	ck_assert_int_eq((int)process.critical[VITALS_STUCK], 1);
	ck_assert_int_eq(board->hung, _i == CALLBACK);
	/* The end may still be asked for. */
	asked_ns = vt_clock_now();
	ck_assert_int_eq(write(go_fds[1], &byte, 1), 1);
	ck_assert_uint_lt(service_aborts() - asked_ns, GRACE_NS + SLACK_NS);
}
END_TEST

START_TEST(a_held_heap_does_not_put_off_the_end)
{
	uint64_t gone_ns;

	service_fork(ABORT);
	gone_ns = service_aborts();
	ck_assert_uint_ne(board->stuck.at_ns, 0);
	ck_assert_uint_ge(gone_ns - board->stuck.at_ns, GRACE_NS - T);
	ck_assert_uint_lt(gone_ns - board->stuck.at_ns, GRACE_NS + SLACK_NS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	if (!SANITIZED) {
		tcase_add_loop_test(tc, a_held_heap_keeps_nobody_from_telling, 0, ABORT);
		tcase_add_test(tc, a_held_heap_does_not_put_off_the_end);
	}
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
