/* SPDX-License-Identifier: MIT */

#include "chain.h"

#include <string.h>

#define TRIES 3

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdu;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

/* A sum, so that it does not matter which is the first. */
static uint64_t key_of(const struct vt_chain *chain)
{
	uint64_t key = 0;
	uint32_t i;

	for (i = chain->back; i < chain->n; i++)
		key += mix(mix(chain->hops[i].tid) + chain->hops[i].wait.lock);
	return key ? key : 1;
}

static bool same_wait(const struct vt_wait *a, const struct vt_wait *b)
{
	return a->lock == b->lock && a->kind == b->kind &&
	       a->holder_tid == b->holder_tid && a->timed == b->timed;
}

/* How often each of a chain was let run so far. */
struct marks {
	uint64_t runs[VT_HOPS];
	bool missing; /* somebody's */
};

static void mark(struct vt_proc *proc, uint32_t tid, uint64_t now_ns, uint32_t at,
		 struct marks *marks)
{
	struct vt_sample sample;

	vt_sample_take(proc, tid, VT_SAMPLE_DELAY, now_ns, &sample);
	marks->runs[at] = sample.runs;
	if (sample.has & VT_SAMPLE_DELAY)
		return;
	vt_sample_take(proc, tid, VT_SAMPLE_SWITCHES, now_ns, &sample);
	marks->runs[at] = sample.voluntary + sample.involuntary;
	marks->missing |= !(sample.has & VT_SAMPLE_SWITCHES);
}

/* All of the cycle. Return: whether they are as they were @before. */
static bool cycle_mark(struct vt_proc *proc, const struct vt_chain *chain,
		       uint64_t now_ns, const struct marks *before, struct marks *marks)
{
	bool same = true;
	uint32_t i;

	marks->missing = false;
	for (i = chain->back; i < chain->n; i++) {
		mark(proc, chain->hops[i].tid, now_ns, i, marks);
		same &= !before || before->missing || before->runs[i] == marks->runs[i];
	}
	return same;
}

static bool edges_stand(struct vt_proc *proc, const struct vt_chain *chain,
			uint64_t now_ns)
{
	struct vt_sample sample;
	struct vt_wait wait;
	uint32_t i;

	for (i = chain->back; i < chain->n; i++) {
		vt_sample_take(proc, chain->hops[i].tid, VT_SAMPLE_CALL, now_ns, &sample);
		if (!vt_lock_of(proc, &sample, &wait) ||
		    !same_wait(&wait, &chain->hops[i].wait))
			return false;
	}
	return true;
}

/*
 * The edges were read one after the other: with every lock in motion, true ones can be a cycle that
 * never was. So each is read twice, and what its thread was let run counted before, between and after.
 * Where no count has changed, each has slept from its first reading to the end; the second readings
 * lie all within that time, in which nobody moved.
 */
static bool cycle_stands(struct vt_proc *proc, const struct vt_chain *chain,
			 uint64_t now_ns, struct marks *before)
{
	struct marks between, after;
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (tries) {
			(void)cycle_mark(proc, chain, now_ns, NULL, before);
			if (!edges_stand(proc, chain, now_ns))
				return false;
		}
		if (!cycle_mark(proc, chain, now_ns, before, &between))
			continue;
		if (!edges_stand(proc, chain, now_ns))
			return false;
		if (cycle_mark(proc, chain, now_ns, &between, &after))
			return true;
	}
	return false;
}

/* The last waits for one that is in the chain. */
static void chain_close(struct vt_proc *proc, struct vt_chain *chain, uint64_t now_ns,
			struct marks *marks)
{
	uint32_t i;

	if (!cycle_stands(proc, chain, now_ns, marks)) {
		chain->back = 0;
		return;
	}
	chain->deadlock = true;
	chain->key = key_of(chain);
	for (i = chain->back; i < chain->n; i++)
		chain->timed |= chain->hops[i].wait.timed;
}

void vt_chain_follow(struct vt_proc *proc, const struct vt_sample *first, uint64_t now_ns,
		     struct vt_chain *chain)
{
	struct marks marks = { .missing = false };
	uint32_t holder, i;

	memset(chain, 0, sizeof(*chain));
	chain->last = *first;
	for (;;) {
		struct vt_hop *hop = &chain->hops[chain->n++];

		hop->tid = chain->last.tid;
		mark(proc, hop->tid, now_ns, chain->n - 1, &marks);
		(void)vt_lock_of(proc, &chain->last, &hop->wait);
		holder = hop->wait.holder_tid;
		if (!holder)
			return;
		for (i = 0; i < chain->n && chain->hops[i].tid != holder; i++)
			continue;
		chain->back = i;
		if (i < chain->n) {
			chain_close(proc, chain, now_ns, &marks);
			return;
		}
		chain->back = 0;
		chain->longer = chain->n == VT_HOPS;
		if (chain->longer)
			return;
		vt_sample_take(proc, holder, VT_SAMPLE_STATE | VT_SAMPLE_CALL, now_ns,
			       &chain->last);
	}
}
