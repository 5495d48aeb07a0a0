/* SPDX-License-Identifier: MIT */

#include "verdict.h"

#include "view.h"
#include "vitals.h"

/* A writer that is stopped in the middle must not keep a reader for ever. */
#define TRIES 1000
/* However short the tick, a monitor that is late by less than this is only late. */
#define WATCH_NS VITALS_S(1)
/* A monitor that has not looked for so long may not come back: a restart helps. */
#define GONE_NS VITALS_S(10)

/* All of the line but the beat, which carries the time and a mark. */
#define TICK_FIELDS(DO)                                                                  \
	DO(real_ns)                                                                      \
	DO(tick_ns)                                                                      \
	DO(before_ns)                                                                    \
	DO(started_ns)                                                                   \
	DO(started_paused_ns)                                                            \
	DO(paused_ns)                                                                    \
	DO(pause_from_ns)                                                                \
	DO(pause_ns)                                                                     \
	DO(grace_ns)                                                                     \
	DO(pauses)                                                                       \
	DO(turns)                                                                        \
	DO(lag_ns)                                                                       \
	DO(lag_max_ns)                                                                   \
	DO(flags)                                                                        \
	DO(gap_ns)                                                                       \
	DO(swept_paused_ns)

static void tick_copy(const struct vt_tick_line *line, struct vt_tick *tick)
{
	tick->at_ns = VT_BEAT_NS(atomic_load_explicit(&line->beat, memory_order_acquire));
#define COPY(field)                                                                      \
	tick->field = atomic_load_explicit(&line->field, memory_order_acquire);
	TICK_FIELDS(COPY)
#undef COPY
}

void vt_tick_load(const struct vt_tick_line *line, struct vt_tick *tick)
{
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		uint64_t before =
			atomic_load_explicit(&line->sequence, memory_order_acquire);

		tick_copy(line, tick);
		if (!(before & 1u) &&
		    atomic_load_explicit(&line->sequence, memory_order_acquire) == before)
			return;
	}
}

void vt_tick_store(struct vt_tick_line *line, const struct vt_tick *tick)
{
	/* Relaxed: there is one writer. */
	uint64_t before = atomic_load_explicit(&line->sequence, memory_order_relaxed);

	/* Release, all of them: see layout.h; partner of vt_tick_load(). */
	atomic_store_explicit(&line->sequence, before + 1, memory_order_release);
	atomic_store_explicit(&line->beat, VT_BEAT_NS(tick->at_ns) | VT_BEAT_TICK,
			      memory_order_release);
#define COPY(field)                                                                      \
	atomic_store_explicit(&line->field, tick->field, memory_order_release);
	TICK_FIELDS(COPY)
#undef COPY
	atomic_store_explicit(&line->sequence, before + 2, memory_order_release);
}

void vt_sign_load(const struct vt_hot *hot, const struct vt_cold *cold,
		  struct vt_sign *sign)
{
	uint32_t gen = 0;
	unsigned tries;

#define COPY(from, field)                                                                \
	sign->field = atomic_load_explicit(&from->field, memory_order_acquire)
	COPY(hot, timeout_ns);
	COPY(hot, stuck_ns);
	COPY(hot, start_ns);
	for (tries = 0; tries < TRIES; tries++) {
		uint32_t before =
			atomic_load_explicit(&cold->sequence, memory_order_acquire);

		gen = atomic_load_explicit(&cold->gen, memory_order_acquire);
		COPY(cold, state);
		COPY(cold, seen);
		COPY(cold, seen_paused_ns);
		if (!(before & 1u) &&
		    atomic_load_explicit(&cold->sequence, memory_order_acquire) == before)
			break;
	}
	/* Last, for what is newer than seen was not there when the monitor looked. */
	COPY(hot, beat);
	COPY(hot, flags);
#undef COPY
	/* What the monitor remembers is about whoever had the slot before. */
	if (gen != atomic_load_explicit(&hot->gen, memory_order_acquire)) {
		sign->state = VITALS_STARTING;
		sign->seen = 0;
		sign->seen_paused_ns = 0;
	}
	/* Who may write to the region may write anything; what is told to callers is a state. */
	if (sign->state >= VT_STATES)
		sign->state = VITALS_STARTING;
}

