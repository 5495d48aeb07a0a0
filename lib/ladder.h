/* SPDX-License-Identifier: MIT */

/*
 * Ladder
 *
 * What happens while those who were told do not leave: a list of them at half and at four fifths
 * of the time, the report when it is up, and then what the service has chosen. Climbed by the
 * monitor in every turn, and by finish: neither takes a lock or memory for it, nor waits for the
 * other, so that no stuck thread can keep the process.
 *
 * One word says how far it is, and for which main quitter, so that there is one verdict: either
 * finish has its answer, or the time was up first.
 */

#ifndef VT_LADDER_H
#define VT_LADDER_H

#include "registry.h"

struct vt_ladder {
	_Atomic uint64_t
		state; /* steps taken, and above them which main quitter's, see ladder.c */
	_Atomic uint64_t timeout_ns;  /* 0: there is no main quitter */
	_Atomic uint32_t at_deadline; /* enum vitals_at_deadline */
	_Atomic uint32_t late_status;
	_Atomic int report_fd;          /* 0: nobody wants to read it */
	_Atomic uint32_t written;       /* the report is; waited on */
	_Atomic uint64_t report_device; /* which file it was when it was given */
	_Atomic uint64_t report_inode;
	_Atomic uint64_t
		leave_by_ns; /* exit() is under way, for no longer; 0: it is not */
};

/* There is a main quitter now; @timeout_ns 0: there is none any more. */
void vt_ladder_set(struct vt_ladder *ladder, uint64_t timeout_ns,
		   const struct vitals_quitter_options *options);

/* The process is to leave at the deadline at the latest, and to say on stderr who did not. */
void vt_ladder_insist(struct vt_ladder *ladder);

/* When the time to leave is up: UINT64_MAX before anybody was asked to. */
uint64_t vt_ladder_deadline(const vitals_registry *registry,
			    const struct vt_ladder *ladder);

/* Of it, the part that those who flush have to themselves; 0: nobody does. */
uint64_t vt_ladder_reserve(const vitals_registry *registry,
			   const struct vt_ladder *ladder);

/*
 * Takes the steps that are due at @now_ns; does not return if that is what was chosen. Return: when
 * the next is due, UINT64_MAX: none is.
 */
uint64_t vt_ladder_climb_at(vitals_registry *registry, struct vt_ladder *ladder,
			    uint64_t now_ns);

/*
 * Finish has its answer, @late or not. Does not return if the process is to leave, or about to.
 */
void vt_ladder_over(vitals_registry *registry, struct vt_ladder *ladder, bool late);

/* Does the process leave when the time is up, whatever keeps finish? */
bool vt_ladder_leaves(const struct vt_ladder *ladder);

/* The exit status if somebody is late. */
int vt_ladder_late_status(const struct vt_ladder *ladder);

/* exit() is about to run the host's handlers; they have what is left of the time. */
void vt_ladder_exits(const vitals_registry *registry, struct vt_ladder *ladder,
		     uint64_t now_ns);

#endif
