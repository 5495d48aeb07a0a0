/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "member.h"
#include "service.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
	service_make(&service);
}

static void teardown(void)
{
	service_free(&service);
}

/* What a worker waits in, and what came of it. */
struct waiter {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int fds[2];
	_Atomic uint32_t inside; /* about to wait */
	_Atomic uint32_t called;
	uint64_t ns;
	int answer;
	uint64_t took_ns;
};

static void waiter_make(struct waiter *waiter, uint64_t ns)
{
	memset(waiter, 0, sizeof(*waiter));
	pthread_mutex_init(&waiter->mutex, NULL);
	pthread_cond_init(&waiter->cond, NULL);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, waiter->fds), 0);
	waiter->ns = ns;
}

static void waiter_free(struct waiter *waiter)
{
	close(waiter->fds[0]);
	close(waiter->fds[1]);
	pthread_cond_destroy(&waiter->cond);
	pthread_mutex_destroy(&waiter->mutex);
}

static int in_sleep(vitals_thread *self, void *arg)
{
	struct waiter *waiter = arg;
	uint64_t from_ns = clock_now();

	atomic_fetch_add(&waiter->inside, 1);
	waiter->answer = vitals_thread_sleep(self, waiter->ns);
	waiter->took_ns = clock_now() - from_ns;
	return 0;
}

static int in_poll(vitals_thread *self, void *arg)
{
	struct waiter *waiter = arg;
	struct pollfd fd = { .fd = waiter->fds[0], .events = POLLIN };

	atomic_fetch_add(&waiter->inside, 1);
	waiter->answer = vitals_thread_poll(self, &fd, 1, waiter->ns);
	return 0;
}

static int in_cond_wait(vitals_thread *self, void *arg)
{
	struct waiter *waiter = arg;
	int r = 0;

	pthread_mutex_lock(&waiter->mutex);
	atomic_fetch_add(&waiter->inside, 1);
	while (!r)
		r = vitals_thread_cond_wait(self, &waiter->cond, &waiter->mutex,
					    waiter->ns);
	waiter->answer = r;
	pthread_mutex_unlock(&waiter->mutex);
	return 0;
}

static void shut(void *user)
{
	struct waiter *waiter = user;

	atomic_fetch_add(&waiter->called, 1);
	shutdown(waiter->fds[0], SHUT_RDWR);
}

static int in_read(vitals_thread *self, void *arg)
{
	struct waiter *waiter = arg;
	char byte;

	worker_check(vitals_thread_on_quit(self, shut, waiter) == 0);
	atomic_fetch_add(&waiter->inside, 1);
	waiter->answer = read(waiter->fds[0], &byte, 1) == 0 ? -ECANCELED : 0;
	worker_check(vitals_thread_on_quit(self, NULL, NULL) == 0);
	return 0;
}

static const vitals_thread_fn waits[] = { in_sleep, in_poll, in_cond_wait, in_read };
#define WAITS ((int)(sizeof(waits) / sizeof(waits[0])))

/* Told at any moment, before, in or after it began to wait: it is out at once. */
START_TEST(a_request_ends_every_wait)
{
	struct waiter waiter;
	int i;

	for (i = 0; i < 100; i++) {
		vitals_quitter *child = child_of(service.main, "pool");

		waiter_make(&waiter, VITALS_FOREVER);
		ck_assert_int_eq(
			vitals_thread_fork(child, "w", 0, waits[_i], &waiter, NULL), 0);
		if (i % 2)
			ck_assert(word_reaches(&waiter.inside, 1));
		if (i % 4 == 3)
			usleep(500);
		ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
		ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(10), NULL), 0);
		ck_assert_int_eq(waiter.answer, -ECANCELED);
		ck_assert_uint_eq(atomic_load(&waiter.called), waits[_i] == in_read);
		waiter_free(&waiter);
		vitals_quitter_free(child);
	}
	worker_checks_passed();
}
END_TEST

