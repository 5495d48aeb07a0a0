/* SPDX-License-Identifier: MIT */

#include "findings.h"

#include "changes.h"
#include "text.h"
#include "witness.h"

#include <string.h>

static struct vt_finding_slot *slot_at(const vitals_registry *registry, uint32_t finding)
{
	return vt_slot(registry, VT_KIND_FINDING, finding);
}

/* Relaxed, here and below: written by the caller's thread alone. */
static uint64_t number_of(const struct vt_finding_slot *slot)
{
	return atomic_load_explicit(&slot->number, memory_order_relaxed);
}

static bool over(const struct vt_finding_slot *slot)
{
	return atomic_load_explicit(&slot->over, memory_order_relaxed);
}

static bool used(const struct vt_finding_slot *slot)
{
	return atomic_load_explicit(&slot->kind, memory_order_relaxed);
}

/* In its slot first, so that whoever reads the event finds it there. */
static void tell(vitals_registry *registry, uint32_t finding, uint64_t key,
		 struct vitals_finding_info *info, const struct vt_tick *tick)
{
	struct vt_finding_slot *slot = slot_at(registry, finding);
	uint64_t number;

	vt_witness_put_finding(slot, key, info);
	number = vt_changes_note_finding(registry, finding, tick);
	/* Release: a word of its own, see layout.h. */
	atomic_store_explicit(&slot->number, number, memory_order_release);
}

/* The one with the key that is not over; else a place for it: a free one, or the oldest. */
static uint32_t place_of(const vitals_registry *registry, uint64_t key, bool *ret_known)
{
	uint32_t i, best = 1;

	*ret_known = false;
	for (i = 1; i < VT_FINDINGS; i++) {
		const struct vt_finding_slot *slot = slot_at(registry, i);
		const struct vt_finding_slot *other = slot_at(registry, best);

		if (!used(slot)) {
			if (used(other))
				best = i;
			continue;
		}
		if (atomic_load_explicit(&slot->key, memory_order_relaxed) == key &&
		    !over(slot)) {
			*ret_known = true;
			return i;
		}
		if (used(other) && number_of(slot) < number_of(other))
			best = i;
	}
	return best;
}

uint32_t vt_findings_deadlock(vitals_registry *registry, uint64_t key, uint32_t threads,
			      const char *doing, const struct vt_tick *tick)
{
	struct vitals_finding_info info = { .kind = VITALS_EVENT_DEADLOCK,
					    .at_ns = tick->at_ns,
					    .threads = threads };
	struct vt_text text;
	uint32_t place;
	bool known;

	place = place_of(registry, key, &known);
	/* Told already, but for an event that there was no room for. */
	if (known && number_of(slot_at(registry, place)))
		return place + 1;
	vt_text_init(&text, info.doing, sizeof(info.doing));
	vt_text_add(&text, doing);
	if (!known)
		atomic_fetch_add_explicit(&registry->root->deadlocks, 1,
					  memory_order_relaxed);
	tell(registry, place, key, &info, tick);
	return place + 1;
}

void vt_findings_over(vitals_registry *registry, uint32_t finding)
{
	if (finding && finding < VT_FINDINGS + 1)
		atomic_store_explicit(&slot_at(registry, finding - 1)->over, 1,
				      memory_order_release);
}

void vt_findings_asleep(vitals_registry *registry, uint32_t threads, const char *doing,
			const struct vt_tick *tick)
{
	struct vitals_finding_info info = { .kind = VITALS_EVENT_ASLEEP,
					    .at_ns = tick->at_ns,
					    .threads = threads };
	struct vt_text text;

	vt_text_init(&text, info.doing, sizeof(info.doing));
	vt_text_add(&text, doing);
	tell(registry, VT_FINDING_ASLEEP, 0, &info, tick);
}

void vt_findings_awake(vitals_registry *registry)
{
	vt_findings_over(registry, VT_FINDING_ASLEEP + 1);
}
