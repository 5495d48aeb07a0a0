/* SPDX-License-Identifier: MIT */

/*
 * A hundred threads, blocked in whatever a thread can block in, are told to leave: all do. Each
 * kind of call with what gets out of it.
 *
 * What is given to vitals_thread_on_quit() may be called more than once, in another thread, before
 * its thread blocks, while it does or after: so it sets a level (a flag, a shutdown, a byte that
 * nobody reads) and frees or closes nothing. close() would not even wake who is in accept(), and
 * the second would close somebody else's descriptor.
 */

#include "harness.h"
#include "service.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EACH 10

struct blocked {
	int fds[2];
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool over; /* guarded by mutex */
	pthread_t thread;
	_Atomic uint32_t word;
	_Atomic uint32_t inside; /* about to block */
	_Atomic uint32_t called;
};

struct kind {
	const char *name;
	void (*open)(struct blocked *blocked);
	void (*block)(vitals_thread *self, struct blocked *blocked);
	void (*unblock)(void *user); /* NULL: the library's own wait */
};

static struct service service;

static void setup(void)
{
	service_make(&service);
}

static void teardown(void)
{
	service_free(&service);
}

/* Descriptors */

static void pipe_open(struct blocked *blocked)
{
	ck_assert_int_eq(pipe(blocked->fds), 0);
}

static void pair_open(struct blocked *blocked)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, blocked->fds), 0);
}

static void listener_open(struct blocked *blocked)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	blocked->fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ge(blocked->fds[0], 0);
	ck_assert_int_eq(
		bind(blocked->fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(blocked->fds[0], 4), 0);
}

/* A byte more does no harm: nobody waits for just one. */
static void write_byte(void *user)
{
	struct blocked *blocked = user;

	worker_check(write(blocked->fds[1], "", 1) == 1);
	atomic_fetch_add(&blocked->called, 1);
}

/* The second is an error of shutdown's (of a listener, ENOTCONN), and no more. */
static void shut_down(void *user)
{
	struct blocked *blocked = user;

	(void)shutdown(blocked->fds[0], SHUT_RDWR);
	atomic_fetch_add(&blocked->called, 1);
}

static void in_read(vitals_thread *self, struct blocked *blocked)
{
	char byte;

	(void)self;
	worker_check(read(blocked->fds[0], &byte, 1) >= 0);
}

static void in_accept(vitals_thread *self, struct blocked *blocked)
{
	(void)self;
	worker_check(accept(blocked->fds[0], NULL, NULL) < 0 && errno == EINVAL);
}

static void in_poll(vitals_thread *self, struct blocked *blocked)
{
	struct pollfd fd = { .fd = blocked->fds[0], .events = POLLIN };

	(void)self;
	worker_check(poll(&fd, 1, -1) == 1);
}

/* Words, conditions, signals */

static void in_futex(vitals_thread *self, struct blocked *blocked)
{
	(void)self;
	while (!atomic_load(&blocked->word))
		(void)syscall(SYS_futex, &blocked->word, FUTEX_WAIT_PRIVATE, 0, NULL,
			      NULL, 0);
}

static void futex_wake(void *user)
{
	struct blocked *blocked = user;

	atomic_store(&blocked->word, 1);
	(void)syscall(SYS_futex, &blocked->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL,
		      0);
	atomic_fetch_add(&blocked->called, 1);
}

static void in_cond(vitals_thread *self, struct blocked *blocked)
{
	(void)self;
	pthread_mutex_lock(&blocked->mutex);
	while (!blocked->over)
		pthread_cond_wait(&blocked->cond, &blocked->mutex);
	pthread_mutex_unlock(&blocked->mutex);
}

/* With the mutex: between the look and the wait there is no gap then. */
static void cond_broadcast(void *user)
{
	struct blocked *blocked = user;

	pthread_mutex_lock(&blocked->mutex);
	blocked->over = true;
	pthread_cond_broadcast(&blocked->cond);
	pthread_mutex_unlock(&blocked->mutex);
	atomic_fetch_add(&blocked->called, 1);
}

