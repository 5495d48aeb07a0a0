/* SPDX-License-Identifier: MIT */

#include "witness.h"

#include <stddef.h>
#include <string.h>

/* What is written again while it is copied is tried again, but not for ever. */
#define TRIES 8
#define WORDS (sizeof(struct vitals_evidence) / sizeof(uint64_t))
#define AT_WORD (offsetof(struct vitals_evidence, at_ns) / sizeof(uint64_t))
#define DOING_WORDS (VITALS_DOING_MAX / sizeof(uint64_t))

/* Acquire, all: see layout.h. */
#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)
#define STORE(slot, field, value)                                                        \
	atomic_store_explicit(&(slot)->field, value, memory_order_release)

_Static_assert(sizeof(struct vitals_evidence) % sizeof(uint64_t) == 0, "it is words");
_Static_assert(WORDS <= VT_EVIDENCE_WORDS, "and fits its slot");
_Static_assert(DOING_WORDS == VT_DOING_WORDS, "as a sentence does");

static void words_store(_Atomic uint64_t *to, const void *from, size_t n)
{
	const unsigned char *bytes = from;
	uint64_t word;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&word, bytes + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&to[i], word, memory_order_release);
	}
}

static void words_load(const _Atomic uint64_t *from, void *to, size_t n)
{
	unsigned char *bytes = to;
	uint64_t word;
	size_t i;

	for (i = 0; i < n; i++) {
		word = atomic_load_explicit(&from[i], memory_order_acquire);
		memcpy(bytes + i * sizeof(word), &word, sizeof(word));
	}
}

void vt_witness_put(struct vt_evidence_slot *slot, uint32_t gen,
		    const struct vitals_evidence *evidence)
{
	uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);

	STORE(slot, sequence, sequence + 1);
	STORE(slot, gen, gen);
	words_store(slot->words, evidence, WORDS);
	STORE(slot, sequence, sequence + 2);
}

bool vt_witness_since(const struct vt_evidence_slot *slot, uint32_t gen,
		      uint64_t since_ns)
{
	/* Relaxed, both: written by the caller's thread alone. */
	return atomic_load_explicit(&slot->gen, memory_order_relaxed) == gen &&
	       atomic_load_explicit(&slot->words[AT_WORD], memory_order_relaxed) >=
		       since_ns;
}

/* Whoever may write to the region may write anything: text ends, numbers are in range. */
static void evidence_tame(struct vitals_evidence *evidence)
{
	evidence->size = sizeof(*evidence);
	evidence->comm[sizeof(evidence->comm) - 1] = 0;
	evidence->wchan[sizeof(evidence->wchan) - 1] = 0;
	evidence->doing[sizeof(evidence->doing) - 1] = 0;
	if (evidence->thread_class >= VITALS_CLASSES)
		evidence->thread_class = VITALS_UNKNOWN;
	if (evidence->reason >= VITALS_REASONS)
		evidence->reason = VITALS_REASON_NONE;
}

static bool slot_load(const struct vt_evidence_slot *slot, uint32_t gen,
		      struct vitals_evidence *evidence)
{
	unsigned tries;

	for (tries = 0; slot && tries < TRIES; tries++) {
		uint32_t sequence = LOAD(slot, sequence);

		if (LOAD(slot, gen) != gen)
			return false;
		words_load(slot->words, evidence, WORDS);
		if (!(sequence & 1u) && LOAD(slot, sequence) == sequence) {
			evidence_tame(evidence);
			return true;
		}
	}
	return false;
}

bool vt_witness_heartbeat(const struct vt_view *view, uint32_t index, uint32_t gen,
			  struct vitals_evidence *evidence)
{
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);

	/* Its page is touched only if there is something. */
	return cold && LOAD(cold, gen) == gen && LOAD(cold, marks) & VT_COLD_EVIDENCE &&
	       slot_load(vt_view_slot(view, VT_KIND_EVIDENCE, index), gen, evidence);
}

bool vt_witness_member(const struct vt_view *view, uint32_t index, uint32_t gen,
		       struct vitals_evidence *evidence)
{
	const struct vt_member_slot *member = vt_view_slot(view, VT_KIND_MEMBER, index);

	return member && LOAD(member, evidence) == gen &&
	       slot_load(vt_view_slot(view, VT_KIND_LATE, index), gen, evidence);
}

void vt_witness_put_finding(struct vt_finding_slot *slot, uint64_t key,
			    const struct vitals_finding_info *info)
{
	uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);

	STORE(slot, sequence, sequence + 1);
	STORE(slot, kind, info->kind);
	STORE(slot, number, info->number);
	STORE(slot, at_ns, info->at_ns);
	STORE(slot, key, key);
	STORE(slot, threads, info->threads);
	STORE(slot, over, info->over);
	words_store(slot->doing, info->doing, DOING_WORDS);
	STORE(slot, sequence, sequence + 2);
}

bool vt_witness_finding(const struct vt_view *view, uint32_t finding,
			struct vitals_finding_info *info)
{
	const struct vt_finding_slot *slot = vt_view_slot(view, VT_KIND_FINDING, finding);
	unsigned tries;

	for (tries = 0; slot && tries < TRIES; tries++) {
		uint32_t sequence = LOAD(slot, sequence);

		memset(info, 0, sizeof(*info));
		info->size = sizeof(*info);
		info->kind = LOAD(slot, kind);
		info->number = LOAD(slot, number);
		info->at_ns = LOAD(slot, at_ns);
		info->threads = LOAD(slot, threads);
		info->over = LOAD(slot, over) != 0;
		words_load(slot->doing, info->doing, DOING_WORDS);
		info->doing[sizeof(info->doing) - 1] = 0;
		if (!(sequence & 1u) && LOAD(slot, sequence) == sequence)
			return info->kind == VITALS_EVENT_DEADLOCK ||
			       info->kind == VITALS_EVENT_ASLEEP;
	}
	return false;
}
