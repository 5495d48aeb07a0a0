/* SPDX-License-Identifier: MIT */

/*
 * Layout
 *
 * The region: everything a reader needs, in fixed-size slots, offsets and indices only, no
 * pointer. The same bytes are read from inside, from another process and from a core.
 *
 * Words are written with release stores and copied with acquire loads, no fence. A slot's gen is
 * odd while it is in use and changes with every use; whoever copies a slot reads gen before and
 * after and throws the copy away if it changed. That suffices: a copy that holds one word of the
 * next use acquired it, so it also sees the gen that was stored before that word.
 */

#ifndef VT_LAYOUT_H
#define VT_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define VT_MAGIC 0x31736c6174697629u /* ")vitals1" in memory, little-endian */
#define VT_LAYOUT_VERSION 1u

#define VT_NAME_WORDS 8
#define VT_STATES 8
#define VT_STAGES 3
#define VT_GROUPS 256
#define VT_PARTS 32
#define VT_WORST 100
#define VT_COARSE 34
#define VT_FINE 130
#define VT_FRAMES 32
#define VT_FINDINGS 9       /* all asleep, and eight deadlocks */
#define VT_FINDING_ASLEEP 0 /* the place of the former */
#define VT_SCOPE_NAMES 257  /* the last is for all the rest */

enum vt_kind {
	VT_KIND_ROOT,
	VT_KIND_GROUP,
	VT_KIND_PART,
	VT_KIND_HOT,  /* a heartbeat, as beaten */
	VT_KIND_COLD, /* the same heartbeat, as watched; same index */
	VT_KIND_COARSE,
	VT_KIND_FINE,
	VT_KIND_QUITTER,
	VT_KIND_MEMBER,
	VT_KIND_CAUSE,
	VT_KIND_SHUTDOWN,
	VT_KIND_CHECK, /* kept free for the service's own checks */
	VT_KIND_RARE,  /* of the same heartbeat: what most never need; same index */
	VT_KIND_SCOPES,
	VT_KIND_SCOPE_NAME,
	VT_KIND_EVIDENCE, /* of the same heartbeat: what its thread is doing; same index */
	VT_KIND_LATE,     /* of the same member: the same; same index */
	VT_KIND_FINDING,
	VT_KINDS,
};

/* Where in a segment the slots first … first + count - 1 of a kind lie. */
struct vt_array {
	uint32_t kind;
	uint32_t stride;
	uint32_t first;
	uint32_t count;
	uint64_t offset;
};

/* How each segment opens; never written after it was made. */
struct vt_segment {
	uint64_t magic;
	uint32_t version;
	uint32_t number;
	uint64_t registry_id;
	uint64_t size;
	uint32_t pid;
	uint32_t n_arrays;
	struct vt_array arrays[VT_KINDS];
};

/*
 * A beat word is nanoseconds with the low two bits taken: what kind of sign it was. So any beat
 * ends the states starting and idle with its one store.
 */
#define VT_BEAT_PULSE 0u
#define VT_BEAT_TICK 1u
#define VT_BEAT_IDLE 2u
#define VT_BEAT_STARTING 3u
#define VT_BEAT_MASK 3u
#define VT_BEAT_NS(word) ((word) & ~(uint64_t)VT_BEAT_MASK)

/* The tick line: written by the monitor only, at every tick, under its sequence number. */
struct vt_tick_line {
	_Alignas(128) _Atomic uint64_t
		beat; /* what a touch stores: the tick's time | VT_BEAT_TICK */
	_Atomic uint64_t sequence; /* odd while the rest is being written */
	_Atomic uint64_t real_ns;  /* CLOCK_REALTIME at the tick */
	_Atomic uint64_t tick_ns;
	_Atomic uint64_t before_ns;         /* the tick before this one */
	_Atomic uint64_t started_ns;        /* 0: never */
	_Atomic uint64_t started_paused_ns; /* the paused total at the start */
	_Atomic uint64_t paused_ns;
	_Atomic uint64_t
		pause_from_ns;     /* of the last pause: from here on nothing ran … */
	_Atomic uint64_t pause_ns; /* … for so long */
	_Atomic uint64_t grace_ns; /* nobody is newly judged silent before this */
	_Atomic uint64_t pauses;
	_Atomic uint64_t turns;
	_Atomic uint64_t lag_ns;
	_Atomic uint64_t lag_max_ns;
	_Atomic uint64_t flags; /* VT_TICK_... */
	/* Since any heartbeat was looked at: the longest from a tick to the next, and … */
	_Atomic uint64_t gap_ns;
	_Atomic uint64_t swept_paused_ns; /* … the paused total at its beginning */
};
#define VT_TICK_RUNNING 1u /* somebody is meant to look */

