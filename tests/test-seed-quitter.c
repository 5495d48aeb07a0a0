/* SPDX-License-Identifier: MIT */

/*
 * go-quitter's own tests, by their names, on this library. Its add(n) and done() are hold
 * and release; its goroutines are threads. Where its suite has several tests of one name
 * at different times, the stricter one is here, and says which it covers.
 */

#include "harness.h"
#include "service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Its quitTimeout and doneTimeout are 10 ms; what has to be over by itself gets more. */
#define QUIT_TIMEOUT VITALS_MS(10)
#define PLENTY VITALS_S(20)

static struct service service;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &service.registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, QUIT_TIMEOUT, NULL,
						 &service.main),
			 0);
}

static void teardown(void)
{
	service_free(&service);
}

static int add(vitals_quitter *quitter, int n)
{
	int r = 0;

	while (n-- && !r)
		r = vitals_quitter_hold(quitter, "work");
	return r;
}

static void done(vitals_quitter *quitter, int n)
{
	while (n--)
		ck_assert_int_eq(vitals_quitter_release(quitter, "work"), 0);
}

/* As its TestMultipleMainQuitters and TestMultipleParents. */
START_TEST(TestCreateMultipleMainQuitters)
{
	vitals_quitter *second;

	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, NULL, &second),
			 -EEXIST);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, NULL, &second),
			 -EEXIST);
}
END_TEST

START_TEST(TestAddBeforeQuit)
{
	ck_assert_int_eq(add(service.main, 1), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	done(service.main, 1);
}
END_TEST

START_TEST(TestAddAfterQuit)
{
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(add(service.main, 1), -ECANCELED);
}
END_TEST

START_TEST(TestDoneWithoutAdd)
{
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), -EINVAL);
}
END_TEST

START_TEST(TestDoneWithAdd)
{
	ck_assert_int_eq(add(service.main, 1), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* As its TestTooManyDone. */
START_TEST(TestMoreDoneThanAdd)
{
	ck_assert_int_eq(add(service.main, 2), 0);
	done(service.main, 2);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), -EINVAL);
}
END_TEST

START_TEST(TestHasToQuit)
{
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
}
END_TEST

START_TEST(TestWaitDoneTimeoutTrue)
{
	vitals_snapshot *late;

	ck_assert_int_eq(add(service.main, 1), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/work"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	done(service.main, 1);
}
END_TEST

START_TEST(TestWaitDoneTimeoutFalse)
{
	vitals_snapshot *late;

	ck_assert_int_eq(add(service.main, 1), 0);
	done(service.main, 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late), 0);
	ck_assert_ptr_null(late);
}
END_TEST

/* Its oldest: late, then done, then waited for again. */
START_TEST(TestWaitDoneTimeout)
{
	ck_assert_int_eq(add(service.main, 1), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(1), NULL),
			 -ETIMEDOUT);
	done(service.main, 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(1), NULL), 0);
}
END_TEST

/* As its TestOSInterruptSignal: three events, the third is the interrupt. */
START_TEST(TestExitFuncWithInterruptSignal)
{
	struct vitals_result result;
	vitals_snapshot *late;
	int errors[2], strings[2];

	VITALS_INIT(&result);
	ck_assert_int_eq(pipe(errors), 0);
	ck_assert_int_eq(pipe(strings), 0);
	/* Check's own would end the test. */
	signal(SIGINT, SIG_DFL);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, errors[0], "error"), 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, strings[0], "string"), 1);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, "interrupt"), 2);
	ck_assert_int_eq(add(service.main, 1), 0);
	ck_assert_int_eq(kill(getpid(), SIGINT), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, &late), 1);
	ck_assert_int_eq(result.status, 1);
	ck_assert_int_eq(result.index, 2);
	ck_assert_uint_eq(result.late, 1);
	ck_assert_str_eq(result.text, "interrupt");
	ck_assert_uint_eq(late_rows(late, "main/work"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	done(service.main, 1);
	close(errors[0]);
	close(errors[1]);
	close(strings[0]);
	close(strings[1]);
}
END_TEST

/* What the seed's does not look at: no timeout, and each of the other events. */
START_TEST(TestExitFuncWithEachChannel)
{
	struct vitals_result result;
	vitals_snapshot *late;
	int fds[2][2], i;

	VITALS_INIT(&result);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(fds[i]), 0);
		ck_assert_int_eq(vitals_quitter_on_fd(service.main, fds[i][0], "channel"),
				 i);
	}
	ck_assert_int_eq(write(fds[_i][1], "x", 1), 1);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, &late), 0);
	ck_assert_int_eq(result.index, _i);
	ck_assert_uint_eq(result.late, 0);
	ck_assert_ptr_null(late);
	for (i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}