START_TEST(abandoning_ends_every_wait)
{
	struct vitals_thread_info info;
	struct waiter waiter;

	waiter_make(&waiter, VITALS_FOREVER);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, waits[_i], &waiter, NULL), 0);
	ck_assert(word_reaches(&waiter.inside, 1));
	usleep(1000);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	while (thread_rows(service.registry)) {
		struct gate gate = { 1 };

		/* Whoever ends next joins it. */
		ck_assert_int_eq(vitals_thread_fork(service.main, "x", 0, refuses, &gate,
						    NULL),
				 0);
		ck_assert_int_eq(
			vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	}
	ck_assert_int_eq(waiter.answer, -ECANCELED);
	waiter_free(&waiter);
}
END_TEST

/* By finish, whose turns may be the only ones: no thread of ours runs. */
START_TEST(a_request_ends_every_wait_without_a_monitor)
{
	struct waiter waiter;

	waiter_make(&waiter, VITALS_FOREVER);
	ck_assert_int_eq(vitals_step(service.registry, clock_now()), 0);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, waits[_i], &waiter, NULL), 0);
	ck_assert(word_reaches(&waiter.inside, 1));
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 5, NULL), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 5);
	ck_assert_int_eq(waiter.answer, -ECANCELED);
	waiter_free(&waiter);
}
END_TEST

START_TEST(sleep_lasts_as_long_as_it_was_asked_to)
{
	struct waiter waiter;

	waiter_make(&waiter, VITALS_MS(30));
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, in_sleep, &waiter, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(waiter.answer, 0);
	ck_assert_uint_ge(waiter.took_ns, VITALS_MS(30));
	waiter_free(&waiter);
}
END_TEST

START_TEST(poll_says_what_poll_says)
{
	struct waiter waiter;

	waiter_make(&waiter, VITALS_S(10));
	ck_assert_int_eq(write(waiter.fds[1], "x", 1), 1);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, in_poll, &waiter, NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(waiter.answer, 1);
	waiter_free(&waiter);
	waiter_make(&waiter, VITALS_MS(5));
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, in_poll, &waiter, NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(waiter.answer, 0);
	waiter_free(&waiter);
}
END_TEST

static int polls_oddly(vitals_thread *self, void *arg)
{
	static struct pollfd many[1024];
	struct pollfd none = { .fd = -1, .revents = 7 };

	(void)arg;
	worker_check(vitals_thread_poll(self, many, 1024, 0) == -EINVAL);
	worker_check(vitals_thread_poll(self, NULL, 1, 0) == -EINVAL);
	worker_check(vitals_thread_poll(self, NULL, 0, 0) == 0);
	worker_check(vitals_thread_poll(self, &none, 1, VITALS_MS(1)) == 0);
	worker_check(none.revents == 0);
	worker_check(vitals_thread_cond_wait(self, NULL, NULL, 0) == -EINVAL);
	return 0;
}

START_TEST(odd_arguments_are_answered)
{
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, polls_oddly, NULL, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	worker_checks_passed();
}
END_TEST

static int is_signalled(vitals_thread *self, void *arg)
{
	struct waiter *waiter = arg;

	pthread_mutex_lock(&waiter->mutex);
	atomic_fetch_add(&waiter->inside, 1);
	waiter->answer =
		vitals_thread_cond_wait(self, &waiter->cond, &waiter->mutex, waiter->ns);
	pthread_mutex_unlock(&waiter->mutex);
	return 0;
}

START_TEST(cond_wait_is_signalled_and_times_out)
{
	struct waiter waiter;

	waiter_make(&waiter, VITALS_S(10));
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, is_signalled, &waiter, NULL), 0);
	ck_assert(word_reaches(&waiter.inside, 1));
	pthread_mutex_lock(&waiter.mutex);
	pthread_cond_signal(&waiter.cond);
	pthread_mutex_unlock(&waiter.mutex);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(waiter.answer, 0);
	waiter.ns = VITALS_MS(10);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, is_signalled, &waiter, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(waiter.answer, -ETIMEDOUT);
	waiter_free(&waiter);
}
END_TEST

/* The teller holds the waiters' own mutex: nobody waits for anybody for ever. */
START_TEST(telling_with_the_mutex_held_is_fine)
{
	struct waiter waiter;
	int i;

	waiter_make(&waiter, VITALS_FOREVER);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, in_cond_wait,
						    &waiter, NULL),
				 0);
	ck_assert(word_reaches(&waiter.inside, 8));
	pthread_mutex_lock(&waiter.mutex);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	pthread_mutex_unlock(&waiter.mutex);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	waiter_free(&waiter);
}
END_TEST

