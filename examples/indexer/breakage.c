/* SPDX-License-Identifier: MIT */

#include "breakage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = { "none", "deadlock", "spin", "sleep", "die" };

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

/* Two locks, and a meeting point at which each thread holds one of them. */
static pthread_mutex_t journal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t catalogue = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold_one;

static void take_both(pthread_mutex_t *first, pthread_mutex_t *second)
{
	pthread_mutex_lock(first);
	pthread_barrier_wait(&both_hold_one);
	pthread_mutex_lock(second);
	pthread_mutex_unlock(second);
	pthread_mutex_unlock(first);
}

static void *take_catalogue_first(void *arg)
{
	(void)arg;
	take_both(&catalogue, &journal);
	return NULL;
}

static void deadlock(void)
{
	pthread_t second;

	pthread_barrier_init(&both_hold_one, NULL, 2);
	if (pthread_create(&second, NULL, take_catalogue_first, NULL) == 0)
		take_both(&journal, &catalogue);
}

static void spin(const struct breakage *breakage)
{
	/* Relaxed: the flag is all there is to see. */
	while (!__atomic_load_n(&breakage->healed, __ATOMIC_RELAXED))
		continue;
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
		deadlock();
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
