/* SPDX-License-Identifier: MIT */

/*
 * The stages of a shutdown, all within one deadline from the event:
 *
 *   readiness off → (ready_off_ns) → drain → quit → flush
 *
 * Quit begins when those that drain have left, or half of the rest of the time is over;
 * flush when all others have left, or its reserve begins. Where there is nothing to
 * drain, no delay and nothing to flush, it is one cascade.
 */

#include "main.h"

#include "blind.h"
#include "cause.h"
#include "clock.h"
#include "tell.h"
#include "unblock.h"

#include <errno.h>

/*
 * After the lock was not to be had for so long, it goes on without; of a short time to leave, for a
 * part of it only, so that those who flush are told before their reserve is over.
 */
#define LOCKED_OUT_NS VITALS_MS(100)
#define LOCKED_OUT_PART 20u

static void phase_set(struct vt_main *main, enum vt_phase phase)
{
	/* Release: whoever sees the phase sees what led to it. */
	atomic_store_explicit(&main->phase, phase, memory_order_release);
}

static vitals_quitter *child_first(vitals_registry *registry,
				   const vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	uint32_t at = vt_slot_get(&vt_quitter_slot(quitter)->first_child);

	return at ? vt_quitter_at(registry, at - 1) : NULL;
}

static vitals_quitter *child_next(vitals_registry *registry, const vitals_quitter *child)
	VT_REQUIRES(registry->lock)
{
	uint32_t at = vt_slot_get(&vt_quitter_slot(child)->next);

	return at ? vt_quitter_at(registry, at - 1) : NULL;
}

static uint32_t stage_of(const vitals_quitter *quitter)
{
	return vt_quitter_stage(vt_quitter_slot(quitter));
}

/* Is there a child of @stage, and is one not empty? */
static bool stage_has(vitals_registry *registry, const struct vt_main *main,
		      uint32_t stage, bool *ret_live) VT_REQUIRES(registry->lock)
{
	vitals_quitter *child = child_first(registry, main->quitter);
	bool has = false;

	*ret_live = false;
	for (; child; child = child_next(registry, child)) {
		if (stage_of(child) != stage)
			continue;
		has = true;
		*ret_live |= !vt_main_empty(child);
	}
	return has;
}

/* All but those that flush have left. */
static bool quit_done(vitals_registry *registry, const struct vt_main *main)
	VT_REQUIRES(registry->lock)
{
	vitals_quitter *child = child_first(registry, main->quitter);

	if (vt_slot_get(&vt_quitter_slot(main->quitter)->threads))
		return false;
	for (; child; child = child_next(registry, child))
		if (stage_of(child) != VITALS_STAGE_FLUSH && !vt_main_empty(child))
			return false;
	return true;
}

/* Their time counts from now on, if it comes so late that theirs would be over. */
static void flush_note(vitals_registry *registry, uint64_t now_ns)
{
	uint64_t never = 0;

	(void)atomic_compare_exchange_strong_explicit(&registry->tree->flush_ns, &never,
						      now_ns, memory_order_release,
						      memory_order_relaxed);
}

static void stage_store(vitals_registry *registry, uint32_t stage)
{
	/*
	 * Release to must_quit's acquire: everybody at once, before the cascade reaches
	 * them.
	 */
	atomic_fetch_or_explicit(&registry->root->stages[stage], VT_QUIT,
				 memory_order_release);
}

/* Tells main's children of @stage, which are told with the stage's one store. */
static void stage_tell(vitals_registry *registry, struct vt_main *main, uint32_t stage,
		       uint64_t now_ns, struct vt_told *told) VT_REQUIRES(registry->lock)
{
	vitals_quitter *child = child_first(registry, main->quitter);

	stage_store(registry, stage);
	for (; child; child = child_next(registry, child))
		if (stage_of(child) == stage)
			vt_tell_mark(registry, child, false, main->cause, now_ns, told);
}

/* From here on everybody's departure may begin the next stage. */
static void watch(vitals_registry *registry, bool on) VT_REQUIRES(registry->lock)
{
	registry->tree->watched = on;
}

/* When those who flush are told, whoever has not left: their reserve begins. */
static uint64_t last_of(const vitals_registry *registry, const struct vt_main *main)
{
	uint64_t deadline_ns = vt_ladder_deadline(registry, &main->ladder);
	uint64_t reserve_ns = vt_ladder_reserve(registry, &main->ladder);

	/* There is time for ever; or main is being freed: then it is up for all. Acquire: as there. */
	if (deadline_ns == UINT64_MAX)
		return atomic_load_explicit(&main->ladder.timeout_ns,
					    memory_order_acquire)
			       ? UINT64_MAX
			       : 0;
	return deadline_ns > reserve_ns ? deadline_ns - reserve_ns : 0;
}

