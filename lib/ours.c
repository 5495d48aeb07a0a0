/* SPDX-License-Identifier: MIT */

#include "ours.h"

#include "changes.h"
#include "fork.h"
#include "member.h"
#include "monitor.h"
#include "notifier.h"
#include "onlookers.h"

static bool watched(const vitals_registry *registry)
{
	/* Acquire: see registry.c. */
	return atomic_load_explicit(&registry->run, memory_order_acquire) ==
	       VT_RUN_RUNNING;
}

static bool add(struct vt_ours *ours, uint32_t tid)
{
	if (!tid)
		return true;
	if (ours->n == VT_OURS)
		return false;
	ours->tids[ours->n++] = tid;
	return true;
}

struct crew {
	struct vt_ours *ours;
	bool away;
};

static bool threads_of(vitals_registry *registry, void *user) VT_REQUIRES(registry->lock)
{
	const struct crew *crew = user;
	struct vt_calling calling;

	/* Relaxed: one that starts or ends has run. */
	if (watched(registry) &&
	    !add(crew->ours,
		 atomic_load_explicit(&registry->monitor->tid, memory_order_relaxed)))
		return false;
	vt_notifier_calling(registry, &calling);
	return (calling.away && !crew->away) || add(crew->ours, calling.tid);
}

bool vt_ours_threads(bool away, struct vt_ours *ours)
{
	struct crew crew = { ours, away };

	ours->n = vt_onlookers(ours->tids);
	return vt_fork_each(threads_of, &crew);
}

bool vt_ours_has(const struct vt_ours *ours, uint32_t tid)
{
	uint32_t i;

	for (i = 0; i < ours->n; i++)
		if (ours->tids[i] == tid)
			return true;
	return false;
}

static bool within(uint64_t address, const void *at, uint64_t size)
{
	return address - (uintptr_t)at < size;
}

static bool in_spans(const vitals_registry *registry, uint64_t address)
{
	static const uint32_t sizes[VT_POOLS] = {
		[VT_POOL_HEARTBEAT] =
			VT_RECORD_STRIDE(VT_RECORD_HEARTBEAT) + VT_SELDOM_HEARTBEAT,
		[VT_POOL_QUITTER] =
			VT_RECORD_STRIDE(VT_RECORD_QUITTER) + VT_SELDOM_QUITTER,
		[VT_POOL_MEMBER] = VT_RECORD_STRIDE(VT_RECORD_MEMBER) + VT_SELDOM_MEMBER,
	};
	uint32_t pool, i, n;

	for (pool = 0; pool < VT_POOLS; pool++) {
		n = atomic_load_explicit(&registry->pools[pool].n_spans,
					 memory_order_acquire);
		for (i = 0; i < n && sizes[pool]; i++) {
			const struct vt_span_head *span = registry->pools[pool].spans[i];

			if (within(address, span,
				   VT_SPAN_HEAD + (uint64_t)span->count * sizes[pool]))
				return true;
		}
	}
	return false;
}

static bool not_in(vitals_registry *registry, void *user) VT_REQUIRES(registry->lock)
{
	uint64_t address = *(const uint64_t *)user;
	uint32_t i;

	if (within(address, registry, sizeof(*registry)) || in_spans(registry, address))
		return false;
	for (i = 0; i < registry->n_segments; i++)
		if (within(address, registry->segments[i].segment,
			   registry->segments[i].size))
			return false;
	for (i = 0; i < registry->n_rooms; i++)
		if (within(address, registry->rooms[i].at, registry->rooms[i].size))
			return false;
	return true;
}

bool vt_ours_word(uint64_t address)
{
	return !vt_fork_each(not_in, &address);
}

/* Is a heartbeat's state going to change by itself: has it not been looked at, may it turn worse? */
static bool will_change(vitals_registry *registry)
{
	static const enum vitals_state states[] = { VITALS_STARTING, VITALS_HEALTHY,
						    VITALS_SILENT };
	const struct vt_summary *summary = &registry->root->summary;
	uint32_t n = 0;
	unsigned i;

	/* Relaxed, all: what is under way is seen by the next who asks. */
	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		n += atomic_load_explicit(&summary->critical[states[i]],
					  memory_order_relaxed);
		n += atomic_load_explicit(&summary->informative[states[i]],
					  memory_order_relaxed);
	}
	return n || atomic_load_explicit(&registry->inbox, memory_order_relaxed);
}

/* Has the host's callback still to be called, as far as is known already? */
static bool will_call(vitals_registry *registry) VT_REQUIRES(registry->lock)
{
	struct vt_changes *changes = registry->changes;
	struct vt_calling calling;
	bool unread = true;

	vt_notifier_calling(registry, &calling);
	/* In one, it is the host's thread, and comes to the next when it wakes. */
	if (!calling.expected || calling.away || !calling.tid)
		return false;
	if (vt_trylock(&registry->events_lock)) {
		unread = changes &&
			 changes->readers[VT_READER_NOTIFIER].position < changes->number;
		vt_unlock(&registry->events_lock);
	}
	return unread || will_change(registry);
}

static bool will_quit(vitals_registry *registry)
{
	const struct vt_monitor_work *work =
		atomic_load_explicit(&registry->monitor->work, memory_order_acquire);
	struct pollfd fd;

	/* Acquire, all: pairs with whoever asks, and sees it through. */
	if (registry->tree &&
	    atomic_load_explicit(&registry->tree->asked_ns, memory_order_acquire))
		return true;
	return work && work->fds(registry, &fd, 1);
}

/*
 * Those told are called, kicked and counted until they leave; those not told yet, who wait in ours or
 * have said how to wake them, are woken by a quit.
 */
static bool will_tell(vitals_registry *registry, bool signals) VT_REQUIRES(registry->lock)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_MEMBER);

	for (i = 0; i < n; i++) {
		const vitals_thread *member = vt_member_at(registry, i);
		const struct vt_member_slot *slot = vt_slot(registry, VT_KIND_MEMBER, i);

		if (!(vt_slot_get(&slot->gen) & 1u) || !member->quitter)
			continue;
		if (vt_member_told(member) ||
		    (signals &&
		     atomic_load_explicit(&member->armed, memory_order_relaxed)))
			return true;
	}
	return false;
}

struct promise {
	bool signals;
	bool all;
};

static bool nothing_promised(vitals_registry *registry, void *user)
	VT_REQUIRES(registry->lock)
{
	const struct promise *promise = user;

	if (!watched(registry))
		return true;
	return !will_call(registry) && !will_quit(registry) &&
	       !(promise->all && will_tell(registry, promise->signals));
}

bool vt_ours_promise(bool signals, bool all)
{
	struct promise promise = { signals, all };

	return !vt_fork_each(nothing_promised, &promise);
}