END_TEST

static int dummyGoRoutine(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 0;
}

static int goodGoRoutine(vitals_thread *self, void *arg)
{
	(void)arg;
	while (!vitals_quitter_must_quit(vitals_thread_quitter(self)))
		usleep(1000);
	return 0;
}

#define badGoRoutine refuses

/*
 * All of them, but not in the 10 ms that the seed's tests give: on a busy machine a thread is not let run
 * for longer. A wait that begins when that time is over has its own.
 */
static int wait_for_all(vitals_quitter *quitter)
{
	int r = vitals_quitter_wait_done(quitter, PLENTY, NULL);

	return r == -ETIMEDOUT ? vitals_quitter_wait_done(quitter, PLENTY, NULL) : r;
}

/* As its TestAddValidRoutine. */
START_TEST(TestAddGoRoutineBeforeQuit)
{
	ck_assert_int_eq(fork_on(service.main, "dummyGoRoutine", dummyGoRoutine, NULL),
			 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(wait_for_all(service.main), 0);
}
END_TEST

/* As its TestAddInvalidRoutine. */
START_TEST(TestAddGoRoutineAfterQuit)
{
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(fork_on(service.main, "dummyGoRoutine", dummyGoRoutine, NULL),
			 -ECANCELED);
}
END_TEST

/* As its TestGoRoutineWaitDoneTimeoutFalse, which looks at the refusal too. */
START_TEST(TestAddGoRoutineWaitDoneTimeoutFalse)
{

	ck_assert_int_eq(fork_on(service.main, "goodGoRoutine", goodGoRoutine, NULL), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(wait_for_all(service.main), 0);
	ck_assert_int_eq(fork_on(service.main, "goodGoRoutine", goodGoRoutine, NULL),
			 -ECANCELED);
}
END_TEST

START_TEST(TestAddGoRoutineWaitDoneTimeoutTrue)
{
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(fork_on(service.main, "badGoRoutine", badGoRoutine, &gate), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/badGoRoutine"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(wait_for_all(service.main), 0);
}
END_TEST

/* Its older form: a good one beside the bad one, which alone is named. */
START_TEST(TestGoRoutineWaitDoneTimeoutTrue)
{
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(fork_on(service.main, "badGoRoutine", badGoRoutine, &gate), 0);
	ck_assert_int_eq(fork_on(service.main, "goodGoRoutine", goodGoRoutine, NULL), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert(rows_reach(service.registry, 1));
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/badGoRoutine"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(fork_on(service.main, "goodGoRoutine", goodGoRoutine, NULL),
			 -ECANCELED);
	gate_open(&gate);
	ck_assert_int_eq(wait_for_all(service.main), 0);
}
END_TEST

/*
 * The seed's tree: what each quitter adds, and what is done of it in the late and the
 * clean case.
 */
static const struct node {
	const char *name;
	int parent; /* -1: main */
	int added;
	int done;         /* in the late case */
	const char *late; /* its path, if it is late */
} tree[] = {
	{ "child1", -1, 1, 1, NULL },
	{ "child1A", 0, 1, 0, "main/child1/child1A" },
	{ "child1B", 0, 1, 1, NULL },
	{ "child2", -1, 2, 1, "main/child2" },
	{ "child2A", 3, 1, 1, NULL },
	{ "child2A1", 4, 1, 0, "main/child2/child2A/child2A1" },
	{ "child3", -1, 3, 2, "main/child3" },
};
#define NODES (sizeof(tree) / sizeof(tree[0]))

/* What a node adds is called as the node is. */
static void tree_done(vitals_quitter *quitter, size_t node, int n)
{
	while (n--)
		ck_assert_int_eq(vitals_quitter_release(quitter, tree[node].name), 0);
}

static void tree_make(vitals_quitter *quitters[NODES])
{
	size_t i;
	int j;

	ck_assert_int_eq(add(service.main, 3), 0);
	done(service.main, 3);
	for (i = 0; i < NODES; i++) {
		quitters[i] = child_of(tree[i].parent < 0 ? service.main
							  : quitters[tree[i].parent],
				       tree[i].name);
		for (j = 0; j < tree[i].added; j++)
			ck_assert_int_eq(vitals_quitter_hold(quitters[i], tree[i].name),
					 0);
	}
}

static void tree_free(vitals_quitter *quitters[NODES])
{
	size_t i;

	for (i = 0; i < NODES; i++)
		vitals_quitter_free(quitters[i]);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}

/* The exact list: these four, each once, nobody else. */
START_TEST(TestNonConcurrentChildsWaitDoneTimeoutTrue)
{
	vitals_quitter *quitters[NODES];
	char path[VITALS_PATH_MAX + VITALS_NAME_MAX];
	vitals_snapshot *late;
	unsigned n = 0;
	size_t i;

	tree_make(quitters);
	for (i = 0; i < NODES; i++)
		tree_done(quitters[i], i, tree[i].done);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late),
			 -ETIMEDOUT);
	for (i = 0; i < NODES; i++)
		if (tree[i].late) {
			snprintf(path, sizeof(path), "%s/%s", tree[i].late, tree[i].name);
			ck_assert_uint_eq(late_rows(late, path), 1);
			n++;
		}
	ck_assert_uint_eq(n, 4);
	ck_assert_uint_eq(late_count(late), n);
	vitals_snapshot_free(late);
	for (i = 0; i < NODES; i++)
		tree_done(quitters[i], i, tree[i].added - tree[i].done);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	tree_free(quitters);
}
END_TEST

/*
 * The same tree with threads, which the seed never lists: per quitter, exactly who is
 * late.
 */
START_TEST(TestNonConcurrentChildsWaitDoneTimeoutTrueWithGoRoutines)
{
	vitals_quitter *quitters[NODES];
	struct gate gate = { 0 };
	char path[VITALS_PATH_MAX + VITALS_NAME_MAX];
	vitals_snapshot *late;
	unsigned n = 0;
	size_t i;
	int j;

	tree_make(quitters);
	for (i = 0; i < NODES; i++) {
		for (j = 0; j < tree[i].added; j++)
			ck_assert_int_eq(
				fork_on(quitters[i], j < tree[i].done ? "good" : "bad",
					j < tree[i].done ? goodGoRoutine : badGoRoutine,
					&gate),
				0);
		tree_done(quitters[i], i, tree[i].added);
	}
	for (i = 0; i < NODES; i++)
		n += tree[i].late != NULL;
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert(rows_reach(service.registry, n));
	n = 0;
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late),
			 -ETIMEDOUT);
	for (i = 0; i < NODES; i++)
		if (tree[i].late) {
			/* Forked in this order: bad, bad#2, … */
			n++;
			snprintf(path, sizeof(path), n == 1 ? "%s/bad" : "%s/bad#%u",
				 tree[i].late, n);
			ck_assert_uint_eq(late_rows(late, path), 1);
		}
	ck_assert_uint_eq(late_count(late), n);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(wait_for_all(service.main), 0);
	tree_free(quitters);
}
END_TEST

