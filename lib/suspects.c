/* SPDX-License-Identifier: MIT */

#include "suspects.h"

#include "clock.h"
#include "namer.h"
#include "sandbox.h"
#include "witness.h"

#include <string.h>

/* Places that a suspect may have; the one not looked at for the longest makes room. */
#define WAYS 4u

/*
 * Looks that are not needed yet take one part in so many of the time, and no more than so much at
 * once: who is slow all the time costs no more than that.
 */
#define SPARE_PART 100u
#define SPARE_MAX_NS VITALS_MS(5)

void vt_suspects_begin(vitals_registry *registry, struct vt_suspects *suspects)
{
	/* A forked child starts afresh. */
	vt_suspects_end(registry, suspects, true);
	vt_proc_begin(&registry->proc, 0);
	vt_proc_keep(&registry->proc);
	suspects->credit_ns = SPARE_MAX_NS;
	suspects->credited_ns = vt_clock_now();
	suspects->begun = true;
}

void vt_suspects_end(vitals_registry *registry, struct vt_suspects *suspects, bool closes)
{
	if (!suspects->begun)
		return;
	if (closes)
		vt_proc_end(&registry->proc);
	if (suspects->pool)
		vt_pages_free(suspects->pool, VT_SUSPECTS * sizeof(*suspects->pool));
	suspects->pool = NULL;
	suspects->begun = false;
}

void vt_suspects_turn(struct vt_suspects *suspects, uint64_t until_ns)
{
	suspects->until_ns = until_ns;
	suspects->asked = false;
}

/* Asked once a turn, before the first look in it. Return: whether there are any. */
static bool may_look(vitals_registry *registry, struct vt_suspects *suspects)
{
	if (!suspects->asked)
		suspects->off = vt_sandbox_why(registry);
	suspects->asked = true;
	if (!suspects->off && !suspects->begun)
		vt_suspects_begin(registry, suspects);
	return !suspects->off;
}

/* The processors' time, whatever time the registry is stepped to: threads run in that. */
static uint64_t spend_begin(struct vt_suspects *suspects)
{
	uint64_t now_ns = vt_clock_now();

	suspects->credit_ns += (now_ns - suspects->credited_ns) / SPARE_PART;
	if (suspects->credit_ns > SPARE_MAX_NS)
		suspects->credit_ns = SPARE_MAX_NS;
	suspects->credited_ns = now_ns;
	return now_ns;
}

/* What took very long was not the looking: the process did not run. */
static uint64_t spend_end(struct vt_suspects *suspects, uint64_t began_ns)
{
	uint64_t took_ns = vt_clock_now() - began_ns;

	suspects->spent_ns += took_ns < VT_SUSPECT_NS ? took_ns : VT_SUSPECT_NS;
	return took_ns;
}

static bool same(const struct vt_suspect *suspect, const struct vt_suspect_key *key)
{
	return suspect->key.kind == key->kind && suspect->key.index == key->index &&
	       suspect->key.gen == key->gen;
}

/* Return: NULL: it is none. */
static struct vt_suspect *suspect_known(struct vt_suspects *suspects,
					const struct vt_suspect_key *key)
{
	struct vt_suspect *at;
	uint32_t i;

	if (!suspects->pool)
		return NULL;
	at = &suspects->pool[key->index * WAYS % VT_SUSPECTS];
	for (i = 0; i < WAYS; i++)
		if (same(&at[i], key))
			return &at[i];
	return NULL;
}

/* Return: NULL without memory. */
static struct vt_suspect *suspect_of(struct vt_suspects *suspects,
				     const struct vt_suspect_key *key)
{
	struct vt_suspect *suspect = suspect_known(suspects, key), *at;
	uint32_t i;

	if (!suspects->pool)
		suspects->pool = vt_pages_new(VT_SUSPECTS * sizeof(*suspects->pool));
	if (!suspects->pool)
		return NULL;
	if (!suspect) {
		at = &suspects->pool[key->index * WAYS % VT_SUSPECTS];
		for (i = 1, suspect = at; i < WAYS; i++)
			if (at[i].used_ns < suspect->used_ns)
				suspect = &at[i];
		suspect->key.gen = 0;
	}
	if (!same(suspect, key) || suspect->key.since != key->since ||
	    suspect->key.tid != key->tid) {
		suspect->finding = same(suspect, key) ? suspect->finding : 0;
		suspect->key = *key;
		vt_window_begin(&suspect->window);
	}
	return suspect;
}

