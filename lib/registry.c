/* SPDX-License-Identifier: MIT */

#include "registry.h"

#include "fork.h"
#include "sandbox.h"
#include "slots.h"
#include "spares.h"
#include "task.h"
#include "wakefd.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_MAX (1u << 24)
static vitals_registry default_registry = { .wake_fd = -1 };

static _Atomic uint64_t registry_ids;

/* "2", "0.5", in thousandths; 1000 for anything else. */
static uint32_t scale_parse(const char *text)
{
	uint64_t scale = 0, unit = 1000;
	bool fraction = false;

	for (; text && *text; text++) {
		if (*text == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (*text < '0' || *text > '9' || scale > 1000000)
			return 1000;
		if (fraction)
			unit /= 10;
		scale = fraction ? scale + (uint64_t)(*text - '0') * unit
				 : scale * 10 + (uint64_t)(*text - '0') * 1000;
	}
	return scale && scale <= 1000000 ? (uint32_t)scale : 1000;
}

static void registry_environment(vitals_registry *registry)
{
	const char *off = secure_getenv("VITALS");
	const char *evidence = secure_getenv("VITALS_EVIDENCE");

	atomic_store_explicit(&registry->root->timeout_scale,
			      scale_parse(secure_getenv("VITALS_TIMEOUT_SCALE")),
			      memory_order_relaxed);
	if (off && strcmp(off, "off") == 0)
		atomic_store_explicit(&registry->root->flags, VT_ROOT_OFF,
				      memory_order_relaxed);
	if (evidence && strcmp(evidence, "off") == 0)
		atomic_store_explicit(&registry->evidence_barred, 1,
				      memory_order_relaxed);
}

/* The first segment holds the root and a few of everything, so that most services have just one. */
static int registry_lay_out(vitals_registry *registry) VT_REQUIRES(registry->lock)
{
	struct vt_array_spec specs[VT_KINDS] = {
		{ VT_KIND_ROOT, sizeof(struct vt_root), 0, 1 },
		{ VT_KIND_GROUP, sizeof(struct vt_group_slot), 0, VT_GROUPS },
		{ VT_KIND_PART, sizeof(struct vt_part_slot), 0, VT_PARTS },
		{ VT_KIND_SCOPE_NAME, sizeof(struct vt_scope_name), 0, VT_SCOPE_NAMES },
		{ VT_KIND_FINDING, sizeof(struct vt_finding_slot), 0, VT_FINDINGS },
	};
	struct vt_mapping *mapping = &registry->segments[0];
	int r;

	r = vt_pools_begin(registry);
	if (r < 0)
		return r;
	r = vt_segment_new(mapping, registry->id, 0, specs,
			   5 + vt_pools_specs(registry, specs + 5));
	if (r < 0) {
		vt_pools_free(registry);
		return r;
	}
	r = vt_view_add(&registry->view, mapping->segment, mapping->size);
	assert(r == 0);
	registry->n_segments = 1;
	registry->root = vt_view_root(&registry->view);
	atomic_store_explicit(&registry->root->tick.beat, VT_BEAT_TICK,
			      memory_order_relaxed);
	registry_environment(registry);
	/* Release publishes all of the above to the acquire in vt_registry_ready(). */
	atomic_store_explicit(&registry->ready, 1, memory_order_release);
	return 0;
}

bool vt_registry_ready(const vitals_registry *registry)
{
	/* Acquire pairs with the release in registry_lay_out(). */
	return atomic_load_explicit(&registry->ready, memory_order_acquire);
}

static enum vt_run registry_run(const vitals_registry *registry)
{
	/* Acquire pairs with the stores by monitor.c and the fork handlers. */
	return (enum vt_run)atomic_load_explicit(&registry->run, memory_order_acquire);
}

static int registry_make_ready(vitals_registry *registry)
{
	int r;

	vt_task_note();
	r = vt_fork_watch();
	if (r < 0)
		return r;
	/* First, so that a fork waits until it is laid out, or leaves the child an empty one. */
	vt_fork_add(registry);
	vt_lock(&registry->lock);
	if (!vt_registry_ready(registry)) {
		/* Relaxed: numbers need only differ. */
		if (!registry->id)
			registry->id =
				1 + atomic_fetch_add_explicit(&registry_ids, 1,
							      memory_order_relaxed);
		r = registry_lay_out(registry);
	}
	vt_unlock(&registry->lock);
	return r;
}

int vt_registry_get(vitals_registry *registry, vitals_registry **ret)
{
	int r;

	if (!registry)
		registry = &default_registry;
	if (!vt_registry_ready(registry)) {
		r = registry_make_ready(registry);
		if (r < 0)
			return r;
	}
	if (registry_run(registry) == VT_RUN_FORKED)
		return -ECANCELED;
	*ret = registry;
	return 0;
}

vitals_registry *vt_registry_peek(vitals_registry *registry)
{
	if (!registry)
		registry = &default_registry;
	return vt_registry_ready(registry) && registry_run(registry) != VT_RUN_FORKED
		       ? registry
		       : NULL;
}

int vt_registry_renew(vitals_registry *registry)
{
	int r;

	if (!registry)
		registry = &default_registry;
	vt_lock(&registry->lock);
	if (registry_run(registry) != VT_RUN_FORKED) {
		/* Another thread of the child was first. */
		vt_unlock(&registry->lock);
		return 0;
	}
	/* Relaxed: no turn is under way here, whatever was under way in the parent. */
	atomic_store_explicit(&registry->turns, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->inbox, 0, memory_order_relaxed);
	/* What was inherited stays mapped: handles point there, and find zeros. */
	registry->n_segments = 0;
	registry->n_rooms = 0;
	registry->monitor = NULL;
	registry->main = NULL;
	registry->changes = NULL;
	registry->notifier = NULL;
	registry->tree = NULL;
	atomic_store_explicit(&registry->systemd, NULL, memory_order_relaxed);
	atomic_store_explicit(&registry->abort, NULL, memory_order_relaxed);
	atomic_store_explicit(&registry->capture, NULL, memory_order_relaxed);
	memset(registry->hooks, 0, sizeof(registry->hooks));
	memset(&registry->view, 0, sizeof(registry->view));
	memset(registry->pools, 0, sizeof(registry->pools));
	memset(&registry->names, 0, sizeof(registry->names));
	r = registry_lay_out(registry);
	if (r == 0)
		/* Release: whoever finds it unforked finds it laid out. */
		atomic_store_explicit(&registry->run, VT_RUN_NEVER, memory_order_release);
	vt_unlock(&registry->lock);
	return r;
}

vitals_registry *vt_registry_ref(vitals_registry *registry)
{
	/* Relaxed: the caller's own reference already orders everything. */
	if (registry != &default_registry)
		atomic_fetch_add_explicit(&registry->refs, 1, memory_order_relaxed);
	return registry;
}

static void registry_destroy(vitals_registry *registry)
{
	unsigned i;

	/* Under the lock, and in the list until then: no child shares what is left of it. */
	vt_lock(&registry->lock);
	for (i = 0; i < registry->n_segments; i++)
		vt_segment_free(&registry->segments[i]);
	registry->n_segments = 0;
	vt_spares_free(registry);
	vt_sandbox_end(&registry->sandbox);
	atomic_store_explicit(&registry->ready, 0, memory_order_relaxed);
	vt_unlock(&registry->lock);
	vt_fork_remove(registry);
	vt_pools_free(registry);
	for (i = 0; i < VT_HOOKS && registry->hooks[i]; i++)
		if (registry->hooks[i]->ended)
			registry->hooks[i]->ended(registry);
	for (i = 0; i < registry->n_rooms; i++)
		vt_pages_free(registry->rooms[i].at, registry->rooms[i].size);
	vt_pages_free(registry->names.buckets,
		      registry->names.n_buckets * sizeof(uint32_t));
	vt_pages_free(registry, sizeof(*registry));
}

vitals_registry *vt_registry_unref(vitals_registry *registry)
{
	if (!registry || registry == &default_registry)
		return NULL;
	/*
	 * Release publishes this holder's writes; acquire, by the last, sees them all before the
	 * memory goes.
	 */
	if (atomic_fetch_sub_explicit(&registry->refs, 1, memory_order_acq_rel) == 1)
		registry_destroy(registry);
	return NULL;
}

int vitals_registry_new(uint32_t slots, vitals_registry **ret)
{
	vitals_registry *registry;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	if (slots > RESERVE_MAX)
		return -EINVAL;
	registry = vt_pages_new(sizeof(*registry));
	if (!registry)
		return -ENOMEM;
	registry->reserve = slots;
	atomic_init(&registry->refs, 1);
	atomic_init(&registry->wake_fd, -1);
	r = registry_make_ready(registry);
	if (r < 0) {
		vt_fork_remove(registry);
		vt_pages_free(registry, sizeof(*registry));
		return r;
	}
	*ret = registry;
	return 0;
}

uint64_t vt_registry_id(vitals_registry *registry)
{
	/* Relaxed: ids need only differ. */
	return 1 + atomic_fetch_add_explicit(&registry->ids, 1, memory_order_relaxed);
}

void vt_registry_wake(vitals_registry *registry)
{
	/* Release: the monitor sees what it is woken for; pairs with its acquire of wake. */
	atomic_fetch_add_explicit(&registry->wake, 1, memory_order_release);
	vt_futex_wake(&registry->wake, INT_MAX);
	vt_wakefd_set(atomic_load_explicit(&registry->wake_fd, memory_order_acquire));
}

void *vt_registry_room(vitals_registry *registry, size_t size)
{
	void *at;

	assert(registry->n_rooms < VT_ROOMS);
	at = vt_pages_new(size);
	if (at)
		registry->rooms[registry->n_rooms++] = (struct vt_room){ at, size };
	return at;
}

void vt_registry_hook(vitals_registry *registry, const struct vt_hooks *hooks)
{
	unsigned i = 0;

	while (registry->hooks[i] && registry->hooks[i] != hooks)
		i++;
	assert(i < VT_HOOKS);
	registry->hooks[i] = hooks;
}