static void caught(int signo)
{
	(void)signo;
}

/* Blocked but in ppoll, so one that comes too early waits: no signal falls into the gap. */
static void in_signal(vitals_thread *self, struct blocked *blocked)
{
	sigset_t without;

	(void)self;
	(void)blocked;
	pthread_sigmask(SIG_SETMASK, NULL, &without);
	sigdelset(&without, SIGUSR1);
	worker_check(ppoll(NULL, 0, NULL, &without) < 0 && errno == EINTR);
}

static void send_signal(void *user)
{
	struct blocked *blocked = user;

	worker_check(pthread_kill(blocked->thread, SIGUSR1) == 0);
	atomic_fetch_add(&blocked->called, 1);
}

/* In slices, where there is nothing that ends it. */
static void in_nanosleep(vitals_thread *self, struct blocked *blocked)
{
	struct timespec slice = { .tv_nsec = 5 * 1000 * 1000 };

	(void)blocked;
	while (vitals_thread_go_on(self))
		nanosleep(&slice, NULL);
}

/* The library's own */

static void in_thread_sleep(vitals_thread *self, struct blocked *blocked)
{
	(void)blocked;
	worker_check(vitals_thread_sleep(self, VITALS_FOREVER) == -ECANCELED);
}

static void in_thread_poll(vitals_thread *self, struct blocked *blocked)
{
	struct pollfd fd = { .fd = blocked->fds[0], .events = POLLIN };

	worker_check(vitals_thread_poll(self, &fd, 1, VITALS_FOREVER) == -ECANCELED);
}

static void in_thread_cond_wait(vitals_thread *self, struct blocked *blocked)
{
	int r = 0;

	pthread_mutex_lock(&blocked->mutex);
	while (!r)
		r = vitals_thread_cond_wait(self, &blocked->cond, &blocked->mutex,
					    VITALS_FOREVER);
	pthread_mutex_unlock(&blocked->mutex);
	worker_check(r == -ECANCELED);
}

static const struct kind kinds[] = {
	{ "read, a pipe", pipe_open, in_read, write_byte },
	{ "read, a socket", pair_open, in_read, shut_down },
	{ "accept", listener_open, in_accept, shut_down },
	{ "poll", pipe_open, in_poll, write_byte },
	{ "futex", NULL, in_futex, futex_wake },
	{ "condition", NULL, in_cond, cond_broadcast },
	{ "signal", NULL, in_signal, send_signal },
	{ "nanosleep", NULL, in_nanosleep, NULL },
	{ "thread_sleep", NULL, in_thread_sleep, NULL },
	{ "thread_poll", pair_open, in_thread_poll, NULL },
	{ "thread_cond_wait", NULL, in_thread_cond_wait, NULL },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* A hundred, and some. */
static struct blocked all[KINDS * EACH];
#define ALL (KINDS * EACH)

static const struct kind *kind_of(const struct blocked *blocked)
{
	return &kinds[(blocked - all) % KINDS];
}

static void blocked_make(struct blocked *blocked)
{
	memset(blocked, 0, sizeof(*blocked));
	pthread_mutex_init(&blocked->mutex, NULL);
	pthread_cond_init(&blocked->cond, NULL);
	blocked->fds[0] = blocked->fds[1] = -1;
	if (kind_of(blocked)->open)
		kind_of(blocked)->open(blocked);
}

static void blocked_free(struct blocked *blocked)
{
	if (blocked->fds[0] >= 0)
		close(blocked->fds[0]);
	if (blocked->fds[1] >= 0)
		close(blocked->fds[1]);
	pthread_cond_destroy(&blocked->cond);
	pthread_mutex_destroy(&blocked->mutex);
}

static int run(vitals_thread *self, void *arg)
{
	struct blocked *blocked = arg;
	const struct kind *kind = kind_of(blocked);

	blocked->thread = pthread_self();
	if (kind->unblock)
		worker_check(vitals_thread_on_quit(self, kind->unblock, blocked) == 0);
	atomic_fetch_add(&blocked->inside, 1);
	kind->block(self, blocked);
	/* No longer: what it uses may be gone afterwards. */
	worker_check(vitals_thread_on_quit(self, NULL, NULL) == 0);
	return 0;
}

/* A thread inherits its mask. */
static void signal_block(void)
{
	struct sigaction action = { .sa_handler = caught };
	sigset_t set;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void fork_all(vitals_quitter *quitter)
{
	int i;

	signal_block();
	for (i = 0; i < ALL; i++)
		blocked_make(&all[i]);
	for (i = 0; i < ALL; i++)
		ck_assert_int_eq(vitals_thread_fork(quitter, kind_of(&all[i])->name, 0,
						    run, &all[i], NULL),
				 0);
}

static void told_and_out(vitals_quitter *quitter)
{
	vitals_snapshot *late;
	uint64_t from_ns = clock_now();
	int i, r;

	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, NULL), 0);
	r = vitals_quitter_wait_done(quitter, VITALS_S(20), &late);
	if (r)
		vitals_snapshot_print(late, STDERR_FILENO);
	ck_assert_int_eq(r, 0);
	if (getenv("VITALS_TOOK"))
		printf("%d threads were out after %.2f ms\n", ALL,
		       (double)(clock_now() - from_ns) / 1e6);
	for (i = 0; i < ALL; i++)
		ck_assert_int_eq(atomic_load(&all[i].called) != 0,
				 kind_of(&all[i])->unblock != NULL);
}

