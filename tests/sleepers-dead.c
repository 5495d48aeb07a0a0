/* SPDX-License-Identifier: MIT */

/* Programs that will never do anything more. */

#include "sleepers.h"

#ifdef WITH_EXPORTER
#include "vitals-exporter.h"
#endif

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* The example itself: the worker sends into a channel that nobody reads. */
int example_main(void);
#define main example_main
#include "../examples/deadlock.c"
#undef main

static void deadlock(void)
{
	if (vitals_start(NULL) || dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) < 0)
		cannot();
	settled();
	(void)example_main();
}

static void deadlock_exporter(void)
{
#ifdef WITH_EXPORTER
	if (vitals_exporter_start(NULL, "127.0.0.1:0", NULL, NULL))
		cannot();
	/* It runs already. */
	if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) < 0 || channel_open(&ints) ||
	    channel_open(&unread))
		cannot();
	thread_new(worker, NULL);
	settled();
	channel_send(&ints, 10);
	channel_send(&ints, 11);
#else
	cannot();
#endif
}

static vitals_quitter *service;

static void main_quitter(void)
{
	if (vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &service) ||
	    vitals_quitter_on_signal(service, SIGTERM, NULL) < 0 ||
	    vitals_quitter_on_signal(service, SIGINT, NULL) < 0)
		cannot();
}

static void deadlock_quitter(void)
{
	main_quitter();
	deadlock();
}

static void event_heard(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
}

static void deadlock_callback(void)
{
	if (vitals_on_event(NULL, event_heard, NULL))
		cannot();
	deadlock();
}

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *takes_b_then_a(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&b);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&a);
	return NULL;
}

static void crossed_mutexes(void)
{
	pthread_barrier_init(&both, NULL, 2);
	thread_new(takes_b_then_a, NULL);
	pthread_mutex_lock(&a);
	pthread_barrier_wait(&both);
	settled();
	pthread_mutex_lock(&b);
}

static void crossed_pi_mutexes(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	if (pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT))
		cannot();
	pthread_mutex_init(&a, &attr);
	crossed_mutexes();
}

static sem_t never;

static void *waits(void *arg)
{
	(void)arg;
	(void)sem_wait(&never);
	return NULL;
}

/* More than a turn looks at. */
static void many(void)
{
	unsigned i;

	sem_init(&never, 0, 0);
	for (i = 0; i < 50; i++)
		thread_new(waits, NULL);
	settled();
	(void)sem_wait(&never);
}

static void *joins(void *arg)
{
	pthread_t thread;

	(void)arg;
	sem_init(&never, 0, 0);
	if (pthread_create(&thread, NULL, waits, NULL))
		cannot();
	settled();
	pthread_join(thread, NULL);
	return NULL;
}

static void joined(void)
{
	(void)joins(NULL);
}

/* The first thread has ended; its number stays. */
static void without_main(void)
{
	thread_new(joins, NULL);
	pthread_exit(NULL);
}

static void fault(int signo)
{
	_exit(signo);
}

/* A crash reporter wakes nobody. */
static void with_reporter(void)
{
	(void)signal(SIGSEGV, fault);
	deadlock();
}

const struct kind sleepers_dead[] = {
	{ "deadlock", deadlock, NULL, true, false },
	{ "deadlock, exporter", deadlock_exporter, NULL, true, false },
	{ "deadlock, quit events", deadlock_quitter, NULL, true, true },
	{ "deadlock, callback", deadlock_callback, NULL, true, false },
	{ "deadlock, crash reporter", with_reporter, NULL, true, false },
	{ "two mutexes, crossed", crossed_mutexes, NULL, true, false },
	{ "a PI mutex", crossed_pi_mutexes, NULL, true, false },
	{ "51 threads", many, NULL, true, false },
	{ "a join", joined, NULL, true, false },
	{ "the first thread has ended", without_main, NULL, true, false },
	{ NULL, NULL, NULL, false, false },
};
