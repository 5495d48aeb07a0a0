/* SPDX-License-Identifier: MIT */

/*
 * "All threads are asleep" is said of programs that are dead, each time, and never of one that is
 * alive, however still it stands. Those that are alive show it: they are poked afterwards, and must
 * wake.
 *
 * usage: sleepers [COUNT [KIND]]; or VITALS_SLEEPERS, VITALS_SLEEPERS_SEED
 */

#include "sleepers.h"

#include "asleep.h"
#include "chance.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Turns that one that is alive is looked at, and that one that is not may take. */
#define LIVE_TURNS 24
#define DEAD_TURNS 4000
#define PATIENCE_MS 10000

/* How a child ends. */
enum {
	QUIET = 10,  /* nothing was said, and it woke */
	HEARD = 11,  /* it was said as it is */
	WRONG = 12,  /* it was said wrongly */
	SILENT = 13, /* of one that is not alive nothing was said */
	NEVER = 14,  /* it did not wake: no test of anything */
	UNABLE = 15,
};

static const struct kind *kind;
static struct chance chance;
static _Atomic bool is_settled;
static _Atomic unsigned woke;

void settled(void)
{
	atomic_store(&is_settled, true);
}

void progress(void)
{
	atomic_fetch_add(&woke, 1);
}

void cannot(void)
{
	_exit(UNABLE);
}

void thread_new(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		cannot();
}

void wait_for_ever(void)
{
	sem_t never;

	sem_init(&never, 0, 0);
	for (;;)
		(void)sem_wait(&never);
}

static void nap(uint64_t us)
{
	struct timespec ts = { 0, (long)us * 1000 };

	nanosleep(&ts, NULL);
}

static int said(const struct vt_asleep_news *news)
{
	bool good = kind->asleep && news->until_signal == kind->until_signal &&
		    strstr(news->doing, "asleep") &&
		    !strstr(news->doing, "until a signal") == !kind->until_signal;

	if (!good || getenv("VITALS_SLEEPERS_SHOW"))
		fprintf(stderr, "%s: %s\n", kind->name, news->doing);
	return good ? HEARD : WRONG;
}

/* Turns with a clock of their own: the rule holds whatever the time between two looks. */
static int look(void)
{
	struct vt_asleep asleep = { 0 };
	struct vt_asleep_news news;
	struct vt_proc proc;
	uint64_t now_ns = VITALS_S(1);
	unsigned i;

	vt_proc_begin(&proc, 0);
	for (i = 0; i < (kind->asleep ? DEAD_TURNS : LIVE_TURNS); i++) {
		nap(kind->asleep ? 1000 : chance_below(&chance, 400));
		now_ns = vt_asleep_turn_at(&asleep, &proc, NULL, now_ns, &news);
		if (news.changed && news.asleep)
			return said(&news);
	}
	return kind->asleep ? SILENT : QUIET;
}

static void *looker(void *arg)
{
	unsigned i, before;
	int status;

	(void)arg;
	if (vitals_thread_looks_on())
		cannot();
	while (!atomic_load(&is_settled))
		nap(200);
	nap(chance_below(&chance, 3000));
	status = look();
	if (status == QUIET) {
		before = atomic_load(&woke);
		if (kind->poke)
			kind->poke();
		for (i = 0; i < PATIENCE_MS && atomic_load(&woke) == before; i++)
			nap(1000);
		status = atomic_load(&woke) == before ? NEVER : QUIET;
	}
	_exit(status);
}

/* As if it had just been executed: no handler and no mask of this program's, nor of who runs it. */
static void signals_reset(void)
{
	sigset_t none;
	int signo;

	for (signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void child(void)
{
	sigset_t all, before;
	pthread_t thread;

	signals_reset();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, looker, NULL))
		cannot();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	kind->run();
	wait_for_ever();
}

static int run_one(uint64_t seed)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		chance.state = seed;
		child();
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Return: how many were not as they should be. */
static unsigned run_kind(uint64_t count, uint64_t *ret_done)
{
	unsigned said_so = 0, good = 0, bad[3] = { 0 };
	uint64_t i;

	for (i = 0; i < count; i++) {
		int status = run_one(chance_next(&chance));

		if (status == UNABLE) {
			printf("%-34s not to be had here\n", kind->name);
			return 0;
		}
		said_so += status == HEARD || status == WRONG;
		good += status == (kind->asleep ? HEARD : QUIET);
		bad[0] += status == WRONG || status == SILENT;
		bad[1] += status == NEVER;
		bad[2] += status < 0;
	}
	*ret_done += count;
	printf("%-34s %s: said so of %u of %llu%s", kind->name,
	       kind->asleep ? "dead " : "alive", said_so, (unsigned long long)count,
	       good == count ? "\n" : ": FAILED");
	if (good != count)
		printf(", %u wrong, %u never woke, %u died\n", bad[0], bad[1], bad[2]);
	return (unsigned)count - good;
}

int main(int argc, char **argv)
{
	const struct kind *tables[] = { sleepers_dead, sleepers_live, sleepers_outside,
					sleepers_wait };
	uint64_t count = number_from("VITALS_SLEEPERS", 100), done[2] = { 0 };
	unsigned i, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		count = strtoull(argv[1], NULL, 0);
	chance.state = chance_seed("VITALS_SLEEPERS_SEED");
	printf("seed %llu\n", (unsigned long long)chance.state);
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (kind = tables[i]; kind->name; kind++)
			if (argc < 3 || !strcmp(argv[2], kind->name))
				bad += run_kind(count, &done[kind->asleep]);
	printf("%llu dead and %llu live programs, %u wrong\n",
	       (unsigned long long)done[1], (unsigned long long)done[0], bad);
	return bad != 0;
}
