/* SPDX-License-Identifier: MIT */

/*
 * The signal that is to end a process does, at once, though every thread of it is deadlocked; and
 * the one that a forked child gets is none of its parent's.
 */

#include "ends.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define AT_ONCE_NS VITALS_MS(10)
/* A parent that is to quit would be told by then. */
#define SEEN_NS VITALS_MS(5)

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

/* Everybody has one, and waits for the next's. */
static pthread_mutex_t mutexes[THREADS];
static pthread_barrier_t barrier;
static vitals_quitter *root;

static void heard(int signo)
{
	(void)signo;
	atomic_fetch_add(&board->heard, 1);
}

static void lock_up(unsigned i)
{
	pthread_mutex_lock(&mutexes[i]);
	pthread_barrier_wait(&barrier);
	/* One has all there is beside, the allocator's, stdio's and ours. */
	if (i == 1)
		ends_hold(vt_quitter_registry(root), UINT32_MAX);
	pthread_barrier_wait(&barrier);
	if (i == 0)
		atomic_store(&board->ready, 1);
	pthread_mutex_lock(&mutexes[(i + 1) % THREADS]);
}

static int locks_up(vitals_thread *self, void *arg)
{
	(void)self;
	lock_up((unsigned)(uintptr_t)arg);
	return 0;
}

static void *locks_up_too(void *arg)
{
	lock_up((unsigned)(uintptr_t)arg);
	return NULL;
}

static void deadlocked(const void *arg)
{
	struct sigaction before = { .sa_handler = heard };
	struct vitals_quitter_options options;
	pthread_t thread;
	unsigned i;

	VITALS_INIT(&options);
	options.leave_at = *(const uint32_t *)arg;
	for (i = 0; i < THREADS; i++)
		pthread_mutex_init(&mutexes[i], NULL);
	pthread_barrier_init(&barrier, NULL, THREADS);
	if (vitals_quitter_new_main(NULL, VITALS_S(100), &options, &root))
		_exit(98);
	for (i = 0; i < 3; i++)
		if (sigaction(signals[i], &before, NULL) ||
		    vitals_quitter_on_signal(root, signals[i], NULL) < 0)
			_exit(98);
	for (i = 1; i < THREADS - 1; i++)
		if (vitals_thread_fork(root, "locks up", VITALS_S(1), locks_up,
				       (void *)(uintptr_t)i, NULL))
			_exit(98);
	if (pthread_create(&thread, NULL, locks_up_too, (void *)(uintptr_t)i))
		_exit(98);
	lock_up(0);
}

static void leaves(int signo)
{
	_exit(128 + signo);
}

static void bare(const void *arg)
{
	struct sigaction action = { .sa_handler = leaves };

	(void)arg;
	(void)sigaction(SIGTERM, &action, NULL);
	atomic_store(&board->ready, 1);
	for (;;)
		(void)pause();
}

/* From the last of @n signals to its end. */
static uint64_t signals_send(void (*run)(const void *arg), uint32_t n,
			     struct tally *tally)
{
	pid_t pid = ends_begin(run, &n, OUTPUT_READ);
	bool ready = ends_await(&board->ready, 1);
	struct end end;
	uint64_t from_ns = 0;
	uint32_t i;

	if (run == deadlocked)
		ends_sleep(VITALS_MS(1)); /* the last has its lock to try */
	for (i = 0; ready && i < n; i++) {
		from_ns = ends_now();
		(void)kill(pid, signals[i]);
		if (i + 1 < n)
			ready = ends_await(&board->heard, i + 1);
	}
	if (!ready)
		(void)kill(pid, SIGKILL);
	ends_wait(pid, &end);
	if (!ready || !ends_exited(&end, 128 + signals[n - 1])) {
		tally->wrong++;
		ends_complain(tally->what, &end, ready ? "status" : "did not get as far");
	}
	return end.over_ns - from_ns;
}

