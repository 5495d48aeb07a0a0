/* SPDX-License-Identifier: MIT */

/*
 * Processes that are to end, and how long they take.
 */

#include "ends.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A machine that does much else may not let a process run for seconds. */
#define ALARM_S 20
#define BARE_NS VITALS_MS(20)
#define BARE_MAX 1000000u
#define IDLE_P99_NS VITALS_MS(2)
#define COMPLAINTS 20
/* So many are not all kept by a busy machine. */
#define FEW 20u

struct board *board;

static int output_fd = -1; /* where what it writes is read */
static uint64_t bare[BARE_MAX];
static uint32_t n_bare, n_complaints;

/*
 * The allocator with a lock that a test can hold for certain. It stands for the lock of glibc's
 * arenas, which a thread that is stuck in malloc holds.
 */
static pthread_mutex_t malloc_lock = PTHREAD_MUTEX_INITIALIZER;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *at, size_t size);
void __libc_free(void *at);

void *malloc(size_t size)
{
	void *at;

	pthread_mutex_lock(&malloc_lock);
	at = __libc_malloc(size);
	pthread_mutex_unlock(&malloc_lock);
	return at;
}

void *calloc(size_t n, size_t size)
{
	void *at;

	pthread_mutex_lock(&malloc_lock);
	at = __libc_calloc(n, size);
	pthread_mutex_unlock(&malloc_lock);
	return at;
}

void *realloc(void *at, size_t size)
{
	pthread_mutex_lock(&malloc_lock);
	at = __libc_realloc(at, size);
	pthread_mutex_unlock(&malloc_lock);
	return at;
}

void free(void *at)
{
	pthread_mutex_lock(&malloc_lock);
	__libc_free(at);
	pthread_mutex_unlock(&malloc_lock);
}

uint64_t ends_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

void ends_sleep(uint64_t ns)
{
	struct timespec rest = { .tv_sec = (time_t)(ns / VITALS_S(1)),
				 .tv_nsec = (long)(ns % VITALS_S(1)) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) != 0)
		continue;
}

/* In their order, see registry.h. */
void ends_hold(vitals_registry *registry, uint32_t hangs) VT_UNCHECKED
{
	if (hangs & HANG_NOTIFIER)
		vt_lock(&registry->notifier_control);
	if (hangs & HANG_MONITOR)
		vt_lock(&registry->monitor_control);
	if (hangs & HANG_JUDGE)
		vt_lock(&registry->judge);
	if (hangs & HANG_REGISTRY)
		vt_lock(&registry->lock);
	if (hangs & HANG_EVENTS)
		vt_lock(&registry->events_lock);
	if (hangs & HANG_CALLS)
		vt_lock(&registry->notifier_lock);
	if (hangs & HANG_STDIO)
		flockfile(stderr);
	if (hangs & HANG_MALLOC)
		pthread_mutex_lock(&malloc_lock);
}

/* What is in it already leaves no room. */
static void fill(int fd)
{
	char zeros[4096] = { 0 };

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		continue;
	while (write(fd, zeros, 1) > 0)
		continue;
	(void)fcntl(fd, F_SETFL, 0);
}

pid_t ends_begin(void (*run)(const void *arg), const void *arg, enum output output)
{
	struct rlimit no_core = { 0, 0 };
	int out[2];
	pid_t pid;

	if (!board)
		board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset((void *)board, 0, sizeof(*board));
	if (pipe(out))
		return -1;
	if (output == OUTPUT_FULL)
		fill(out[1]);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* Ends it from outside of all its threads. */
		(void)alarm(ALARM_S);
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)dup2(out[1], STDERR_FILENO);
		(void)close(out[0]);
		(void)close(out[1]);
		if (output == OUTPUT_CLOSED)
			(void)close(STDERR_FILENO);
		run(arg);
		_exit(99);
	}
	(void)close(out[1]);
	if (output == OUTPUT_FULL) {
		output_fd = -1;
		/* Open and never read: in this process until the next. */
		static int stuck_fd = -1;

		if (stuck_fd >= 0)
			(void)close(stuck_fd);
		stuck_fd = out[0];
	} else {
		output_fd = out[0];
	}
	return pid;
}