uint64_t vt_not_watched(const struct vt_tick *tick, uint64_t now_ns)
{
	uint64_t limit = 2 * tick->tick_ns > WATCH_NS ? 2 * tick->tick_ns : WATCH_NS;

	if (!(tick->flags & VT_TICK_RUNNING) || now_ns <= tick->at_ns ||
	    now_ns - tick->at_ns <= limit)
		return 0;
	return now_ns - tick->at_ns;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/*
 * Up to when there can have been silence. Nobody is ahead of the monitor by a tick; where it is
 * two behind, that may turn out to be a pause, and nothing since its last look counts.
 */
static uint64_t horizon_of(const struct vt_tick *tick, uint64_t now_ns)
{
	uint64_t since = less(now_ns, tick->at_ns);

	if (since > 2 * tick->tick_ns)
		return tick->at_ns;
	return tick->at_ns + (since < tick->tick_ns ? since : tick->tick_ns);
}

/*
 * The newest sign of life, as late as it can have been: a touch carries the time of a tick and may
 * have come just before the next, however long that took. A preempted thread may have stored an
 * older beat than the monitor saw. The monitor itself knows when each tick was, and says what it has
 * seen by that: see past.h.
 */
static uint64_t newest_sign(const struct vt_sign *sign, const struct vt_tick *tick,
			    uint64_t horizon_ns)
{
	uint64_t beat_ns = VT_BEAT_NS(sign->beat), at_ns = VT_BEAT_NS(tick->at_ns);

	if ((sign->beat & VT_BEAT_MASK) == VT_BEAT_TICK) {
		if (beat_ns >= at_ns)
			return VT_BEAT_NS(horizon_ns);
		if (beat_ns >= tick->before_ns)
			return at_ns;
		/* As new as what was seen: that was in the same tick, and this may be after it. */
		if (beat_ns >= sign->seen)
			return less(at_ns, beat_ns) < tick->gap_ns
				       ? at_ns
				       : VT_BEAT_NS(beat_ns + tick->gap_ns);
	}
	return beat_ns > sign->seen ? beat_ns : sign->seen;
}

/*
 * The paused total that goes with @beat_ns. Of a beat that the monitor has not seen it is known
 * where only one pause can lie around it or follow it; else the least it can be, which spares.
 */
static uint64_t paused_total_at(const struct vt_sign *sign, const struct vt_tick *tick,
				uint64_t beat_ns)
{
	uint64_t before_ns = tick->paused_ns - tick->pause_ns;
	uint64_t end_ns = tick->pause_from_ns + tick->pause_ns;

	if (beat_ns <= sign->seen)
		return sign->seen_paused_ns;
	if (beat_ns > tick->pause_from_ns)
		return tick->paused_ns - less(end_ns, beat_ns);
	return before_ns < tick->swept_paused_ns ? before_ns : tick->swept_paused_ns;
}

/* Since the newest sign of life or the start, whichever is later: nothing before that counts. */
static uint64_t silence_of(const struct vt_verdict *verdict, const struct vt_tick *tick,
			   uint64_t horizon_ns)
{
	if (verdict->beat_ns > tick->started_ns)
		return less(less(horizon_ns, verdict->beat_ns),
			    tick->paused_ns - verdict->paused_ns);
	return less(less(horizon_ns, tick->started_ns),
		    tick->paused_ns - tick->started_paused_ns);
}

/*
 * From when on time in a scope counts, and the paused total that goes with that. What its owner read
 * when it entered may not yet have had a pause that was over by then: of the last one this knows.
 */
static uint64_t framed_began(const struct vt_framed *framed, const struct vt_tick *tick,
			     uint64_t *ret_paused_ns)
{
	if (framed->entered_ns <= tick->started_ns) {
		*ret_paused_ns = tick->started_paused_ns;
		return tick->started_ns;
	}
	*ret_paused_ns = framed->paused_ns;
	if (framed->entered_ns > tick->pause_from_ns)
		*ret_paused_ns =
			tick->paused_ns -
			less(tick->pause_from_ns + tick->pause_ns, framed->entered_ns);
	return framed->entered_ns;
}

uint64_t vt_framed_deadline(const struct vt_framed *framed, const struct vt_tick *tick)
{
	uint64_t paused_ns, began_ns = framed_began(framed, tick, &paused_ns);

	return began_ns + framed->budget_ns - paused_ns;
}

uint64_t vt_framed_age(const struct vt_framed *framed, const struct vt_tick *tick,
		       uint64_t until_ns)
{
	uint64_t paused_ns, began_ns = framed_began(framed, tick, &paused_ns);

	return less(less(until_ns, began_ns), less(tick->paused_ns, paused_ns));
}

/* @allowed_ns: before it is silent. For whom nothing but the time decides. */
static void judge_silence(const struct vt_tick *tick, uint64_t now_ns,
			  uint64_t allowed_ns, uint64_t stuck_ns, uint32_t good,
			  struct vt_verdict *verdict)
{
	stuck_ns = allowed_ns > stuck_ns ? allowed_ns : stuck_ns;
	if (verdict->silence_ns <= allowed_ns) {
		verdict->state = good;
		verdict->stays_ns = allowed_ns - verdict->silence_ns + 1;
		return;
	}
	verdict->stays_ns = verdict->silence_ns <= stuck_ns
				    ? stuck_ns - verdict->silence_ns + 1
				    : UINT64_MAX;
	/* After a pause everybody has a tick to beat before a new verdict falls. */
	if (now_ns < tick->grace_ns) {
		/* It ends by the clock, whatever of that time will count: to be seen at once. */
		verdict->stays_ns = 1;
		if (verdict->state != VITALS_SILENT && verdict->state != VITALS_STUCK)
			verdict->state = good;
		return;
	}
	verdict->state = verdict->silence_ns > stuck_ns ? VITALS_STUCK : VITALS_SILENT;
}

/* Stuck as much over its budget as otherwise over the timeout. */
static uint64_t framed_stuck_ns(const struct vt_sign *sign)
{
	unsigned __int128 ns = (unsigned __int128)sign->framed.budget_ns * sign->stuck_ns;

	/* 0 only in a forked child, whose copy of the slot is empty. */
	ns = sign->timeout_ns ? ns / sign->timeout_ns : 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* Of one that is alive and in a scope. */
static void judge_framed(const struct vt_sign *sign, const struct vt_tick *tick,
			 uint64_t now_ns, uint64_t horizon_ns, struct vt_verdict *verdict)
{
	const struct vt_framed *framed = &sign->framed;

	if (!framed->budget_ns) {
		verdict->state = VITALS_UNBOUNDED;
		verdict->scope = framed->name;
		return;
	}
	verdict->silence_ns = vt_framed_age(framed, tick, horizon_ns);
	judge_silence(tick, now_ns, framed->budget_ns, framed_stuck_ns(sign),
		      VITALS_HEALTHY, verdict);
	if (verdict->state != VITALS_HEALTHY)
		verdict->scope = framed->name;
}

struct vt_verdict vt_judge(const struct vt_sign *sign, const struct vt_tick *tick,
			   uint64_t now_ns)
{
	uint64_t kind = sign->beat & VT_BEAT_MASK;
	uint64_t horizon_ns = horizon_of(tick, now_ns);
	struct vt_verdict verdict = { .state = sign->state, .stays_ns = UINT64_MAX };

	verdict.beat_ns = newest_sign(sign, tick, horizon_ns);
	verdict.paused_ns = paused_total_at(sign, tick, verdict.beat_ns);
	verdict.silence_ns = silence_of(&verdict, tick, horizon_ns);

	if (sign->flags & (VT_HB_CLOSED | VT_HB_DEAD)) {
		verdict.state = sign->flags & VT_HB_CLOSED ? VITALS_CLOSED : VITALS_DEAD;
		verdict.scope = sign->framed.depth ? sign->framed.name : NULL;
		return verdict;
	}
	if (!tick->started_ns || vt_not_watched(tick, now_ns))
		return verdict;
	if (sign->framed.depth)
		judge_framed(sign, tick, now_ns, horizon_ns, &verdict);
	else if (kind == VT_BEAT_IDLE)
		verdict.state = VITALS_IDLE;
	else if (kind == VT_BEAT_STARTING)
		judge_silence(tick, now_ns, sign->start_ns, sign->stuck_ns,
			      VITALS_STARTING, &verdict);
	else
		judge_silence(tick, now_ns, sign->timeout_ns, sign->stuck_ns,
			      VITALS_HEALTHY, &verdict);
	return verdict;
}

void vt_standing_of(const struct vt_view *view, struct vt_standing *standing)
{
	const struct vt_root *root = vt_view_root(view);
	/* Relaxed: flags of their own. */
	uint32_t flags = atomic_load_explicit(&root->flags, memory_order_relaxed);
	uint32_t i;

	standing->off = flags & VT_ROOT_OFF;
	standing->quitting = flags & VT_ROOT_QUITTING;
	standing->parts = vt_view_used(view, VT_KIND_PART);
	standing->parts_ready = 0;
	for (i = 0; i < standing->parts; i++) {
		const struct vt_part_slot *part = vt_view_slot(view, VT_KIND_PART, i);

		standing->parts_ready +=
			atomic_load_explicit(&part->ready, memory_order_acquire) == 1;
	}
}

static uint32_t bad(const uint32_t *states)
{
	return states[VITALS_SILENT] + states[VITALS_STUCK] + states[VITALS_DEAD];
}

uint32_t vt_standing_health(const struct vt_standing *standing)
{
	if (standing->off)
		return VITALS_PASS;
	if (bad(standing->critical) || standing->not_watched_ns)
		return VITALS_FAIL;
	if (standing->critical[VITALS_STARTING] || bad(standing->informative))
		return VITALS_WARN;
	return VITALS_PASS;
}

bool vt_standing_live(const struct vt_standing *standing)
{
	return standing->off ||
	       (!standing->critical[VITALS_STUCK] && !standing->critical[VITALS_DEAD] &&
		standing->not_watched_ns <= GONE_NS);
}

bool vt_standing_ready(const struct vt_standing *standing)
{
	if (standing->quitting || standing->parts_ready < standing->parts)
		return false;
	return standing->off ||
	       (!bad(standing->critical) && !standing->critical[VITALS_STARTING] &&
		!standing->not_watched_ns);
}
