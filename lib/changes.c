/* SPDX-License-Identifier: MIT */

#include "changes.h"

#include "clock.h"
#include "frames.h"
#include "heartbeat.h"
#include "wakefd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* How long the monitor waits for a reader that copies an event. */
#define READER_WAIT_NS 1000000u

/* The states of an event in a byte; -1: none. */
#define TOLD(from, to) ((unsigned)((from) + 1) | (unsigned)((to) + 1) << 4)
#define TOLD_FROM(told) ((int)((told)&15u) - 1)
#define TOLD_TO(told) ((int)((told) >> 4) - 1)

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

static const struct vt_hooks changes_hooks = { .carried = changes_carried };

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

/* NULL: it is a heartbeat's. */
static struct vt_special *special_of(const vitals_registry *registry, uint32_t code)
{
	return VT_SPECIAL(code) < VT_SPECIALS
		       ? &registry->changes->specials[VT_SPECIAL(code)]
		       : NULL;
}

static struct vt_change_links links_of(const vitals_registry *registry, uint32_t code)
{
	struct vt_special *special = special_of(registry, code);
	vitals_heartbeat *heartbeat;

	if (special)
		return (struct vt_change_links){ &special->prev, &special->next };
	heartbeat = vt_heartbeat_at(registry, code - 1);
	return (struct vt_change_links){ &heartbeat->change_prev,
					 &heartbeat->change_next };
}

uint32_t vt_change_next(const vitals_registry *registry, uint32_t code)
{
	return code ? *links_of(registry, code).next : registry->changes->first;
}

uint64_t vt_change_number(const vitals_registry *registry, uint32_t code)
{
	const struct vt_special *special = special_of(registry, code);
	const struct vt_cold *cold;

	if (special)
		return special->change.number;
	cold = vt_slot(registry, VT_KIND_COLD, code - 1);
	/* Relaxed, here and below: changed under events_lock only. */
	return atomic_load_explicit(&cold->change, memory_order_relaxed);
}

static void number_set(vitals_registry *registry, uint32_t code, uint64_t number)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_special *special = special_of(registry, code);
	struct vt_cold *cold;

	if (special) {
		special->change.number = number;
		return;
	}
	cold = vt_slot(registry, VT_KIND_COLD, code - 1);
	atomic_store_explicit(&cold->change, number, memory_order_release);
}

void vt_change_load(const vitals_registry *registry, uint32_t code,
		    struct vt_change *change)
{
	const struct vt_special *special = special_of(registry, code);
	const struct vt_cold *cold;
	const struct vt_rare *rare;
	uint32_t marks, told;

	if (special) {
		*change = special->change;
		return;
	}
	cold = vt_slot(registry, VT_KIND_COLD, code - 1);
	/* Acquire: the monitor marks an event as another's before it stores a new gen. */
	change->gen = atomic_load_explicit(&cold->gen, memory_order_acquire);
	marks = atomic_load_explicit(&cold->marks, memory_order_acquire);
	told = atomic_load_explicit(&cold->told, memory_order_relaxed);
	change->number = vt_change_number(registry, code);
	change->at_ns = atomic_load_explicit(&cold->changed_ns, memory_order_relaxed);
	change->lasted_ns = atomic_load_explicit(&cold->lasted_ns, memory_order_relaxed);
	change->from = TOLD_FROM(told);
	change->to = TOLD_TO(told);
	change->silence_ns = 0;
	if (marks & VT_COLD_RARE) {
		rare = vt_slot(registry, VT_KIND_RARE, code - 1);
		change->silence_ns =
			atomic_load_explicit(&rare->silence_ns, memory_order_relaxed);
	}
	if (marks & VT_COLD_STALE)
		change->gen = 0;
}

static void change_unlink(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	uint64_t number = vt_change_number(registry, code);
	struct vt_change_links links = links_of(registry, code);
	unsigned i;

	if (!number)
		return;
	for (i = 0; i < VT_READERS; i++) {
		struct vitals_events *reader = &changes->readers[i];

		if (!reader->registry)
			continue;
		if (reader->cursor == code)
			reader->cursor = *links.prev;
		else if (number > reader->position)
			reader->lost += !reader->only || reader->only == code;
	}
	if (*links.prev)
		*links_of(registry, *links.prev).next = *links.next;
	else
		changes->first = *links.next;
	if (*links.next)
		*links_of(registry, *links.next).prev = *links.prev;
	else
		changes->last = *links.prev;
	number_set(registry, code, 0);
}

