/* SPDX-License-Identifier: MIT */

#include "breakage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = { "none", "deadlock", "cycle3", "condvar", "io",
				     "spin", "starve",   "sleep",  "die" };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return VITALS_S(now.tv_sec) + (uint64_t)now.tv_nsec;
}

int breakage_kind(const char *name)
{
	int kind;

	for (kind = BREAKAGE_DEADLOCK; kind <= BREAKAGE_DIE; kind++)
		if (strcmp(name, names[kind]) == 0)
			return kind;
	return -1;
}

int breakage_heals(enum breakage_kind kind)
{
	return kind == BREAKAGE_SPIN || kind == BREAKAGE_STARVE || kind == BREAKAGE_SLEEP;
}

int breakage_open(struct breakage *breakage)
{
	breakage->at_ns = now_ns() + breakage->after_ns;
	if (pipe2(breakage->pipe, O_CLOEXEC) || pipe2(breakage->told, O_CLOEXEC))
		return -errno;
	return 0;
}

uint64_t breakage_in_ns(const struct breakage *breakage)
{
	uint64_t now = now_ns();

	if (breakage->kind == BREAKAGE_NONE || breakage->struck)
		return VITALS_FOREVER;
	return breakage->at_ns > now ? breakage->at_ns - now : 0;
}

/* Locks, and a meeting point at which each thread holds one of them. */
static struct {
	const char *name;
	pthread_mutex_t mutex;
} locks[] = { { "journal", PTHREAD_MUTEX_INITIALIZER },
	      { "catalogue", PTHREAD_MUTEX_INITIALIZER },
	      { "index", PTHREAD_MUTEX_INITIALIZER } };
static unsigned n_locks;
static pthread_barrier_t each_holds_one;

/* The one at @arg, and then the next. */
static void *take_two(void *arg)
{
	unsigned first = (unsigned)(uintptr_t)arg, second = (first + 1) % n_locks;

	pthread_mutex_lock(&locks[first].mutex);
	pthread_barrier_wait(&each_holds_one);
	pthread_mutex_lock(&locks[second].mutex);
	pthread_mutex_unlock(&locks[second].mutex);
	pthread_mutex_unlock(&locks[first].mutex);
	return NULL;
}

/* The others are threads that libvitals has never heard of. */
static void deadlock(unsigned n)
{
	pthread_t thread;
	unsigned i;

	n_locks = n;
	pthread_barrier_init(&each_holds_one, NULL, n);
	for (i = 0; i < n; i++)
		vitals_lock_name(&locks[i].mutex, locks[i].name);
	for (i = 1; i < n; i++) {
		if (pthread_create(&thread, NULL, take_two, (void *)(uintptr_t)i))
			return;
		pthread_setname_np(thread, i == 1 ? "compactor" : "archiver");
	}
	take_two(NULL);
}

static void wait_for_nobody(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mutex);
	for (;;)
		pthread_cond_wait(&never, &mutex);
}

static void receive(void)
{
	int ends[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0)
		while (recv(ends[0], &byte, 1, 0) < 0 && errno == EINTR)
			continue;
}

static void spin(const struct breakage *breakage)
{
	/* Relaxed: the flag is all there is to see. */
	while (!__atomic_load_n(&breakage->healed, __ATOMIC_RELAXED))
		continue;
}

static void *hog(void *breakage)
{
	spin(breakage);
	return NULL;
}

/* Both on one processor, and this one to run only where the other leaves time: it leaves none. */
static void starve(struct breakage *breakage)
{
	struct sched_param none = { 0 };
	cpu_set_t before, one;
	pthread_t thread;

	pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof(one), &one) ||
	    pthread_create(&thread, NULL, hog, breakage))
		return;
	pthread_detach(thread);
	pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
	spin(breakage);
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
}

static void sleep_on(const struct breakage *breakage)
{
	char byte;

	while (read(breakage->pipe[0], &byte, 1) < 0 && errno == EINTR)
		continue;
}

void breakage_strike(struct breakage *breakage)
{
	if (breakage_in_ns(breakage) != 0)
		return;

	breakage->struck = 1;
	printf("breaking: %s\n", names[breakage->kind]);
	if (write(breakage->told[1], "", 1) != 1)
		perror("nobody will heal this");
	switch (breakage->kind) {
	case BREAKAGE_DEADLOCK:
		deadlock(2);
		break;
	case BREAKAGE_CYCLE3:
		deadlock(3);
		break;
	case BREAKAGE_CONDVAR:
		wait_for_nobody();
		break;
	case BREAKAGE_IO:
		receive();
		break;
	case BREAKAGE_STARVE:
		starve(breakage);
		break;
	case BREAKAGE_SPIN:
		spin(breakage);
		break;
	case BREAKAGE_SLEEP:
		sleep_on(breakage);
		break;
	case BREAKAGE_DIE:
		pthread_exit(NULL);
	case BREAKAGE_NONE:
		break;
	}
	puts("healed");
}

int breakage_heal(vitals_thread *self, void *arg)
{
	struct breakage *breakage = arg;
	struct pollfd struck = { .fd = breakage->told[0], .events = POLLIN };

	if (vitals_thread_poll(self, &struck, 1, VITALS_FOREVER) < 0 ||
	    vitals_thread_sleep(self, breakage->heal_ns))
		return 0;
	__atomic_store_n(&breakage->healed, 1, __ATOMIC_RELAXED);
	if (write(breakage->pipe[1], "", 1) != 1)
		return 1;
	return 0;
}
