/* SPDX-License-Identifier: MIT */

#include "fork.h"

#include "clock.h"

#include <errno.h>

/* How long fork waits for a lock of ours before it goes on without. */
#define FORK_WAIT_NS 1000000000u

static struct vt_lock list_lock;
static vitals_registry *list; /* guarded by list_lock */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;   /* of pthread_atfork, 0: the handlers are in place */
static bool fork_listed; /* prepare holds list_lock */

static enum vt_run fork_run(const vitals_registry *registry)
{
	/* Acquire pairs with the stores by monitor.c. */
	return (enum vt_run)atomic_load_explicit(&registry->run, memory_order_acquire);
}

static void fork_unsave(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		vt_segment_unsave(&registry->segments[i]);
}

/* Return: whether the registry can go over into the child as it stands now. */
static bool fork_save(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		if (vt_segment_save(&registry->segments[i]) < 0) {
			fork_unsave(registry);
			return false;
		}
	return true;
}

/* Before fork: registries that go over into the child must be whole. */
static void fork_prepare(void) VT_UNCHECKED
{
	uint64_t until = vt_clock_after(vt_clock_now(), FORK_WAIT_NS);
	vitals_registry *registry;

	fork_listed = vt_lock_until(&list_lock, until);
	for (registry = list; registry; registry = registry->next) {
		registry->fork_locked = vt_lock_until(&registry->lock, until);
		/* It is started under the lock, so it cannot be started meanwhile. */
		registry->fork_saved = registry->fork_locked &&
				       fork_run(registry) == VT_RUN_NEVER &&
				       fork_save(registry);
	}
}

static void fork_parent(void) VT_UNCHECKED
{
	vitals_registry *registry;

	for (registry = list; registry; registry = registry->next) {
		if (registry->fork_saved)
			fork_unsave(registry);
		registry->fork_saved = false;
		if (registry->fork_locked)
			vt_unlock(&registry->lock);
	}
	if (fork_listed)
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
	for (i = 0; i < registry->n_rooms; i++)
		if (registry->rooms[i].carried)
			registry->rooms[i].carried(registry->rooms[i].at);
	return true;
}

static void fork_child(void)
{
	vitals_registry *registry;

	vt_lock_reset(&list_lock);
	for (registry = list; registry; registry = registry->next) {
		bool kept = registry->fork_saved && fork_keep(registry);

		if (!kept && vt_registry_ready(registry))
			fork_forget(registry);
		fork_unsave(registry);
		registry->fork_saved = false;
		vt_lock_reset(&registry->lock);
		vt_lock_reset(&registry->judge);
		vt_lock_reset(&registry->events_lock);
		atomic_store_explicit(&registry->wake_fd, -1, memory_order_relaxed);
	}
}

static void fork_handle(void)
{
	fork_error = pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int vt_fork_watch(void)
{
	(void)pthread_once(&fork_once, fork_handle);
	return fork_error ? -ENOMEM : 0;
}

void vt_fork_add(vitals_registry *registry)
{
	vt_lock(&list_lock);
	registry->next = list;
	list = registry;
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