/* An entry of the monitor's list of the worst. */
struct vt_worst {
	_Atomic uint32_t index; /* of the heartbeat */
	_Atomic uint32_t gen;
};

/* The summary: written by the monitor at every tick, under its sequence number. */
struct vt_summary {
	_Alignas(128) _Atomic uint64_t sequence;
	_Atomic uint32_t critical[VT_STATES]; /* by state */
	_Atomic uint32_t informative[VT_STATES];
	_Atomic uint32_t n_worst;
	_Atomic uint32_t reserved;
	struct vt_worst worst[VT_WORST];
};

/* A classic histogram: of a group's closed members, of late pulses, of shutdowns. */
struct vt_tally {
	_Atomic uint64_t counts[VT_COARSE];
	_Atomic uint64_t sum_ns;
};

/* Counts that quitters keep as they go: each a fact of its own. */
struct vt_totals {
	_Alignas(128) _Atomic uint32_t quitters;
	_Atomic uint32_t quitting;
	_Atomic uint32_t timed_out;
	_Atomic uint32_t threads;
	_Atomic uint32_t abandoned;
	_Atomic uint32_t reserved;
	_Atomic uint64_t shutdowns;
	_Atomic uint64_t shutdown_timeouts;
	_Atomic uint64_t late_threads;
	struct vt_tally took; /* how long shutdowns took, from the request on */
};

/* root flags */
#define VT_ROOT_STARTED_UP 1u
#define VT_ROOT_OFF 2u
#define VT_ROOT_HAS_MAIN 4u
#define VT_ROOT_QUITTING 8u /* readiness is gone */

/*
 * A quick hold counts in its word: this bit, the count above it, and the slot's gen in the upper
 * half, so that no word of one use is one of another. Others count in count.
 */
#define VT_HOLD_QUICK 2u
#define VT_HOLD_ONE 4u
#define VT_HOLD_MAX 0x3fffffffu

static inline uint32_t vt_hold_count(uint64_t word)
{
	return (uint32_t)word / VT_HOLD_ONE;
}

#define VT_HOLDS 16u /* that may be quick at once */

struct vt_root {
	struct vt_tick_line tick;
	/* What must_quit asks beside the quitter's own word, by enum vitals_stage. */
	_Alignas(128) _Atomic uint64_t stages[VT_STAGES];
	_Alignas(128) _Atomic uint64_t changes; /* number of the newest event */
	_Atomic uint32_t flags;
	_Atomic uint32_t timeout_scale;  /* thousandths */
	_Atomic uint32_t used[VT_KINDS]; /* slots ever used are below this */
	_Atomic uint32_t main_quitter;   /* index + 1 */
	_Atomic uint64_t deadlocks;      /* found so far */
	struct vt_summary summary;
	struct vt_totals totals;
	_Atomic uint32_t quick[VT_HOLDS]; /* quick holds: index + 1 of the member */
};

/* What members that are gone have left. */
struct vt_gone {
	struct vt_tally intervals;
	_Atomic uint64_t missed;
};

