/* SPDX-License-Identifier: MIT */

/*
 * Abort
 *
 * The last edge of a heartbeat's ladder, silent, stuck, abort: when enough are stuck for long enough
 * the process ends. A function of the region and of the time; decided and carried out in the
 * monitor's turn, so that neither a callback nor a lock of the host's can keep it.
 */

#ifndef VT_ABORT_H
#define VT_ABORT_H

#include "registry.h"

enum vt_abort_step {
	VT_ABORT_WATCHES, /* not enough are stuck */
	VT_ABORT_WAITS,   /* they are, since not long enough */
	VT_ABORT_SAID,    /* decided, and only said, once until it is over */
	VT_ABORT_LEAVES,  /* the signal is on its way */
};

/* How the service wants it; flags VITALS_ABORT_OFF: it does not. */
struct vt_abort_terms {
	uint64_t after_ns;
	uint64_t jitter_ns;
	uint64_t core_ns;
	uint32_t quorum;
	uint32_t quorum_percent;
	uint32_t flags;
};

struct vt_abort {
	_Atomic uint32_t busy; /* somebody is at a turn; nobody waits for it */
	/* guarded by busy */
	struct vt_abort_terms terms;
	enum vt_abort_step step;
	bool traced;       /* a debugger was there when it was due last */
	uint64_t due_ns;   /* in time that the process ran */
	uint64_t find_ns;  /* no walk before that */
	uint64_t leave_ns; /* the signal has not ended it: then otherwise */

	_Atomic uint32_t decisions; /* so far */
	/*
	 * Who writes the last line, in the monitor's turn: it waits for nothing. NULL: nobody.
	 */
	void (*_Atomic last_words)(vitals_registry *registry, const char *line);
};

/*
 * After a turn at @now_ns. Does not return if that is what was chosen and is due. Return: when it
 * wants the next, UINT64_MAX: no wish.
 */
uint64_t vt_abort_turn_at(vitals_registry *registry, uint64_t now_ns);

/* The room, where there is none yet, with nothing asked for. Return: 0; -ENOMEM. */
int vt_abort_make(vitals_registry *registry) VT_REQUIRES(registry->lock);

#endif
