/* SPDX-License-Identifier: MIT */

/*
 * Sleepers
 *
 * Programs that do nothing, in many ways: dead, or alive and waiting for something. Each is run in a
 * process of its own, where a thread that only looks on asks the rule about it.
 */

#ifndef SLEEPERS_H
#define SLEEPERS_H

#include "vitals.h"

#include <semaphore.h>
#include <stdbool.h>

struct kind {
	const char *name;
	/* Makes it what it is, in the first thread, and calls settled() before it waits. */
	void (*run)(void);
	/* Of one that is alive: what it waits for comes. NULL: by itself, in a while. */
	void (*poke)(void);
	bool asleep;
	bool until_signal;
};

/* Each ends with one without a name. */
extern const struct kind sleepers_dead[];
extern const struct kind sleepers_live[];
extern const struct kind sleepers_outside[]; /* alive by another process, or the kernel */
extern const struct kind sleepers_wait[];    /* alive by what this library does */

void settled(void);
/* It is alive: what it waited for came. */
void progress(void);
/* This machine cannot make such a program: it is not counted. */
__attribute__((noreturn)) void cannot(void);

void thread_new(void *(*fn)(void *arg), void *arg);
/* For one that runs no more, as many do. */
__attribute__((noreturn)) void wait_for_ever(void);

#endif