struct vt_group_slot {
	_Atomic uint64_t name[VT_NAME_WORDS];
	struct vt_gone closed; /* of members that are gone */
	struct vt_gone gone
		[2]; /* the same, but it counts from the next even, or odd, round on */
	struct vt_tally lateness; /* of all members, by how much a pulse was late */
	_Atomic uint64_t missed;  /* of members without a histogram */
	_Atomic uint64_t stalls;  /* of all members */
	_Atomic uint32_t
		states[VT_STATES]; /* living members, as the monitor saw them last */
	_Atomic uint32_t folds; /* odd while a member moves from the living to the gone */
	_Atomic uint32_t round; /* of its sum; 0: it is not summed, 1: never yet */
	_Atomic uint32_t sequence; /* of what follows */
	struct vt_gone summed;     /* the living and the closed, as of the last round */
	_Atomic uint64_t oldest_ns;
};

struct vt_part_slot {
	_Atomic uint64_t name[VT_NAME_WORDS];
	_Atomic uint32_t ready;
	_Atomic uint32_t reserved;
};

/* heartbeat flags; the low bits are the public ones, the highest eight say the group */
#define VT_HB_PUBLIC 0xffu
#define VT_HB_CLOSED 0x100u
#define VT_HB_DEAD 0x200u
#define VT_HB_SCOPES 0x1000u /* it was in some scope once */
/* In the sum of its group's round, by whether the round is odd: see sums.h. */
#define VT_HB_SUMMED 0xc00u
#define VT_HB_SUMMED_IN(round) ((round)&1u ? 0x400u : 0x800u)
#define VT_HB_GROUP_SHIFT 24
#define VT_HB_GROUP(flags) ((flags) >> VT_HB_GROUP_SHIFT)

/*
 * The hot part: 128 bytes, so that no two heartbeats share a line nor the pair of lines a
 * prefetcher fetches. beat and pulse are written by whoever beats; the rest stands still.
 */
struct vt_hot {
	_Alignas(128) _Atomic uint64_t beat; /* when life was last seen, VT_BEAT_... */
	_Atomic uint64_t pulse; /* the last pulse; 0: the next has no interval */
	_Atomic uint32_t gen;
	_Atomic uint32_t flags;
	_Atomic uint64_t id;
	_Atomic uint64_t timeout_ns;
	_Atomic uint64_t stuck_ns;
	_Atomic uint64_t start_ns;
	_Atomic uint64_t interval_ns;
	_Atomic uint64_t name[VT_NAME_WORDS];
};

/* owner: the index + 1 of the thread's member record, or, of a thread in no quitter, its tid */
#define VT_OWNER_TID 0x80000000u

/* marks of a cold part */
#define VT_COLD_COUNTED 1u     /* the monitor has it in its counts */
#define VT_COLD_INFORMATIVE 2u /* as one of these */
#define VT_COLD_RARE 4u        /* its rare part is in use */
#define VT_COLD_STALE 8u       /* its newest event is of the slot's user before */
#define VT_COLD_EVIDENCE 16u   /* its thread was looked at */
#define VT_COLD_UNSURE 32u     /* and is to be again */

/*
 * The cold part: who owns it, and the monitor's memory of it. What is the monitor's own is about the
 * heartbeat with gen: where the hot part has another, it has not been looked at yet.
 */
struct vt_cold {
	_Atomic uint64_t seen; /* newest beat the monitor saw, without VT_BEAT_MASK … */
	_Atomic uint64_t seen_paused_ns; /* … and the paused total that goes with it */
	_Atomic uint64_t changed_ns;
	_Atomic uint64_t change;    /* number of its newest event */
	_Atomic uint64_t lasted_ns; /* how long what that event ended had lasted */
	_Atomic uint32_t gen;
	_Atomic uint32_t sequence; /* odd while the monitor writes */
	_Atomic uint8_t state;     /* the last verdict */
	_Atomic uint8_t told;    /* of that event: from + 1, 16 * (to + 1); 0: none yet */
	_Atomic uint8_t marks;   /* VT_COLD_... */
	_Atomic uint8_t group;   /* that it is counted in */
	_Atomic uint32_t number; /* the n of "name#n" */
	_Atomic uint32_t owner;  /* see VT_OWNER_TID; 0: nobody */
	_Atomic uint32_t histogram; /* index + 1, of the kind its flags say */
};