/* Waiting is idle: no silence, and no interval of the time it lasted. */
static int pulses_and_waits(vitals_thread *self, void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		(void)vitals_thread_go_on(self);
		(void)vitals_thread_go_on(self);
		(void)vitals_thread_sleep(self, VITALS_MS(30));
	}
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	return 0;
}

START_TEST(waiting_is_idle_and_in_no_interval)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *all = NULL;
	int i;

	ck_assert_int_eq(vitals_thread_fork(service.main, "w", VITALS_MS(20),
					    pulses_and_waits, NULL, NULL),
			 0);
	VITALS_INIT(&info);
	for (i = 0; i < 10000 && info.pulses < 6; i++) {
		usleep(1000);
		ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
		ck_assert_int_eq(vitals_snapshot_heartbeat(all, 0, &info), 0);
	}
	usleep(100000);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(all, 0, &info), 0);
	ck_assert_uint_eq(info.state, VITALS_IDLE);
	/* From each first pulse to the second, and from that to the wait. */
	ck_assert_uint_eq(info.pulses, 6);
	ck_assert_uint_lt(info.max_ns, VITALS_MS(30));
	vitals_snapshot_free(all);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

/* Callbacks */

struct slow {
	struct gate gate;
	_Atomic uint32_t entered;
	_Atomic uint32_t over;
	_Atomic uint32_t ready;
	vitals_thread *self;
	int again;
};

static void slow_unblock(void *user)
{
	struct slow *slow = user;

	atomic_store(&slow->entered, 1);
	gate_pass(&slow->gate);
	atomic_store(&slow->over, 1);
}

static int replaces(vitals_thread *self, void *arg)
{
	struct slow *slow = arg;

	worker_check(vitals_thread_on_quit(self, slow_unblock, slow) == 0);
	atomic_store(&slow->ready, 1);
	worker_check(word_reaches(&slow->entered, 1));
	/* It runs in another thread now: this waits until it is over. */
	worker_check(vitals_thread_on_quit(self, NULL, NULL) == 0);
	worker_check(atomic_load(&slow->over) == 1);
	return 0;
}

static void *opens_later(void *arg)
{
	usleep(20000);
	gate_open(arg);
	return NULL;
}

START_TEST(replacing_a_callback_waits_for_the_one_that_runs)
{
	struct slow slow = { 0 };
	pthread_t opener;

	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, replaces, &slow, NULL),
			 0);
	ck_assert(word_reaches(&slow.ready, 1));
	pthread_create(&opener, NULL, opens_later, &slow.gate);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_uint_eq(atomic_load(&slow.over), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	pthread_join(opener, NULL);
	worker_checks_passed();
}
END_TEST

static void replaces_itself(void *user)
{
	struct slow *slow = user;

	slow->again = vitals_thread_on_quit(slow->self, NULL, NULL);
}

static int is_told_already(vitals_thread *self, void *arg)
{
	struct slow *slow = arg;

	slow->self = self;
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	worker_check(vitals_thread_on_quit(self, replaces_itself, slow) == 0);
	return 0;
}

START_TEST(a_callback_that_comes_too_late_is_called_at_once)
{
	struct slow slow = { 0 };

	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, is_told_already, &slow,
					    NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	worker_checks_passed();
	ck_assert_int_eq(slow.again, -EDEADLK);
}
END_TEST

/* A callback that never comes back costs the shutdown no more than its time. */
static _Atomic uint32_t calls;

static void counts(void *user)
{
	(void)user;
	atomic_fetch_add(&calls, 1);
}

static void *is_there_before_the_monitor(void *arg)
{
	vitals_thread *self;

	worker_check(vitals_thread_adopt(service.main, "pool", 0, NULL, &self) == 0);
	worker_check(vitals_thread_on_quit(self, counts, NULL) == 0);
	gate_open(arg);
	worker_check(word_reaches(&calls, 1));
	vitals_thread_leave(self, 0);
	return NULL;
}

