/* SPDX-License-Identifier: MIT */

#include "look.h"

#include "changes.h"
#include "doubt.h"
#include "frames.h"
#include "inbox.h"

#include <string.h>

/* Nobody is called bad for longer after a new sign of life. */
#define LOOK_MAX_NS VITALS_S(1)
#define MANY 4096u

/* Relaxed, here and below: the monitor's memory has one writer, itself. */
#define KNOWN(slot, field) atomic_load_explicit(&(slot)->field, memory_order_relaxed)
/* Release, all: see layout.h; partner of vt_sign_load() and the row's copy. */
#define REMEMBER(slot, field, value)                                                     \
	atomic_store_explicit(&(slot)->field, value, memory_order_release)

/* A heartbeat, as one look finds it. */
struct looked {
	vitals_registry *registry;
	uint32_t index;
	uint32_t gen;
	struct vt_hot *hot;
	struct vt_cold *cold;
	struct vt_sign sign;
	uint64_t seen; /* what the sign's seen was before this look, … */
	uint64_t seen_paused_ns;
	uint64_t shortest_ns; /* that it may be silent, in whatever scope */
	struct vt_verdict verdict;
};

/* Both parts of a slot in use: they are in spans of the same number. */
static void slots_find(const vitals_registry *registry, uint32_t index,
		       struct vt_hot **hot, struct vt_cold **cold)
{
	const struct vt_span *spans = registry->view.spans[VT_KIND_HOT];
	uint32_t n = atomic_load_explicit(&registry->view.n_spans[VT_KIND_HOT],
					  memory_order_acquire);

	while (n-- && index < spans[n].first)
		continue;
	index -= spans[n].first;
	*hot = (void *)(spans[n].base + (size_t)index * sizeof(**hot));
	*cold = (void *)(registry->view.spans[VT_KIND_COLD][n].base +
			 (size_t)index * sizeof(**cold));
}