/* (The seed's spelling.) As its TestMultipleChildsNonConcurrent, second half. */
START_TEST(TestNonConcurrentChildsWaitDoneTimeoutFlase)
{
	vitals_quitter *quitters[NODES];
	vitals_snapshot *late;
	size_t i;

	tree_make(quitters);
	for (i = 0; i < NODES; i++)
		tree_done(quitters[i], i, tree[i].added);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, QUIT_TIMEOUT, &late), 0);
	ck_assert_ptr_null(late);
	tree_free(quitters);
}
END_TEST

/* Its oldest: only the deepest is open, then it is not, and the same wait says so. */
START_TEST(TestMultipleChildsNonConcurrent)
{
	vitals_quitter *quitters[NODES];
	size_t i;

	tree_make(quitters);
	for (i = 0; i < NODES; i++)
		tree_done(quitters[i], i, tree[i].added - (i == 5));
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(1), NULL),
			 -ETIMEDOUT);
	tree_done(quitters[5], 5, 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(1), NULL), 0);
	tree_free(quitters);
}
END_TEST

/* Each makes a child quitter, forks the next on it, and waits for its parent. */
struct child_routine {
	const char *name;
	int counter;
	_Atomic uint32_t *ready;
	struct child_routine *next;
};

static int childRoutine_Run(vitals_thread *self, void *arg)
{
	struct child_routine *routine = arg;
	vitals_quitter *child;

	worker_check(vitals_quitter_new(vitals_thread_quitter(self), routine->name, NULL,
					&child) == 0);
	if (routine->next)
		worker_check(fork_on(child, "Run", childRoutine_Run, routine->next) == 0);
	else
		atomic_fetch_add(routine->ready, 1);
	worker_check(vitals_thread_sleep(self, VITALS_FOREVER) == -ECANCELED);
	vitals_quitter_free(child);
	return 0;
}