/* It is the monitor that tells, and nobody is there yet to call when it says what to call. */
START_TEST(a_callback_from_before_the_start_is_called)
{
	struct gate there = { 0 };
	pthread_t thread;

	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	ck_assert_int_eq(
		pthread_create(&thread, NULL, is_there_before_the_monitor, &there), 0);
	gate_pass(&there);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_ge(atomic_load(&calls), 1);
	worker_checks_passed();
}
END_TEST

static pthread_mutex_t its_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t its_cond = PTHREAD_COND_INITIALIZER;
static _Atomic uint32_t turns;

static int waits_on_a_condition(vitals_thread *self, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&its_mutex);
	while (vitals_thread_go_on(self)) {
		atomic_fetch_add(&turns, 1);
		(void)vitals_thread_cond_wait(self, &its_cond, &its_mutex,
					      VITALS_FOREVER);
	}
	pthread_mutex_unlock(&its_mutex);
	atomic_fetch_add(&turns, 1);
	return 0;
}

/* Nobody waits for it, who would see to it himself. */
START_TEST(a_condition_wait_ends_after_a_stop_and_a_start)
{
	vitals_quitter *child = child_of(service.main, "child");

	ck_assert_int_eq(
		vitals_thread_fork(child, "w", 0, waits_on_a_condition, NULL, NULL), 0);
	ck_assert(word_reaches(&turns, 1));
	pthread_mutex_lock(&its_mutex); /* it waits by now */
	pthread_mutex_unlock(&its_mutex);
	ck_assert_int_eq(vitals_stop(service.registry), 0);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
	ck_assert(word_reaches(&turns, 2));
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(10), NULL), 0);
	vitals_quitter_free(child);
}
END_TEST

static void may_be_cancelled(void *user)
{
	(void)user;
	pthread_testcancel();
	atomic_fetch_add(&calls, 1);
}

static int leaves_after_the_call(vitals_thread *self, void *arg)
{
	(void)arg;
	worker_check(vitals_thread_on_quit(self, may_be_cancelled, NULL) == 0);
	atomic_fetch_add(&turns, 1);
	while (vitals_thread_go_on(self))
		nap();
	return 0;
}

static void *tells_while_cancelled(void *arg)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(before, NULL);
	(void)vitals_quitter_send_quit(arg, 0, NULL);
	return NULL;
}

START_TEST(a_cancel_ends_no_call_halfway)
{
	vitals_quitter *child = child_of(service.main, "child");
	pthread_t thread;

	ck_assert_int_eq(
		vitals_thread_fork(child, "w", 0, leaves_after_the_call, NULL, NULL), 0);
	ck_assert(word_reaches(&turns, 1));
	ck_assert_int_eq(pthread_create(&thread, NULL, tells_while_cancelled, child), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_ge(atomic_load(&calls), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(5), NULL), 0);
	vitals_quitter_free(child);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

static struct gate about_to, may_leave;

/* As one between its look and its wait. */
static int is_about_to_wait(vitals_thread *self, void *arg)
{
	(void)arg;
	/* So that there is somebody who broadcasts. */
	pthread_mutex_lock(&its_mutex);
	(void)vitals_thread_cond_wait(self, &its_cond, &its_mutex, 1);
	pthread_mutex_unlock(&its_mutex);
	vt_lock(&self->wait);
	vt_member_seldom(self)->cond = &its_cond;
	atomic_fetch_or(&self->armed, VT_ARMED_COND);
	vt_unlock(&self->wait);
	gate_open(&about_to);
	gate_pass(&may_leave);
	vt_lock(&self->wait);
	vt_member_seldom(self)->cond = NULL;
	atomic_fetch_and(&self->armed, ~VT_ARMED_COND);
	vt_unlock(&self->wait);
	return 0;
}

START_TEST(a_condition_is_broadcast_until_its_waiter_has_left)
{
	vitals_quitter *child = child_of(service.main, "child");
	struct timespec until = { .tv_sec = (time_t)(clock_now() / VITALS_S(1)) + 10 };
	unsigned i;

	ck_assert_int_eq(vitals_thread_fork(child, "w", 0, is_about_to_wait, NULL, NULL),
			 0);
	gate_pass(&about_to);
	ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
	pthread_mutex_lock(&its_mutex);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_cond_clockwait(&its_cond, &its_mutex,
							CLOCK_MONOTONIC, &until),
				 0);
	pthread_mutex_unlock(&its_mutex);
	gate_open(&may_leave);
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(10), NULL), 0);
	vitals_quitter_free(child);
}
END_TEST

