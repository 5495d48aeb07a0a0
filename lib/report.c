/* SPDX-License-Identifier: MIT */

#include "report.h"

#include "clock.h"
#include "histogram.h"
#include "missing.h"
#include "snapshot.h"
#include "task.h"
#include "tell.h"
#include "thread.h"
#include "unblock.h"

#include <errno.h>

/* How often whoever waits looks whether those in condition waits are kicked. */
#define VIGIL_MIN_NS VITALS_MS(4)
#define KICK_NS 20000000u

/* A member as it was under the lock. */
struct late {
	uint32_t index;
	uint32_t gen;
};

/* What one pass over a subtree has found. */
struct pass {
	struct late *lates; /* NULL: counts only */
	uint32_t room;
	uint32_t n;
};

static void pass_add(struct pass *pass, vitals_thread *member)
{
	struct vt_member_slot *slot = member->slot;

	if (pass->lates && pass->n < pass->room) {
		pass->lates[pass->n].index = vt_member_index(member);
		pass->lates[pass->n].gen = vt_slot_get(&slot->gen);
		if (vt_member_told(member))
			vt_slot_put(&slot->flags,
				    vt_slot_get(&slot->flags) | VT_MEMBER_LATE);
	}
	pass->n++;
}

/*
 * Ended, still running its thread-exit destructors, and waited for. One that is gone is not late
 * because nobody has joined it: that may take the lock of the allocator, which the late may hold.
 */
static bool on_its_way_out(const vitals_thread *member)
{
	uint32_t flags = vt_slot_get(&member->slot->flags);

	return vt_slot_get(&member->slot->state) == VITALS_THREAD_RETURNED &&
	       !(member->bits & VT_MEMBER_JOINED) &&
	       !(flags & (VT_MEMBER_ABANDONED | VITALS_THREAD_WEAK)) &&
	       vt_task_exists(vt_slot_get(&member->slot->tid));
}

/* Those in a quitter itself. Return: how many. */
static uint32_t pass_node(vitals_registry *registry, const struct vt_quitter_slot *slot,
			  struct pass *pass) VT_REQUIRES(registry->lock)
{
	uint32_t before = pass->n;
	uint32_t at = vt_slot_get(&slot->first_member);

	while (at) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		if ((member->bits & VT_MEMBER_COUNTED) || on_its_way_out(member))
			pass_add(pass, member);
		at = vt_slot_get(&member->slot->next);
	}
	return pass->n - before;
}

/* How this wait has ended for one node. */
static void shutdown_note(vitals_registry *registry, vitals_quitter *quitter,
			  uint32_t late, bool timed_out, uint64_t now_ns)
	VT_REQUIRES(registry->lock)
{
	struct vt_shutdown_slot *ends = vt_quitter_shutdown(registry, quitter, true);
	/* Relaxed: written under the lock that is held. */
	uint64_t told_ns = atomic_load_explicit(&vt_quitter_slot(quitter)->told_ns,
						memory_order_relaxed);

	if (!ends)
		return;
	if (vt_slot_get(&ends->timed_out) != timed_out)
		vt_slot_add(&registry->root->totals.timed_out,
			    timed_out ? 1 : UINT32_MAX);
	vt_slot_put(&ends->timed_out, timed_out);
	vt_slot_put(&ends->late, late);
	if (!vt_slot_get(&ends->shutdowns))
		registry->tree->n_shutdowns++;
	vt_slot_add(&ends->shutdowns, 1);
	vt_slot_add(&ends->timeouts, timed_out);
	vt_slot_add(&ends->timed_out_threads, late);
	/* Release, as vt_slot_put(). It may have been told only after the wait was over. */
	atomic_store_explicit(&ends->last_ns, now_ns > told_ns ? now_ns - told_ns : 0,
			      memory_order_release);
}

/* Nobody in it is late any more: what an earlier wait has found is not repeated. */
static void shutdown_clear(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	struct vt_shutdown_slot *ends = vt_quitter_shutdown(registry, quitter, false);

	if (!ends)
		return;
	if (vt_slot_get(&ends->timed_out))
		vt_slot_add(&registry->root->totals.timed_out, UINT32_MAX);
	vt_slot_put(&ends->timed_out, 0);
	vt_slot_put(&ends->late, 0);
}

