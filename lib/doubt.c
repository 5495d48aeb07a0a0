/* SPDX-License-Identifier: MIT */

#include "doubt.h"

#include "log.h"

/* Relaxed, and release: the monitor's memory, as in look.c. */
static uint8_t marks_of(const struct vt_doubt *doubt)
{
	return atomic_load_explicit(&doubt->cold->marks, memory_order_relaxed);
}

static void mark(const struct vt_doubt *doubt, uint8_t on, uint8_t off)
{
	uint8_t marks = marks_of(doubt);

	if ((marks | on) != marks || (marks & off))
		atomic_store_explicit(&doubt->cold->marks, (uint8_t)((marks | on) & ~off),
				      memory_order_release);
}

static struct vt_suspect_key key_of(const vitals_registry *registry,
				    const struct vt_doubt *doubt)
{
	struct vt_suspect_key key = { .kind = VT_KIND_HOT,
				      .index = doubt->index,
				      .gen = doubt->gen,
				      .since = doubt->since };
	uint64_t unused;

	vt_owner_load(&registry->view, doubt->cold, &key.tid, &unused);
	return key;
}

/* What its thread does, for what is told now, or could not be told before. */
static void evidence_take(vitals_registry *registry, struct vt_suspects *suspects,
			  const struct vt_doubt *doubt, const struct vt_tick *tick)
{
	uint8_t known = marks_of(doubt) & (VT_COLD_EVIDENCE | VT_COLD_UNSURE);
	struct vt_suspect_key key;
	enum vt_taken taken;

	if (doubt->verdict->state == doubt->was && known == VT_COLD_EVIDENCE)
		return;
	key = key_of(registry, doubt);
	if (!key.tid)
		return;
	taken = vt_suspects_take(registry, suspects, &key,
				 doubt->verdict->state == VITALS_DEAD,
				 vt_slot(registry, VT_KIND_EVIDENCE, doubt->index), tick);
	if (taken == VT_TAKEN)
		mark(doubt, VT_COLD_EVIDENCE, VT_COLD_UNSURE);
	else
		mark(doubt, VT_COLD_EVIDENCE | VT_COLD_UNSURE, 0);
	/* Before it is noted: who reads that would not know yet. */
	if (taken == VT_TAKEN_NOT)
		vt_log_owed_at(registry, tick->at_ns);
}

/* It beats: what was found out is over. */
static void forget(vitals_registry *registry, struct vt_suspects *suspects,
		   const struct vt_doubt *doubt)
{
	struct vt_suspect_key key;

	if (!(marks_of(doubt) & (VT_COLD_EVIDENCE | VT_COLD_UNSURE)))
		return;
	key = key_of(registry, doubt);
	vt_suspects_clear(registry, suspects, &key);
	mark(doubt, 0, VT_COLD_EVIDENCE | VT_COLD_UNSURE);
}

uint64_t vt_doubt_settle(vitals_registry *registry, struct vt_suspects *suspects,
			 const struct vt_doubt *doubt, const struct vt_tick *tick)
{
	uint64_t silence_ns = doubt->verdict->silence_ns;
	uint64_t stays_ns = doubt->verdict->stays_ns;
	uint32_t state = doubt->verdict->state;
	struct vt_suspect_key key;

	if (state == VITALS_SILENT || state == VITALS_STUCK || state == VITALS_DEAD) {
		evidence_take(registry, suspects, doubt, tick);
		return UINT64_MAX;
	}
	forget(registry, suspects, doubt);
	if ((state != VITALS_HEALTHY && state != VITALS_STARTING) ||
	    stays_ns == UINT64_MAX)
		return UINT64_MAX;
	if (silence_ns < stays_ns)
		return (stays_ns - silence_ns) / 2 + 1;
	key = key_of(registry, doubt);
	if (key.tid)
		vt_suspects_look(registry, suspects, &key);
	return (silence_ns + stays_ns) / VT_TICKS + 1;
}
