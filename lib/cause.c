/* SPDX-License-Identifier: MIT */

#include "cause.h"

#include "options.h"
#include "text.h"

#include <errno.h>

static struct vt_cause_slot *cause_slot(const vitals_registry *registry, uint32_t cause)
{
	return (struct vt_cause_slot *)vt_slot(registry, VT_KIND_CAUSE, cause - 1);
}

uint32_t vt_cause_reserve(vitals_registry *registry)
{
	struct vt_cause_slot *slot;
	uint32_t index;

	if (vt_slot_new(registry, VT_POOL_CAUSE, &index))
		return 0;
	slot = cause_slot(registry, index + 1);
	vt_slot_take(&slot->gen);
	vt_slot_put(&slot->kind, VITALS_CAUSE_NONE);
	vt_slot_put(&slot->refs, 1);
	vt_slot_open(&slot->gen);
	return index + 1;
}

void vt_cause_set(vitals_registry *registry, uint32_t cause,
		  const struct vitals_cause *from)
{
	struct vt_cause_slot *slot = cause_slot(registry, cause);

	vt_slot_put(&slot->index, (uint32_t)(from->index + 1));
	vt_slot_put(&slot->signo, (uint32_t)from->signo);
	vt_slot_put(&slot->sender_pid, (uint32_t)from->sender_pid);
	vt_slot_put(&slot->sender_uid, from->sender_uid);
	vt_slot_put(&slot->status, (uint32_t)from->status);
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&slot->at_ns, from->at_ns, memory_order_release);
	atomic_store_explicit(&slot->thread_id, from->thread_id, memory_order_release);
	atomic_store_explicit(&slot->origin_id, from->origin_id, memory_order_release);
	vt_name_store(slot->text, from->text);
	vt_slot_put(&slot->kind, from->kind);
}

uint32_t vt_cause_new(vitals_registry *registry, const struct vitals_cause *cause)
{
	uint32_t made = vt_cause_reserve(registry);

	if (made)
		vt_cause_set(registry, made, cause);
	return made;
}

void vt_cause_ref(vitals_registry *registry, uint32_t cause)
{
	if (cause)
		vt_slot_add(&cause_slot(registry, cause)->refs, 1);
}

void vt_cause_unref(vitals_registry *registry, uint32_t cause)
{
	struct vt_cause_slot *slot;

	if (!cause)
		return;
	slot = cause_slot(registry, cause);
	vt_slot_put(&slot->refs, vt_slot_get(&slot->refs) - 1);
	if (vt_slot_get(&slot->refs))
		return;
	vt_slot_close(&slot->gen);
	vt_slot_free(registry, VT_POOL_CAUSE, cause - 1);
}

void vt_cause_init(struct vitals_cause *cause, uint32_t kind, int status,
		   const char *text)
{
	memset(cause, 0, sizeof(*cause));
	cause->size = (uint32_t)sizeof(*cause);
	cause->kind = kind;
	cause->index = -1;
	cause->status = status;
	vt_text_clean(cause->text, text);
}

/* A node's cause slot stands still while the node does, which its handle sees to. */
static void cause_load(const vitals_quitter *quitter, uint32_t cause,
		       struct vitals_cause *to)
{
	const struct vt_cause_slot *slot =
		cause_slot(vt_quitter_registry(quitter), cause);

	/* Acquire: the node's word, read before, was stored after all of these. */
	to->index = (int32_t)atomic_load_explicit(&slot->index, memory_order_acquire) - 1;
	to->signo = (int32_t)atomic_load_explicit(&slot->signo, memory_order_acquire);
	to->sender_pid =
		(int32_t)atomic_load_explicit(&slot->sender_pid, memory_order_acquire);
	to->sender_uid = atomic_load_explicit(&slot->sender_uid, memory_order_acquire);
	to->status = (int32_t)atomic_load_explicit(&slot->status, memory_order_acquire);
	to->at_ns = atomic_load_explicit(&slot->at_ns, memory_order_acquire);
	to->thread_id = atomic_load_explicit(&slot->thread_id, memory_order_acquire);
	to->origin_id = atomic_load_explicit(&slot->origin_id, memory_order_acquire);
	to->kind = atomic_load_explicit(&slot->kind, memory_order_acquire);
	vt_name_load(slot->text, to->text);
}

int vitals_quitter_cause(const vitals_quitter *quitter, struct vitals_cause *ret)
{
	const struct vt_quitter_slot *slot;
	struct vitals_cause cause;

	if (!quitter || !ret)
		return -EINVAL;
	vt_cause_init(&cause, VITALS_CAUSE_NONE, 0, NULL);
	slot = vt_quitter_slot(quitter);
	/*
	 * Acquire pairs with the release in vt_quitter_mark(), after the cause was set.
	 */
	if (vt_quitter_current(quitter) &&
	    (atomic_load_explicit(&slot->word, memory_order_acquire) & VT_QUIT)) {
		uint32_t index = atomic_load_explicit(&slot->cause, memory_order_acquire);

		cause.kind = VITALS_CAUSE_CALL;
		cause.at_ns = atomic_load_explicit(&slot->told_ns, memory_order_acquire);
		if (index)
			cause_load(quitter, index, &cause);
	}
	return vt_record_store(ret, &cause, sizeof(cause));
}