static int leaves_once_called(vitals_thread *self, void *arg)
{
	(void)arg;
	worker_check(vitals_thread_on_quit(self, counts, NULL) == 0);
	atomic_fetch_add(&turns, 1);
	worker_check(word_reaches(&calls, 1));
	return 0;
}

static void finishes_the_first_time(const struct vitals_event *event, void *user)
{
	struct vitals_result result;

	(void)event;
	if (atomic_load((_Atomic uint32_t *)user))
		return;
	VITALS_INIT(&result);
	worker_check(word_reaches(&turns, 1));
	worker_check(vitals_quitter_send_quit(service.main, 0, NULL) == 0);
	worker_check(vitals_quitter_finish(service.main, &result, NULL) == 0);
	worker_check(result.late == 0);
	atomic_store((_Atomic uint32_t *)user, 1);
}

/* In the notifier's own thread, which has nobody else to do its work. */
START_TEST(who_finishes_in_a_callback_makes_the_calls)
{
	struct vitals_quitter_options options;
	vitals_heartbeat *heartbeat;
	_Atomic uint32_t over = 0;

	service.main = vitals_quitter_free(service.main);
	VITALS_INIT(&options);
	options.ready_off_ns = VITALS_MS(20);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_S(5), &options,
						 &service.main),
			 0);
	ck_assert_int_eq(
		vitals_on_event(service.registry, finishes_the_first_time, &over), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, leaves_once_called,
					    NULL, NULL),
			 0);
	ck_assert_int_eq(vitals_heartbeat_new(service.registry, "silent", VITALS_MS(1),
					      NULL, &heartbeat),
			 0);
	ck_assert(word_reaches(&over, 1));
	ck_assert_int_eq(vitals_on_event(service.registry, NULL, NULL), 0);
	vitals_heartbeat_unref(heartbeat);
	worker_checks_passed();
}
END_TEST

START_TEST(a_stuck_callback_does_not_keep_finish)
{
	struct vitals_result result;
	struct slow slow = { 0 };
	int event[2];

	VITALS_INIT(&result);
	ck_assert_int_eq(pipe(event), 0);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_MS(100), NULL,
						 &service.main),
			 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, event[0], "stop"), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, replaces, &slow, NULL),
			 0);
	ck_assert(word_reaches(&slow.ready, 1));
	ck_assert_int_eq(write(event[1], "x", 1), 1);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 1);
	ck_assert_uint_eq(result.late, 1);
	ck_assert_uint_lt(result.took_ns, VITALS_MS(500));
	gate_open(&slow.gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	close(event[0]);
	close(event[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait");
	TCase *tcase = tcase_create("wait");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_request_ends_every_wait, 0, WAITS);
	tcase_add_loop_test(tcase, abandoning_ends_every_wait, 0, WAITS);
	tcase_add_loop_test(tcase, a_request_ends_every_wait_without_a_monitor, 0, WAITS);
	tcase_add_test(tcase, sleep_lasts_as_long_as_it_was_asked_to);
	tcase_add_test(tcase, poll_says_what_poll_says);
	tcase_add_test(tcase, odd_arguments_are_answered);
	tcase_add_test(tcase, cond_wait_is_signalled_and_times_out);
	tcase_add_test(tcase, telling_with_the_mutex_held_is_fine);
	tcase_add_test(tcase, waiting_is_idle_and_in_no_interval);
	tcase_add_test(tcase, replacing_a_callback_waits_for_the_one_that_runs);
	tcase_add_test(tcase, a_callback_that_comes_too_late_is_called_at_once);
	tcase_add_test(tcase, a_callback_from_before_the_start_is_called);
	tcase_add_test(tcase, a_condition_wait_ends_after_a_stop_and_a_start);
	tcase_add_test(tcase, a_condition_is_broadcast_until_its_waiter_has_left);
	tcase_add_test(tcase, a_cancel_ends_no_call_halfway);
	tcase_add_test(tcase, who_finishes_in_a_callback_makes_the_calls);
	tcase_add_test(tcase, a_stuck_callback_does_not_keep_finish);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
