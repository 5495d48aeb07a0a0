/* SPDX-License-Identifier: MIT */

#include "fork.h"

#include "clock.h"
#include "sandbox.h"
#include "spares.h"
#include "task.h"

#include <errno.h>
#include <string.h>

/* How long fork waits for a lock of ours before it goes on without. */
#define FORK_WAIT_NS 1000000000u

static struct vt_lock list_lock;
static vitals_registry *list; /* guarded by list_lock */
/* pthread_self() of the thread that forks and holds list_lock, 0: none. */
static _Atomic uintptr_t fork_holder;

static enum vt_run fork_run(const vitals_registry *registry)
{
	/* Acquire pairs with the stores by monitor.c. */
	return (enum vt_run)atomic_load_explicit(&registry->run, memory_order_acquire);
}

/* Is it the calling thread whose fork took the locks? Another's may have waited in vain. */
static bool fork_holds(void)
{
	/* Relaxed: what matters is whether this thread itself stored it. */
	return atomic_load_explicit(&fork_holder, memory_order_relaxed) ==
	       (uintptr_t)pthread_self();
}

static void fork_unsave(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		vt_segment_unsave(&registry->segments[i]);
	registry->fork_saved = false;
}

/* Makes it possible for the child to keep the registry as it stands now. */
static void fork_save(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		if (vt_segment_save(&registry->segments[i]) < 0) {
			fork_unsave(registry);
			return;
		}
	registry->fork_saved = true;
}

void vt_fork_prepare(uint64_t until_ns) VT_UNCHECKED
{
	vitals_registry *registry;

	/* Without the list nothing is taken: what another fork took is for it to give back. */
	if (!vt_lock_until(&list_lock, until_ns))
		return;
	atomic_store_explicit(&fork_holder, (uintptr_t)pthread_self(),
			      memory_order_relaxed);
	for (registry = list; registry; registry = registry->next) {
		registry->fork_locked = vt_lock_until(&registry->lock, until_ns);
		/* It is started under the lock, so it cannot be started meanwhile. */
		if (registry->fork_locked && fork_run(registry) == VT_RUN_NEVER)
			fork_save(registry);
		/* None is half made, in the child. */
		registry->fork_spares = registry->fork_locked &&
					vt_lock_until(&registry->spares_lock, until_ns);
	}
}

void vt_fork_parent(void) VT_UNCHECKED
{
	vitals_registry *registry;

	if (!fork_holds())
		return;
	for (registry = list; registry; registry = registry->next) {
		if (registry->fork_saved)
			fork_unsave(registry);
		if (registry->fork_spares)
			vt_unlock(&registry->spares_lock);
		if (registry->fork_locked)
			vt_unlock(&registry->lock);
	}
	atomic_store_explicit(&fork_holder, 0, memory_order_relaxed);
	vt_unlock(&list_lock);
}

static void fork_forget(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		vt_segment_forget(&registry->segments[i]);
	/* Relaxed, here and below: the child has this one thread. */
	atomic_fetch_add_explicit(&registry->epoch, 1, memory_order_relaxed);
	atomic_store_explicit(&registry->run, VT_RUN_FORKED, memory_order_relaxed);
}

/* Return: whether all of it could be kept. */
static bool fork_keep(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		if (vt_segment_keep(&registry->segments[i]) < 0)
			return false;
	for (i = 0; i < VT_HOOKS && registry->hooks[i]; i++)
		if (registry->hooks[i]->carried)
			registry->hooks[i]->carried(registry);
	return true;
}

/* What was for the parent's monitor: its segments to come, its status file. */
static void fork_disown(vitals_registry *registry, bool whole)
{
	/* One of which nothing is known is lost to the child. */
	if (!whole || !registry->fork_spares)
		memset(registry->spares, 0, sizeof(registry->spares));
	vt_spares_free(registry);
	vt_sandbox_end(&registry->sandbox);
	vt_proc_end(&registry->proc);
	vt_lock_reset(&registry->spares_lock);
}

static void fork_child(void)
{
	vitals_registry *registry;
	bool whole = fork_holds();

	vt_task_note();
	vt_lock_reset(&list_lock);
	atomic_store_explicit(&fork_holder, 0, memory_order_relaxed);
	for (registry = list; registry; registry = registry->next) {
		bool kept = whole && registry->fork_saved && fork_keep(registry);

		if (!kept && vt_registry_ready(registry))
			fork_forget(registry);
		if (whole)
			fork_unsave(registry);
		fork_disown(registry, whole);
		vt_lock_reset(&registry->lock);
		vt_lock_reset(&registry->judge);
		vt_lock_reset(&registry->events_lock);
		vt_lock_reset(&registry->monitor_control);
		vt_lock_reset(&registry->notifier_control);
		vt_lock_reset(&registry->notifier_lock);
		/* Relaxed: see fork_forget(). Threads of ours are not here. */
		atomic_fetch_add_explicit(&registry->forks, 1, memory_order_relaxed);
		atomic_store_explicit(&registry->wake_fd, -1, memory_order_relaxed);
	}
}

static void fork_prepare(void)
{
	vt_fork_prepare(vt_clock_after(vt_clock_now(), FORK_WAIT_NS));
}

int vt_fork_watch(void)
{
	static bool watched; /* guarded by list_lock */
	int r = 0;

	vt_lock(&list_lock);
	if (!watched)
		/* Not the last word: the next registry tries again. */
		r = pthread_atfork(fork_prepare, vt_fork_parent, fork_child) ? -ENOMEM
									     : 0;
	watched = r == 0;
	vt_unlock(&list_lock);
	return r;
}

void vt_fork_add(vitals_registry *registry)
{
	vitals_registry *other;

	vt_lock(&list_lock);
	for (other = list; other && other != registry; other = other->next)
		continue;
	if (!other) {
		registry->next = list;
		list = registry;
	}
	vt_unlock(&list_lock);
}

void vt_fork_remove(vitals_registry *registry)
{
	vitals_registry **at;

	vt_lock(&list_lock);
	for (at = &list; *at && *at != registry; at = &(*at)->next)
		continue;
	if (*at)
		*at = registry->next;
	vt_unlock(&list_lock);
}

bool vt_fork_each(bool (*fn)(vitals_registry *registry, void *user), void *user)
{
	vitals_registry *registry;
	bool on = true;

	if (!vt_trylock(&list_lock))
		return false;
	for (registry = list; registry && on; registry = registry->next) {
		if (!vt_trylock(&registry->lock)) {
			on = false;
		} else {
			on = fn(registry, user);
			vt_unlock(&registry->lock);
		}
	}
	vt_unlock(&list_lock);
	return on;
}
