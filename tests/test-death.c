/* SPDX-License-Identifier: MIT */

/*
 * Threads that end without a word. Time is the tests' own: what is found at once is found by the
 * next look, what needs the timeout is found right after it.
 */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "service.h"
#include "task.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define T VITALS_S(2)
#define TICK VITALS_MS(250)
/* A sanitizer keeps the last round for itself. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - SANITIZED)

static vitals_registry *registry;
static vitals_quitter *quitter;
static vitals_heartbeat *heartbeat;
static uint64_t now;

static void step(uint64_t ns)
{
	now += ns;
	child_check(vitals_step(registry, now) == 0);
}

/* Stepped already, so that a fork starts no monitor. Also in a child of the test's. */
static void setup(void)
{
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &quitter) == 0);
	now = vt_clock_now();
	step(0);
	child_check(vitals_heartbeat_new(registry, "own", T, NULL, &heartbeat) == 0);
}

static void teardown(void)
{
	vitals_heartbeat_close(heartbeat);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	quitter = vitals_quitter_free(quitter);
	registry = vitals_registry_free(registry);
}

static uint32_t state_of(const vitals_heartbeat *one)
{
	return atomic_load(&vt_heartbeat_cold(one)->state);
}

static bool marked_dead(const vitals_heartbeat *one)
{
	return atomic_load(&vt_heartbeat_hot(one)->flags) & VT_HB_DEAD;
}

/* Looks by ticks, for @ns. Return: whether it was ever silent. */
static bool passes(const vitals_heartbeat *one, uint64_t ns)
{
	bool silent = false;

	for (; ns >= TICK; ns -= TICK) {
		step(TICK);
		silent |= state_of(one) == VITALS_SILENT;
	}
	return silent;
}

/* The ways in which a thread ends, and on which destructors run. */

enum way {
	RETURNS,
	EXITS,
	IS_CANCELLED,
	WAYS
};

static void end_by(enum way way)
{
	if (way == EXITS)
		pthread_exit(NULL);
	while (way == IS_CANCELLED)
		(void)pause();
}

struct life {
	enum way way;
	bool by_hand; /* else it is adopted, and its heartbeat is in @adopted */
	vitals_heartbeat *adopted;
	_Atomic uint32_t begun;
	struct gate gate;
};

static void *lives(void *arg)
{
	struct life *life = arg;
	vitals_thread *self;

	if (life->by_hand) {
		(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
	} else if (worker_check(vitals_thread_adopt(quitter, "adopted", T, NULL, &self) ==
				0)) {
		life->adopted = vitals_heartbeat_ref(vitals_thread_heartbeat(self));
		(void)vitals_heartbeat_pulse(life->adopted);
	}
	atomic_store(&life->begun, 1);
	gate_pass(&life->gate);
	end_by(life->way);
	return NULL;
}

START_TEST(a_thread_that_ends_is_dead_at_once)
{
	struct life life = { .way = (enum way)(_i % WAYS), .by_hand = _i >= WAYS };
	vitals_heartbeat *its;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, lives, &life), 0);
	ck_assert(word_reaches(&life.begun, 1));
	its = life.by_hand ? heartbeat : life.adopted;
	step(0);
	ck_assert_uint_ne(state_of(its), VITALS_DEAD);
	gate_open(&life.gate);
	if (life.way == IS_CANCELLED)
		ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	step(VITALS_MS(1));
	ck_assert_uint_eq(state_of(its), VITALS_DEAD);
	/* Nobody waits for it, and no beat of another's brings it back. */
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, 0, NULL), 0);
	vitals_heartbeat_touch(its);
	step(TICK);
	ck_assert_uint_eq(state_of(its), VITALS_DEAD);
	vitals_heartbeat_close(life.adopted);
	vitals_heartbeat_unref(life.adopted);
}
END_TEST

/* A host's own destructor, which beats once more in the round it was told. */

struct last {
	pthread_key_t key;
	int rounds; /* until then */
	bool adopted;
	_Atomic uint32_t beats;
};

static void beats_once_more(void *arg)
{
	struct last *last = arg;
	const vitals_thread *self = vitals_thread_self();
	vitals_heartbeat *its = heartbeat;

	if (--last->rounds > 0) {
		(void)worker_check(pthread_setspecific(last->key, last) == 0);
		return;
	}
	if (last->adopted) {
		its = vitals_thread_heartbeat(self);
		(void)worker_check(its != NULL);
	}
	if (!its)
		return;
	(void)worker_check(vitals_heartbeat_pulse(its) == 0);
	(void)worker_check(!marked_dead(its));
	atomic_fetch_add(&last->beats, 1);
}

