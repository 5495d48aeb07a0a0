/* SPDX-License-Identifier: MIT */

#include "main.h"

#include "cause.h"
#include "clock.h"
#include "ladder.h"
#include "monitor.h"
#include "notifier.h"
#include "options.h"
#include "stragglers.h"
#include "thread.h"
#include "unblock.h"

#include <errno.h>

/* How long the monitor waits for the lock, and how soon it tries again. */
#define PATIENCE_NS 1000000u

/* The request by signal that leaves from the handler: the first is heard, the second hurries. */
#define LEAVE_AT 3u

/* The first callback needs somebody to call it, if the monitor is who tells. */
static void main_caller(vitals_registry *registry)
{
	struct vt_tree *tree = registry->tree;
	uint32_t run = atomic_load_explicit(&registry->run, memory_order_relaxed);

	/* Relaxed: facts of their own. Not once more: it may just be being stopped. */
	if (atomic_load_explicit(&tree->called, memory_order_relaxed) ||
	    (run != VT_RUN_RUNNING &&
	     atomic_load_explicit(&tree->calls, memory_order_relaxed)))
		return; /* then finish calls, or starts it */
	vt_lock(&registry->lock);
	atomic_store_explicit(&tree->calls, 1, memory_order_relaxed);
	/* Relaxed: whoever starts the monitor, under this lock, looks at calls afterwards. */
	run = atomic_load_explicit(&registry->run, memory_order_relaxed);
	vt_unlock(&registry->lock);
	if (run != VT_RUN_RUNNING)
		return;
	if (vt_notifier_start(registry) == 0)
		atomic_store_explicit(&tree->called, 1, memory_order_relaxed);
}

static void senders_clear(struct vt_requests *requests)
{
	uint32_t i;

	/* Relaxed, all: the handler comes to know it by vt_signals_add() only. */
	for (i = 0; i < VT_EVENTS; i++) {
		atomic_store_explicit(&requests->senders[i].who, 0, memory_order_relaxed);
		atomic_store_explicit(&requests->senders[i].at_ns, 0,
				      memory_order_relaxed);
	}
}

/* What is left over of the last main quitter goes. */
static void main_reset(vitals_registry *registry, struct vt_main *main,
		       const struct vitals_quitter_options *options)
	VT_REQUIRES(registry->lock)
{
	struct vt_requests *requests = &main->requests;
	uint32_t i;

	requests->registry = registry;
	/* Relaxed, all: the handler comes to know it by vt_signals_add() only. */
	atomic_store_explicit(&requests->pending, 0, memory_order_relaxed);
	senders_clear(requests);
	atomic_store_explicit(&requests->count, 0, memory_order_relaxed);
	atomic_store_explicit(&requests->leave_at,
			      options->leave_at ? options->leave_at : LEAVE_AT,
			      memory_order_relaxed);
	atomic_store_explicit(&requests->delayed, options->ready_off_ns != 0,
			      memory_order_relaxed);
	atomic_store_explicit(&requests->hurried, 0, memory_order_relaxed);
	atomic_store_explicit(&main->n_events, 0, memory_order_relaxed);
	atomic_store_explicit(&main->blind, 0, memory_order_relaxed);
	atomic_store_explicit(&main->phase, VT_PHASE_IDLE, memory_order_relaxed);
	/* Release: who has polled for the one before sees that it is another. */
	atomic_fetch_add_explicit(&main->generation, 1, memory_order_release);
	main->hurried_on = false;
	main->ready_off_ns = options->ready_off_ns;
	for (i = 0; i < VT_STAGES; i++)
		atomic_store_explicit(&registry->root->stages[i], 0,
				      memory_order_release);
	atomic_fetch_and_explicit(&registry->root->flags, ~VT_ROOT_QUITTING,
				  memory_order_release);
	atomic_store_explicit(&registry->tree->asked_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->tree->expired_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->tree->flush_ns, 0, memory_order_relaxed);
	registry->tree->deadline_ns = UINT64_MAX;
	registry->tree->departed = 0;
	registry->tree->watched = 0;
	registry->tree->begin = vt_main_begin;
	registry->tree->caller = main_caller;
	registry->tree->poke = vt_notifier_wake;
}

