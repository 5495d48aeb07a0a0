/* SPDX-License-Identifier: MIT */

#include "changes.h"

#include "clock.h"
#include "frames.h"
#include "wakefd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* How long the monitor waits for a reader that copies an event. */
#define READER_WAIT_NS 1000000u

/* In a forked child: nothing was judged yet, and its readers are not to be woken by the parent. */
static void changes_carried(vitals_registry *registry)
{
	struct vt_changes *changes = registry->changes;
	unsigned i;

	for (i = 0; i < VT_READERS; i++)
		if (changes->readers[i].registry)
			vt_wakefd_renew(atomic_load_explicit(&changes->readers[i].fd,
							     memory_order_relaxed));
}

static void changes_ended(vitals_registry *registry)
{
	const struct vt_view *view = &registry->view;
	struct vt_change **changes = registry->changes->changes;
	unsigned i;

	for (i = 0; i < VT_SPANS; i++)
		vt_pages_free(changes[i],
			      view->spans[VT_KIND_HOT][i].count * sizeof(**changes));
}

static const struct vt_hooks changes_hooks = { changes_carried, changes_ended };

int vt_changes_make(vitals_registry *registry)
{
	if (!registry->changes)
		registry->changes = vt_registry_room(registry, sizeof(struct vt_changes));
	if (registry->changes)
		vt_registry_hook(registry, &changes_hooks);
	return registry->changes ? 0 : -ENOMEM;
}

_Atomic uint32_t *vt_changes_word(vitals_registry *registry)
{
	return &registry->changes->word;
}

/* The change of the heartbeat at @index; NULL if there is no memory for it yet. */
static struct vt_change *change_at(const vitals_registry *registry, uint32_t index)
{
	const struct vt_view *view = &registry->view;
	uint32_t n =
		atomic_load_explicit(&view->n_spans[VT_KIND_HOT], memory_order_acquire);

	while (n-- && index < view->spans[VT_KIND_HOT][n].first)
		continue;
	return registry->changes->changes[n]
		       ? &registry->changes
				  ->changes[n][index - view->spans[VT_KIND_HOT][n].first]
		       : NULL;
}

struct vt_change *vt_change_of(const vitals_registry *registry, uint32_t code)
{
	return code == VT_PAUSE_CODE ? &registry->changes->pause
				     : change_at(registry, code - 1);
}

/* In a turn: makes what change_at() found missing. */
static struct vt_change *change_make(vitals_registry *registry, uint32_t index)
{
	const struct vt_view *view = &registry->view;
	uint32_t n =
		atomic_load_explicit(&view->n_spans[VT_KIND_HOT], memory_order_acquire);
	size_t size;

	while (n-- && index < view->spans[VT_KIND_HOT][n].first)
		continue;
	if (!registry->changes->changes[n]) {
		size = view->spans[VT_KIND_HOT][n].count * sizeof(struct vt_change);
		registry->changes->changes[n] = vt_pages_new(size);
	}
	return change_at(registry, index);
}

static void change_unlink(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	struct vt_change *change = vt_change_of(registry, code);
	unsigned i;

	if (!change->number)
		return;
	for (i = 0; i < VT_READERS; i++) {
		struct vitals_events *reader = &changes->readers[i];

		if (!reader->registry)
			continue;
		if (reader->cursor == code)
			reader->cursor = change->prev;
		else if (change->number > reader->position)
			reader->lost += !reader->only || reader->only == code;
	}
	if (change->prev)
		vt_change_of(registry, change->prev)->next = change->next;
	else
		changes->first = change->next;
	if (change->next)
		vt_change_of(registry, change->next)->prev = change->prev;
	else
		changes->last = change->prev;
	change->number = 0;
}

/* Every number is higher than all before, so the end is its place. */
static void change_append(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	struct vt_change *change = vt_change_of(registry, code);
	unsigned i;

	change->number = ++changes->number;
	change->prev = changes->last;
	change->next = 0;
	if (changes->last)
		vt_change_of(registry, changes->last)->next = code;
	else
		changes->first = code;
	changes->last = code;
	/* Relaxed: a number for readers of the region, who look at nothing by it. */
	atomic_store_explicit(&registry->root->changes, change->number,
			      memory_order_relaxed);
	for (i = 0; i < VT_READERS; i++) {
		struct vitals_events *reader = &changes->readers[i];

		if (reader->registry && (!reader->only || reader->only == code))
			vt_wakefd_set(
				atomic_load_explicit(&reader->fd, memory_order_relaxed));
	}
}

