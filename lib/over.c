/* SPDX-License-Identifier: MIT */

/*
 * The end of a thread, whichever way it came: return, pthread_exit, a foreign cancel,
 * leave, or, of an adopted one, nothing but the end. In the thread itself.
 */

#include "cause.h"
#include "clock.h"
#include "heartbeat.h"
#include "tell.h"
#include "text.h"
#include "thread.h"
#include "unblock.h"

/* While it is still counted: whoever waits for everybody sees the cause first. */
static void over_tell(const vitals_thread *self, bool failed, int status)
{
	uint32_t flags = vt_slot_get(&self->slot->flags);
	struct vitals_cause cause;
	char name[VITALS_NAME_MAX];

	if (flags & VT_MEMBER_ABANDONED)
		return;
	if (!(flags & VITALS_THREAD_QUIT_WHEN_IT_ENDS) &&
	    !((flags & VITALS_THREAD_QUIT_WHEN_IT_FAILS) && failed))
		return;
	vt_name_load(self->slot->name, name);
	vt_cause_init(&cause,
		      failed ? VITALS_CAUSE_THREAD_FAILED : VITALS_CAUSE_THREAD_ENDED,
		      status, name);
	cause.thread_id = vitals_thread_id(self);
	(void)vt_tell_at(self->quitter, &cause, vt_clock_now());
}

/*
 * Nobody joins an adopted one: it is as good as gone. Return: its heartbeat, to be
 * dropped.
 */
static vitals_heartbeat *over_adopted(vitals_registry *registry, vitals_thread *self,
				      struct vt_told *told) VT_REQUIRES(registry->lock)
{
	vitals_heartbeat *heartbeat = NULL;

	self->bits |= VT_MEMBER_JOINED;
	if (!(self->bits & VT_MEMBER_DEAD)) {
		heartbeat = self->heartbeat;
		self->heartbeat = NULL;
		vt_member_remove(registry, self, told);
	} else {
		vt_slot_put(&self->slot->state, VITALS_THREAD_DEAD);
		self->over_next = registry->tree->over_first;
		registry->tree->over_first = vt_member_index(self) + 1;
	}
	return heartbeat;
}

static void over_forked(vitals_registry *registry, vitals_thread *self)
	VT_REQUIRES(registry->lock)
{
	self->over_next = registry->tree->over_first;
	registry->tree->over_first = vt_member_index(self) + 1;
	/* Relaxed: see vt_reap(). */
	atomic_fetch_add_explicit(&registry->tree->n_over, 1, memory_order_relaxed);
}

/* Nobody is told of it before all of this is done, so nobody cancels it half-way. */
static void over_do(vitals_thread *self, bool returned, int status)
{
	vitals_registry *registry = vt_member_registry(self);
	bool adopted = vt_slot_get(&self->slot->flags) & VT_MEMBER_ADOPTED;
	bool dead = !returned || (!adopted && status != 0);
	vitals_heartbeat *heartbeat = NULL;
	struct vt_told told = { 0 };

	(void)vt_unblock_set(self, NULL, NULL);
	if (self->heartbeat && dead && !vt_member_abandoned(self))
		vt_heartbeat_die(self->heartbeat);
	else
		vitals_heartbeat_close(self->heartbeat);
	over_tell(self, !returned || status != 0, status);

	(void)vt_registry_ref(registry);
	vt_lock(&registry->lock);
	vt_slot_put(&self->slot->state, VITALS_THREAD_RETURNED);
	if (self->heartbeat && dead && !vt_member_abandoned(self))
		self->bits |= VT_MEMBER_DEAD;
	registry->tree->departed++;
	vt_unblock_forget(registry, self, &told);
	vt_member_uncount(registry, self, vt_clock_now(), &told);
	if (adopted)
		heartbeat = over_adopted(registry, self, &told);
	else
		over_forked(registry, self);
	vt_unlock(&registry->lock);
	(void)vitals_heartbeat_unref(heartbeat);
	vt_told_done(registry, &told);
	vt_reap(registry);
	(void)vt_registry_unref(registry);
}

void vt_thread_over(vitals_thread *self, bool returned, int status)
{
	int before;

	/* In a forked child the record is of a thread of the parent's. */
	if (!vt_member_current(self))
		return;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	over_do(self, returned, status);
	(void)pthread_setcancelstate(before, NULL);
}
