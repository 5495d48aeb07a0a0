/* SPDX-License-Identifier: MIT */

/*
 * A thread's heartbeats, so that they are dead when it ends without closing them: a list in
 * thread-local storage, each entry keeping its slot, walked by the storage's destructor.
 */

#include "heartbeat.h"

#include "frames.h"
#include "key.h"
#include "task.h"

#include <errno.h>

static void owner_ended(void *armed);

static vitals_heartbeat *owned_next(const vitals_heartbeat *heartbeat)
{
	return vt_heartbeat_seldom(heartbeat)->owned_next;
}

static struct vt_key owner_key = { .ended = owner_ended };

/* Relaxed: for the thread itself, and for who finds that it is gone. */
static void listed_put(vitals_heartbeat *heartbeat, uint32_t tid)
{
	atomic_store_explicit(&vt_heartbeat_seldom(heartbeat)->listed, tid,
			      memory_order_relaxed);
}

bool vt_heartbeat_forsaken(const vitals_heartbeat *heartbeat)
{
	uint32_t tid = atomic_load_explicit(&vt_heartbeat_seldom(heartbeat)->listed,
					    memory_order_relaxed);

	return tid && tid != vt_task_self() && !vt_task_exists(tid);
}

static void owner_ended(void *armed)
{
	vitals_heartbeat *heartbeat, *next;
	void *first;

	if (!vt_key_ended(&owner_key, armed, &first))
		return;
	for (heartbeat = first; heartbeat; heartbeat = next) {
		next = vt_heartbeat_seldom(heartbeat)->owned_next;
		/* First: once it is dead it may be in another's. */
		listed_put(heartbeat, 0);
		vt_heartbeat_die(heartbeat);
		vt_heartbeat_disown(heartbeat);
	}
}

void vt_heartbeat_belong(vitals_heartbeat *heartbeat, uint32_t tid, uint32_t member)
{
	struct vt_cold *cold = vt_heartbeat_cold(heartbeat);

	uint32_t owner = member;

	if (!member && tid)
		owner = tid | VT_OWNER_TID;
	/* Sequentially consistent: see vt_heartbeat_bury(). A member's record knows its tid. */
	atomic_store_explicit(&cold->owner, owner, memory_order_seq_cst);
}

void vt_heartbeat_die(vitals_heartbeat *heartbeat)
{
	if (!vt_heartbeat_current(heartbeat))
		return;
	/* Release: the monitor that is woken sees it; pairs with vt_sign_load(). */
	atomic_fetch_or_explicit(&vt_heartbeat_hot(heartbeat)->flags, VT_HB_DEAD,
				 memory_order_release);
	vt_heartbeat_look(heartbeat);
	vt_registry_wake(vt_heartbeat_registry(heartbeat));
}

/*
 * Without a lock, for the monitor waits for none. An owner that takes it over meanwhile puts itself
 * first and takes the mark away then (owner_take()): either it takes this one, or it is seen
 * here. Sequentially consistent for that; should it be the new owner's own mark that is taken away,
 * the next look at its task puts it back.
 */
bool vt_heartbeat_bury(const struct vt_view *view, struct vt_hot *hot,
		       const struct vt_cold *cold)
{
	uint32_t owner = atomic_load_explicit(&cold->owner, memory_order_seq_cst), tid;
	uint64_t thread_id;

	vt_owner_load(view, cold, &tid, &thread_id);
	if (!tid || vt_task_exists(tid))
		return false;
	atomic_fetch_or_explicit(&hot->flags, VT_HB_DEAD, memory_order_seq_cst);
	if (atomic_load_explicit(&cold->owner, memory_order_seq_cst) == owner)
		return true;
	atomic_fetch_and_explicit(&hot->flags, ~VT_HB_DEAD, memory_order_seq_cst);
	return false;
}

uint32_t vt_heartbeat_number(const vitals_heartbeat *heartbeat)
{
	/* Relaxed: written before the heartbeat was handed out. */
	return atomic_load_explicit(&vt_heartbeat_cold(heartbeat)->number,
				    memory_order_relaxed);
}

/*
 * In a forked child there is no other thread: what others own is dead, and no list of theirs keeps
 * its slot. (One that nobody but such a list still held is lost to the child.)
 */
static void owner_lost(vitals_heartbeat *heartbeat)
{
	/* Relaxed, here and below: the child has one thread. */
	uint32_t refs = atomic_load_explicit(&heartbeat->refs, memory_order_relaxed);

	atomic_fetch_or_explicit(&vt_heartbeat_hot(heartbeat)->flags, VT_HB_DEAD,
				 memory_order_relaxed);
	vt_heartbeat_belong(heartbeat, 0, 0);
	listed_put(heartbeat, 0);
	if (refs & VT_HEARTBEAT_HOLDERS)
		atomic_store_explicit(&heartbeat->refs, refs & VT_HEARTBEAT_HOLDERS,
				      memory_order_relaxed);
}