START_TEST(TestConcurrentChildsWithAddGoRoutine)
{
	static const char *const names[2][4] = {
		{ "childA", "childA-1", "childA-1-2", "childA-1-2-3" },
		{ "childB", "childB-1", "childB-1-2", "childB-1-2-3" },
	};
	struct child_routine routines[2][4];
	_Atomic uint32_t ready = 0;
	int branch, i;

	for (branch = 0; branch < 2; branch++) {
		for (i = 0; i < 4; i++)
			routines[branch][i] =
				(struct child_routine){ names[branch][i], i, &ready,
							i < 3 ? &routines[branch][i + 1]
							      : NULL };
		ck_assert_int_eq(fork_on(service.main, "Run", childRoutine_Run,
					 &routines[branch][0]),
				 0);
	}
	ck_assert(word_reaches(&ready, 2));
	ck_assert_uint_eq(quitter_rows(service.registry), 9);
	ck_assert_uint_eq(thread_rows(service.registry), 8);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(wait_for_all(service.main), 0);
	worker_checks_passed();
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

/*
 * As its TestConcurrentChilds and TestMultipleChildsConcurrent: threads of its own, add
 * and done.
 */
struct plain {
	vitals_quitter *quitter;
	vitals_quitter *inner; /* told and waited for first, if there is one */
	_Atomic uint32_t *ready;
	const char *what;
};

static void *plain_routine(void *arg)
{
	struct plain *plain = arg;

	if (plain->inner) {
		worker_check(send_quit(plain->inner) == 0);
		worker_check(vitals_quitter_wait_done(plain->inner, PLENTY, NULL) == 0);
		atomic_fetch_add(plain->ready, 1);
	}
	while (!vitals_quitter_must_quit(plain->quitter))
		usleep(1000);
	worker_check(vitals_quitter_release(plain->quitter, plain->what) == 0);
	return NULL;
}

START_TEST(TestConcurrentChildsWithoutAddGoRoutine)
{
	vitals_quitter *main = service.main, *child1 = child_of(main, "child1");
	vitals_quitter *child1A = child_of(child1, "child1A");
	vitals_quitter *child1A2 = child_of(child1A, "child1A2");
	vitals_quitter *child2 = child_of(main, "child2"),
		       *child2A = child_of(child2, "child2A");
	_Atomic uint32_t ready = 0;
	struct plain plain[] = {
		{ main, NULL, NULL, "Parent Routine" },
		{ child1, NULL, NULL, "Child Routine 1" },
		{ child1A, NULL, NULL, "1A-1" },
		{ child1A, child1A2, &ready, "1A-2" },
		{ child1A2, NULL, NULL, "A" },
		{ child1A2, NULL, NULL, "B" },
		{ child2, child2A, &ready, "Child Routine 2" },
		{ child2A, NULL, NULL, "1" },
		{ child2A, NULL, NULL, "2" },
	};
	enum {
		N = sizeof(plain) / sizeof(plain[0])
	};
	pthread_t threads[N];
	int i;

	for (i = 0; i < N; i++)
		ck_assert_int_eq(vitals_quitter_hold(plain[i].quitter, plain[i].what), 0);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, plain_routine, &plain[i]), 0);
	ck_assert(word_reaches(&ready, 2));
	ck_assert_int_eq(send_quit(main), 0);
	ck_assert_int_eq(wait_for_all(main), 0);
	for (i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	worker_checks_passed();
	vitals_quitter_free(child2A);
	vitals_quitter_free(child2);
	vitals_quitter_free(child1A2);
	vitals_quitter_free(child1A);
	vitals_quitter_free(child1);
}
END_TEST

/* One that counts: the seed's compares 0 with 0. */
struct spawned {
	_Atomic uint32_t started;
	_Atomic uint32_t ended;
};

