/* SPDX-License-Identifier: MIT */

#include "overruns.h"

#include "text.h"

#define OTHER "other"

static struct vt_scope_name *name_at(const vitals_registry *registry, uint32_t i)
{
	return vt_slot(registry, VT_KIND_SCOPE_NAME, i);
}

/* The name's own, or, once there is no room for more, that of all the rest; NULL: to be made. */
static struct vt_scope_name *name_find(const vitals_registry *registry, const char *name)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_SCOPE_NAME);
	struct vt_scope_name *other = NULL;

	for (i = 0; i < n; i++) {
		if (vt_name_equals(name_at(registry, i)->name, name))
			return name_at(registry, i);
		if (vt_name_equals(name_at(registry, i)->name, OTHER))
			other = name_at(registry, i);
	}
	return n >= VT_SCOPE_NAMES - 1 ? other : NULL;
}

static struct vt_scope_name *name_make(vitals_registry *registry, const char *name)
	VT_REQUIRES(registry->lock)
{
	/* Relaxed: changed under the lock only. */
	_Atomic uint32_t *used = &registry->root->used[VT_KIND_SCOPE_NAME];
	uint32_t n = atomic_load_explicit(used, memory_order_relaxed);
	struct vt_scope_name *slot = name_find(registry, name);

	if (slot)
		return slot;
	slot = name_at(registry, n);
	vt_name_store(slot->name, n < VT_SCOPE_NAMES - 1 ? name : OTHER);
	/* Release: whoever sees the slot sees its name; pairs with vt_view_used(). */
	atomic_store_explicit(used, n + 1, memory_order_release);
	return slot;
}

void vt_overrun_count(vitals_registry *registry, const char *name, uint64_t ns)
{
	struct vt_scope_name *slot = name_find(registry, name);

	if (!slot) {
		vt_lock(&registry->lock);
		slot = name_make(registry, name);
		vt_unlock(&registry->lock);
	}
	/* Relaxed: two counts, each a fact of its own. */
	atomic_fetch_add_explicit(&slot->overrun_ns, ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->overruns, 1, memory_order_relaxed);
}
