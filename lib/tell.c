/* SPDX-License-Identifier: MIT */

#include "tell.h"

#include "cause.h"
#include "clock.h"
#include "unblock.h"

#include <errno.h>

bool vt_tell_marked(const vitals_quitter *quitter)
{
	/* Acquire pairs with the store in vt_quitter_mark(). */
	return atomic_load_explicit(&vt_quitter_slot(quitter)->word,
				    memory_order_acquire) &
	       VT_QUIT;
}

/* Who sleeps in it, or on its descriptor, or waits in something of its own. */
static void tell_collect(vitals_registry *registry, vitals_quitter *quitter,
			 struct vt_told *told) VT_REQUIRES(registry->lock)
{
	uint32_t at = vt_slot_get(&vt_quitter_slot(quitter)->first_member);

	/*
	 * Sequentially consistent, after the word was stored: vitals_quitter_fd() stores
	 * the descriptor, then looks at the word. A node with neither costs no system
	 * call.
	 */
	if (!at && vt_quitter_descriptor(quitter) < 0)
		return;
	quitter->told_next = told->first_quitter;
	told->first_quitter = vt_quitter_index(quitter) + 1;
	vt_quitter_ref(registry, quitter); /* until vt_told_settle() */
	while (at) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		vt_member_note(registry, member, told);
		at = vt_slot_get(&member->slot->next);
	}
}

static void waiters_wake(vitals_quitter *quitter, struct vt_told *told)
{
	/* Sequentially consistent: see live_set(). */
	if (atomic_load_explicit(&quitter->waiters, memory_order_seq_cst) & ~VT_NODE_FD)
		vt_told_word(told, vt_futex_low(&vt_quitter_slot(quitter)->live));
}

void vt_tell_waiters(vitals_registry *registry, const vitals_quitter *root,
		     struct vt_told *told)
{
	uint32_t at = vt_quitter_index(root) + 1;

	for (; at; at = vt_quitter_next(registry, root, at, true))
		waiters_wake(vt_quitter_at(registry, at - 1), told);
}

void vt_tell_mark(vitals_registry *registry, vitals_quitter *root, bool but_flush,
		  uint32_t cause, uint64_t now_ns, struct vt_told *told)
{
	uint32_t at = vt_quitter_index(root) + 1;

	vt_holds_settle(registry);
	while (at) {
		vitals_quitter *quitter = vt_quitter_at(registry, at - 1);
		const struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
		bool later = but_flush &&
			     vt_slot_get(&slot->parent) == vt_quitter_index(root) + 1 &&
			     vt_quitter_stage(slot) == VITALS_STAGE_FLUSH;
		/* One that was told before has told all below it, then and there. */
		bool fresh = !later && !vt_tell_marked(quitter);

		if (fresh) {
			vt_cause_ref(registry, cause);
			vt_quitter_mark(registry, quitter, cause, now_ns);
			tell_collect(registry, quitter, told);
			waiters_wake(quitter, told);
		}
		at = vt_quitter_next(registry, root, at, fresh);
	}
}

int vt_tell_at(vitals_quitter *quitter, struct vitals_cause *cause, uint64_t now_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	int (*begin)(vitals_registry * registry, const struct vitals_cause *cause);
	struct vt_told told = { 0 };
	uint32_t index;

	cause->at_ns = now_ns;
	/* Relaxed: it stands still while the node does. */
	cause->origin_id =
		atomic_load_explicit(&vt_quitter_slot(quitter)->id, memory_order_relaxed);
	/* Before the lock: main's time counts, whoever holds it. */
	if (vt_quitter_is_main(quitter)) {
		vt_tree_ask(registry->tree, now_ns);
		vt_registry_wake(registry);
	}
	vt_lock(&registry->lock);
	begin = quitter->is_main ? registry->tree->begin : NULL;
	if (begin || vt_tell_marked(quitter)) {
		vt_unlock(&registry->lock);
		return begin ? begin(registry, cause) : -EALREADY;
	}
	index = vt_cause_new(registry, cause);
	vt_tell_mark(registry, quitter, false, index, now_ns, &told);
	vt_cause_unref(registry, index);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	return 0;
}

int vitals_quitter_send_quit(vitals_quitter *quitter, int status, const char *text)
{
	struct vitals_cause cause;

	if (!quitter)
		return -EINVAL;
	if (!vt_quitter_current(quitter))
		return 0;
	vt_cause_init(&cause, VITALS_CAUSE_CALL, status, text);
	return vt_tell_at(quitter, &cause, vt_clock_now());
}
