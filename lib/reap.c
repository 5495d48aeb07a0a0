/* SPDX-License-Identifier: MIT */

/*
 * Threads that have ended are joined by others that end, fork or wait, and by the
 * notifier: never by the monitor, for a join may free the thread's memory, and a stuck
 * thread may hold the lock of the allocator. The list "over" holds those not joined yet,
 * and dead ones that were: they stay listed until somebody puts them away.
 */

#include "thread.h"

#include "blind.h"
#include "clock.h"
#include "heartbeat.h"
#include "task.h"
#include "unblock.h"

#include <errno.h>
#include <sched.h>

/* A thread that has ended is gone in so long, mostly, if it gets a processor … */
#define SOON_NS 50000u
/* … then: between two tries to join it. */
#define TRY_FIRST_NS 20000u
#define TRY_LAST_NS 1000000u

/* Between two kicks of those in condition waits. */
#define KICK_NS 1000000u

/* How long the notifier waits for the lock, and between two kicks without. */
#define PATIENCE_NS VITALS_MS(10)

static void over_unlink(vitals_registry *registry, const vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	uint32_t *link = &registry->tree->over_first;

	while (*link && *link != vt_member_index(member) + 1)
		link = &vt_member_at(registry, *link - 1)->over_next;
	if (*link)
		*link = member->over_next;
}

/* Takes it off every list. Return: its heartbeat, the caller's to close and unref. */
static vitals_heartbeat *put_away(vitals_registry *registry, vitals_thread *member,
				  struct vt_told *told) VT_REQUIRES(registry->lock)
{
	vitals_heartbeat *heartbeat = member->heartbeat;

	member->heartbeat = NULL;
	over_unlink(registry, member);
	vt_member_remove(registry, member, told);
	return heartbeat;
}

static void heartbeat_drop(vitals_heartbeat *heartbeat)
{
	vitals_heartbeat_close(heartbeat);
	(void)vitals_heartbeat_unref(heartbeat);
}

/* A claimed member: joins it if it is gone. Return: whether it is. */
static bool join_try(vitals_registry *registry, vitals_thread *member)
{
	bool gone = pthread_tryjoin_np(member->pthread, NULL) == 0;
	vitals_heartbeat *heartbeat = NULL;
	struct vt_told told = { 0 };

	vt_lock(&registry->lock);
	member->bits &= ~VT_MEMBER_CLAIMED;
	if (gone) {
		member->bits |= VT_MEMBER_JOINED;
		/* Relaxed: a hint whether there is somebody to join. */
		atomic_fetch_sub_explicit(&registry->tree->n_over, 1,
					  memory_order_relaxed);
		if (member->bits & VT_MEMBER_DEAD)
			vt_slot_put(&member->slot->state, VITALS_THREAD_DEAD);
		else
			heartbeat = put_away(registry, member, &told);
	}
	/* Release: who waits for the claim sees what came of it. */
	atomic_fetch_add_explicit(&registry->tree->joins, 1, memory_order_release);
	vt_tree_unlock(registry, &told);
	heartbeat_drop(heartbeat);
	return gone;
}

void vt_reap(vitals_registry *registry)
{
	vitals_thread *batch[32];
	unsigned n = 0, i;
	uint32_t at;

	/* Relaxed: a hint; who is missed now is joined by the next. */
	if (!atomic_load_explicit(&registry->tree->n_over, memory_order_relaxed))
		return;
	(void)vt_registry_ref(registry);
	vt_lock(&registry->lock);
	for (at = registry->tree->over_first; at && n < 32;) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		at = member->over_next;
		if (member->bits & (VT_MEMBER_CLAIMED | VT_MEMBER_JOINED))
			continue;
		/* Itself, in a destructor after its end, can wait for others only. */
		if (pthread_equal(member->pthread, pthread_self()))
			continue;
		member->bits |= VT_MEMBER_CLAIMED;
		batch[n++] = member;
	}
	vt_unlock(&registry->lock);
	for (i = 0; i < n; i++)
		(void)join_try(registry, batch[i]);
	if (n)
		vt_futex_wake(&registry->tree->joins, INT32_MAX);
	(void)vt_registry_unref(registry);
}

/*
 * One that has to be joined before a wait for @quitter is over. @ret_claimed: it is the
 * caller's.
 */