/* When the first are told; at once if somebody sits at the terminal. */
static uint64_t ready_of(const struct vt_main *main, uint64_t last_ns)
{
	uint64_t ready_ns = vt_clock_after(main->begun_ns, main->ready_off_ns);

	/* Acquire pairs with the handler's release. */
	if (atomic_load_explicit(&main->requests.hurried, memory_order_acquire))
		return main->begun_ns;
	return ready_ns < last_ns ? ready_ns : last_ns;
}

/* There is less time than there was: whoever waits is to look at it again. */
static void hurry_on(vitals_registry *registry, struct vt_main *main,
		     struct vt_told *told) VT_REQUIRES(registry->lock)
{
	registry->tree->deadline_ns = vt_ladder_deadline(registry, &main->ladder);
	/* Acquire pairs with the handler's release: the second request. */
	if (main->hurried_on ||
	    !atomic_load_explicit(&registry->tree->expired_ns, memory_order_acquire))
		return;
	main->hurried_on = true;
	vt_tell_waiters(registry, main->quitter, told);
}

/* As far as the stages have come by @now_ns. Return: when the next may begin. */
static uint64_t advance(vitals_registry *registry, struct vt_main *main, uint64_t now_ns,
			struct vt_told *told) VT_REQUIRES(registry->lock)
{
	uint64_t reserve_ns = vt_ladder_reserve(registry, &main->ladder);
	uint64_t last_ns = last_of(registry, main), ready_ns;
	bool live;

	hurry_on(registry, main, told);
	if (vt_main_phase(main) == VT_PHASE_BEGUN) {
		ready_ns = ready_of(main, last_ns);
		if (now_ns < ready_ns)
			return ready_ns;
		stage_tell(registry, main, VITALS_STAGE_DRAIN, now_ns, told);
		main->drain_until_ns = now_ns < last_ns ? now_ns + (last_ns - now_ns) / 2
							: now_ns;
		phase_set(main, VT_PHASE_DRAIN);
	}
	if (vt_main_phase(main) == VT_PHASE_DRAIN) {
		(void)stage_has(registry, main, VITALS_STAGE_DRAIN, &live);
		if (live && now_ns < main->drain_until_ns && now_ns < last_ns)
			return main->drain_until_ns < last_ns ? main->drain_until_ns
							      : last_ns;
		stage_store(registry, VITALS_STAGE_QUIT);
		vt_tell_mark(registry, main->quitter, true, main->cause, now_ns, told);
		phase_set(main, VT_PHASE_QUIT);
	}
	if (vt_main_phase(main) == VT_PHASE_QUIT) {
		if (reserve_ns && now_ns < last_ns && !quit_done(registry, main))
			return last_ns;
		flush_note(registry, now_ns);
		stage_tell(registry, main, VITALS_STAGE_FLUSH, now_ns, told);
		phase_set(main, VT_PHASE_FLUSH);
		watch(registry, false);
	}
	return UINT64_MAX;
}

/* The first cause wins. @at_ns: of the event, from which the time counts. */
static void begin(vitals_registry *registry, struct vt_main *main,
		  const struct vitals_cause *cause) VT_REQUIRES(registry->lock)
{
	main->why = *cause;
	vt_tree_ask(registry->tree, cause->at_ns);
	/* Relaxed: it stands still now. */
	main->begun_ns =
		atomic_load_explicit(&registry->tree->asked_ns, memory_order_relaxed);
	vt_cause_set(registry, main->cause, cause);
	/* Release: readiness goes before anybody is told. */
	atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_QUITTING,
				 memory_order_release);
	phase_set(main, VT_PHASE_BEGUN);
	watch(registry, true);
}

/* The lowest of the events that came; signals say who sent them and when. */
static void event_cause(const struct vt_main *main, uint64_t bits, uint64_t now_ns,
			struct vitals_cause *cause)
{
	unsigned event = (unsigned)__builtin_ctzll(bits);
	const struct vt_sender *sender = &main->requests.senders[event];
	const struct vt_event *what = &main->events[event];
	/* Relaxed: it stands still, see vt_event. */
	bool is_fd = atomic_load_explicit(&what->is_fd, memory_order_relaxed);
	uint64_t who;

