/* SPDX-License-Identifier: MIT */

/*
 * Callbacks of those who were told. A member is on one list at a time, and pinned while it is: to be
 * called; or, once it was, until half its time is gone, and then to be called again.
 */

#include "clock.h"
#include "task.h"
#include "unblock.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

/* How often a callback is called for one request. */
#define CALLS 2u

static bool armed(const vitals_thread *member)
{
	/* Acquire: what it did before it had nothing to call any more is seen. */
	return atomic_load_explicit(&member->armed, memory_order_acquire) & VT_ARMED_CALL;
}

void vt_unblock_call_add(vitals_registry *registry, vitals_thread *member)
{
	if (!registry->tree->call_first)
		registry->tree->called_for_ns = vt_clock_now();
	vt_member_seldom(member)->call_next = registry->tree->call_first;
	registry->tree->call_first = vt_member_index(member) + 1;
}

/* At most @limit times for one request. */
static void call_once(vitals_thread *member, uint32_t limit)
{
	struct vt_member_seldom *seldom = vt_member_seldom(member);
	void (*unblock)(void *user);
	void *user;
	int before;

	vt_lock(&member->wait);
	/* One call at a time: who comes meanwhile has nothing to add. */
	unblock = seldom->calls < limit && !atomic_load_explicit(&seldom->calling,
								 memory_order_relaxed)
			  ? seldom->unblock
			  : NULL;
	user = seldom->user;
	if (unblock) {
		seldom->calls++;
		atomic_store_explicit(&seldom->calling, vt_task_self(),
				      memory_order_relaxed);
	}
	vt_unlock(&member->wait);
	if (!unblock)
		return;
	/* Cancelled in it, a thread of the host's would leave a member that waits for its end. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	unblock(user);
	(void)pthread_setcancelstate(before, NULL);
	/*
	 * Release pairs with the acquire in vt_unblock_set(): what it did is seen there.
	 */
	atomic_store_explicit(&seldom->calling, 0, memory_order_release);
	vt_futex_wake(&seldom->calling, INT_MAX);
}

/* When half the time is gone that it has to leave. */
static uint64_t again_at(vitals_registry *registry, const vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	/* Relaxed, both: written under the lock that is held. */
	uint64_t told_ns =
		atomic_load_explicit(&member->slot->told_ns, memory_order_relaxed);
	uint64_t deadline_ns = vt_quitter_deadline(registry, member->quitter);

	if (!told_ns)
		told_ns = atomic_load_explicit(&vt_quitter_slot(member->quitter)->told_ns,
					       memory_order_relaxed);
	if (!told_ns)
		told_ns = vt_clock_now(); /* its stage was, just now */
	if (deadline_ns == UINT64_MAX)
		deadline_ns = vt_clock_after(
			told_ns, vt_quitter_timeout(registry, member->quitter));
	return deadline_ns > told_ns ? told_ns + (deadline_ns - told_ns) / 2 : told_ns;
}

/* It is called once more at half its time, unless it has left. */
static void again_add(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	struct vt_member_seldom *seldom = vt_member_seldom(member);
	uint32_t first = registry->tree->again_first;

	member->bits |= VT_MEMBER_AGAIN | VT_MEMBER_WAITING;
	seldom->again_ns = again_at(registry, member);
	seldom->call_prev = 0;
	seldom->call_next = first;
	if (first)
		vt_member_seldom(vt_member_at(registry, first - 1))->call_prev =
			vt_member_index(member) + 1;
	registry->tree->again_first = vt_member_index(member) + 1;
}

static void again_remove(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	const struct vt_member_seldom *seldom = vt_member_seldom(member);
	uint32_t next = seldom->call_next, prev = seldom->call_prev;

	member->bits &= ~VT_MEMBER_WAITING;
	if (next)
		vt_member_seldom(vt_member_at(registry, next - 1))->call_prev = prev;
	if (prev)
		vt_member_seldom(vt_member_at(registry, prev - 1))->call_next = next;
	else
		registry->tree->again_first = next;
}

