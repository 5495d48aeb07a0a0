/* SPDX-License-Identifier: MIT */

/* Programs that wait for something that this library does, or does not keep it from doing. */

#include "sleepers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static vitals_quitter *service;
static sem_t work;
static int ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void main_quitter(int signo)
{
	sem_init(&work, 0, 0);
	if (vitals_start(NULL) ||
	    vitals_quitter_new_main(NULL, VITALS_S(60), NULL, &service) ||
	    (signo && vitals_quitter_on_signal(service, signo, NULL) < 0))
		cannot();
}

static void member(vitals_thread_fn fn)
{
	if (vitals_thread_fork(service, "member", 0, fn, NULL, NULL))
		cannot();
}

static void poke_sigterm(void)
{
	(void)kill(getpid(), SIGTERM);
}

static int thread_sleeps(vitals_thread *self, void *arg)
{
	(void)arg;
	settled();
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	progress();
	return 0;
}

static void our_sleep(void)
{
	main_quitter(SIGTERM);
	member(thread_sleeps);
}

static int thread_conds(vitals_thread *self, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	settled();
	while (vitals_thread_cond_wait(self, &cond, &mutex, VITALS_FOREVER) == 0)
		continue;
	pthread_mutex_unlock(&mutex);
	progress();
	return 0;
}

static void our_cond(void)
{
	main_quitter(SIGTERM);
	member(thread_conds);
}

static void our_wait_done(void)
{
	main_quitter(SIGTERM);
	member(thread_conds);
	(void)vitals_quitter_wait_done(service, VITALS_FOREVER, NULL);
}

static void unblock(void *user)
{
	(void)user;
	sem_post(&work);
}

static int thread_unblocked(vitals_thread *self, void *arg)
{
	(void)arg;
	if (vitals_thread_on_quit(self, unblock, NULL))
		cannot();
	settled();
	while (sem_wait(&work))
		continue;
	progress();
	return 0;
}

static void our_unblock(void)
{
	main_quitter(SIGTERM);
	member(thread_unblocked);
}

static void our_fd(void)
{
	if (pipe(ends))
		cannot();
	main_quitter(0);
	if (vitals_quitter_on_fd(service, ends[0], NULL) < 0)
		cannot();
	member(thread_conds);
}

static void poke_byte(void)
{
	(void)!write(ends[1], "x", 1);
}

/* Called when it is told, and again when half of its time is gone. */
static void unblock_late(void *user)
{
	static _Atomic unsigned calls;

	(void)user;
	if (++calls > 1)
		sem_post(&work);
}

static sem_t ready;

static int thread_late(vitals_thread *self, void *arg)
{
	(void)arg;
	if (vitals_thread_on_quit(self, unblock_late, NULL))
		cannot();
	sem_post(&ready);
	while (sem_wait(&work))
		continue;
	progress();
	return 0;
}

static void our_ladder(void)
{
	if (vitals_start(NULL) ||
	    vitals_quitter_new_main(NULL, VITALS_S(1), NULL, &service))
		cannot();
	sem_init(&work, 0, 0);
	sem_init(&ready, 0, 0);
	member(thread_late);
	(void)sem_wait(&ready);
	(void)vitals_quitter_send_quit(service, 0, NULL);
	settled();
}

/* Who waits for our events is woken by the next. */

static vitals_heartbeat *heartbeat;

static void our_events(void)
{
	struct vitals_event event;
	vitals_events *events;

	if (vitals_heartbeat_new(NULL, "silent", VITALS_MS(100), NULL, &heartbeat) ||
	    vitals_events_open(NULL, NULL, &events) || vitals_start(NULL))
		cannot();
	vitals_heartbeat_pulse(heartbeat);
	settled();
	VITALS_INIT(&event);
	while (vitals_events_next(events, VITALS_FOREVER, &event) == 0)
		progress();
}

static void posts(const struct vitals_event *event, void *user)
{
	(void)user;
	if (event->to == VITALS_STUCK)
		sem_post(&work);
}