static int spawnerRoutine_Run(vitals_thread *self, void *arg)
{
	struct spawned *spawned = arg;

	atomic_fetch_add(&spawned->started, 1);
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	atomic_fetch_add(&spawned->ended, 1);
	return 0;
}

static int spawner_Run(vitals_thread *self, void *arg)
{
	vitals_quitter *child;

	worker_check(vitals_quitter_new(vitals_thread_quitter(self), "spawner", NULL,
					&child) == 0);
	while (fork_on(child, "Run", spawnerRoutine_Run, arg) == 0)
		usleep(100);
	vitals_quitter_free(child);
	return 0;
}

START_TEST(TestSpawn)
{
	struct spawned spawned = { 0 };

	ck_assert_int_eq(fork_on(service.main, "Run", spawner_Run, &spawned), 0);
	ck_assert(word_reaches(&spawned.started, 20));
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(wait_for_all(service.main), 0);
	worker_checks_passed();
	ck_assert_uint_ge(atomic_load(&spawned.started), 20);
	ck_assert_uint_eq(atomic_load(&spawned.started), atomic_load(&spawned.ended));
}
END_TEST

/*
 * As its TestQuitterContext: a client in the middle of a request whose server does not
 * answer.
 */
struct client {
	int fds[2];
	_Atomic uint32_t ready;
	int answer;
};

static int clientRoutine_Run(vitals_thread *self, void *arg)
{
	struct client *client = arg;
	struct pollfd fd = { .fd = client->fds[0], .events = POLLIN };

	/*
	 * Before the quit there is no reason to leave: the seed's context says there is.
	 */
	worker_check(vitals_quitter_must_quit(vitals_thread_quitter(self)) == 0);
	worker_check(write(client->fds[0], "GET", 3) == 3);
	atomic_store(&client->ready, 1);
	client->answer = vitals_thread_poll(self, &fd, 1, PLENTY);
	return 0;
}

START_TEST(TestContext)
{
	struct client client = { .answer = 1 };

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, client.fds), 0);
	ck_assert_int_eq(fork_on(service.main, "Run", clientRoutine_Run, &client), 0);
	ck_assert(word_reaches(&client.ready, 1));
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(wait_for_all(service.main), 0);
	ck_assert_int_eq(client.answer, -ECANCELED);
	worker_checks_passed();
	close(client.fds[0]);
	close(client.fds[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seed-quitter");
	TCase *tcase = tcase_create("seed-quitter");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, TestCreateMultipleMainQuitters);
	tcase_add_test(tcase, TestAddBeforeQuit);
	tcase_add_test(tcase, TestAddAfterQuit);
	tcase_add_test(tcase, TestDoneWithoutAdd);
	tcase_add_test(tcase, TestDoneWithAdd);
	tcase_add_test(tcase, TestMoreDoneThanAdd);
	tcase_add_test(tcase, TestHasToQuit);
	tcase_add_test(tcase, TestWaitDoneTimeoutTrue);
	tcase_add_test(tcase, TestWaitDoneTimeoutFalse);
	tcase_add_test(tcase, TestWaitDoneTimeout);
	tcase_add_test(tcase, TestExitFuncWithInterruptSignal);
	tcase_add_loop_test(tcase, TestExitFuncWithEachChannel, 0, 2);
	tcase_add_test(tcase, TestAddGoRoutineBeforeQuit);
	tcase_add_test(tcase, TestAddGoRoutineAfterQuit);
	tcase_add_test(tcase, TestAddGoRoutineWaitDoneTimeoutFalse);
	tcase_add_test(tcase, TestAddGoRoutineWaitDoneTimeoutTrue);
	tcase_add_test(tcase, TestGoRoutineWaitDoneTimeoutTrue);
	tcase_add_test(tcase, TestNonConcurrentChildsWaitDoneTimeoutTrue);
	tcase_add_test(tcase, TestNonConcurrentChildsWaitDoneTimeoutTrueWithGoRoutines);
	tcase_add_test(tcase, TestNonConcurrentChildsWaitDoneTimeoutFlase);
	tcase_add_test(tcase, TestMultipleChildsNonConcurrent);
	tcase_add_test(tcase, TestConcurrentChildsWithAddGoRoutine);
	tcase_add_test(tcase, TestConcurrentChildsWithoutAddGoRoutine);
	tcase_add_test(tcase, TestSpawn);
	tcase_add_test(tcase, TestContext);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