static vitals_thread *over_claim(vitals_registry *registry, const vitals_quitter *quitter,
				 bool *ret_claimed) VT_REQUIRES(registry->lock)
{
	vitals_thread *other = NULL;
	uint32_t at;

	for (at = registry->tree->over_first; at;) {
		vitals_thread *member = vt_member_at(registry, at - 1);
		uint32_t flags = vt_slot_get(&member->slot->flags);

		at = member->over_next;
		if ((member->bits & VT_MEMBER_JOINED) ||
		    (flags & (VT_MEMBER_ABANDONED | VITALS_THREAD_WEAK)) ||
		    pthread_equal(member->pthread, pthread_self()) ||
		    !vt_quitter_inside(registry, member->quitter, quitter))
			continue;
		other = member;
		*ret_claimed = !(member->bits & VT_MEMBER_CLAIMED);
		if (*ret_claimed) {
			member->bits |= VT_MEMBER_CLAIMED;
			break;
		}
	}
	return other;
}

/* One that is dead, and was told: a wait has seen it. NULL: none. */
static vitals_thread *dead_find(vitals_registry *registry, const vitals_quitter *quitter,
				bool told_only) VT_REQUIRES(registry->lock)
{
	uint32_t at;

	for (at = registry->tree->over_first; at;) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		if ((member->bits & VT_MEMBER_JOINED) &&
		    (!told_only || vt_member_told(member)) &&
		    vt_quitter_inside(registry, member->quitter, quitter))
			return member;
		at = member->over_next;
	}
	return NULL;
}

void vt_reap_away(vitals_registry *registry, vitals_thread *member)
{
	vitals_heartbeat *heartbeat;
	struct vt_told told = { 0 };

	vt_lock(&registry->lock);
	heartbeat = put_away(registry, member, &told);
	vt_tree_unlock(registry, &told);
	heartbeat_drop(heartbeat);
}

static bool marked_dead(const vitals_thread *member)
{
	/* Relaxed: a hint that its task is worth asking for. */
	return member->heartbeat &&
	       (atomic_load_explicit(&vt_heartbeat_hot(member->heartbeat)->flags,
				     memory_order_relaxed) &
		VT_HB_DEAD);
}

/* The first from @at on that runs, says its record, while its task is gone: it exited raw. */
static vitals_thread *gone_claim(vitals_registry *registry, const vitals_quitter *quitter,
				 bool marked_only, uint32_t *at)
	VT_REQUIRES(registry->lock)
{
	uint32_t n = vt_view_used(&registry->view, VT_KIND_MEMBER);

	while (*at < n) {
		vitals_thread *member = vt_member_at(registry, *at);
		const struct vt_member_slot *slot =
			vt_slot(registry, VT_KIND_MEMBER, (*at)++);

		if (!(vt_slot_get(&slot->gen) & 1u) ||
		    vt_slot_get(&slot->state) != VITALS_THREAD_RUNNING ||
		    !vt_slot_get(&slot->tid) || (member->bits & VT_MEMBER_CLAIMED) ||
		    (marked_only && !marked_dead(member)) ||
		    !vt_quitter_inside(registry, member->quitter, quitter) ||
		    vt_task_exists(vt_slot_get(&slot->tid)))
			continue;
		member->bits |= VT_MEMBER_CLAIMED;
		vt_member_ref(registry, member);
		return member;
	}
	return NULL;
}

static bool any_dead(const vitals_registry *registry)
{
	const struct vt_summary *summary = &registry->root->summary;

	/* Relaxed: a hint, as of the monitor's last look. */
	return atomic_load_explicit(&summary->critical[VITALS_DEAD],
				    memory_order_relaxed) ||
	       atomic_load_explicit(&summary->informative[VITALS_DEAD],
				    memory_order_relaxed);
}

void vt_reap_gone(vitals_quitter *quitter, bool marked_only)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	vitals_thread *member;
	uint32_t at = 0;

	if (marked_only && !any_dead(registry))
		return;
	for (;;) {
		struct vt_told told = { 0 };

		vt_lock(&registry->lock);
		member = gone_claim(registry, quitter, marked_only, &at);
		vt_unlock(&registry->lock);
		if (!member)
			return;
		vt_thread_over(member, false, 1);
		vt_lock(&registry->lock);
		member->bits &= ~VT_MEMBER_CLAIMED;
		vt_member_unref(registry, member, &told);
		vt_tree_unlock(registry, &told);
	}
}

static void dead_put_away(vitals_quitter *quitter, bool told_only)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	vitals_thread *member;

	for (;;) {
		vitals_heartbeat *heartbeat = NULL;
		struct vt_told told = { 0 };

		vt_lock(&registry->lock);
		member = dead_find(registry, quitter, told_only);
		if (member)
			heartbeat = put_away(registry, member, &told);
		vt_tree_unlock(registry, &told);
		if (!member)
			return;
		heartbeat_drop(heartbeat);
	}
}

void vt_reap_dead(vitals_quitter *quitter)
{
	dead_put_away(quitter, false);
}