static void *beats_to_the_last(void *arg)
{
	struct last *last = arg;
	vitals_thread *self;

	(void)worker_check(pthread_setspecific(last->key, last) == 0);
	if (!last->adopted)
		(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
	else
		(void)worker_check(
			vitals_thread_adopt(quitter, "adopted", T, NULL, &self) == 0);
	return NULL;
}

/* Keys made before ours come first in every round, keys made after it last. */
START_TEST(destructors_of_others_beat_on_a_living_heartbeat)
{
	struct last last = { .rounds = _i / 4 + 1, .adopted = _i & 1 };
	vitals_thread *self;
	pthread_t thread;

	if (_i & 2) {
		ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
		ck_assert_int_eq(vitals_thread_adopt(quitter, "a", 0, NULL, &self), 0);
		vitals_thread_leave(self, 0);
		vitals_heartbeat_close(heartbeat);
		vitals_heartbeat_unref(heartbeat);
		ck_assert_int_eq(
			vitals_heartbeat_new(registry, "own", T, NULL, &heartbeat), 0);
	}
	ck_assert_int_eq(pthread_key_create(&last.key, beats_once_more), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, beats_to_the_last, &last), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	ck_assert_uint_eq(atomic_load(&last.beats), 1);
	ck_assert(last.adopted || marked_dead(heartbeat));
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, 0, NULL), 0);
}
END_TEST

/* One that leaves, or closes, in a destructor has done so in time. */
static void leaves_late(void *arg)
{
	(void)arg;
	vitals_thread_leave(vitals_thread_self(), 0);
	vitals_heartbeat_close(heartbeat);
}

static void *leaves_in_a_destructor(void *arg)
{
	const struct last *last = arg;
	vitals_thread *self;

	(void)worker_check(pthread_setspecific(last->key, arg) == 0);
	(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)worker_check(vitals_thread_adopt(quitter, "adopted", T, NULL, &self) == 0);
	return NULL;
}

START_TEST(one_that_leaves_in_a_destructor_is_not_dead)
{
	struct last last = { .rounds = 1 };
	pthread_t thread;

	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	vitals_heartbeat_close(heartbeat);
	vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "own", T, NULL, &heartbeat), 0);
	ck_assert_int_eq(pthread_key_create(&last.key, leaves_late), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, leaves_in_a_destructor, &last), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	step(VITALS_MS(1));
	ck_assert_uint_eq(thread_rows(registry), 0);
	ck_assert_uint_eq(registry->root->summary.critical[VITALS_DEAD], 0);
}
END_TEST

struct answer {
	int status;
	vitals_heartbeat *its;
};

static int answers(vitals_thread *self, void *arg)
{
	struct answer *answer = arg;

	answer->its = vitals_heartbeat_ref(vitals_thread_heartbeat(self));
	return answer->status;
}

START_TEST(a_forked_thread_that_fails_is_dead_and_one_that_does_not_is_closed)
{
	struct answer answer = { .status = _i ? 7 : 0 };

	ck_assert_int_eq(vitals_thread_fork(quitter, "forked", T, answers, &answer, NULL),
			 0);
	/* Dead until it is joined, and it has been told to leave. */
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_S(10), NULL), 0);
	step(VITALS_MS(1));
	ck_assert_int_eq(marked_dead(answer.its), _i);
	ck_assert_int_eq((int)registry->root->summary.critical[VITALS_DEAD], _i);
	ck_assert_int_eq(vitals_heartbeat_pulse(answer.its), _i ? 0 : -ECANCELED);
	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_S(10), NULL), 0);
	step(VITALS_MS(1));
	ck_assert_uint_eq(registry->root->summary.critical[VITALS_DEAD], 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(answer.its), -ECANCELED);
	vitals_heartbeat_unref(answer.its);
}
END_TEST

/*
 * A raw exit, on which no destructor runs. In a process of its own: what is left of such a thread is
 * nobody's to free.
 */

static _Atomic uint32_t raw_tid;
static struct gate raw_gate;

static void raw_run(void *fn)
{
	setup();
	(*(void (**)(void))fn)();
}