bool ends_await(_Atomic uint32_t *word, uint32_t n)
{
	uint64_t until_ns = ends_now() + VITALS_S(ALARM_S);

	while (atomic_load(word) < n) {
		if (ends_now() > until_ns)
			return false;
		ends_sleep(VITALS_US(50));
	}
	return true;
}

void ends_wait(pid_t pid, struct end *end)
{
	size_t all = 0;
	ssize_t n = 1;

	while (waitpid(pid, &end->status, 0) != pid)
		continue;
	end->over_ns = ends_now();
	while (output_fd >= 0 && n > 0 && all < sizeof(end->text) - 1) {
		n = read(output_fd, end->text + all, sizeof(end->text) - 1 - all);
		all += n > 0 ? (size_t)n : 0;
	}
	end->text[all] = 0;
	if (output_fd >= 0)
		(void)close(output_fd);
	output_fd = -1;
}

bool ends_exited(const struct end *end, int status)
{
	return WIFEXITED(end->status) && WEXITSTATUS(end->status) == status;
}

struct tally ends_tally(const char *what, uint32_t n)
{
	struct tally tally = { .what = what };

	tally.took = mmap(NULL, n * sizeof(*tally.took), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return tally;
}

void ends_took(struct tally *tally, uint64_t ns)
{
	tally->took[tally->n++] = ns;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

static double rank(const uint64_t *sorted, uint32_t n, uint32_t hundredths)
{
	uint64_t at = (uint64_t)n * hundredths / 100;

	return n ? (double)(int64_t)sorted[at < n ? at : n - 1] / 1e6 : 0;
}

static void line_print(const char *what, uint64_t *ns, uint32_t n)
{
	qsort(ns, n, sizeof(*ns), compare);
	printf("%-36s %5u: min %7.3f  p50 %7.3f  p99 %7.3f  max %7.3f ms", what, n,
	       rank(ns, n, 0), rank(ns, n, 50), rank(ns, n, 99), rank(ns, n, 100));
}

static void bare_run(const void *arg)
{
	(void)arg;
	atomic_store(&board->asked_ns, ends_now() + BARE_NS);
	ends_sleep(BARE_NS);
	_exit(0);
}

void ends_bare(void)
{
	struct end end;
	pid_t pid = ends_begin(bare_run, NULL, OUTPUT_READ);

	ends_wait(pid, &end);
	if (n_bare < BARE_MAX)
		bare[n_bare++] = end.over_ns - board->asked_ns;
}

bool ends_idle(void)
{
	static uint64_t sorted[BARE_MAX];

	memcpy(sorted, bare, n_bare * sizeof(*bare));
	qsort(sorted, n_bare, sizeof(*sorted), compare);
	return rank(sorted, n_bare, 99) <= (double)IDLE_P99_NS / 1e6;
}

void ends_bare_print(void)
{
	line_print("a bare process, late", bare, n_bare);
	printf(", machine %s\n", ends_idle() ? "idle" : "busy: how soon does not count");
}

bool ends_judge(struct tally *tally, uint64_t limit_ns)
{
	uint32_t i, over = 0;
	bool slow;

	for (i = 0; i < tally->n; i++)
		over += (int64_t)tally->took[i] > (int64_t)limit_ns;
	line_print(tally->what, tally->took, tally->n);
	slow = limit_ns && over == tally->n && over >= FEW;
	slow |= limit_ns && ends_idle() && over > (tally->n + 99) / 100;
	if (limit_ns)
		printf(", %u over %g%s", over, (double)limit_ns / 1e6,
		       slow ? " SLOW" : "");
	printf(tally->wrong ? ", %u WRONG\n" : "\n", tally->wrong);
	return !tally->wrong && !slow;
}

void ends_complain(const char *what, const struct end *end, const char *why)
{
	if (n_complaints++ >= COMPLAINTS)
		return;
	printf("WRONG: %s: %s; ", what, why);
	if (WIFSIGNALED(end->status))
		printf("signal %d, wrote:\n%s", WTERMSIG(end->status), end->text);
	else
		printf("status %d, wrote:\n%s", WEXITSTATUS(end->status), end->text);
}
