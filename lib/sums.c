/* SPDX-License-Identifier: MIT */

#include "sums.h"

#include "heartbeat.h"
#include "histogram.h"

#include <string.h>

/* Closers hold up a sum for a moment; one that is stuck in the middle does until the next round. */
#define TRIES 2

static struct vt_group_slot *group_at(const vitals_registry *registry, uint32_t group)
{
	return vt_slot(registry, VT_KIND_GROUP, group);
}

static void sum_empty(struct vt_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
}

void vt_sums_begin(struct vt_sums *sums)
{
	uint32_t i;

	for (i = 0; sums->n_many && i < VT_GROUPS; i++) {
		if (sums->many[i] && !sums->kept[i])
			sum_empty(&sums->sums[i]);
		sums->done[i] = false;
	}
}

/* A member's counts, as they stand. */
static void member_load(const struct vt_hot *hot, struct vt_intervals *intervals,
			struct vt_sum *member)
{
	unsigned i, n = vt_heartbeat_buckets(hot);

	sum_empty(member);
	/* Relaxed: counts are facts of their own. */
	for (i = 0; i < n; i++)
		member->counts[n == VT_FINE ? vt_histogram_coarse_of(i) : i] +=
			atomic_load_explicit(&vt_counts(intervals)[i],
					     memory_order_relaxed);
	member->sum_ns = vt_intervals_sum(intervals, &hot->pulse);
	member->missed = atomic_load_explicit(&intervals->missed, memory_order_relaxed);
}

static void sum_add(struct vt_sum *sum, const struct vt_sum *member)
{
	unsigned i;

	for (i = 0; i < VT_COARSE; i++)
		sum->counts[i] += member->counts[i];
	sum->sum_ns += member->sum_ns;
	sum->missed += member->missed;
}

/* By the look before: who is idle or in a scope without a bound may be as old as he likes. */
static void member_age(const struct vt_hot *hot, const struct vt_cold *cold,
		       struct vt_sum *sum)
{
	/* Relaxed, all of the cold part: the monitor's own. */
	uint32_t gen = atomic_load_explicit(&cold->gen, memory_order_relaxed);
	uint32_t state = atomic_load_explicit(&cold->state, memory_order_relaxed);
	uint64_t seen_ns = atomic_load_explicit(&cold->seen, memory_order_relaxed);

	/* Acquire: it may be another's by now, of whom nothing is known yet. */
	if (gen != atomic_load_explicit(&hot->gen, memory_order_acquire) || !seen_ns ||
	    state == VITALS_IDLE || state == VITALS_UNBOUNDED)
		return;
	if (!sum->oldest_ns || seen_ns < sum->oldest_ns)
		sum->oldest_ns = seen_ns;
}

/* Says that a member is in the sum of @round. Return: false if it has closed: then it is not. */
static bool member_mark(struct vt_hot *hot, uint32_t round)
{
	uint32_t flags = atomic_load_explicit(&hot->flags, memory_order_relaxed);

	do {
		if (flags & VT_HB_CLOSED)
			return false;
		/* Acquire and release: whoever closes it after that knows that it was counted. */
	} while (!atomic_compare_exchange_weak_explicit(
		&hot->flags, &flags, (flags & ~VT_HB_SUMMED) | VT_HB_SUMMED_IN(round),
		memory_order_acq_rel, memory_order_relaxed));
	return true;
}

void vt_sums_visit(vitals_registry *registry, struct vt_sums *sums, uint32_t index)
{
	struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, index);
	uint32_t flags = atomic_load_explicit(&hot->flags, memory_order_acquire);
	uint32_t group = VT_HB_GROUP(flags);
	struct vt_sum member, *sum = &sums->sums[group];
	vitals_heartbeat *heartbeat;

	if (!sums->many[group] || sums->kept[group] || sums->done[group] ||
	    flags & VT_HB_CLOSED ||
	    !(atomic_load_explicit(&hot->gen, memory_order_acquire) & 1u))
		return;
	member_age(hot, vt_slot(registry, VT_KIND_COLD, index), sum);
	heartbeat = vt_heartbeat_at(registry, index);
	if (!heartbeat->intervals)
		return;
	member_load(hot, heartbeat->intervals, &member);
	/* Relaxed: only turns change it. */
	if (member_mark(hot, atomic_load_explicit(&group_at(registry, group)->round,
						  memory_order_relaxed)))
		sum_add(sum, &member);
}

