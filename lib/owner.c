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

static void owner_ended(void *first)
{
	vitals_heartbeat *heartbeat = first, *next;

	for (; heartbeat; heartbeat = next) {
		next = heartbeat->owned_next;
		vt_heartbeat_die(heartbeat);
		vt_heartbeat_disown(heartbeat);
	}
}

static struct vt_key owner_key = { .ended = owner_ended };

void vt_heartbeat_belong(vitals_heartbeat *heartbeat, uint32_t tid, uint32_t member)
{
	struct vt_cold *cold = vt_heartbeat_cold(heartbeat);

	/* Relaxed: two facts; a row with one of them only is a thread about to be. */
	atomic_store_explicit(&cold->member, member, memory_order_relaxed);
	atomic_store_explicit(&cold->tid, tid, memory_order_relaxed);
}

void vt_heartbeat_die(vitals_heartbeat *heartbeat)
{
	if (!vt_heartbeat_current(heartbeat))
		return;
	/* Release: the monitor that is woken sees it; pairs with vt_sign_load(). */
	atomic_fetch_or_explicit(&vt_heartbeat_hot(heartbeat)->flags, VT_HB_DEAD,
				 memory_order_release);
	vt_registry_wake(heartbeat->registry);
}

uint32_t vt_heartbeat_number(const vitals_heartbeat *heartbeat)
{
	/* Relaxed: written before the heartbeat was handed out. */
	return atomic_load_explicit(&vt_heartbeat_cold(heartbeat)->number,
				    memory_order_relaxed);
}

/* Return: 0; -ECANCELED if it is closed; -EBUSY if a living thread owns it. */
static int owner_take(vitals_heartbeat *heartbeat)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_cold *cold = vt_heartbeat_cold(heartbeat);
	uint32_t flags = atomic_load_explicit(&hot->flags, memory_order_acquire);

	if (flags & VT_HB_CLOSED)
		return -ECANCELED;
	if (atomic_load_explicit(&cold->tid, memory_order_relaxed) &&
	    !(flags & VT_HB_DEAD))
		return -EBUSY;
	/* What the thread before died in is over. */
	if (heartbeat->scopes)
		vt_frames_leave(heartbeat->scopes, 0);
	vt_heartbeat_belong(heartbeat, vt_task_self(), 0);
	atomic_fetch_and_explicit(&hot->flags, ~VT_HB_DEAD, memory_order_release);
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
			at = &heartbeat->owned_next;
			continue;
		}
		*at = heartbeat->owned_next;
		vt_heartbeat_disown(heartbeat);
	}
	return first;
}

int vitals_heartbeat_own(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry;
	vitals_heartbeat *first;
	pthread_key_t key;
	int r;

	if (!heartbeat)
		return -EINVAL;
	registry = heartbeat->registry;
	if (!vt_heartbeat_current(heartbeat))
		return -ECANCELED;
	if (!vt_key_get(&owner_key, &key))
		return -ENOMEM;
	first = owner_prune(pthread_getspecific(key));
	/* Room first, so that nothing has to be taken back. */
	if (pthread_setspecific(key, first ? first : heartbeat))
		return -ENOMEM;

	vt_lock(&registry->lock);
	r = owner_take(heartbeat);
	vt_unlock(&registry->lock);
	if (r < 0) {
		(void)pthread_setspecific(key, first);
		return r;
	}
	heartbeat->owned_next = first;
	/* Relaxed: the caller's own reference already orders everything. */
	atomic_fetch_add_explicit(&heartbeat->refs, VT_HEARTBEAT_OWNER,
				  memory_order_relaxed);
	(void)pthread_setspecific(key, heartbeat);
	return 0;
}