/* In a forked child: what the thread that forked owns, it owns under another tid. */
static void owners_carried(vitals_registry *registry)
{
	vitals_heartbeat *first = vt_key_value(&owner_key), *heartbeat;
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);

	for (heartbeat = first; heartbeat; heartbeat = owned_next(heartbeat))
		if (vt_heartbeat_registry(heartbeat) == registry)
			vt_heartbeat_belong(heartbeat, 0, 0);
	for (i = 0; i < n; i++) {
		const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, i);
		const struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, i);

		/* Those of members are seen to with them: heir.c. */
		if (atomic_load_explicit(&hot->gen, memory_order_relaxed) & 1u &&
		    atomic_load_explicit(&cold->owner, memory_order_relaxed) &
			    VT_OWNER_TID)
			owner_lost(vt_heartbeat_at(registry, i));
	}
	for (heartbeat = first; heartbeat; heartbeat = owned_next(heartbeat))
		if (vt_heartbeat_registry(heartbeat) == registry) {
			vt_heartbeat_belong(heartbeat, vt_task_self(), 0);
			listed_put(heartbeat, vt_task_self());
		}
}

static const struct vt_hooks owner_hooks = { .carried = owners_carried };

/* Return: 0; -ECANCELED if it is closed; -EBUSY if a living thread owns it. */
static int owner_take(vitals_heartbeat *heartbeat)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_cold *cold = vt_heartbeat_cold(heartbeat);
	uint32_t flags = atomic_load_explicit(&hot->flags, memory_order_acquire);
	uint32_t owner = atomic_load_explicit(&cold->owner, memory_order_relaxed);
	uint32_t self = vt_task_self(), tid;
	uint64_t thread_id;

	if (flags & VT_HB_CLOSED)
		return -ECANCELED;
	vt_owner_load(&vt_heartbeat_registry(heartbeat)->view, cold, &tid, &thread_id);
	/* A member's that has not begun yet has no task. */
	if (owner && !(flags & VT_HB_DEAD) &&
	    (!tid || tid == self || vt_task_exists(tid)))
		return -EBUSY;
	/* What the thread before died in is over. */
	if (vt_heartbeat_seldom(heartbeat)->scopes)
		vt_frames_leave(vt_heartbeat_seldom(heartbeat)->scopes, 0);
	vt_heartbeat_belong(heartbeat, self, 0);
	/* Sequentially consistent: see vt_heartbeat_bury(). */
	atomic_fetch_and_explicit(&hot->flags, ~VT_HB_DEAD, memory_order_seq_cst);
	vt_heartbeat_look(heartbeat);
	return 0;
}

/* Lets go of what nobody holds any more. Return: what is left of the list. */
static vitals_heartbeat *owner_prune(vitals_heartbeat *first)
{
	vitals_heartbeat **at = &first, *heartbeat;

	while ((heartbeat = *at)) {
		/* Acquire: it is let go of as its last holder left it. */
		uint32_t refs =
			atomic_load_explicit(&heartbeat->refs, memory_order_acquire);

		if (vt_heartbeat_current(heartbeat) && refs & VT_HEARTBEAT_HOLDERS) {
			at = &vt_heartbeat_seldom(heartbeat)->owned_next;
			continue;
		}
		*at = vt_heartbeat_seldom(heartbeat)->owned_next;
		listed_put(heartbeat, 0);
		vt_heartbeat_disown(heartbeat);
	}
	return first;
}

int vitals_heartbeat_own(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry;
	vitals_heartbeat *first;
	bool forsaken;
	int r;

	if (!heartbeat)
		return -EINVAL;
	registry = vt_heartbeat_registry(heartbeat);
	if (!vt_heartbeat_current(heartbeat))
		return -ECANCELED;
	first = owner_prune(vt_key_value(&owner_key));
	/* Room first, so that nothing has to be taken back. */
	if (!vt_key_keep(&owner_key, first ? first : heartbeat))
		return -ENOMEM;

	vt_lock(&registry->lock);
	vt_registry_hook(registry, &owner_hooks);
	r = owner_take(heartbeat);
	forsaken = r == 0 && vt_heartbeat_forsaken(heartbeat);
	if (r == 0)
		listed_put(heartbeat, vt_task_self());
	vt_unlock(&registry->lock);
	if (r < 0) {
		(void)vt_key_keep(&owner_key, first);
		return r;
	}
	vt_heartbeat_seldom(heartbeat)->owned_next = first;
	/* Relaxed: the caller's own reference already orders everything. */
	if (!forsaken)
		atomic_fetch_add_explicit(&heartbeat->refs, VT_HEARTBEAT_OWNER,
					  memory_order_relaxed);
	(void)vt_key_keep(&owner_key, heartbeat);
	return 0;
}