/* What counts from this round on goes to what counts in any case. */
static void gone_settle(struct vt_group_slot *slot, struct vt_gone *gone)
{
	unsigned i;

	for (i = 0; i < VT_COARSE; i++)
		vt_tally_add(&slot->closed.intervals, i,
			     atomic_exchange_explicit(&gone->intervals.counts[i], 0,
						      memory_order_acq_rel),
			     0);
	vt_tally_add(&slot->closed.intervals, 0, 0,
		     atomic_exchange_explicit(&gone->intervals.sum_ns, 0,
					      memory_order_acq_rel));
	atomic_fetch_add_explicit(&slot->closed.missed,
				  atomic_exchange_explicit(&gone->missed, 0,
							   memory_order_acq_rel),
				  memory_order_release);
}

/* Release, all: see layout.h; partner of the group row's copy. */
static void sum_publish(struct vt_group_slot *slot, const struct vt_sum *sum)
{
	uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
	unsigned i;

	atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
	for (i = 0; i < VT_COARSE; i++)
		atomic_store_explicit(
			&slot->summed.intervals.counts[i],
			sum->counts[i] +
				atomic_load_explicit(&slot->closed.intervals.counts[i],
						     memory_order_relaxed),
			memory_order_release);
	atomic_store_explicit(&slot->summed.intervals.sum_ns,
			      sum->sum_ns +
				      atomic_load_explicit(&slot->closed.intervals.sum_ns,
							   memory_order_relaxed),
			      memory_order_release);
	atomic_store_explicit(&slot->summed.missed,
			      sum->missed + atomic_load_explicit(&slot->closed.missed,
								 memory_order_relaxed),
			      memory_order_release);
	atomic_store_explicit(&slot->oldest_ns, sum->oldest_ns, memory_order_release);
	atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

/*
 * Return: false if somebody was just closing: he may have to be in it, by the round as he saw it.
 * Sequentially consistent with vt_group_fold_begin(): either he sees the next round, or this sees him.
 */
static bool group_end(struct vt_group_slot *slot, const struct vt_sum *sum)
{
	uint32_t round = atomic_load_explicit(&slot->round, memory_order_relaxed);
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		uint32_t folds = atomic_load_explicit(&slot->folds, memory_order_seq_cst);

		if (folds & 1u)
			continue;
		gone_settle(slot, &slot->gone[round & 1u]);
		if (atomic_load_explicit(&slot->folds, memory_order_seq_cst) != folds)
			continue;
		sum_publish(slot, sum);
		atomic_store_explicit(&slot->round, round + 1, memory_order_seq_cst);
		return true;
	}
	return false;
}

void vt_sums_end(vitals_registry *registry, struct vt_sums *sums)
{
	uint32_t i;

	for (i = 0; sums->n_many && i < VT_GROUPS; i++)
		if (sums->many[i] && !sums->done[i])
			sums->kept[i] = !group_end(group_at(registry, i), &sums->sums[i]);
}

bool vt_sums_consider(vitals_registry *registry, struct vt_sums *sums, uint32_t group)
{
	struct vt_group_slot *slot = group_at(registry, group);
	uint32_t i, members = 0;

	for (i = 0; i < VT_STATES; i++)
		members += atomic_load_explicit(&slot->states[i], memory_order_relaxed);
	if (sums->many[group] || members <= VT_SUMS_MANY)
		return false;
	sums->many[group] = true;
	sums->n_many++;
	sum_empty(&sums->sums[group]);
	/* Readers who add up themselves find out, and do so again: this sum is the first to count. */
	atomic_store_explicit(&slot->round, 1, memory_order_seq_cst);
	for (i = 0; i < vt_view_used(&registry->view, VT_KIND_HOT); i++) {
		const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, i);

		if (VT_HB_GROUP(atomic_load_explicit(&hot->flags,
						     memory_order_relaxed)) == group)
			vt_sums_visit(registry, sums, i);
	}
	sums->done[group] = group_end(slot, &sums->sums[group]);
	sums->kept[group] = !sums->done[group];
	return true;
}