static _Noreturn void raw_exit(void)
{
	gate_pass(&raw_gate);
	for (;;)
		(void)syscall(SYS_exit, 0);
}

static void *raw_owner(void *arg)
{
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	atomic_store(&raw_tid, vt_task_self());
	raw_exit();
	return arg;
}

static int raw_forked(vitals_thread *self, void *arg)
{
	vitals_heartbeat **ret = arg;

	*ret = vitals_heartbeat_ref(vitals_thread_heartbeat(self));
	atomic_store(&raw_tid, vt_task_self());
	raw_exit();
	return 0;
}

static void raw_gone(void)
{
	child_check(vt_task_exists(atomic_load(&raw_tid)));
	gate_open(&raw_gate);
	/* Bounded by the child's alarm. */
	while (vt_task_exists(atomic_load(&raw_tid)))
		(void)sched_yield();
}

static void raw_start(void *(*run)(void *))
{
	pthread_t thread;

	child_check(pthread_create(&thread, NULL, run, NULL) == 0);
	child_check(word_reaches(&raw_tid, 1));
	(void)vitals_heartbeat_pulse(heartbeat);
}

static void dead_and_never_silent(const vitals_heartbeat *one)
{
	child_check(!passes(one, T - TICK));
	child_check(state_of(one) == VITALS_HEALTHY);
	child_check(!passes(one, 3 * TICK));
	child_check(state_of(one) == VITALS_DEAD);
	child_check(atomic_load(&vt_heartbeat_rare(one)->stalls) == 0);
}

static void raw_owner_dies(void)
{
	raw_start(raw_owner);
	raw_gone();
	dead_and_never_silent(heartbeat);
	/* Another thread may take it over. */
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)vt_heartbeat_pulse_at(heartbeat, now);
	step(TICK);
	child_check(state_of(heartbeat) == VITALS_HEALTHY);
}

START_TEST(an_owner_that_exits_raw_is_dead_after_the_timeout)
{
	void (*fn)(void) = raw_owner_dies;

	child_run(raw_run, &fn);
}
END_TEST

static uint32_t living(void)
{
	return registry->pools[VT_POOL_HEARTBEAT].living;
}

static void raw_owner_keeps_nothing(void)
{
	uint32_t others = living() - 1;

	raw_start(raw_owner);
	raw_gone();
	heartbeat = vitals_heartbeat_unref(heartbeat);
	child_check(living() == others);
}

static void *owner_that_ends(void *arg)
{
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	return arg;
}

