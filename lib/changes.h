/* SPDX-License-Identifier: MIT */

/*
 * Changes
 *
 * The list of what changed: ordered by number, each heartbeat in it once with its newest. The
 * monitor adds, readers (events.c) are positions in it. A change that is superseded while a reader
 * stands on it moves the reader back by one, so no reader loses its place.
 */

#ifndef VT_CHANGES_H
#define VT_CHANGES_H

#include "registry.h"
#include "verdict.h"

#define VT_READER_NOTIFIER 64 /* behind those of the service's: our own */
#define VT_READER_LOG 65
#define VT_READERS 66

/* What a change is called in the list: a heartbeat's index + 1, the pause, a finding; 0: none. */
#define VT_PAUSE_CODE UINT32_MAX
#define VT_FINDING_CODE(i) (UINT32_MAX - 1 - (i))
#define VT_SPECIALS (1 + VT_FINDINGS)
#define VT_SPECIAL(code) (UINT32_MAX - (code))

struct vitals_events {
	vitals_registry *registry; /* NULL: not in use */
	uint32_t epoch;
	uint32_t only; /* index + 1 of the one heartbeat; 0: all */
	uint32_t only_gen;
	uint32_t cursor;   /* code of the change read last, 0: before the first */
	uint64_t position; /* its number */
	uint64_t lost;
	_Atomic int fd;
};

/* A change, as readers are told it; a heartbeat's newest is kept in its cold and rare part. */
struct vt_change {
	uint64_t number; /* 0: not in the list */
	uint64_t at_ns;
	uint64_t lasted_ns;
	uint64_t silence_ns;
	uint32_t gen; /* of the heartbeat's slot */
	int from;
	int to; /* what readers were told last */
};

/* Where in the list: codes. */
struct vt_change_links {
	uint32_t *prev;
	uint32_t *next;
};

/* A change that is no heartbeat's. */
struct vt_special {
	struct vt_change change;
	uint32_t prev;
	uint32_t next;
};

struct vt_changes {
	_Atomic uint32_t word;
	/* guarded by events_lock */
	uint64_t number;
	uint32_t first;
	uint32_t last;
	bool stopped;
	struct vt_special specials[VT_SPECIALS];  /* the pause, and findings */
	struct vitals_events readers[VT_READERS]; /* the last are our own */
	bool stuck; /* a turn waited for events_lock in vain; written by turns only */
};

/* The room. Return: 0; -ENOMEM. */
int vt_changes_make(vitals_registry *registry) VT_REQUIRES(registry->lock);

/* The word that changes with every change, to sleep on. */
_Atomic uint32_t *vt_changes_word(vitals_registry *registry);

/*
 * What the monitor found of a heartbeat. Publishes it if it is another state than the last
 * published one; waits for no reader. Return: false if it could not be published now: then note it
 * again next turn.
 */
bool vt_changes_note(vitals_registry *registry, uint32_t index,
		     const struct vt_verdict *verdict, const struct vt_tick *tick);

/* The slot is another heartbeat's now, of which nothing was told yet. Return: as above. */
bool vt_changes_forget(vitals_registry *registry, uint32_t index);

/* The process did not run for @ns. */
void vt_changes_note_pause(vitals_registry *registry, const struct vt_tick *tick,
			   uint64_t ns);

/* A finding is in its slot. Return: the number of its event; 0: it could not be told now. */
uint64_t vt_changes_note_finding(vitals_registry *registry, uint32_t finding,
				 const struct vt_tick *tick);

/* Nobody looks any more, or somebody does again. */
void vt_changes_stop(vitals_registry *registry, bool stopped);

/* The change that a code of the list stands for, its number alone, and what comes after it. */
void vt_change_load(const vitals_registry *registry, uint32_t code,
		    struct vt_change *change) VT_REQUIRES(registry->events_lock);
uint64_t vt_change_number(const vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock);
uint32_t vt_change_next(const vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock);

#endif
