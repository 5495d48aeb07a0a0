/* SPDX-License-Identifier: MIT */

#include "stuck.h"

#include "text.h"
#include "witness.h"

#include <string.h>

/* Acquire, all: see layout.h; partner of the monitor's stores. */
#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

void vt_stuck_sum(const vitals_registry *registry, struct vt_stuck *stuck)
{
	const struct vt_summary *summary = &registry->root->summary;
	uint64_t sequence;
	uint32_t i;

	/* A few tries: a step beside this one may just be at it, and it is asked again soon. */
	for (i = 0; i < 8; i++) {
		uint32_t state;

		sequence = LOAD(summary, sequence);
		stuck->critical = 0;
		for (state = 0; state < VT_STATES; state++)
			stuck->critical += LOAD(summary, critical[state]);
		stuck->bad = LOAD(summary, critical[VITALS_STUCK]) +
			     LOAD(summary, critical[VITALS_DEAD]);
		if (!(sequence & 1u) && LOAD(summary, sequence) == sequence)
			return;
	}
	stuck->bad = 0;
}

/* Is it the machine that keeps its thread? */
static bool starved(vitals_registry *registry, uint32_t index, uint32_t gen)
{
	struct vitals_evidence evidence;

	return vt_witness_heartbeat(&registry->view, index, gen, &evidence) &&
	       evidence.thread_class == VITALS_STARVED;
}

static uint64_t silence_of(const vitals_registry *registry, uint32_t index,
			   const struct vt_cold *cold, uint64_t now_ns)
{
	uint64_t since_ns = LOAD(cold, changed_ns), silence_ns = 0;

	if (LOAD(cold, marks) & VT_COLD_RARE) {
		const struct vt_rare *rare = vt_slot(registry, VT_KIND_RARE, index);

		silence_ns = LOAD(rare, silence_ns);
	}
	return silence_ns + (now_ns > since_ns ? now_ns - since_ns : 0);
}

/* One that is bad: is it silent longer than those before? */
static void stuck_note(const vitals_registry *registry, uint32_t index, uint64_t now_ns,
		       struct vt_stuck *stuck)
{
	const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	uint64_t thread_id, silence_ns = silence_of(registry, index, cold, now_ns);
	uint32_t tid;

	vt_owner_load(&registry->view, cold, &tid, &thread_id);
	if (LOAD(cold, state) == VITALS_DEAD)
		tid = 0;
	/* With a thread before without one. */
	if (!tid && stuck->tid)
		return;
	if (!!tid == !!stuck->tid && stuck->name[0] && silence_ns <= stuck->silence_ns)
		return;
	stuck->tid = tid;
	stuck->silence_ns = silence_ns;
	vt_shown_load(stuck->name, hot->name, LOAD(cold, number));
}

void vt_stuck_find(vitals_registry *registry, uint64_t now_ns, bool starved_too,
		   struct vt_stuck *stuck)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);

	memset(stuck, 0, sizeof(*stuck));
	vt_stuck_sum(registry, stuck);
	for (i = 0; i < n && stuck->bad; i++) {
		const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, i);
		const struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, i);
		uint32_t gen = LOAD(cold, gen), state = LOAD(cold, state);
		uint32_t marks = LOAD(cold, marks);

		if ((state != VITALS_STUCK && state != VITALS_DEAD) ||
		    !(marks & VT_COLD_COUNTED) || (marks & VT_COLD_INFORMATIVE) ||
		    LOAD(hot, gen) != gen)
			continue;
		if (!starved_too && state == VITALS_STUCK && starved(registry, i, gen))
			continue;
		stuck->counted++;
		stuck_note(registry, i, now_ns, stuck);
	}
}
