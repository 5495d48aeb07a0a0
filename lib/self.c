/* SPDX-License-Identifier: MIT */

/*
 * What a thread knows of itself: its handle, in thread-local storage, and what it asks of
 * it.
 */

#include "thread.h"

#include "key.h"

#include <errno.h>

static void self_ended(void *armed);

static struct vt_key self_key = { .ended = self_ended };

/* An adopted thread ends without having left. A forked one has seen to its end itself. */
static void self_ended(void *armed)
{
	vitals_thread *self;
	void *value;

	if (!vt_key_ended(&self_key, armed, &value))
		return;
	self = (vitals_thread *)value;
	/* Relaxed: written by this thread before. */
	if (self && vt_member_current(self) &&
	    (vt_slot_get(&self->slot->flags) & VT_MEMBER_ADOPTED))
		vt_thread_over(self, false, 1);
}

int vt_self_ready(void)
{
	return vt_key_ready(&self_key) ? 0 : -EAGAIN;
}

vitals_thread *vitals_thread_self(void)
{
	return (vitals_thread *)vt_key_value(&self_key);
}

bool vt_thread_is_inside(vitals_quitter *quitter)
{
	vitals_thread *self = vitals_thread_self();
	bool inside;

	if (!self || !vt_member_current(self) ||
	    vt_member_registry(self) != vt_quitter_registry(quitter))
		return false;
	vt_lock(&vt_member_registry(self)->lock);
	inside = vt_quitter_inside(vt_member_registry(self), self->quitter, quitter);
	vt_unlock(&vt_member_registry(self)->lock);
	return inside;
}

int vt_self_set(vitals_thread *self)
{
	return vt_key_keep(&self_key, self) ? 0 : -EAGAIN;
}

uint64_t vitals_thread_id(const vitals_thread *self)
{
	/* Relaxed: it stands still while the thread does. */
	return self ? atomic_load_explicit(&self->slot->id, memory_order_relaxed) : 0;
}

vitals_quitter *vitals_thread_quitter(const vitals_thread *self)
{
	return self ? self->quitter : NULL;
}

vitals_heartbeat *vitals_thread_heartbeat(const vitals_thread *self)
{
	return self ? self->heartbeat : NULL;
}

int vitals_thread_go_on(vitals_thread *self)
{
	if (!self)
		return 0;
	(void)vitals_heartbeat_pulse(self->heartbeat);
	return vt_member_current(self) && !vt_member_told(self);
}
