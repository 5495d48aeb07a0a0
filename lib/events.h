/* SPDX-License-Identifier: MIT */

/*
 * Events
 *
 * The list of changes: ordered by number, each heartbeat in it once with its newest. The monitor
 * adds, readers are positions in it. A change that is superseded while a reader stands on it moves
 * the reader back by one, so no reader loses its place.
 */

#ifndef VT_EVENTS_H
#define VT_EVENTS_H

#include "registry.h"
#include "verdict.h"

#define VT_READERS 65 /* 64, and the notifier's own */

struct vitals_events {
	vitals_registry *registry; /* NULL: not in use */
	uint32_t epoch;
	uint32_t only;      /* index + 1 of the one heartbeat; 0: all */
	uint32_t only_gen;
	uint32_t cursor;    /* code of the change read last, 0: before the first */
	uint64_t position;  /* its number */
	uint64_t lost;
	_Atomic int fd;
};

/* The room. Return: 0; -ENOMEM. */
int vt_changes_make(vitals_registry *registry) VT_REQUIRES(registry->lock);

/* The word that changes with every change, to sleep on. */
_Atomic uint32_t *vt_changes_word(vitals_registry *registry);

/*
 * What the monitor found of a heartbeat. Publishes it if it is another state than the last
 * published one; waits for no reader: what cannot be published now is next turn.
 */
void vt_changes_note(vitals_registry *registry, uint32_t index, uint32_t gen,
		     const struct vt_verdict *verdict, const struct vt_tick *tick);

/* The process did not run for @ns. */
void vt_changes_note_pause(vitals_registry *registry, const struct vt_tick *tick, uint64_t ns);

/* Nobody looks any more, or somebody does again. */
void vt_changes_stop(vitals_registry *registry, bool stopped);

/* The notifier's reader. Return: 0; -EAGAIN: nothing; -ECANCELED: nothing, and nothing will come. */
int vt_changes_notify(vitals_registry *registry, struct vitals_event *event);
/* It starts at the end of the list. */
void vt_changes_notify_from_now(vitals_registry *registry);

#endif