/* No longer on any list of calls. */
static void call_forget(vitals_registry *registry, vitals_thread *member,
			struct vt_told *told) VT_REQUIRES(registry->lock)
{
	member->bits &= ~(VT_MEMBER_CALL | VT_MEMBER_AGAIN);
	vt_member_unref(registry, member, told);
}

uint64_t vt_unblock_again_at(vitals_registry *registry, uint64_t now_ns,
			     struct vt_told *told)
{
	uint64_t next_ns = UINT64_MAX;
	uint32_t at = registry->tree->again_first;

	while (at) {
		vitals_thread *member = vt_member_at(registry, at - 1);
		uint64_t again_ns = vt_member_seldom(member)->again_ns;

		at = vt_member_seldom(member)->call_next;
		if (again_ns > now_ns) {
			next_ns = again_ns < next_ns ? again_ns : next_ns;
			continue;
		}
		again_remove(registry, member);
		if (armed(member))
			vt_unblock_call_add(registry, member);
		else
			call_forget(registry, member, told);
	}
	return next_ns;
}

void vt_unblock_forget(vitals_registry *registry, vitals_thread *self,
		       struct vt_told *told)
{
	/* On the other list, somebody is about to find that there is nothing to call. */
	if (!(self->bits & VT_MEMBER_WAITING))
		return;
	again_remove(registry, self);
	call_forget(registry, self, told);
}

/* One was called: it is again, at half its time, or was twice. */
static void called(vitals_registry *registry, vitals_thread *member)
{
	struct vt_told told = { 0 };

	vt_lock(&registry->lock);
	if (!(member->bits & VT_MEMBER_AGAIN) && armed(member))
		again_add(registry, member);
	else
		call_forget(registry, member, &told);
	vt_tree_unlock(registry, &told);
}

bool vt_unblock_calls(vitals_registry *registry)
{
	struct vt_tree *tree = registry->tree;
	bool any = false;

	for (;;) {
		vitals_thread *member;
		uint32_t limit;

		vt_lock(&registry->lock);
		if (!tree->call_first) {
			vt_unlock(&registry->lock);
			return any;
		}
		member = vt_member_at(registry, tree->call_first - 1);
		tree->call_first = vt_member_seldom(member)->call_next;
		limit = member->bits & VT_MEMBER_AGAIN ? CALLS : 1;
		vt_unlock(&registry->lock);
		call_once(member, limit);
		any = true;
		called(registry, member);
	}
}

void vt_unblock_call(vitals_thread *self)
{
	vitals_registry *registry = vt_member_registry(self);

	call_once(self, 1);
	vt_lock(&registry->lock);
	if (!(self->bits & VT_MEMBER_CALL)) {
		vt_member_ref(registry, self); /* until it needs no call */
		self->bits |= VT_MEMBER_CALL;
		again_add(registry, self);
	}
	vt_unlock(&registry->lock);
}

int vt_unblock_set(vitals_thread *self, void (*unblock)(void *user), void *user)
{
	uint32_t calling;

	for (;;) {
		vt_lock(&self->wait);
		/* Acquire: see vt_unblock_call(). */
		calling = atomic_load_explicit(&vt_member_seldom(self)->calling,
					       memory_order_acquire);
		if (!calling)
			break;
		vt_unlock(&self->wait);
		if (calling == vt_task_self())
			return -EDEADLK;
		(void)vt_futex_wait(&vt_member_seldom(self)->calling, calling,
				    UINT64_MAX);
	}
	/* Most never had any: their page stays untouched. */
	if (unblock || vt_member_seldom(self)->unblock) {
		vt_member_seldom(self)->unblock = unblock;
		vt_member_seldom(self)->user = user;
		vt_member_seldom(self)->calls = 0;
	}
	/* Sequentially consistent: see vt_member_told_armed(). */
	if (unblock)
		atomic_fetch_or_explicit(&self->armed, VT_ARMED_CALL,
					 memory_order_seq_cst);
	else
		atomic_fetch_and_explicit(&self->armed, ~VT_ARMED_CALL,
					  memory_order_seq_cst);
	vt_unlock(&self->wait);
	return 0;
}