static void total_add(_Atomic uint64_t *total, uint64_t n)
{
	/* Relaxed: a count of its own, changed under the lock. */
	atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

/* One more shutdown has ended, of @late threads and holds late. */
static void totals_note(vitals_registry *registry, const vitals_quitter *quitter,
			uint32_t late, uint64_t now_ns) VT_REQUIRES(registry->lock)
{
	struct vt_totals *totals = &registry->root->totals;
	/* Relaxed: written under the lock that is held. */
	uint64_t told_ns = atomic_load_explicit(&vt_quitter_slot(quitter)->told_ns,
						memory_order_relaxed);
	uint64_t took_ns = now_ns > told_ns ? now_ns - told_ns : 0;

	total_add(&totals->shutdowns, 1);
	total_add(&totals->shutdown_timeouts, late ? 1 : 0);
	total_add(&totals->late_threads, late);
	vt_tally_add(&totals->took, vt_histogram_coarse_of(vt_histogram_fine(took_ns)), 1,
		     took_ns);
}

/* How this wait has ended for one node, with so many late in it; @any: or below it. */
static void node_note(vitals_registry *registry, vitals_quitter *node, uint32_t late,
		      bool any, uint64_t now_ns) VT_REQUIRES(registry->lock)
{
	if (any && vt_tell_marked(node))
		shutdown_note(registry, node, late, true, now_ns);
	else
		shutdown_clear(registry, node);
}

/*
 * One pass over @quitter's subtree. @notes: writes down, per node, how the wait has
 * ended. Nodes are seen to by their slots: a chain may be long.
 */
static void pass_tree(vitals_registry *registry, vitals_quitter *quitter,
		      struct pass *pass, bool notes, uint64_t now_ns)
	VT_REQUIRES(registry->lock)
{
	/* Relaxed: changed under the lock that is held. */
	bool all = atomic_load_explicit(&registry->tree->n_over, memory_order_relaxed) ||
		   (notes && registry->tree->n_shutdowns);
	uint32_t own = pass_node(registry, vt_quitter_slot(quitter), pass);
	uint32_t at = vt_quitter_index(quitter) + 1, late;
	const struct vt_quitter_slot *slot = vt_quitter_slot(quitter);

	for (;;) {
		/* Below an empty node there is nobody, but for who is on its way out. */
		bool deeper = all ||
			      atomic_load_explicit(&slot->live, memory_order_relaxed) >=
				      VT_LIVE_ONE;

		at = vt_quitter_next(registry, quitter, at, deeper);
		if (!at)
			break;
		slot = vt_slot(registry, VT_KIND_QUITTER, at - 1);
		late = pass_node(registry, slot, pass);
		if (notes && (late || vt_slot_get(&slot->shutdown)))
			node_note(registry, vt_quitter_at(registry, at - 1), late, late,
				  now_ns);
	}
	if (notes)
		node_note(registry, quitter, own, pass->n, now_ns);
}

/*
 * No more than are counted anywhere, or on their way out: room for all is made before the lock
 * is held for the pass.
 */
static uint32_t late_most(vitals_registry *registry)
{
	uint32_t most;

	vt_lock(&registry->lock);
	most = vt_slot_get(&registry->root->totals.threads) +
	       atomic_load_explicit(&registry->tree->n_over, memory_order_relaxed);
	vt_unlock(&registry->lock);
	return most;
}

static void late_collect(vitals_quitter *quitter, struct pass *pass, bool counts,
			 uint64_t now_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);

	pass->room = late_most(registry);
	if (pass->room)
		pass->lates =
			(struct late *)vt_pages_new(pass->room * sizeof(*pass->lates));
	vt_lock(&registry->lock);
	pass_tree(registry, quitter, pass, counts, now_ns);
	if (counts && vt_tell_marked(quitter) && pass->n)
		totals_note(registry, quitter, pass->n, now_ns);
	vt_unlock(&registry->lock);
}

uint32_t vt_report_late(vitals_quitter *quitter, bool counts, uint64_t now_ns,
			vitals_snapshot **late)
{
	struct pass pass = { 0 };
	uint32_t i, n;

	vt_reap_gone(quitter, false);
	late_collect(quitter, &pass, counts, now_ns);
	n = pass.n < pass.room ? pass.n : pass.room;
	if (late && pass.lates && n &&
	    vt_snapshot_late_new(vt_quitter_registry(quitter), n, now_ns, late) == 0)
		for (i = 0; i < n; i++)
			(void)vt_snapshot_late_add(*late, pass.lates[i].index,
						   pass.lates[i].gen);
	if (pass.lates)
		vt_pages_free(pass.lates, pass.room * sizeof(*pass.lates));
	/* Joining may take the allocator's lock, which one that is late may hold. */
	if (!pass.n)
		vt_reap(vt_quitter_registry(quitter));
	return pass.n;
}

uint32_t vt_report_blind(vitals_quitter *quitter, uint64_t now_ns, vitals_snapshot **late)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	const struct vt_view *view = &registry->view;
	uint32_t root = vt_quitter_index(quitter), at = 0;
	uint32_t n = vt_missing_count(view, root);
	int64_t found;

	if (!n || !late || vt_snapshot_late_new(registry, n, now_ns, late))
		return n;
	while ((found = vt_missing_next(view, root, &at)) >= 0) {
		const struct vt_member_slot *slot =
			vt_view_slot(view, VT_KIND_MEMBER, (uint32_t)found);

		/* Acquire: all of this use of the slot. */
		(void)vt_snapshot_late_add(*late, (uint32_t)found,
					   atomic_load_explicit(&slot->gen,
								memory_order_acquire));
	}
	return n;
}