static bool quiet(uint32_t state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static struct vt_group_slot *group_counted(const struct looked *at)
{
	return vt_slot(at->registry, VT_KIND_GROUP, KNOWN(at->cold, group));
}

/* One more, or less, in the counts that it is in by what is known of it. */
static void count(struct vt_looks *looks, const struct looked *at, uint32_t state,
		  uint32_t by)
{
	if (KNOWN(at->cold, marks) & VT_COLD_INFORMATIVE)
		looks->informative[state] += by;
	else
		looks->critical[state] += by;
	atomic_fetch_add_explicit(&group_counted(at)->states[state], by,
				  memory_order_release);
	looks->changed = true;
}

static void uncount(struct vt_looks *looks, const struct looked *at)
{
	uint8_t marks = KNOWN(at->cold, marks);

	vt_wheel_remove(at->registry, &looks->wheel, at->index);
	if (!(marks & VT_COLD_COUNTED))
		return;
	count(looks, at, KNOWN(at->cold, state), UINT32_MAX);
	if (vt_worst_bad(KNOWN(at->cold, state)))
		looks->changed |= vt_worst_remove(&looks->worst, at->index);
	looks->living--;
	REMEMBER(at->cold, marks, marks & (uint8_t)~VT_COLD_COUNTED);
}

/* The slot has another heartbeat than the one that is known. */
static void adopt(struct vt_looks *looks, const struct looked *at)
{
	struct vt_cold *cold = at->cold;
	uint32_t flags = atomic_load_explicit(&at->hot->flags, memory_order_acquire);
	uint32_t sequence = KNOWN(cold, sequence);
	uint8_t marks;

	uncount(looks, at);
	(void)vt_changes_forget(at->registry, at->index);
	marks = KNOWN(cold, marks) & VT_COLD_STALE;
	if (flags & VITALS_INFORMATIVE)
		marks |= VT_COLD_INFORMATIVE;

	REMEMBER(cold, sequence, sequence + 1);
	REMEMBER(cold, gen, at->gen);
	REMEMBER(cold, seen, 0);
	REMEMBER(cold, seen_paused_ns, 0);
	REMEMBER(cold, state, VITALS_STARTING);
	REMEMBER(cold, marks, marks | VT_COLD_COUNTED);
	REMEMBER(cold, group, (uint8_t)VT_HB_GROUP(flags));
	if (!(marks & VT_COLD_STALE))
		REMEMBER(cold, changed_ns,
			 VT_BEAT_NS(atomic_load_explicit(&at->hot->beat,
							 memory_order_relaxed)));
	REMEMBER(cold, sequence, sequence + 2);
	looks->living++;
	count(looks, at, VITALS_STARTING, 1);
}

/* It turns silent, for the first time or again: from now on it has a rare part. */
static void stall_begins(const struct looked *at, struct vt_rare *rare,
			 const struct vt_tick *tick)
{
	uint8_t marks = KNOWN(at->cold, marks);

	if (!(marks & VT_COLD_RARE)) {
		REMEMBER(rare, stalled_ns, 0);
		REMEMBER(rare, stalls, 0);
		REMEMBER(rare, silence_ns, 0);
	}
	REMEMBER(rare, since_ns, tick->at_ns);
	REMEMBER(rare, worst_ns, at->verdict.silence_ns);
	REMEMBER(rare, stalls, KNOWN(rare, stalls) + 1);
	REMEMBER(at->cold, marks, marks | VT_COLD_RARE);
	atomic_fetch_add_explicit(&group_counted(at)->stalls, 1, memory_order_relaxed);
}

/* How long the silence was that a new sign of life has ended; 0 if none has. */
static uint64_t silence_ended(const struct looked *at)
{
	uint64_t since = at->seen, beat_ns = at->verdict.beat_ns;

	if (at->verdict.paused_ns > at->seen_paused_ns)
		since += at->verdict.paused_ns - at->seen_paused_ns;
	return since && beat_ns > since ? beat_ns - since : 0;
}

static void stall_note(const struct looked *at, const struct vt_tick *tick)
{
	bool was = quiet(at->sign.state), is = quiet(at->verdict.state);
	struct vt_rare *rare;
	uint64_t silence_ns;

	/* While it lasts the beat it began with is enough to know; in a scope there may be others. */
	if (!was && !is)
		return;
	if (was && is && !at->verdict.scope && at->sign.state == at->verdict.state)
		return;
	rare = vt_slot(at->registry, VT_KIND_RARE, at->index);
	if (!was) {
		stall_begins(at, rare, tick);
		return;
	}
	silence_ns = is ? at->verdict.silence_ns : silence_ended(at);
	if (silence_ns > KNOWN(rare, worst_ns))
		REMEMBER(rare, worst_ns, silence_ns);
	/* It may have begun in a step ahead of the clock. */
	if (!is && tick->at_ns > KNOWN(rare, since_ns))
		REMEMBER(rare, stalled_ns,
			 KNOWN(rare, stalled_ns) + tick->at_ns - KNOWN(rare, since_ns));
}

/* What the monitor remembers of a heartbeat, for itself and for readers. */
static void remember(struct vt_looks *looks, const struct looked *at,
		     const struct vt_tick *tick)
{
	uint32_t sequence = KNOWN(at->cold, sequence);

	if (at->verdict.state != at->sign.state || at->verdict.beat_ns != at->seen) {
		REMEMBER(at->cold, sequence, sequence + 1);
		REMEMBER(at->cold, seen, at->verdict.beat_ns);
		REMEMBER(at->cold, seen_paused_ns, at->verdict.paused_ns);
		REMEMBER(at->cold, state, (uint8_t)at->verdict.state);
		stall_note(at, tick);
		REMEMBER(at->cold, sequence, sequence + 2);
	} else {
		stall_note(at, tick);
	}
	if (at->verdict.state != at->sign.state) {
		count(looks, at, at->sign.state, UINT32_MAX);
		count(looks, at, at->verdict.state, 1);
	}
	if (vt_worst_bad(at->sign.state) || vt_worst_bad(at->verdict.state))
		looks->changed |=
			vt_worst_note(&looks->worst, at->index, at->gen, &at->verdict);
}

/*
 * A sign of life that is new: when it came, and the paused total then. A touch came, at the latest,
 * at the end of its tick; one in the same tick as what was seen may have come after it.
 */
static void sign_see(struct vt_looks *looks, struct looked *at,
		     const struct vt_tick *tick)
{
	struct vt_sign *sign = &at->sign;
	uint64_t beat_ns = VT_BEAT_NS(sign->beat);
	bool touch = (sign->beat & VT_BEAT_MASK) == VT_BEAT_TICK;

	at->seen = sign->seen;
	at->seen_paused_ns = sign->seen_paused_ns;
	if (touch && beat_ns >= sign->seen)
		beat_ns = beat_ns < tick->before_ns
				  ? vt_past_after(&looks->past, tick, beat_ns)
				  : VT_BEAT_NS(tick->at_ns);
	if (beat_ns <= sign->seen)
		return;
	sign->seen = beat_ns;
	sign->seen_paused_ns = vt_past_paused(&looks->past, beat_ns);
}

/*
 * The longest until it is looked at again though time alone would change nothing: for a new sign of
 * life, which may be followed by silence, and does away with a bad state. Not all at one moment.
 */
static uint64_t look_within(const struct vt_looks *looks, const struct looked *at)
{
	uint64_t ns = at->shortest_ns + 1;

	if (!vt_worst_bad(at->verdict.state))
		return ns;
	/* As long as it costs next to nothing, a sign of life is told soon. */
	ns /= looks->living > MANY ? 2 : VT_TICKS;
	ns = ns < LOOK_MAX_NS ? ns : LOOK_MAX_NS;
	return ns - ns / 4 * (at->index * 2654435761u >> 24) / 256;
}

/* When to look again, in the wheel's time; 0: nothing but somebody's doing will change it. */
static uint64_t look_again(const struct vt_looks *looks, const struct looked *at,
			   bool told, uint64_t soon_ns)
{
	uint64_t stays_ns = at->verdict.stays_ns, within_ns = look_within(looks, at);

	if (soon_ns < within_ns)
		within_ns = soon_ns;

	/* What readers could not be told is told in the next turn. */
	if (!told)
		return looks->ran_ns + 1;
	if (at->verdict.state == VITALS_DEAD)
		return 0;
	return looks->ran_ns + (stays_ns < within_ns ? stays_ns : within_ns);
}

/*
 * Is the owner of a quiet one to be looked for? When it falls silent, and about once a second from
 * then on.
 */
static bool bury_due(const struct vt_looks *looks, const struct looked *at,
		     const struct vt_tick *tick)
{
	uint64_t within_ns = look_within(looks, at);

	if (!quiet(at->verdict.state))
		return false;
	if (!quiet(at->sign.state) || within_ns >= LOOK_MAX_NS / 2)
		return true;
	return tick->at_ns % LOOK_MAX_NS < within_ns + tick->tick_ns;
}

/* What its thread does. Return: when to ask next, from now; UINT64_MAX: any time. */
static uint64_t suspect(struct vt_looks *looks, const struct looked *at,
			const struct vt_tick *tick)
{
	const struct vt_doubt doubt = {
		.index = at->index,
		.gen = at->gen,
		.cold = at->cold,
		.verdict = &at->verdict,
		.was = at->sign.state,
		.since = at->sign.framed.depth ? at->sign.framed.entered_ns
					       : at->verdict.beat_ns,
	};

	if (!KNOWN(at->cold, owner))
		return UINT64_MAX;
	return vt_doubt_settle(at->registry, looks->suspects, &doubt, tick);
}

/* The scopes it is in, if it ever was in any. */
static void scopes_load(struct looked *at, const struct vt_tick *tick)
{
	at->sign.framed.depth = 0;
	at->shortest_ns = UINT64_MAX;
	/* Acquire: whoever sees the flag finds the scopes. */
	if (!(atomic_load_explicit(&at->hot->flags, memory_order_acquire) & VT_HB_SCOPES))
		return;
	vt_frames_load(&at->registry->view, at->index, tick, &at->sign.framed);
	at->shortest_ns = vt_frames_shortest(&at->registry->view, at->index);
}

/* Gone, or going while it was looked at: then what the sign has of the memory may not be of it. */
static bool gone(const struct looked *at)
{
	return !(at->gen & 1u) || at->sign.flags & VT_HB_CLOSED ||
	       atomic_load_explicit(&at->hot->gen, memory_order_acquire) != at->gen;
}

uint64_t vt_look_at(vitals_registry *registry, uint32_t index, const struct vt_tick *tick,
		    struct vt_looks *looks, bool in_passing)
{
	struct looked at;
	uint64_t soon_ns;
	bool told;

	/* Not emptied first: what is not filled in is large, and for those in scopes. */
	at.registry = registry;
	at.index = index;
	slots_find(registry, index, &at.hot, &at.cold);
	/* Sequentially consistent with vt_slot_close(): see vt_slot_free(). */
	at.gen = atomic_load_explicit(&at.hot->gen, memory_order_seq_cst);
	if (at.gen & 1u && at.gen != KNOWN(at.cold, gen)) {
		adopt(looks, &at);
		in_passing = false;
	}
	scopes_load(&at, tick);
	vt_sign_load(at.hot, at.cold, &at.sign);
	if (gone(&at)) {
		uncount(looks, &at);
		return 0;
	}
	if (!(KNOWN(at.cold, marks) & VT_COLD_COUNTED))
		return 0;
	if (at.sign.timeout_ns < at.shortest_ns)
		at.shortest_ns = at.sign.timeout_ns;
	sign_see(looks, &at, tick);
	at.verdict = vt_judge(&at.sign, tick, tick->at_ns);
	if (bury_due(looks, &at, tick) &&
	    vt_heartbeat_bury(&registry->view, at.hot, at.cold)) {
		at.sign.flags |= VT_HB_DEAD;
		at.verdict = vt_judge(&at.sign, tick, tick->at_ns);
	}
	remember(looks, &at, tick);
	soon_ns = suspect(looks, &at, tick);
	told = vt_changes_note(registry, index, &at.verdict, tick);
	if (at.shortest_ns < looks->shortest_ns)
		looks->shortest_ns = at.shortest_ns;
	if (at.shortest_ns < looks->round_shortest_ns)
		looks->round_shortest_ns = at.shortest_ns;
	if (in_passing && told && !vt_worst_bad(at.verdict.state) &&
	    soon_ns == UINT64_MAX)
		return UINT64_MAX;
	return look_again(looks, &at, told, soon_ns);
}

void vt_look_put(vitals_registry *registry, uint32_t index, uint64_t again_ns,
		 struct vt_looks *looks)
{
	if (!again_ns)
		vt_wheel_remove(registry, &looks->wheel, index);
	else if (again_ns != UINT64_MAX)
		vt_wheel_put(registry, &looks->wheel, index, again_ns);
}

void vt_look_prefetch(const vitals_registry *registry, uint32_t index)
{
	struct vt_hot *hot;
	struct vt_cold *cold;

	slots_find(registry, index, &hot, &cold);
	__builtin_prefetch(hot);
	__builtin_prefetch(cold, 1);
}

void vt_looks_begin(vitals_registry *registry, struct vt_looks *looks,
		    const struct vt_tick *tick)
{
	vt_past_begin(&looks->past, tick);
	vt_wheel_begin(registry, &looks->wheel, looks->ran_ns);
	vt_inbox_post_all(registry);
}

void vt_looks_round(struct vt_looks *looks)
{
	looks->shortest_ns = looks->round_shortest_ns;
	looks->round_shortest_ns = UINT64_MAX;
}