static int main_make(vitals_registry *registry, uint64_t timeout_ns,
		     const struct vitals_quitter_options *options, vitals_quitter **ret)
	VT_REQUIRES(registry->lock)
{
	struct vt_main *main;
	int r = vt_tree_get(registry);

	if (!r)
		r = vt_monitor_make(registry);
	if (!r && !registry->main)
		registry->main =
			(struct vt_main *)vt_registry_room(registry, sizeof(*main));
	main = registry->main;
	if (r || !main)
		return -ENOMEM;
	if (main->quitter)
		return -EEXIST;
	main->cause = vt_cause_reserve(registry);
	if (!main->cause)
		return -ENOMEM;
	main_reset(registry, main, options);
	r = vt_quitter_make(registry, NULL, "main", VITALS_STAGE_QUIT, timeout_ns, ret);
	if (r) {
		vt_cause_unref(registry, main->cause);
		return r;
	}
	(*ret)->is_main = 1;
	main->quitter = *ret;
	vt_slot_put(&registry->root->main_quitter, vt_quitter_index(*ret) + 1);
	vt_ladder_set(&main->ladder, timeout_ns, options);
	atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_HAS_MAIN,
				 memory_order_release);
	return 0;
}

int vitals_quitter_new_main(vitals_registry *registry, uint64_t timeout_ns,
			    const struct vitals_quitter_options *options,
			    vitals_quitter **ret)
{
	struct vitals_quitter_options mine;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	r = vt_options_load(&mine, sizeof(mine), options);
	if (r)
		return r;
	if (!timeout_ns || mine.flags || mine.reserved || mine.stage || mine.timeout_ns ||
	    mine.at_deadline > VITALS_ABORT_AT_DEADLINE || mine.report_fd < 0 ||
	    mine.late_status > 255)
		return -EINVAL;
	r = vt_registry_get(registry, &registry);
	if (r)
		return r;
	vt_lock(&registry->lock);
	r = main_make(registry, timeout_ns, &mine, ret);
	vt_unlock(&registry->lock);
	if (r)
		return r;
	/*
	 * In every turn from now on, whoever makes it: events are not looked at in finish
	 * alone.
	 */
	vt_monitor_work(registry, &vt_main_work);
	return 0;
}

/* Gives up being the registry's main quitter. Return: its cause's reserve. */
static void main_unmake(vitals_registry *registry, vitals_quitter *quitter,
			struct vt_told *told) VT_REQUIRES(registry->lock)
{
	struct vt_main *main = registry->main;

	/*
	 * What was said to all at once, or has begun, is said to everybody: later nobody
	 * can.
	 */
	vt_ladder_set(&main->ladder, 0, NULL);
	if (vt_quitter_told(quitter) || vt_main_phase(main) != VT_PHASE_IDLE)
		(void)vt_main_turn_at(registry, main, 0, false, vt_clock_now(), told);
	vt_cause_unref(registry, main->cause);
	quitter->is_main = 0;
	main->quitter = NULL;
	registry->tree->watched = 0;
	vt_slot_put(&registry->root->main_quitter, 0);
	atomic_fetch_and_explicit(&registry->root->flags, ~VT_ROOT_HAS_MAIN,
				  memory_order_release);
}

vitals_quitter *vitals_quitter_free(vitals_quitter *quitter)
{
	struct vt_told told = { 0 };
	vitals_registry *registry;
	bool main;

	if (!quitter || !vt_quitter_current(quitter))
		return NULL;
	registry = vt_quitter_registry(quitter);
	main = vt_quitter_is_main(quitter);
	if (main) {
		vt_signals_remove(&registry->main->requests);
		/* Nobody can put dead ones away any more. */
		vt_reap(registry);
		vt_reap_dead(quitter);
	}
	(void)vt_registry_ref(registry);
	vt_lock(&registry->lock);
	vt_holds_settle(registry);
	if (main)
		main_unmake(registry, quitter, &told);
	vt_quitter_unref(registry, quitter, &told);
	vt_tree_unlock(registry, &told);
	vt_told_done(registry, &told);
	(void)vt_registry_unref(registry);
	return NULL;
}