void vt_suspects_look(vitals_registry *registry, struct vt_suspects *suspects,
		      const struct vt_suspect_key *key)
{
	struct vt_suspect *suspect;
	uint64_t began_ns = spend_begin(suspects), took_ns;

	if (!suspects->credit_ns ||
	    (suspects->until_ns && began_ns > suspects->until_ns) ||
	    !may_look(registry, suspects))
		return;
	suspect = suspect_of(suspects, key);
	if (!suspect)
		return;
	suspect->used_ns = began_ns;
	vt_window_look(&registry->proc, key->tid, began_ns, &suspect->window);
	took_ns = spend_end(suspects, began_ns);
	suspects->credit_ns -= took_ns < suspects->credit_ns ? took_ns
							     : suspects->credit_ns;
}

void vt_suspects_settle(vitals_registry *registry, struct vt_suspects *suspects)
{
	uint64_t began_ns;

	if (!vt_circles_due(&suspects->circles, vt_clock_now()) ||
	    !may_look(registry, suspects))
		return;
	began_ns = spend_begin(suspects);
	vt_findings_over(registry, vt_circles_follow(&suspects->circles, &registry->proc,
						     began_ns));
	(void)spend_end(suspects, began_ns);
}

/*
 * A circle of threads: found once, whichever of them it is seen from. One that waits behind it is no
 * part of it, and may go on without its end.
 */
static void deadlock_note(vitals_registry *registry, struct vt_suspects *suspects,
			  struct vt_suspect *suspect, const struct vt_namer *namer,
			  const struct vt_chain *chain, const struct vt_tick *tick)
{
	char doing[VITALS_DOING_MAX];
	struct vt_text text;
	uint32_t finding;

	vt_text_init(&text, doing, sizeof(doing));
	vt_chain_describe_cycle(&registry->proc, namer, chain, &text);
	finding = vt_findings_deadlock(registry, chain->key, chain->n - chain->back,
				       doing, tick);
	vt_circles_note(&suspects->circles, finding, chain, suspect->used_ns);
	suspect->finding = chain->back ? 0 : finding;
}

/* Without a look at it. */
static void take_none(const struct vt_suspects *suspects,
		      const struct vt_suspect_key *key, bool dead,
		      struct vitals_evidence *evidence)
{
	struct vt_text text;

	vt_evidence_none(key->tid, vt_clock_now(), (enum vitals_reason)suspects->off,
			 evidence);
	if (!dead)
		return;
	evidence->thread_class = VITALS_GONE;
	evidence->reason = VITALS_REASON_NONE;
	vt_text_init(&text, evidence->doing, sizeof(evidence->doing));
	vt_text_add(&text, "has ended without closing its heartbeat");
}

/* Not in this turn. What the slot has of an earlier stall, or of another, is not about this one. */
static enum vt_taken take_later(const struct vt_suspect_key *key,
				struct vt_evidence_slot *slot)
{
	struct vitals_evidence evidence = { .size = sizeof(evidence) };

	if (!vt_witness_since(slot, key->gen, key->since)) {
		vt_evidence_none(key->tid, vt_clock_now(), VITALS_REASON_NO_TIME,
				 &evidence);
		vt_witness_put(slot, key->gen, &evidence);
	}
	return VT_TAKEN_NOT;
}

enum vt_taken vt_suspects_take(vitals_registry *registry, struct vt_suspects *suspects,
			       const struct vt_suspect_key *key, bool dead,
			       struct vt_evidence_slot *slot, const struct vt_tick *tick)
{
	struct vitals_evidence evidence = { .size = sizeof(evidence) };
	struct vt_namer namer = vt_namer_of(&registry->view);
	struct vt_suspect *suspect;
	struct vt_chain chain;
	uint64_t began_ns;

	if (dead || !may_look(registry, suspects)) {
		take_none(suspects, key, dead, &evidence);
		vt_witness_put(slot, key->gen, &evidence);
		return VT_TAKEN;
	}
	began_ns = spend_begin(suspects);
	suspect = suspect_of(suspects, key);
	if (!suspect || (suspects->until_ns && began_ns > suspects->until_ns))
		return take_later(key, slot);
	suspect->used_ns = began_ns;
	suspect->finding = 0;
	chain.deadlock = false;
	vt_evidence_take(&registry->proc, &namer, key->tid, began_ns, &suspect->window,
			 &evidence, &chain);
	if (chain.deadlock)
		deadlock_note(registry, suspects, suspect, &namer, &chain, tick);
	vt_witness_put(slot, key->gen, &evidence);
	(void)spend_end(suspects, began_ns);
	return evidence.thread_class != VITALS_RUNNING ? VT_TAKEN : VT_TAKEN_UNSURE;
}

void vt_suspects_clear(vitals_registry *registry, struct vt_suspects *suspects,
		       const struct vt_suspect_key *key)
{
	struct vt_suspect *suspect = suspect_known(suspects, key);

	if (!suspect)
		return;
	vt_findings_over(registry, suspect->finding);
	suspect->key.gen = 0;
	suspect->used_ns = 0;
}