int vt_reap_until(vitals_quitter *quitter, uint64_t deadline_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	uint64_t pause_ns = TRY_FIRST_NS, tried_ns = 0, now_ns;

	for (;;) {
		vitals_thread *member;
		bool claimed = false, gone = false;
		uint32_t joins;

		/* Acquire pairs with join_try(). */
		joins = atomic_load_explicit(&registry->tree->joins,
					     memory_order_acquire);
		vt_lock(&registry->lock);
		member = over_claim(registry, quitter, &claimed);
		vt_unlock(&registry->lock);
		if (!member)
			break;
		if (claimed) {
			gone = join_try(registry, member);
			vt_futex_wake(&registry->tree->joins, INT32_MAX);
			joins++;
		}
		now_ns = vt_clock_now();
		if (gone) {
			pause_ns = TRY_FIRST_NS;
			tried_ns = 0;
			continue;
		}
		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		/*
		 * Nothing says when a thread is gone but a join: soon, so try again soon. No
		 * timer is as short as that.
		 */
		tried_ns = tried_ns ? tried_ns : now_ns;
		if (claimed && now_ns < tried_ns + SOON_NS) {
			(void)sched_yield();
			continue;
		}
		if (pause_ns > deadline_ns - now_ns)
			pause_ns = deadline_ns - now_ns;
		(void)vt_futex_wait(&registry->tree->joins, joins, now_ns + pause_ns);
		pause_ns = pause_ns * 2 < TRY_LAST_NS ? pause_ns * 2 : TRY_LAST_NS;
	}
	dead_put_away(quitter, true);
	return 0;
}

uint64_t vt_thread_callbacks_run(vitals_registry *registry)
{
	bool kicks;

	if (!registry->tree)
		return UINT64_MAX;
	/* Whoever holds it may be stuck: those in condition waits are woken without. */
	if (!vt_lock_until(&registry->lock, vt_clock_now() + PATIENCE_NS)) {
		vt_blind_kick(registry);
		return vt_clock_now() + PATIENCE_NS;
	}
	vt_unlock(&registry->lock);
	/* Those first that cannot keep it for long. */
	kicks = vt_unblock_kicks(registry);
	/* Relaxed: a hint. */
	atomic_store_explicit(&registry->tree->away, 1, memory_order_relaxed);
	(void)vt_unblock_calls(registry);
	vt_reap(registry);
	atomic_store_explicit(&registry->tree->away, 0, memory_order_relaxed);
	return kicks ? vt_clock_now() + KICK_NS : UINT64_MAX;
}

/* The heartbeat of an abandoned one is closed, its name is free. */
static void abandon_locked(vitals_registry *registry, vitals_thread *member,
			   uint64_t now_ns, struct vt_told *told)
	VT_REQUIRES(registry->lock)
{
	struct vt_member_slot *slot = member->slot;

	vt_slot_put(&slot->flags, vt_slot_get(&slot->flags) | VT_MEMBER_ABANDONED);
	vt_slot_add(&vt_quitter_slot(member->quitter)->abandoned, 1);
	vt_slot_add(&registry->root->totals.abandoned, 1);
	vt_member_unname(registry, member);
	vt_member_tell(registry, member, now_ns, told);
	vt_member_uncount(registry, member, now_ns, told);
	member->bits &= ~VT_MEMBER_DEAD;
	/* It has not returned: a replacement may be about to be forked. */
	registry->tree->departed = 0;
}

int vitals_quitter_abandon(vitals_quitter *quitter, uint64_t thread_id)
{
	vitals_heartbeat *heartbeat, *last = NULL;
	struct vt_told told = { 0 };
	vitals_registry *registry;
	vitals_thread *member;
	int r = 0;

	if (!quitter || !thread_id)
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return 0;
	vt_lock(&registry->lock);
	vt_holds_settle(registry);
	member = vt_member_find(registry, quitter, thread_id);
	if (!member)
		r = -ESRCH;
	else if (vt_slot_get(&member->slot->flags) & VT_MEMBER_ABANDONED)
		r = -EALREADY;
	if (r) {
		vt_unlock(&registry->lock);
		return r;
	}
	/*
	 * The library's reference keeps it while the lock is held; this one, afterwards.
	 */
	heartbeat = vitals_heartbeat_ref(member->heartbeat);
	abandon_locked(registry, member, vt_clock_now(), &told);
	if (member->bits & VT_MEMBER_JOINED) /* dead and gone: this puts it away */
		last = put_away(registry, member, &told);
	vt_unlock(&registry->lock);
	/* Before anybody is woken: a replacement finds the name free. */
	heartbeat_drop(heartbeat);
	(void)vitals_heartbeat_unref(last);
	vt_told_done(registry, &told);
	return 0;
}