/*
 * The lock is not to be had: what the descriptors say is not lost, and what the time says is done
 * without. Nobody makes another main quitter meanwhile.
 */
static void turn_locked_out(vitals_registry *registry, struct vt_main *main,
			    uint32_t generation, uint64_t bits, uint64_t now_ns)
{
	if (!main->locked_out_ns)
		main->locked_out_ns = now_ns;
	if (bits &&
	    generation == atomic_load_explicit(&main->generation, memory_order_acquire)) {
		atomic_fetch_or_explicit(&main->requests.pending, bits,
					 memory_order_release);
		vt_tree_ask(registry->tree, now_ns);
	}
	vt_main_blind_at(registry, main, main->locked_out_ns, now_ns);
}

/* Return: whether all that @told remembers was seen to; if not, the next turn is soon. */
static bool told_try(vitals_registry *registry, struct vt_told *told, bool *waits)
{
	if (!told->first_quitter && !told->first_member && !told->n_words)
		return true;
	vt_told_deliver(registry, told, false);
	if (!vt_lock_until(&registry->lock, vt_clock_now() + PATIENCE_NS))
		return false;
	vt_told_settle(registry, told);
	*waits = vt_unblock_waits(registry);
	vt_tree_unlock(registry, told);
	return true;
}

/* In the monitor's thread, which never waits for a lock that a stuck thread may hold. */
static uint64_t turn_tree(vitals_registry *registry, struct vt_main *main,
			  uint64_t now_ns)
{
	struct vt_told *told = &main->unsettled;
	uint32_t generation =
		atomic_load_explicit(&main->generation, memory_order_acquire);
	uint64_t bits = vt_main_look(main), wish_ns, again_ns;
	bool waits;

	if (!vt_lock_until(&registry->lock, vt_clock_now() + PATIENCE_NS)) {
		turn_locked_out(registry, main, generation, bits, now_ns);
		return now_ns + PATIENCE_NS;
	}
	main->locked_out_ns = 0;
	if (generation != atomic_load_explicit(&main->generation, memory_order_relaxed))
		bits = 0; /* of another main quitter's descriptors */
	vt_told_settle(registry, told);
	wish_ns = vt_main_turn_at(registry, main, bits, false, now_ns, told);
	again_ns = vt_unblock_again_at(registry, now_ns, told);
	waits = vt_unblock_waits(registry);
	vt_tree_unlock(registry, told);
	if (!told_try(registry, told, &waits))
		again_ns = now_ns + PATIENCE_NS;
	/* Calling out, and joining, is not for the monitor. */
	if (waits)
		vt_notifier_wake(registry);
	return wish_ns < again_ns ? wish_ns : again_ns;
}

static uint64_t work_turn(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_main *main = registry->main;
	uint64_t wish_ns, climb_ns;

	if (!main)
		return UINT64_MAX;
	wish_ns = turn_tree(registry, main, now_ns);
	climb_ns = vt_ladder_climb_at(registry, &main->ladder, now_ns);
	return wish_ns < climb_ns ? wish_ns : climb_ns;
}

static uint64_t work_late(vitals_registry *registry, uint64_t now_ns)
{
	if (!registry->main)
		return UINT64_MAX;
	return vt_stragglers_turn_at(registry, &registry->monitor->suspects,
				     &registry->main->ladder, now_ns);
}

static unsigned work_fds(vitals_registry *registry, struct pollfd *fds, unsigned room)
{
	return registry->main ? vt_main_fds(registry->main, fds, NULL, room) : 0;
}

/*
 * The turn that follows at once looks at them itself, and at signals: the lowest index
 * wins.
 */
static void work_ready(vitals_registry *registry, const struct pollfd *fds, unsigned n,
		       uint64_t now_ns)
{
	(void)registry;
	(void)fds;
	(void)n;
	(void)now_ns;
}

const struct vt_monitor_work vt_main_work = { work_turn, work_late, work_fds,
					      work_ready };