/* The rare part: pages that nobody writes nor reads before there is something take no memory. */
struct vt_rare {
	_Atomic uint64_t stalled_ns; /* how long, of the stalls that have ended */
	_Atomic uint64_t since_ns;   /* when the newest began */
	_Atomic uint64_t worst_ns;   /* the longest silence in it, so far */
	_Atomic uint64_t silence_ns; /* the silence at the newest event */
	_Atomic uint32_t stalls;
	_Atomic uint32_t
		scopes; /* index + 1 of its scopes, where its flags say that it has some */
};

/*
 * A scope that a thread is in. The numbers share a line. It is filled in before its turn is odd, and
 * not again before it was left, which changes the turn: a copy that has a word of the next use sees
 * another turn, and one with the same odd turn before and after is whole.
 */
struct vt_frame {
	_Alignas(32) _Atomic uint64_t turn; /* odd while it is open */
	_Atomic uint64_t entered_ns;
	_Atomic uint64_t paused_ns;           /* the paused total then, or less */
	_Atomic uint64_t budget_ns;           /* 0: unbounded */
	_Atomic uint64_t name[VT_NAME_WORDS]; /* as many as it has, up to its 0 */
};

/*
 * The scopes of a heartbeat: written by its owner, innermost last, but for blamed. Whatever the moment
 * its thread stops at, those below depth whose turn is odd are what it is in.
 */
struct vt_scopes {
	_Alignas(64) _Atomic uint64_t shortest_ns; /* of all budgets there ever were */
	_Atomic uint32_t depth;                    /* may be more than there are frames */
	_Atomic uint32_t reserved;
	_Atomic uint64_t blamed[VT_NAME_WORDS]; /* in its newest event; the monitor's */
	struct vt_frame frames[VT_FRAMES];
};

/* What scopes of one name were left too late. */
struct vt_scope_name {
	_Atomic uint64_t name[VT_NAME_WORDS];
	_Atomic uint64_t overruns;
	_Atomic uint64_t overrun_ns;
};

/*
 * What a thread is doing: a struct vitals_evidence in words, under its sequence number. gen: of the
 * heartbeat or member it is about; whoever finds another has none. Looked at only where a mark says
 * that there is something: pages that nobody writes nor reads take no memory.
 */
#define VT_EVIDENCE_WORDS 104
struct vt_evidence_slot {
	_Atomic uint32_t sequence; /* odd while it is written */
	_Atomic uint32_t gen;
	_Atomic uint64_t words[VT_EVIDENCE_WORDS];
};

/* What was found of several threads at once; its number is 0 before the first. */
#define VT_DOING_WORDS 64
struct vt_finding_slot {
	_Atomic uint32_t sequence; /* odd while it is written */
	_Atomic uint32_t kind;
	_Atomic uint64_t number;
	_Atomic uint64_t at_ns;
	_Atomic uint64_t key;
	_Atomic uint32_t threads;
	_Atomic uint32_t over;
	_Atomic uint64_t doing[VT_DOING_WORDS];
};

/*
 * sum = last pulse - first pulse - gaps, so that a pulse need not add. first, rest and gaps
 * change only when a pulse ends or begins a pause in pulsing; begun and done count those edges,
 * and differ while one is under way.
 */
struct vt_intervals {
	_Atomic uint64_t first_ns;
	_Atomic uint64_t rest_ns; /* since when it rests, while pulse is 0 */
	_Atomic uint64_t gaps_ns;
	_Atomic uint64_t max_ns;
	_Atomic uint64_t missed;
	_Atomic uint32_t begun;
	_Atomic uint32_t done;
};

struct vt_coarse {
	_Alignas(64) struct vt_intervals intervals;
	_Atomic uint64_t counts[VT_COARSE];
};

struct vt_fine {
	_Alignas(64) struct vt_intervals intervals;
	_Atomic uint64_t counts[VT_FINE];
};

/* quitter word; bit 0 is VITALS_QUIT_BIT, and the low half is what waiters in it sleep on */
#define VT_QUIT 1u

/*
 * live = members it waits for + children that are not empty, times 2, + 1 once it takes no more.
 * One word, so that joining and being told cannot race past each other.
 */
#define VT_LIVE_CLOSED 1u
#define VT_LIVE_ONE 2u