static void free_all(void)
{
	int i;

	for (i = 0; i < ALL; i++)
		blocked_free(&all[i]);
	worker_checks_passed();
}

START_TEST(a_hundred_threads_leave_whatever_they_are_blocked_in)
{
	vitals_quitter *child = child_of(service.main, "pool");
	int i;

	fork_all(child);
	for (i = 0; i < ALL; i++)
		ck_assert(word_reaches(&all[i].inside, 1));
	usleep(20000); /* most are asleep by now; the others are as good a case */
	told_and_out(child);
	free_all();
	vitals_quitter_free(child);
}
END_TEST

/* Told while they come: some before they said how to get them out, some before they block. */
START_TEST(who_is_told_before_it_blocks_does_not_stay)
{
	vitals_quitter *child = child_of(service.main, "pool");

	fork_all(child);
	told_and_out(child);
	free_all();
	vitals_quitter_free(child);
}
END_TEST

/* By a whole shutdown, in which finish and the monitor tell. */
START_TEST(finish_gets_them_out_as_well)
{
	struct vitals_result result;

	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_S(20), NULL,
						 &service.main),
			 0);
	fork_all(service.main);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 3, "over"), 0);
	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 3);
	ck_assert_uint_eq(result.late, 0);
	free_all();
}
END_TEST

/* As when half of its time is over: whoever is out already is not harmed. */
START_TEST(a_second_call_does_no_harm)
{
	vitals_quitter *child = child_of(service.main, "pool");
	int i, fds;

	fork_all(child);
	for (i = 0; i < ALL; i++)
		ck_assert(word_reaches(&all[i].inside, 1));
	fds = fd_count();
	for (i = 0; i < ALL; i++) {
		const struct kind *kind = kind_of(&all[i]);

		/* Of the others one is enough, and their threads are gone then. */
		if (kind->unblock && kind->unblock != send_signal) {
			kind->unblock(&all[i]);
			kind->unblock(&all[i]);
		}
	}
	ck_assert_int_eq(fd_count(), fds);
	told_and_out(child);
	free_all();
	vitals_quitter_free(child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unblock");
	TCase *tcase = tcase_create("unblock");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_hundred_threads_leave_whatever_they_are_blocked_in,
			    0, 5);
	tcase_add_loop_test(tcase, who_is_told_before_it_blocks_does_not_stay, 0, 5);
	tcase_add_test(tcase, finish_gets_them_out_as_well);
	tcase_add_test(tcase, a_second_call_does_no_harm);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
