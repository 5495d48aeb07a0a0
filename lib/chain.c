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

/* How often each of the cycle was let run so far. Return: false where one's cannot be had. */
static bool runs_of(struct vt_proc *proc, const struct vt_chain *chain, uint64_t now_ns,
		    uint64_t *runs)
{
	struct vt_sample sample;
	uint32_t i;

	for (i = chain->back; i < chain->n; i++) {
		uint32_t tid = chain->hops[i].tid;

		vt_sample_take(proc, tid, VT_SAMPLE_DELAY, now_ns, &sample);
		runs[i] = sample.runs;
		if (sample.has & VT_SAMPLE_DELAY)
			continue;
		vt_sample_take(proc, tid, VT_SAMPLE_SWITCHES, now_ns, &sample);
		runs[i] = sample.voluntary + sample.involuntary;
		if (!(sample.has & VT_SAMPLE_SWITCHES))
			return false;
	}
	return true;
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
 * The edges were read one after the other: with every lock in motion, four true ones can be a cycle
 * that never was. Who was not let run between two looks slept through all that was read between them.
 */
static bool cycle_stands(struct vt_proc *proc, const struct vt_chain *chain,
			 uint64_t now_ns)
{
	uint64_t before[VT_HOPS], after[VT_HOPS];
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		bool counted = runs_of(proc, chain, now_ns, before);

		if (!edges_stand(proc, chain, now_ns))
			return false;
		if (counted != runs_of(proc, chain, now_ns, after))
			continue;
		if (!counted || memcmp(before + chain->back, after + chain->back,
				       (chain->n - chain->back) * sizeof(*before)) == 0)
			return true;
	}
	return false;
}

/* The last waits for one that is in the chain. */
static void chain_close(struct vt_proc *proc, struct vt_chain *chain, uint64_t now_ns)
{
	uint32_t i;

	if (!cycle_stands(proc, chain, now_ns)) {
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
	uint32_t holder, i;

	memset(chain, 0, sizeof(*chain));
	chain->last = *first;
	for (;;) {
		struct vt_hop *hop = &chain->hops[chain->n++];

		hop->tid = chain->last.tid;
		(void)vt_lock_of(proc, &chain->last, &hop->wait);
		holder = hop->wait.holder_tid;
		if (!holder)
			return;
		for (i = 0; i < chain->n && chain->hops[i].tid != holder; i++)
			continue;
		chain->back = i;
		if (i < chain->n) {
			chain_close(proc, chain, now_ns);
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
