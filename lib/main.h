/* SPDX-License-Identifier: MIT */

/*
 * Main
 *
 * The root of the tree: the events it listens to, the stages a shutdown goes through, how
 * it ends. A turn is a function of the state and the time; the monitor's thread, a step,
 * send_quit and finish all do the same one, so a shutdown needs none of them in
 * particular.
 */

#ifndef VT_MAIN_H
#define VT_MAIN_H

#include "ladder.h"
#include "signals.h"

#include <poll.h>

enum vt_phase {
	VT_PHASE_IDLE,  /* waits for an event */
	VT_PHASE_BEGUN, /* readiness is gone, nobody was told */
	VT_PHASE_DRAIN, /* those that drain were told */
	VT_PHASE_QUIT,  /* all but those that flush were told */
	VT_PHASE_FLUSH, /* all were told */
};

/* Something that main listens to; stands still once it is counted in n_events, until the next main. */
struct vt_event {
	_Atomic uint32_t is_fd;
	_Atomic int number; /* a signal's, or a descriptor; -1: it was closed */
	char text[VITALS_TEXT_MAX];
};

struct vt_main {
	struct vt_requests requests;
	struct vt_event events[VT_EVENTS];
	struct vt_ladder ladder;
	_Atomic uint32_t n_events;
	_Atomic uint32_t blind; /* a bit for each stage that was told without the lock */
	_Atomic uint32_t generation; /* changes with every main quitter */
	_Atomic uint32_t phase; /* enum vt_phase; written under the registry's lock */
	/* guarded by the registry's lock */
	vitals_quitter *quitter; /* NULL: none */
	uint64_t ready_off_ns;
	uint64_t begun_ns;
	uint64_t drain_until_ns;
	uint32_t cause;  /* index + 1, reserved when main was made */
	bool hurried_on; /* those who wait know that there is no more time */
	struct vitals_cause why;

	struct vt_told unsettled; /* the monitor's: what it could not let go of in time */
	uint64_t
		locked_out_ns; /* the monitor's: since when it cannot get the lock; 0: it can */
};

static inline enum vt_phase vt_main_phase(const struct vt_main *main)
{
	/* Acquire pairs with phase_set(). */
	return (enum vt_phase)atomic_load_explicit(&main->phase, memory_order_acquire);
}

/* What the monitor does for it. */
extern const struct vt_monitor_work vt_main_work;

/* How a request by call begins: vt_tree.begin. */
int vt_main_begin(vitals_registry *registry, const struct vitals_cause *cause);

/* The descriptors to poll; @ret_events says which event each is. Return: how many. */
unsigned vt_main_fds(struct vt_main *main, struct pollfd *fds, uint8_t *ret_events,
		     unsigned room);

/* Looks at all descriptors now. Return: those that have something. */
uint64_t vt_main_look(struct vt_main *main);

/*
 * What a turn has to do while the registry's lock is not to be had, for it was not since
 * @since_ns: the stages by their time alone.
 */
void vt_main_blind_at(vitals_registry *registry, struct vt_main *main, uint64_t since_ns,
		      uint64_t now_ns);

/*
 * One turn at @now_ns with the events in @bits, and those of signals; @all_done: nobody
 * is left to wait for. Return: when it wants the next, UINT64_MAX: no wish.
 */
uint64_t vt_main_turn_at(vitals_registry *registry, struct vt_main *main, uint64_t bits,
			 bool all_done, uint64_t now_ns, struct vt_told *told)
	VT_REQUIRES(registry->lock);

/* Is anybody left in it? */
static inline bool vt_main_empty(const vitals_quitter *quitter)
{
	return vt_quitter_live(quitter) < VT_LIVE_ONE;
}

#endif