/* Every number is higher than all before, so the end is its place. */
static void change_append(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	struct vt_change_links links = links_of(registry, code);
	unsigned i;

	number_set(registry, code, ++changes->number);
	*links.prev = changes->last;
	*links.next = 0;
	if (changes->last)
		*links_of(registry, changes->last).next = code;
	else
		changes->first = code;
	changes->last = code;
	/* Relaxed: a number for readers of the region, who look at nothing by it. */
	atomic_store_explicit(&registry->root->changes, changes->number,
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

static bool quiet(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

/*
 * The newest event of a heartbeat: for readers of the list, and of the region. Release, all: see
 * layout.h; partner of the row's copy.
 */
static void change_store(vitals_registry *registry, uint32_t index,
			 const struct vt_change *change, const char *scope)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	struct vt_rare *rare = vt_slot(registry, VT_KIND_RARE, index);
	uint32_t sequence = atomic_load_explicit(&cold->sequence, memory_order_relaxed);

	atomic_store_explicit(&cold->sequence, sequence + 1, memory_order_release);
	change_unlink(registry, index + 1);
	atomic_store_explicit(&cold->told, (uint8_t)TOLD(change->from, change->to),
			      memory_order_release);
	atomic_store_explicit(&cold->changed_ns, change->at_ns, memory_order_release);
	atomic_store_explicit(&cold->lasted_ns, change->lasted_ns, memory_order_release);
	if (atomic_load_explicit(&cold->marks, memory_order_relaxed) & VT_COLD_RARE)
		atomic_store_explicit(&rare->silence_ns, change->silence_ns,
				      memory_order_release);
	vt_frames_blame(&registry->view, index, scope);
	change_append(registry, index + 1);
	atomic_store_explicit(&cold->sequence, sequence + 2, memory_order_release);
}

/* What comes after the event before. */
static void change_follow(vitals_registry *registry, uint32_t index,
			  const struct vt_verdict *verdict, const struct vt_tick *tick,
			  struct vt_change *change) VT_REQUIRES(registry->events_lock)
{
	const struct vt_rare *rare = vt_slot(registry, VT_KIND_RARE, index);
	uint64_t since_ns;
	bool recovers;

	vt_change_load(registry, index + 1, change);
	since_ns = change->at_ns;
	recovers = quiet(change->to) && !quiet((int)verdict->state);
	change->silence_ns = verdict->silence_ns;
	if (recovers) {
		/* The whole stall, and the longest silence there was. */
		since_ns = atomic_load_explicit(&rare->since_ns, memory_order_relaxed);
		change->silence_ns =
			atomic_load_explicit(&rare->worst_ns, memory_order_relaxed);
	}
	change->lasted_ns = 0;
	if (change->to >= 0 && tick->at_ns > since_ns)
		change->lasted_ns = tick->at_ns - since_ns;
	change->from = change->to;
	change->to = (int)verdict->state;
	change->at_ns = tick->at_ns;
}

bool vt_changes_forget(vitals_registry *registry, uint32_t index)
{
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	uint8_t marks = atomic_load_explicit(&cold->marks, memory_order_relaxed);

	if (!changes_lock(registry)) {
		/* Release, before the next user's gen: see vt_change_load(). */
		atomic_store_explicit(&cold->marks, marks | VT_COLD_STALE,
				      memory_order_release);
		return false;
	}
	change_unlink(registry, index + 1);
	atomic_store_explicit(&cold->told, 0, memory_order_release);
	atomic_store_explicit(&cold->marks, marks & (uint8_t)~VT_COLD_STALE,
			      memory_order_release);
	vt_unlock(&registry->events_lock);
	return true;
}

bool vt_changes_note(vitals_registry *registry, uint32_t index,
		     const struct vt_verdict *verdict, const struct vt_tick *tick)
{
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	struct vt_change change;
	int to;

	if (atomic_load_explicit(&cold->marks, memory_order_relaxed) & VT_COLD_STALE &&
	    !vt_changes_forget(registry, index))
		return false;
	to = TOLD_TO(atomic_load_explicit(&cold->told, memory_order_relaxed));
	if (to == (int)verdict->state || (to < 0 && verdict->state == VITALS_STARTING))
		return true;
	if (!changes_lock(registry))
		return false;
	change_follow(registry, index, verdict, tick, &change);
	change_store(registry, index, &change, verdict->scope);
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
	return true;
}

/* Return: its number; 0: it could not be told. */
static uint64_t special_note(vitals_registry *registry, uint32_t code,
			     const struct vt_tick *tick, uint64_t lasted_ns)
{
	struct vt_change *change = &registry->changes->specials[VT_SPECIAL(code)].change;
	uint64_t number;

	if (!changes_lock(registry))
		return 0;
	change_unlink(registry, code);
	change->at_ns = tick->at_ns;
	change->lasted_ns = lasted_ns;
	change_append(registry, code);
	number = change->number;
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
	return number;
}

void vt_changes_note_pause(vitals_registry *registry, const struct vt_tick *tick,
			   uint64_t ns)
{
	(void)special_note(registry, VT_PAUSE_CODE, tick, ns);
}

uint64_t vt_changes_note_finding(vitals_registry *registry, uint32_t finding,
				 const struct vt_tick *tick)
{
	return special_note(registry, VT_FINDING_CODE(finding), tick, 0);
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
