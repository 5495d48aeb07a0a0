/* SPDX-License-Identifier: MIT */

#include "capture.h"
#include "log.h"
#include "monitor.h"
#include "notifier.h"
#include "sandbox.h"
#include "systemd.h"
#include "task.h"
#include "text.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_PART "main"

const char *vitals_version(void)
{
	return PACKAGE_VERSION;
}

int vitals_has(const char *feature)
{
	static const char *const features[] = { "heartbeat", "quitter",  "thread",
						"events",    "snapshot", "scope" };
	size_t i;

	if (!feature)
		return 0;
	if (strcmp(feature, "memfd") == 0)
		return vt_region_shared();
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (strcmp(feature, features[i]) == 0)
			return 1;
	return 0;
}

static bool off(const vitals_registry *registry)
{
	/* Relaxed: written once, when the registry was laid out. */
	return atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	       VT_ROOT_OFF;
}

int vitals_start(vitals_registry *registry)
{
	int r = vt_registry_get(registry, &registry);

	if (r == -ECANCELED) {
		r = vt_registry_renew(registry);
		if (r == 0)
			r = vt_registry_get(registry, &registry);
	}
	if (r < 0)
		return r;
	if (off(registry))
		return 0;
	r = vt_monitor_start(registry);
	if (r < 0)
		return r;
	r = vt_notifier_resume(registry);
	if (r == 0)
		r = vt_capture_resume(registry);
	if (r < 0)
		(void)vt_monitor_stop(registry);
	return r;
}

int vitals_stop(vitals_registry *registry)
{
	int r;

	registry = vt_registry_peek(registry);
	if (!registry)
		return 0;
	r = vt_notifier_stop(registry);
	if (r < 0)
		return r;
	vt_capture_stop(registry);
	r = vt_monitor_stop(registry);
	/* Nobody looks any more: what they saw last is told. */
	if (r == 0)
		vt_log_stop(registry);
	return r;
}

vitals_registry *vitals_registry_free(vitals_registry *registry)
{
	if (!registry)
		return NULL;
	(void)vitals_stop(registry);
	return vt_registry_unref(registry);
}

int vitals_step(vitals_registry *registry, uint64_t now_ns)
{
	uint32_t run;
	uint64_t next_ns;
	int r;

	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	if (off(registry))
		return 0;
	vt_lock(&registry->lock);
	r = vt_monitor_make(registry);
	run = atomic_load_explicit(&registry->run, memory_order_relaxed);
	/* The first turn by hand is what a start is elsewhere. */
	if (r == 0 && run == VT_RUN_NEVER)
		vt_sandbox_begin(&registry->sandbox, vt_task_self());
	if (r == 0 && run != VT_RUN_RUNNING)
		/* Under the lock, which fork takes. */
		atomic_store_explicit(&registry->run, VT_RUN_STEPPED,
				      memory_order_release);
	vt_unlock(&registry->lock);
	if (r < 0)
		return r;
	return run == VT_RUN_RUNNING ? -EBUSY
				     : vt_monitor_turn_at(registry, now_ns, &next_ns);
}

/* Return: the part, made if it is new; NULL if there is no room. */
static struct vt_part_slot *part_find(vitals_registry *registry, const char *name)
	VT_REQUIRES(registry->lock)
{
	/* Relaxed: changed under the lock only. */
	_Atomic uint32_t *used = &registry->root->used[VT_KIND_PART];
	uint32_t i, n = atomic_load_explicit(used, memory_order_relaxed);
	struct vt_part_slot *part;

	for (i = 0; i < n; i++) {
		part = vt_slot(registry, VT_KIND_PART, i);
		if (vt_name_equals(part->name, name))
			return part;
	}
	if (n == VT_PARTS)
		return NULL;
	part = vt_slot(registry, VT_KIND_PART, n);
	vt_name_store(part->name, name);
	atomic_store_explicit(&part->ready, 0, memory_order_relaxed);
	/* Release: whoever sees the part sees its name; pairs with vt_view_used(). */
	atomic_store_explicit(used, n + 1, memory_order_release);
	return part;
}

int vitals_set_ready(vitals_registry *registry, const char *part, int ready)
{
	struct vt_part_slot *slot;
	int r;

	if (!part)
		part = DEFAULT_PART;
	if (!vt_name_good(part))
		return -EINVAL;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	vt_lock(&registry->lock);
	slot = part_find(registry, part);
	if (slot)
		atomic_store_explicit(&slot->ready, ready ? 1 : 0, memory_order_release);
	vt_unlock(&registry->lock);
	if (!slot)
		return -ENOSPC;
	vt_systemd_part(registry, ready);
	/* The monitor notes when all were ready for the first time. */
	vt_registry_wake(registry);
	return 0;
}
