/* SPDX-License-Identifier: MIT */

/* Programs that do nothing now, and will when what they wait for comes. */

#include "sleepers.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static sem_t work;
static int ends[2];

static void *worker(void *arg)
{
	(void)arg;
	for (;;) {
		if (sem_wait(&work) == 0)
			progress();
	}
	return NULL;
}

static void pool(void)
{
	unsigned i;

	sem_init(&work, 0, 0);
	for (i = 0; i < 4; i++)
		thread_new(worker, NULL);
}

/* A pool fed by a socket. */

static void *receives(void *arg)
{
	char byte;

	(void)arg;
	while (recv(ends[0], &byte, 1, 0) == 1)
		sem_post(&work);
	return NULL;
}

static void pool_socket(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		cannot();
	pool();
	thread_new(receives, NULL);
	settled();
}

static void *polls(void *arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	char byte;

	(void)arg;
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event))
		cannot();
	while (epoll_wait(fd, &event, 1, -1) == 1 && read(ends[0], &byte, 1) == 1)
		sem_post(&work);
	return NULL;
}

static void pool_epoll(void)
{
	if (pipe(ends))
		cannot();
	pool();
	thread_new(polls, NULL);
	settled();
}

static void poke_byte(void)
{
	(void)!write(ends[1], "x", 1);
}

static void poke_peer(void)
{
	(void)send(ends[1], "x", 1, 0);
}

/* The main thread waits for its handler. */

static void handler(int signo)
{
	(void)signo;
	sem_post(&work);
}

static void catch (int signo)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = SA_RESTART;
	if (sigaction(signo, &action, NULL))
		cannot();
}

static void main_sigterm(void)
{
	pool();
	catch (SIGTERM);
	settled();
	(void)worker(NULL);
}

static void poke_sigterm(void)
{
	(void)kill(getpid(), SIGTERM);
}

static void interval_timer(void)
{
	struct itimerval every = { { 0, 50000 }, { 0, 50000 } };

	catch (SIGALRM);
	pool();
	(void)setitimer(ITIMER_REAL, &every, NULL);
	settled();
	(void)worker(NULL);
}

static void timer_fires(union sigval value)
{
	(void)value;
	sem_post(&work);
}

static void posix_timer_thread(void)
{
	struct itimerspec every = { { 0, 50000000 }, { 0, 50000000 } };
	struct sigevent event;
	timer_t timer;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD;
	event.sigev_notify_function = timer_fires;
	pool();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		cannot();
	settled();
}

/* Signals that somebody reads rather than catches. */

static void signals_block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void sigwaits(void)
{
	sigset_t set;
	int signo;

	signals_block(&set);
	pool();
	settled();
	while (sigwait(&set, &signo) == 0)
		sem_post(&work);
}

static void signalfd_read(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	signals_block(&set);
	pool();
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	settled();
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		sem_post(&work);
}

static void poke_sighup(void)
{
	(void)kill(getpid(), SIGHUP);
}

/* Time alone. */

static void timed_wait(void)
{
	struct timespec until;

	pool();
	settled();
	for (;;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 60000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)sem_clockwait(&work, CLOCK_REALTIME, &until);
		progress();
	}
}

static void *sleeps(void *arg)
{
	struct timespec ts = { 0, 60000000 };

	(void)arg;
	for (;;) {
		nanosleep(&ts, NULL);
		sem_post(&work);
	}
	return NULL;
}

static void joins_sleeper(void)
{
	pthread_t thread;

	pool();
	if (pthread_create(&thread, NULL, sleeps, NULL))
		cannot();
	settled();
	pthread_join(thread, NULL);
}

/* Busy all the time, though never two of them at once. */

static sem_t ping, pong;

static void *pongs(void *arg)
{
	(void)arg;
	for (;;) {
		(void)sem_wait(&ping);
		sem_post(&pong);
		progress();
	}
	return NULL;
}

static void ping_pong(void)
{
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	pool();
	thread_new(pongs, NULL);
	settled();
	for (;;) {
		sem_post(&ping);
		(void)sem_wait(&pong);
	}
}

/* Threads that come and go, one at a time. */

static void *visits(void *arg)
{
	progress();
	return arg;
}

static void visitors(void)
{
	pthread_t thread;

	pool();
	settled();
	while (pthread_create(&thread, NULL, visits, NULL) == 0)
		pthread_join(thread, NULL);
}

static void spins(void)
{
	pool();
	settled();
	for (;;)
		progress();
}

const struct kind sleepers_live[] = {
	{ "pool fed by a socket", pool_socket, poke_peer, false, false },
	{ "pool fed by epoll", pool_epoll, poke_byte, false, false },
	{ "sem_wait for SIGTERM's handler", main_sigterm, poke_sigterm, false, false },
	{ "interval timer", interval_timer, NULL, false, false },
	{ "POSIX timer with a thread", posix_timer_thread, NULL, false, false },
	{ "sigwait", sigwaits, poke_sighup, false, false },
	{ "signalfd", signalfd_read, poke_sighup, false, false },
	{ "timed wait", timed_wait, NULL, false, false },
	{ "joins one that sleeps", joins_sleeper, NULL, false, false },
	{ "busy ping-pong", ping_pong, NULL, false, false },
	{ "threads come and go", visitors, NULL, false, false },
	{ "spins", spins, NULL, false, false },
	{ NULL, NULL, NULL, false, false },
};