	vt_cause_init(cause, is_fd ? VITALS_CAUSE_FD : VITALS_CAUSE_SIGNAL, 0,
		      what->text);
	cause->index = (int32_t)event;
	cause->at_ns = now_ns;
	if (is_fd)
		return;
	/* Relaxed: ordered by the bit, which the handler set after them. */
	cause->signo = atomic_load_explicit(&what->number, memory_order_relaxed);
	who = atomic_load_explicit(&sender->who, memory_order_relaxed);
	cause->sender_pid = (int32_t)((who & ~VT_SENDER_CAME) >> 32);
	cause->sender_uid = (uint32_t)who;
	cause->at_ns = atomic_load_explicit(&sender->at_ns, memory_order_relaxed);
}

uint64_t vt_main_turn_at(vitals_registry *registry, struct vt_main *main, uint64_t bits,
			 bool all_done, uint64_t now_ns, struct vt_told *told)
{
	struct vitals_cause cause;

	if (!main->quitter)
		return UINT64_MAX;
	/* Acquire pairs with the handler's release: who sent it is seen. */
	bits |= atomic_exchange_explicit(&main->requests.pending, 0,
					 memory_order_acquire);
	if (vt_main_phase(main) == VT_PHASE_IDLE) {
		if (bits)
			event_cause(main, bits, now_ns, &cause);
		else if (all_done)
			vt_cause_init(&cause, VITALS_CAUSE_ALL_DONE, 0, NULL);
		else
			return UINT64_MAX;
		if (!bits)
			cause.at_ns = now_ns;
		/* Relaxed: it stands still while the node does. */
		cause.origin_id = atomic_load_explicit(
			&vt_quitter_slot(main->quitter)->id, memory_order_relaxed);
		begin(registry, main, &cause);
		vt_tree_news(registry->tree);
	}
	return advance(registry, main, now_ns, told);
}

int vt_main_begin(vitals_registry *registry, const struct vitals_cause *cause)
{
	struct vt_main *main = registry->main;
	struct vt_told told = { 0 };

	vt_lock(&registry->lock);
	if (!main->quitter || vt_main_phase(main) != VT_PHASE_IDLE) {
		vt_unlock(&registry->lock);
		return -EALREADY;
	}
	begin(registry, main, cause);
	(void)advance(registry, main, cause->at_ns, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	/* Whoever drives the next stage, and whoever waits for the end. */
	vt_tree_news(registry->tree);
	vt_registry_wake(registry);
	return 0;
}

/* Once: whoever is woken by it goes, or will not. */
static void stage_blind(vitals_registry *registry, struct vt_main *main,
			enum vitals_stage stage)
{
	uint32_t bit = 1u << stage;

	/* Relaxed: one of two does it. */
	if (!(atomic_fetch_or_explicit(&main->blind, bit, memory_order_relaxed) & bit))
		vt_blind_tell(registry, stage);
}

void vt_main_blind_at(vitals_registry *registry, struct vt_main *main, uint64_t since_ns,
		      uint64_t now_ns)
{
	/* Acquire pairs with vt_tree_ask(). */
	uint64_t asked_ns =
		atomic_load_explicit(&registry->tree->asked_ns, memory_order_acquire);
	uint64_t last_ns = last_of(registry, main);
	uint64_t due_ns = vt_clock_after(asked_ns, main->ready_off_ns), patience_ns;

	patience_ns = (last_ns - asked_ns) / LOCKED_OUT_PART;
	if (patience_ns > LOCKED_OUT_NS)
		patience_ns = LOCKED_OUT_NS;
	if (!asked_ns || !last_ns || now_ns < since_ns + patience_ns)
		return;
	/* Release: readiness goes before anybody is told. */
	atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_QUITTING,
				 memory_order_release);
	due_ns = due_ns < last_ns ? due_ns : last_ns;
	if (now_ns >= due_ns)
		stage_blind(registry, main, VITALS_STAGE_DRAIN);
	if (atomic_load_explicit(&registry->tree->drains, memory_order_relaxed))
		due_ns += (last_ns - due_ns) / 2;
	if (now_ns >= due_ns)
		stage_blind(registry, main, VITALS_STAGE_QUIT);
	if (now_ns < last_ns)
		return;
	flush_note(registry, now_ns);
	stage_blind(registry, main, VITALS_STAGE_FLUSH);
}
