/* SPDX-License-Identifier: MIT */

/*
 * What the host says of itself, for systemd.c to tell.
 */

#include "systemd.h"

#include "clock.h"

#include <errno.h>
#include <string.h>

int vt_systemd_ask(vitals_registry *registry, const struct vt_systemd_terms *terms)
{
	struct vt_systemd *systemd =
		atomic_load_explicit(&registry->systemd, memory_order_relaxed);

	if (vt_systemd_of(registry))
		return 0;
	if (!systemd)
		systemd = vt_registry_room(registry, sizeof(*systemd));
	if (!systemd)
		return -ENOMEM;
	/* Another process's, if it was carried over into this one: nothing was said yet. */
	memset(systemd, 0, sizeof(*systemd));
	systemd->terms = *terms;
	atomic_store_explicit(&systemd->pid, getpid(), memory_order_release);
	atomic_store_explicit(&registry->systemd, systemd, memory_order_release);
	return 0;
}

bool vt_systemd_asked(vitals_registry *registry)
{
	return vt_systemd_of(registry);
}

static bool off(const vitals_registry *registry)
{
	/* Relaxed: written once, when the registry was laid out. */
	return atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	       VT_ROOT_OFF;
}

/* There is no other thread to do it. */
static void turn_if_off(vitals_registry *registry)
{
	if (off(registry))
		vt_systemd_turn_at(registry, vt_clock_now());
}

void vt_systemd_part(vitals_registry *registry, bool ready)
{
	struct vt_systemd *systemd = vt_systemd_of(registry);

	if (!systemd)
		return;
	/* Release: whoever has seen it sees the part; pairs with scene_begin(). */
	if (ready)
		atomic_fetch_add_explicit(&systemd->readies, 1, memory_order_release);
	turn_if_off(registry);
}

void vt_systemd_reload_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_systemd *systemd = vt_systemd_of(registry);

	if (!systemd)
		return;
	/* Relaxed, both: ordered by the release that counts the reload. */
	atomic_store_explicit(&systemd->reload_readies,
			      atomic_load_explicit(&systemd->readies,
						   memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&systemd->reload_ns, now_ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&systemd->reloads, 1, memory_order_release);
	turn_if_off(registry);
}
