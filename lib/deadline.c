/* SPDX-License-Identifier: MIT */

/*
 * A quitter's time to leave, which few have of their own, and the slot that keeps it, beside how the
 * waits for one that was told have ended.
 */

#include "clock.h"
#include "quitter.h"

struct vt_shutdown_slot *vt_quitter_shutdown(vitals_registry *registry,
					     vitals_quitter *quitter, bool made)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
	uint32_t index = vt_slot_get(&slot->shutdown);
	struct vt_shutdown_slot *ends;

	if (index)
		return (struct vt_shutdown_slot *)vt_slot(registry, VT_KIND_SHUTDOWN,
							  index - 1);
	if (!made || vt_slot_new(registry, VT_POOL_SHUTDOWN, &index))
		return NULL;
	ends = (struct vt_shutdown_slot *)vt_slot(registry, VT_KIND_SHUTDOWN, index);
	vt_slot_take(&ends->gen);
	vt_slot_put(&ends->shutdowns, 0);
	vt_slot_put(&ends->timeouts, 0);
	vt_slot_put(&ends->timed_out_threads, 0);
	vt_slot_put(&ends->late, 0);
	vt_slot_put(&ends->timed_out, 0);
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&ends->timeout_ns, 0, memory_order_release);
	atomic_store_explicit(&ends->last_ns, 0, memory_order_release);
	vt_slot_open(&ends->gen);
	vt_slot_put(&slot->shutdown, index + 1);
	return ends;
}

void vt_quitter_shutdown_free(vitals_registry *registry, vitals_quitter *quitter)
{
	struct vt_shutdown_slot *ends = vt_quitter_shutdown(registry, quitter, false);

	if (!ends)
		return;
	if (vt_slot_get(&ends->timed_out))
		vt_slot_add(&registry->root->totals.timed_out, UINT32_MAX);
	if (vt_slot_get(&ends->shutdowns))
		registry->tree->n_shutdowns--;
	vt_slot_close(&ends->gen);
	vt_slot_free(registry, VT_POOL_SHUTDOWN,
		     vt_slot_get(&vt_quitter_slot(quitter)->shutdown) - 1);
}

static uint64_t own_timeout(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	const struct vt_shutdown_slot *own =
		vt_quitter_shutdown(registry, quitter, false);

	/* Relaxed: it stands still. */
	return own ? atomic_load_explicit(&own->timeout_ns, memory_order_relaxed) : 0;
}

static vitals_quitter *parent_of(vitals_registry *registry, const vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	uint32_t parent = vt_slot_get(&vt_quitter_slot(quitter)->parent);

	return parent ? vt_quitter_at(registry, parent - 1) : NULL;
}

uint64_t vt_quitter_deadline(vitals_registry *registry, vitals_quitter *quitter)
{
	uint64_t deadline_ns = registry->tree->deadline_ns, own_ns, told_ns;

	for (; quitter; quitter = parent_of(registry, quitter)) {
		own_ns = own_timeout(registry, quitter);
		/* Relaxed: written under the lock that is held. */
		told_ns = atomic_load_explicit(&vt_quitter_slot(quitter)->told_ns,
					       memory_order_relaxed);
		if (!own_ns || !told_ns || quitter->is_main)
			continue;
		own_ns = vt_clock_after(told_ns, own_ns);
		deadline_ns = own_ns < deadline_ns ? own_ns : deadline_ns;
	}
	return deadline_ns;
}

uint64_t vt_quitter_timeout(vitals_registry *registry, vitals_quitter *quitter)
{
	uint64_t timeout_ns = 0;

	for (; quitter && !timeout_ns; quitter = parent_of(registry, quitter))
		timeout_ns = own_timeout(registry, quitter);
	return timeout_ns;
}
