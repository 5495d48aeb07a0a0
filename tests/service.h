/* SPDX-License-Identifier: MIT */

/*
 * Service
 *
 * What the tests of shutdown share: threads that obey, threads that do not until a gate
 * opens, and what the late rows say.
 */

#ifndef SERVICE_H
#define SERVICE_H

#include "vitals.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A door that stays open once opened. */
struct gate {
	_Atomic uint32_t open;
};

void gate_open(struct gate *gate);
/* Waits for it, whatever anybody says. */
void gate_pass(struct gate *gate);

/* Waits, up to ten seconds, until @word is @value or more; false: it never came. */
bool word_reaches(_Atomic uint32_t *word, uint32_t value);

/* Thread functions. @arg of all: a struct gate or NULL. */
int obeys(vitals_thread *self, void *arg); /* sleeps until it must leave */
int refuses(vitals_thread *self,
	    void *arg); /* leaves when the gate opens, and not before */
int returns(vitals_thread *self, void *arg); /* at once */

/* A registry with a main quitter; a second of time. */
struct service {
	vitals_registry *registry;
	vitals_quitter *main;
};

void service_make(struct service *service);
void service_free(struct service *service);

vitals_quitter *child_of(vitals_quitter *parent, const char *name);
/* Without a heartbeat and without options. */
int fork_on(vitals_quitter *quitter, const char *name, vitals_thread_fn fn, void *arg);
/* Without a status and a text. */
int send_quit(vitals_quitter *quitter);

/* Is a row called @name, of a quitter at @path, in @late? How often? */
unsigned late_rows(vitals_snapshot *late, const char *path);
unsigned late_count(vitals_snapshot *late);

/* The rows of all threads and holds, or quitters, in the registry. */
unsigned thread_rows(vitals_registry *registry);
unsigned quitter_rows(vitals_registry *registry);
/*
 * Until no more than @rows are listed: what nobody waits for is joined when it ends.
 * False: that never came.
 */
bool rows_reach(vitals_registry *registry, unsigned rows);

/* A moment, between two looks at what another thread will do. */
void nap(void);
/* The first thread row called @name; false: there is none. */
bool thread_row(vitals_registry *registry, const char *name,
		struct vitals_thread_info *info);
bool quitter_row(vitals_registry *registry, const char *path,
		 struct vitals_quitter_info *info);

/* The monotonic clock. */
uint64_t clock_now(void);

#endif