/* The one that follows has it in its own list, and lets go of it for both. */
static void raw_owners_follower_keeps_nothing(void)
{
	uint32_t others = living() - 1;
	pthread_t thread;

	raw_start(raw_owner);
	raw_gone();
	child_check(pthread_create(&thread, NULL, owner_that_ends, NULL) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	child_check(living() == others);
}

START_TEST(one_that_exited_raw_keeps_no_slot)
{
	void (*fn)(void) = _i ? raw_owners_follower_keeps_nothing
			      : raw_owner_keeps_nothing;

	child_run(raw_run, &fn);
}
END_TEST

static void raw_owner_is_followed(void)
{
	raw_start(raw_owner);
	child_check(vitals_heartbeat_own(heartbeat) == -EBUSY);
	raw_gone();
	child_check(vitals_heartbeat_own(heartbeat) == 0);
}

START_TEST(what_one_that_exited_raw_owned_can_be_owned_at_once)
{
	void (*fn)(void) = raw_owner_is_followed;

	child_run(raw_run, &fn);
}
END_TEST

static void raw_owner_dies_later(void)
{
	raw_start(raw_owner);
	child_check(passes(heartbeat, T + 2 * TICK));
	child_check(state_of(heartbeat) == VITALS_SILENT);
	passes(heartbeat, 2 * T);
	child_check(state_of(heartbeat) == VITALS_SILENT);
	passes(heartbeat, 2 * T);
	child_check(state_of(heartbeat) == VITALS_STUCK);
	raw_gone();
	/* A look a second, and a tick. */
	passes(heartbeat, VITALS_S(1) + TICK);
	child_check(state_of(heartbeat) == VITALS_DEAD);
}

START_TEST(a_silent_one_that_exits_raw_is_dead_within_a_second)
{
	void (*fn)(void) = raw_owner_dies_later;

	child_run(raw_run, &fn);
}
END_TEST

static void raw_forked_dies(void)
{
	struct vitals_thread_info info;
	vitals_heartbeat *its = NULL;

	child_check(vitals_thread_fork(quitter, "forked", T, raw_forked, &its, NULL) ==
		    0);
	child_check(word_reaches(&raw_tid, 1));
	(void)vitals_heartbeat_pulse(its);
	raw_gone();
	dead_and_never_silent(its);
	child_check(thread_row(registry, "forked", &info));
	child_check(vitals_quitter_abandon(quitter, info.id) == 0);
	step(TICK);
	child_check(registry->root->summary.critical[VITALS_DEAD] == 0);
	child_check(vitals_heartbeat_pulse(its) == -ECANCELED);
}

START_TEST(a_forked_thread_that_exits_raw_is_dead_until_it_is_abandoned)
{
	void (*fn)(void) = raw_forked_dies;

	child_run(raw_run, &fn);
}
END_TEST

/* Whoever waits finds out: at once what the monitor knows, else when the time is over. */
static void *raw_adopted(void *arg)
{
	vitals_thread *self;

	child_check(vitals_thread_adopt(quitter, "adopted", T, NULL, &self) == 0);
	atomic_store(&raw_tid, vt_task_self());
	raw_exit();
	return arg;
}

static void raw_wait(bool forked, bool known)
{
	uint64_t began_ns = vt_clock_now();
	vitals_heartbeat *its = NULL;
	vitals_snapshot *late = NULL;
	struct vitals_thread_info info;

	if (forked)
		child_check(vitals_thread_fork(quitter, "forked", T, raw_forked, &its,
					       NULL) == 0);
	else
		raw_start(raw_adopted);
	child_check(word_reaches(&raw_tid, 1));
	child_check(vitals_quitter_wait_done(quitter, 0, NULL) == -ETIMEDOUT);
	raw_gone();
	if (known)
		passes(heartbeat, T + TICK);
	child_check(vitals_quitter_wait_done(quitter, known ? VITALS_S(1000) : 1,
					     &late) == 0);
	child_check(!late && vt_clock_now() - began_ns < VITALS_S(1000));
	child_check(thread_row(registry, forked ? "forked" : "adopted", &info));
	child_check(info.state == VITALS_THREAD_DEAD);
	child_check(vitals_quitter_send_quit(quitter, 0, NULL) == 0);
	child_check(vitals_quitter_wait_done(quitter, VITALS_S(10), NULL) == 0);
	child_check(thread_rows(registry) == 0);
	step(TICK);
	child_check(registry->root->summary.critical[VITALS_DEAD] == 0);
}

static void raw_forked_known(void)
{
	raw_wait(true, true);
}

static void raw_forked_unknown(void)
{
	raw_wait(true, false);
}

static void raw_adopted_known(void)
{
	raw_wait(false, true);
}

static void raw_adopted_unknown(void)
{
	raw_wait(false, false);
}

static void raw_finished(void)
{
	struct vitals_thread_options options;
	struct vitals_result result;
	vitals_heartbeat *its = NULL;

	VITALS_INIT(&options);
	options.flags = VITALS_THREAD_QUIT_WHEN_IT_FAILS;
	child_check(vitals_thread_fork(quitter, "forked", T, raw_forked, &its,
				       &options) == 0);
	child_check(word_reaches(&raw_tid, 1));
	raw_gone();
	passes(heartbeat, T + TICK);
	VITALS_INIT(&result);
	/* Its end was a failure; nobody is late. */
	child_check(vitals_quitter_finish(quitter, &result, NULL) == 1);
	child_check(result.kind == VITALS_CAUSE_THREAD_FAILED && !result.late);
}

START_TEST(nobody_waits_for_a_thread_that_exited_raw)
{
	static void (*const fns[])(void) = { raw_adopted_known, raw_adopted_unknown,
					     raw_forked_known, raw_forked_unknown,
					     raw_finished };
	void (*fn)(void) = fns[_i];

	child_run(raw_run, &fn);
}
END_TEST

static void *sees_the_first_go(void *unused)
{
	uint64_t since = now;

	(void)unused;
	raw_gone();
	while (state_of(heartbeat) != VITALS_DEAD && now - since < 2 * T)
		child_check(!passes(heartbeat, TICK));
	child_check(state_of(heartbeat) == VITALS_DEAD);
	_exit(EXIT_SUCCESS);
}

/* What is left of it is a zombie, for which the kernel still has a clock. */
static void raw_first_dies(void)
{
	pthread_t thread;

	child_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)vitals_heartbeat_pulse(heartbeat);
	atomic_store(&raw_tid, (uint32_t)getpid());
	child_check(pthread_create(&thread, NULL, sees_the_first_go, NULL) == 0);
	raw_exit();
}