void vt_report_done(vitals_quitter *quitter, uint64_t now_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct pass none = { 0 };

	if (!vt_tell_marked(quitter))
		return;
	vt_lock(&registry->lock);
	if (registry->tree->n_shutdowns)
		pass_tree(registry, quitter, &none, true, now_ns);
	shutdown_note(registry, quitter, 0, false, now_ns);
	totals_note(registry, quitter, 0, now_ns);
	vt_unlock(&registry->lock);
}

/*
 * Sleeps until somebody inside leaves, or there is another time to leave by: one that was not over
 * when the wait began. Return: when the time is up.
 */
static uint64_t wait_once(vitals_quitter *quitter, uint64_t live, uint64_t began_ns,
			  uint64_t deadline_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	uint64_t now_ns = vt_clock_now(), kick_ns = now_ns + KICK_NS, own_ns;
	bool kicks = vt_unblock_kicks_for(registry, now_ns);

	/*
	 * Sequentially consistent: counted before the kernel looks at live, as live_set()
	 * stores live before it looks at this.
	 */
	atomic_fetch_add_explicit(&quitter->waiters, 1, memory_order_seq_cst);
	vt_lock(&registry->lock);
	own_ns = vt_quitter_deadline(registry, quitter);
	vt_unlock(&registry->lock);
	if (own_ns > began_ns && own_ns < deadline_ns)
		deadline_ns = own_ns;
	(void)vt_futex_wait(vt_futex_low(&vt_quitter_slot(quitter)->live), (uint32_t)live,
			    kicks && kick_ns < deadline_ns ? kick_ns : deadline_ns);
	atomic_fetch_sub_explicit(&quitter->waiters, 1, memory_order_relaxed);
	return deadline_ns;
}

/* Somebody sees to it that there is something to say of those who are late. */
static struct vt_vigil *vigil_begin(vitals_quitter *quitter, uint64_t began_ns,
				    uint64_t deadline_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct vt_vigil *vigil;

	if (deadline_ns == UINT64_MAX || deadline_ns < began_ns + VIGIL_MIN_NS ||
	    vt_quitter_live(quitter) < VT_LIVE_ONE)
		return NULL;
	vigil = vt_vigil_begin(registry->tree->vigils, vt_quitter_index(quitter),
			       began_ns, deadline_ns);
	/* Or it would find out too late. */
	if (vigil)
		vt_registry_wake(registry);
	return vigil;
}

static int wait_until(vitals_quitter *quitter, uint64_t began_ns, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t live = vt_quitter_live(quitter);

		if (live < VT_LIVE_ONE)
			return vt_reap_until(quitter, deadline_ns);
		if (vt_clock_now() >= deadline_ns)
			return -ETIMEDOUT;
		deadline_ns = wait_once(quitter, live, began_ns, deadline_ns);
	}
}

int vt_report_wait(vitals_quitter *quitter, uint64_t deadline_ns)
{
	uint64_t began_ns = vt_clock_now();
	struct vt_vigil *vigil;
	int r;

	vt_reap_gone(quitter, true);
	vigil = vigil_begin(quitter, began_ns, deadline_ns);
	r = wait_until(quitter, began_ns, deadline_ns);
	vt_vigil_end(vigil);
	return r;
}

/* While somebody waits no hold is quick. */
static void waits_add(vitals_registry *registry, uint32_t n)
{
	vt_lock(&registry->lock);
	registry->tree->n_waits += n;
	vt_holds_settle(registry);
	vt_unlock(&registry->lock);
}

static int wait_done(vitals_quitter *quitter, uint64_t timeout_ns, vitals_snapshot **late)
{
	uint64_t now_ns;
	int r;

	r = vt_report_wait(quitter, vt_clock_after(vt_clock_now(), timeout_ns));
	now_ns = vt_clock_now();
	/*
	 * A look is not a wait: it does not count. Who left in the last moment is not
	 * late.
	 */
	if (r && vt_report_late(quitter, timeout_ns != 0, now_ns, late))
		return r;
	vt_report_done(quitter, now_ns);
	return 0;
}

int vitals_quitter_wait_done(vitals_quitter *quitter, uint64_t timeout_ns,
			     vitals_snapshot **late)
{
	vitals_registry *registry;
	int r;

	if (late)
		*late = NULL;
	if (!quitter)
		return -EINVAL;
	if (!vt_quitter_current(quitter))
		return -ECHILD;
	if (vt_thread_is_inside(quitter))
		return -EDEADLK;
	registry = vt_quitter_registry(quitter);
	waits_add(registry, 1);
	r = wait_done(quitter, timeout_ns, late);
	waits_add(registry, UINT32_MAX);
	return r;
}