static void changes_wake(vitals_registry *registry)
{
	/* Release: a waiter that sees the word sees the list through events_lock anyway. */
	atomic_fetch_add_explicit(&registry->changes->word, 1, memory_order_release);
	vt_futex_wake(&registry->changes->word, INT_MAX);
}

static bool changes_lock(vitals_registry *registry)
	VT_TRY_ACQUIRE(registry->events_lock) VT_UNCHECKED
{
	bool *stuck = &registry->changes->stuck;

	/* Once, not for each change: then whoever has it must have let go of it first. */
	*stuck = *stuck ? !vt_trylock(&registry->events_lock)
			: !vt_lock_until(&registry->events_lock,
					 vt_clock_after(vt_clock_now(), READER_WAIT_NS));
	return !*stuck;
}

/* The monitor's memory of the heartbeat, for readers of the region. */
static void cold_note(struct vt_cold *cold, const struct vt_change *change)
{
	/* Release, all: see layout.h; partner of the row's copy. */
	uint32_t sequence = atomic_load_explicit(&cold->sequence, memory_order_relaxed);

	atomic_store_explicit(&cold->sequence, sequence + 1, memory_order_release);
	atomic_store_explicit(&cold->changed_ns, change->at_ns, memory_order_release);
	atomic_store_explicit(&cold->change, change->number, memory_order_release);
	atomic_store_explicit(&cold->sequence, sequence + 2, memory_order_release);
}

static bool quiet(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static void change_publish(vitals_registry *registry, uint32_t index,
			   struct vt_change *change, const struct vt_verdict *verdict,
			   const struct vt_tick *tick)
{
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	uint64_t since = atomic_load_explicit(&cold->changed_ns, memory_order_relaxed);

	if (!changes_lock(registry))
		return;
	change_unlink(registry, index + 1);
	/* A recovery tells the longest silence there was. */
	change->silence_ns = quiet(change->to) && !quiet((int)verdict->state)
				     ? change->worst_ns
				     : verdict->silence_ns;
	change->from = change->to;
	change->to = (int8_t)verdict->state;
	change->at_ns = tick->at_ns;
	change->lasted_ns = tick->at_ns > since ? tick->at_ns - since : 0;
	vt_frames_blame(&registry->view, cold, verdict->scope);
	change_append(registry, index + 1);
	vt_unlock(&registry->events_lock);
	cold_note(cold, change);
	changes_wake(registry);
}

void vt_changes_note(vitals_registry *registry, uint32_t index, uint32_t gen,
		     const struct vt_verdict *verdict, const struct vt_tick *tick)
{
	struct vt_change *change = change_at(registry, index);

	if (!change && verdict->state == VITALS_STARTING)
		return;
	if (!change) {
		change = change_make(registry, index);
		if (!change)
			return;
	}
	if (change->gen != gen) {
		/* The slot is another heartbeat's now. */
		if (change->number) {
			if (!changes_lock(registry))
				return;
			change_unlink(registry, index + 1);
			vt_unlock(&registry->events_lock);
		}
		/* In no list, so no reader looks at it. */
		memset(change, 0, sizeof(*change));
		change->gen = gen;
		change->to = -1;
	}
	if (!quiet(change->to) || change->worst_ns < verdict->silence_ns)
		change->worst_ns = verdict->silence_ns;
	if (change->to == (int8_t)verdict->state ||
	    (change->to == -1 && verdict->state == VITALS_STARTING))
		return;
	change_publish(registry, index, change, verdict, tick);
}

void vt_changes_note_pause(vitals_registry *registry, const struct vt_tick *tick,
			   uint64_t ns)
{
	struct vt_change *pause = &registry->changes->pause;

	if (!changes_lock(registry))
		return;
	change_unlink(registry, VT_PAUSE_CODE);
	pause->at_ns = tick->at_ns;
	pause->lasted_ns = ns;
	change_append(registry, VT_PAUSE_CODE);
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
}

void vt_changes_stop(vitals_registry *registry, bool stopped)
{
	struct vt_changes *changes = registry->changes;
	unsigned i;

	vt_lock(&registry->events_lock);
	changes->stopped = stopped;
	for (i = 0; stopped && i < VT_READERS; i++)
		if (changes->readers[i].registry)
			vt_wakefd_set(atomic_load_explicit(&changes->readers[i].fd,
							   memory_order_relaxed));
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
}