/* enum vitals_stage */
#define VT_STAGE_MASK 0xffu

struct vt_quitter_slot {
	_Atomic uint64_t word;
	_Atomic uint64_t live;
	_Atomic uint64_t id;
	_Atomic uint64_t told_ns;
	_Atomic uint32_t gen;
	_Atomic uint32_t number;
	_Atomic uint32_t
		parent; /* these: index + 1, 0: none; guarded by the registry's lock */
	_Atomic uint32_t first_child;
	_Atomic uint32_t next;
	_Atomic uint32_t prev;
	_Atomic uint32_t first_member;
	_Atomic uint32_t cause;
	_Atomic uint32_t shutdown;
	_Atomic uint32_t threads;   /* members that count, in it itself */
	_Atomic uint32_t abandoned; /* in it itself */
	_Atomic uint32_t stage; /* and, above VT_STAGE_MASK, which main quitter's it is */
	_Atomic uint64_t name[VT_NAME_WORDS];
};

/* member flags; the low bits are the public VITALS_THREAD_... */
#define VT_MEMBER_PUBLIC 0xffu
#define VT_MEMBER_ABANDONED 0x100u
#define VT_MEMBER_ADOPTED 0x200u
#define VT_MEMBER_LATE 0x400u

/* A thread, or a hold, in a quitter. */
struct vt_member_slot {
	_Atomic uint64_t
		word; /* VT_QUIT: this one was told on its own; or VT_HOLD_QUICK */
	_Atomic uint64_t id;
	_Atomic uint64_t since_ns;
	_Atomic uint64_t told_ns;
	_Atomic uint32_t gen;
	_Atomic uint32_t state; /* enum vitals_thread_state */
	_Atomic uint32_t flags;
	_Atomic uint32_t tid;
	_Atomic uint32_t quitter; /* these: index + 1; guarded by the registry's lock */
	_Atomic uint32_t next;
	_Atomic uint32_t prev;
	_Atomic uint32_t heartbeat;
	_Atomic uint32_t number;
	_Atomic uint32_t count;
	_Atomic uint32_t
		evidence; /* the gen of whom there is evidence of: the monitor's */
	_Atomic uint32_t reserved;
	_Atomic uint64_t name[VT_NAME_WORDS];
};

/* Why a quitter was told; children point to the same. */
struct vt_cause_slot {
	_Atomic uint32_t gen;
	_Atomic uint32_t kind;
	_Atomic uint32_t index; /* of the event, + 1 */
	_Atomic uint32_t signo;
	_Atomic uint32_t sender_pid;
	_Atomic uint32_t sender_uid;
	_Atomic uint32_t status;
	_Atomic uint32_t
		refs; /* quitters that point here; guarded by the registry's lock */
	_Atomic uint64_t at_ns;
	_Atomic uint64_t thread_id;
	_Atomic uint64_t origin_id;
	_Atomic uint64_t text[VT_NAME_WORDS];
};

/* What few quitters have: a time of their own, and how the waits for one that was told have ended. */
struct vt_shutdown_slot {
	_Atomic uint64_t timeout_ns; /* to leave, from being told; 0: its parent's */
	_Atomic uint32_t gen;
	_Atomic uint32_t shutdowns;
	_Atomic uint32_t timeouts;
	_Atomic uint32_t timed_out_threads;
	_Atomic uint32_t late; /* in it itself, at the last wait */
	_Atomic uint32_t timed_out;
	_Atomic uint64_t last_ns;
};

_Static_assert(sizeof(struct vt_tick_line) == 256, "a tick line is alone on its lines");
_Static_assert(sizeof(struct vt_hot) == 128, "a hot part is two lines");
_Static_assert(sizeof(struct vt_cold) == 64, "a cold part is a line");
_Static_assert(sizeof(struct vt_frame) == 96, "a frame has 96 bytes");
_Static_assert(sizeof(struct vt_quitter_slot) == 144, "a quitter has 144 bytes");
_Static_assert(sizeof(struct vt_member_slot) == 144, "a member has 144 bytes");

#endif