START_TEST(a_first_thread_that_exits_raw_is_dead_after_the_timeout)
{
	void (*fn)(void) = raw_first_dies;

	child_run(raw_run, &fn);
}
END_TEST

static void first_is_hung(void)
{
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)vitals_heartbeat_pulse(heartbeat);
	child_check(passes(heartbeat, 6 * T));
	child_check(state_of(heartbeat) == VITALS_STUCK);
}

START_TEST(a_first_thread_that_is_there_is_silent_and_stuck)
{
	void (*fn)(void) = first_is_hung;

	child_run(raw_run, &fn);
}
END_TEST

static void other_is_asked_for(void *unused)
{
	int fds = fd_count();

	(void)unused;
	/* Init's: a thread, but not of this process. */
	child_check(!vt_task_exists(1));
	child_check(!vt_task_exists(0x3fffff));
	errno = 77;
	child_check(vt_task_exists((uint32_t)getpid()));
	child_check(!vt_task_exists(1));
	child_check(errno == 77);
	child_check(fd_count() == fds);
}

START_TEST(a_task_is_of_this_process_or_none)
{
	child_run(other_is_asked_for, NULL);
}
END_TEST

/* As strict as a filter can be; of the calling thread alone. */
static void clock_alone_allowed(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static _Atomic uint32_t there;

static void *is_there(void *arg)
{
	atomic_store(&there, vt_task_self());
	end_by(IS_CANCELLED);
	return arg;
}

static void *is_not_found_when_gone(void *unused)
{
	(void)unused;
	raw_gone();
	clock_alone_allowed();
	if (!vt_task_exists(atomic_load(&there)) || vt_task_exists(atomic_load(&raw_tid)))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

static void raw_under_a_filter(void)
{
	pthread_t thread;

	raw_start(raw_owner);
	child_check(pthread_create(&thread, NULL, is_there, NULL) == 0);
	child_check(word_reaches(&there, 1));
	child_check(pthread_create(&thread, NULL, is_not_found_when_gone, NULL) == 0);
	child_check(pthread_join(thread, NULL) != 0);
}

START_TEST(a_strict_filter_lets_a_thread_be_looked_for)
{
	void (*fn)(void) = raw_under_a_filter;

	child_run(raw_run, &fn);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_thread_that_ends_is_dead_at_once, 0, 2 * WAYS);
	tcase_add_loop_test(tc, destructors_of_others_beat_on_a_living_heartbeat, 0,
			    4 * (ROUNDS - 1));
	tcase_add_test(tc, one_that_leaves_in_a_destructor_is_not_dead);
	tcase_add_loop_test(
		tc, a_forked_thread_that_fails_is_dead_and_one_that_does_not_is_closed, 0,
		2);
	suite_add_tcase(suite, tc);

	tc = tcase_create("raw");
	tcase_add_test(tc, an_owner_that_exits_raw_is_dead_after_the_timeout);
	tcase_add_test(tc, what_one_that_exited_raw_owned_can_be_owned_at_once);
	tcase_add_loop_test(tc, one_that_exited_raw_keeps_no_slot, 0, 2);
	tcase_add_test(tc, a_silent_one_that_exits_raw_is_dead_within_a_second);
	tcase_add_test(tc, a_forked_thread_that_exits_raw_is_dead_until_it_is_abandoned);
	/* A sanitizer that did not see a thread end waits for it when it is joined. */
	tcase_add_loop_test(tc, nobody_waits_for_a_thread_that_exited_raw, 0,
			    SANITIZED ? 2 : 5);
	tcase_add_test(tc, a_first_thread_that_exits_raw_is_dead_after_the_timeout);
	tcase_add_test(tc, a_first_thread_that_is_there_is_silent_and_stuck);
	tcase_add_test(tc, a_task_is_of_this_process_or_none);
	if (!SANITIZED)
		tcase_add_test(tc, a_strict_filter_lets_a_thread_be_looked_for);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