static void our_callback(void)
{
	struct vitals_heartbeat_options options;

	sem_init(&work, 0, 0);
	VITALS_INIT(&options);
	options.stuck_ns = VITALS_MS(200);
	if (vitals_heartbeat_new(NULL, "silent", VITALS_MS(50), &options, &heartbeat) ||
	    vitals_on_event(NULL, posts, NULL) || vitals_start(NULL))
		cannot();
	vitals_heartbeat_pulse(heartbeat);
	settled();
	while (sem_wait(&work))
		continue;
	progress();
}

/* The callback waits for something itself, in the notifier. */

static void reads(const struct vitals_event *event, void *user)
{
	char byte;

	(void)event;
	(void)user;
	settled();
	if (read(ends[0], &byte, 1) == 1)
		sem_post(&work);
}

static void in_callback(void)
{
	sem_init(&work, 0, 0);
	if (pipe(ends) ||
	    vitals_heartbeat_new(NULL, "silent", VITALS_MS(10), NULL, &heartbeat) ||
	    vitals_on_event(NULL, reads, NULL) || vitals_start(NULL))
		cannot();
	vitals_heartbeat_pulse(heartbeat);
	while (sem_wait(&work))
		continue;
	progress();
}

/* A handler of the host's, below ours. */

static void host_handler(int signo)
{
	(void)signo;
	sem_post(&work);
}

static void chained(void)
{
	(void)signal(SIGTERM, host_handler);
	main_quitter(SIGTERM);
	settled();
	while (sem_wait(&work))
		continue;
	progress();
}

/* A quit event that a timer of its own will bring: nobody waits in ours, but time goes on. */

static int thread_plain(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	while (sem_wait(&work))
		continue;
	return 0;
}

static void quits_by_alarm(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 300000 } };

	main_quitter(SIGALRM);
	member(thread_plain);
	(void)setitimer(ITIMER_REAL, &once, NULL);
	settled();
	while (sem_wait(&work))
		continue;
}

static void quits_by_timer(void)
{
	struct itimerspec once = { { 0, 0 }, { 0, 300000000 } };
	struct sigevent event;
	timer_t timer;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGTERM;
	main_quitter(SIGTERM);
	member(thread_plain);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &once, NULL))
		cannot();
	settled();
	while (sem_wait(&work))
		continue;
}

/* Who only looks on wakes nobody but who waits for its end. */

static void *looks_on(void *arg)
{
	char byte;

	if (vitals_thread_looks_on())
		cannot();
	settled();
	(void)!read(ends[0], &byte, 1);
	return arg;
}

static void joins_onlooker(void)
{
	pthread_t thread;

	if (pipe(ends) || pthread_create(&thread, NULL, looks_on, NULL))
		cannot();
	pthread_join(thread, NULL);
	progress();
}

/* From outside it shows that the quit has come. */
static void poke_wait_quit(void)
{
	while (!vitals_quitter_must_quit(service))
		(void)usleep(1000);
	progress();
}

const struct kind sleepers_wait[] = {
	{ "vitals_thread_sleep", our_sleep, poke_sigterm, false, false },
	{ "vitals_thread_cond_wait", our_cond, poke_sigterm, false, false },
	{ "vitals_quitter_wait_done", our_wait_done, poke_sigterm, false, false },
	{ "vitals_thread_on_quit", our_unblock, poke_sigterm, false, false },
	{ "a quit event by descriptor", our_fd, poke_byte, false, false },
	{ "told, called again at half time", our_ladder, NULL, false, false },
	{ "vitals_events_next", our_events, NULL, false, false },
	{ "vitals_on_event, still to come", our_callback, NULL, false, false },
	{ "vitals_on_event, in it", in_callback, poke_byte, false, false },
	{ "host's handler below ours", chained, poke_sigterm, false, false },
	{ "alarm() is a quit event", quits_by_alarm, poke_wait_quit, false, false },
	{ "a timer's signal is one", quits_by_timer, poke_wait_quit, false, false },
	{ "joins an onlooker", joins_onlooker, poke_byte, false, false },
	{ NULL, NULL, NULL, false, false },
};