bool ends_signals(uint32_t n)
{
	static const char *const names[] = { "all deadlocked, the first signal",
					     "all deadlocked, the second",
					     "all deadlocked, the third" };
	struct tally base = ends_tally("a bare handler", 3 * n);
	bool well = true;
	uint32_t i, at;

	printf("leaves, after the signal:\n");
	for (at = 1; at <= 3; at++) {
		struct tally tally = ends_tally(names[at - 1], n);

		for (i = 0; i < n; i++) {
			ends_took(&tally, signals_send(deadlocked, at, &tally));
			ends_took(&base, signals_send(bare, 1, &base));
			ends_bare();
		}
		well &= ends_judge(&tally, AT_ONCE_NS);
	}
	return ends_judge(&base, 0) && well;
}

/* Forked children */

struct family {
	const char *what;
	bool started; /* else the child has the handles, and its own shutdown */
	bool ignores;
	bool in_finish; /* its parent is */
	bool raw;       /* made without fork's handlers, as by _Fork() */
	int status;     /* of the child, by a signal if below 0 */
};

static const struct family families[] = {
	{ "by default", .started = true, .status = -SIGTERM },
	{ "parent in finish", .started = true, .in_finish = true, .status = -SIGTERM },
	{ "made raw", .started = true, .raw = true, .status = -SIGTERM },
	{ "ignored", .started = true, .ignores = true, .status = -SIGKILL },
	{ "ignored, parent in finish", .started = true, .ignores = true,
	  .in_finish = true, .status = -SIGKILL },
	{ "nothing started", .status = 5 },
};

static void child(const struct family *family)
{
	if (family->ignores)
		(void)signal(SIGTERM, SIG_IGN);
	atomic_store(&board->ready, 1);
	/* One that has its own main quitter, taken along, is asked itself. */
	while (!vitals_quitter_must_quit(root))
		ends_sleep(VITALS_US(100));
	_exit(5);
}

static int sends(vitals_thread *self, void *arg)
{
	const struct family *family = (const struct family *)arg;
	struct vitals_cause cause;
	int status = 0, code;
	pid_t pid = (pid_t)atomic_load(&board->pid);

	(void)self;
	if (!ends_await(&board->ready, 1))
		_exit(97);
	(void)kill(pid, SIGTERM);
	if (family->status != -SIGKILL && waitpid(pid, &status, 0) != pid)
		_exit(96);
	ends_sleep(SEEN_NS);
	if (family->status == -SIGKILL) {
		(void)kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid)
			_exit(96);
	}
	VITALS_INIT(&cause);
	(void)vitals_quitter_cause(root, &cause);
	code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	if (vitals_quitter_must_quit(root) || cause.kind != VITALS_CAUSE_NONE ||
	    atomic_load(&vt_quitter_registry(root)->tree->asked_ns))
		_exit(95);
	_exit(code == family->status ? 0 : 94);
}

static void parent(const void *arg)
{
	const struct family *family = (const struct family *)arg;
	pid_t pid;

	if (vitals_quitter_new_main(NULL, VITALS_S(1), NULL, &root) ||
	    vitals_quitter_on_signal(root, SIGTERM, NULL) < 0 ||
	    (family->started && vitals_start(NULL)))
		_exit(98);
	pid = family->raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
	if (pid == 0)
		child(family);
	atomic_store(&board->pid, (int)pid);
	if (!family->in_finish)
		(void)sends(NULL, (void *)(uintptr_t)family);
	if (vitals_thread_fork(root, "sends", 0, sends, (void *)(uintptr_t)family, NULL))
		_exit(98);
	(void)vitals_quitter_finish(root, NULL, NULL);
	_exit(93);
}

bool ends_forks(uint32_t n)
{
	uint32_t at, i, wrong, all = 0;
	struct end end;

	for (at = 0; at < sizeof(families) / sizeof(families[0]); at++) {
		for (i = wrong = 0; i < n; i++) {
			ends_wait(ends_begin(parent, &families[at], OUTPUT_READ), &end);
			if (ends_exited(&end, 0))
				continue;
			wrong++;
			ends_complain(families[at].what, &end, "SIGTERM to a child");
		}
		printf("SIGTERM to a child, %-25s  %5u: %u wrong\n", families[at].what, n,
		       wrong);
		all += wrong;
	}
	return !all;
}
