/* SPDX-License-Identifier: MIT */

/*
 * Snapshot
 *
 * What all reporting reads: plain rows, copied out of the region. Nothing that beats,
 * registers or quits is ever kept waiting, nothing is allocated from the heap. Each row is
 * consistent in itself; the walk is not one moment, and the process row says from when to
 * when it looked. The row of a heartbeat is as of the moment it is copied; counts by state,
 * the worst, and sums over many are as the monitor saw them last.
 */

#ifndef VITALS_SNAPSHOT_H
#define VITALS_SNAPSHOT_H

#include "vitals-evidence.h"
#include "vitals-process.h"

VITALS_BEGIN_DECLS

enum vitals_health {
	VITALS_PASS = 0,
	VITALS_WARN = 1,
	VITALS_FAIL = 2,
};

/* How a thread, or a hold, is there. */
enum vitals_thread_state {
	VITALS_THREAD_NOT_STARTED = 0, /* forked, has not run yet */
	VITALS_THREAD_RUNNING = 1,
	VITALS_THREAD_RETURNED = 2, /* its function has; its destructors may run */
	VITALS_THREAD_HOLD = 3,     /* not a thread: vitals_quitter_hold() */
	VITALS_THREAD_DEAD = 4, /* gone without leaving; listed until it is put away */
};

/* Flags of the process row. */
#define VITALS_PROCESS_WATCHED 0x1u    /* the monitor has looked within a second */
#define VITALS_PROCESS_STARTED_UP 0x2u /* was ready once */
#define VITALS_PROCESS_QUITTING 0x4u   /* the main quitter was told */
#define VITALS_PROCESS_OFF 0x8u        /* VITALS=off */
#define VITALS_PROCESS_HAS_MAIN 0x10u  /* there is a main quitter */
#define VITALS_PROCESS_STOPPED 0x20u   /* nobody looks, by intent */

/**
 * struct vitals_process_info - the process row
 * @size: set by VITALS_INIT()
 * @pid: of the process
 * @registry_id: tells the registries of a process apart
 * @flags: VITALS_PROCESS_...
 * @health: enum vitals_health, what /health says
 * @live: 1 or 0, what /livez says
 * @ready: 1 or 0, what /readyz says
 * @timeout_scale: in thousandths, 1000 without VITALS_TIMEOUT_SCALE
 * @scopes: names of scopes that were left too late
 * @from_ns: when the walk began, CLOCK_MONOTONIC
 * @to_ns: when the newest row was copied
 * @real_ns: CLOCK_REALTIME at @from_ns, by the monitor's last tick
 * @started_ns: when the monitor was started, CLOCK_MONOTONIC; 0: never
 * @tick_at_ns: when the monitor's last turn was, CLOCK_MONOTONIC
 * @tick_ns: how often it has one; in each it looks at those whose time may be up
 * @lag_ns: how late the last one was
 * @lag_max_ns: the latest ever
 * @turns: so far
 * @pauses: times the whole process did not run
 * @paused_ns: for how long, in all
 * @changes: the number of the newest event
 * @critical: critical heartbeats by enum vitals_state, as told by events
 * @informative: the others by state
 * @groups: how many groups there are
 * @parts: readiness parts
 * @parts_ready: of those, ready
 * @quitters: living quitters
 * @quitters_quitting: of those, told and not yet done
 * @quitters_timed_out: of those, with somebody late at their last wait
 * @threads: threads and holds that are counted
 * @abandoned: threads no longer waited for
 * @shutdowns: waits for quitters that were told and have ended, all returned or not
 * @shutdown_timeouts: of those, with somebody late
 * @late_threads: threads and holds late in those, in all
 * @not_watched_ns: since when nobody has looked, 0 if watched or by intent
 * @shutdown_sum_ns: how long those shutdowns took, in all
 * @deadlocks: found so far
 * @asleep: 1: all threads are asleep
 */
struct vitals_process_info {
	uint32_t size;
	uint32_t pid;
	uint64_t registry_id;
	uint32_t flags;
	uint32_t health;
	uint32_t live;
	uint32_t ready;
	uint32_t timeout_scale;
	uint32_t scopes;
	uint64_t from_ns;
	uint64_t to_ns;
	uint64_t real_ns;
	uint64_t started_ns;
	uint64_t tick_at_ns;
	uint64_t tick_ns;
	uint64_t lag_ns;
	uint64_t lag_max_ns;
	uint64_t turns;
	uint64_t pauses;
	uint64_t paused_ns;
	uint64_t changes;
	uint32_t critical[VITALS_STATES];
	uint32_t informative[VITALS_STATES];
	uint32_t groups;
	uint32_t parts;
	uint32_t parts_ready;
	uint32_t quitters;
	uint32_t quitters_quitting;
	uint32_t quitters_timed_out;
	uint32_t threads;
	uint32_t abandoned;
	uint64_t shutdowns;
	uint64_t shutdown_timeouts;
	uint64_t late_threads;
	uint64_t not_watched_ns;
	uint64_t shutdown_sum_ns;
	uint64_t deadlocks;
	uint32_t asleep;
	uint32_t reserved;
};

/**
 * struct vitals_heartbeat_info - the row of a heartbeat
 * @size: set by VITALS_INIT()
 * @flags: as in vitals_heartbeat_options
 * @id: never used twice
 * @thread_id: whose it is, 0: nobody's, or of a thread that is in no quitter
 * @tid: of that thread, 0: none
 * @state: enum vitals_state
 * @group: index of its group row
 * @schema: of its histogram, 0 (one bucket an octave) or 2 (four); -1: none
 * @timeout_ns: longest silence allowed
 * @stuck_ns: silence that counts as stuck
 * @start_ns: silence allowed before the first beat
 * @interval_ns: how often it should pulse
 * @beat_ns: the last sign of life, CLOCK_MONOTONIC; before the first: the registration
 * @silence_ns: @from_ns of the process row less @beat_ns
 * @changed_ns: since when it is in this state, as the monitor saw it
 * @change: the number of its newest event, 0: none yet
 * @pulses: intervals counted: from each pulse to the next, or to idle; the sum of its buckets
 * @sum_ns: their sum
 * @max_ns: the longest, exact
 * @p50_ns: half of them are at most this: at most 9.1 % off in schema 2, 41.5 % in schema 0, for
 *          intervals from a microsecond to 68 minutes; never above @max_ns
 * @p90_ns: of nine in ten, as @p50_ns
 * @p99_ns: of 99 in a hundred, as @p50_ns
 * @missed: pulses that its interval would have wanted and that did not come
 * @stalls: times it turned silent
 * @stalled_ns: how long, of those that have ended
 * @scope_depth: scopes its thread is in, 0: none
 * @scope_budget_ns: of the one named; 0: unbounded
 * @scope_age_ns: how long its thread has been in that one: @from_ns less its entry
 * @name: the shown name
 * @group_name: of its group
 * @scope: by which of them it is judged: the one whose time is up first; without any that is
 *         bounded the innermost; empty: in none
 * @thread_class: enum vitals_class: what its thread is doing, if it is silent, stuck or dead
 * @reason: enum vitals_reason: why that is not known
 * @doing: the sentence that goes with it; vitals_snapshot_evidence() has the figures
 */
struct vitals_heartbeat_info {
	uint32_t size;
	uint32_t flags;
	uint64_t id;
	uint64_t thread_id;
	uint32_t tid;
	uint32_t state;
	uint32_t group;
	int32_t schema;
	uint64_t timeout_ns;
	uint64_t stuck_ns;
	uint64_t start_ns;
	uint64_t interval_ns;
	uint64_t beat_ns;
	uint64_t silence_ns;
	uint64_t changed_ns;
	uint64_t change;
	uint64_t pulses;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint64_t p50_ns;
	uint64_t p90_ns;
	uint64_t p99_ns;
	uint64_t missed;
	uint64_t stalls;
	uint64_t stalled_ns;
	uint32_t scope_depth;
	uint32_t reserved;
	uint64_t scope_budget_ns;
	uint64_t scope_age_ns;
	char name[VITALS_SHOWN_MAX];
	char group_name[VITALS_NAME_MAX];
	char scope[VITALS_NAME_MAX];
	uint32_t thread_class;
	uint32_t reason;
	char doing[VITALS_DOING_MAX];
};

/**
 * struct vitals_group_info - the row of a group
 * @size: set by VITALS_INIT()
 * @index: as in vitals_heartbeat_info.group
 * @states: its heartbeats by enum vitals_state; of more than 1 000 members as told by events
 * @oldest_beat_ns: of its members that are not idle, unbounded or closed, CLOCK_MONOTONIC; 0: none
 * @pulses: intervals counted, of closed members too
 * @sum_ns: their sum
 * @missed: as in vitals_heartbeat_info, of closed members too
 * @stalls: as there
 * @late_pulses: pulses that came after their interval
 * @late_sum_ns: by how much, in all
 * @name: the group
 *
 * Of a group that has, or once had, more than 1 000 members the monitor adds up @pulses, @sum_ns,
 * @missed, @oldest_beat_ns and the histogram of intervals as it comes by them, 12 500 heartbeats a
 * second or 4 096 a tick: they are up to two such rounds old, of 100 000 heartbeats 16 s, with ticks
 * of a second 50 s. They never step back.
 */
struct vitals_group_info {
	uint32_t size;
	uint32_t index;
	uint32_t states[VITALS_STATES];
	uint64_t oldest_beat_ns;
	uint64_t pulses;
	uint64_t sum_ns;
	uint64_t missed;
	uint64_t stalls;
	uint64_t late_pulses;
	uint64_t late_sum_ns;
	char name[VITALS_NAME_MAX];
};

/**
 * struct vitals_quitter_info - the row of a quitter
 * @size: set by VITALS_INIT()
 * @depth: 0 for the main quitter
 * @id: never used twice
 * @parent_id: of the quitter around it; 0: none
 * @stage: enum vitals_stage
 * @told: 1 once told to quit
 * @timed_out: 1 if its last wait found somebody late
 * @threads: counted in it itself, holds too
 * @children: living child quitters
 * @abandoned: in it itself
 * @late: in it itself, at the last wait
 * @timeout_ns: its time to leave
 * @told_ns: when it was told, CLOCK_MONOTONIC; 0: was not
 * @shutdowns: waits after it was told that have ended
 * @timeouts: of those, with somebody late
 * @timed_out_threads: threads and holds late in those, in all
 * @last_shutdown_ns: how long the last took from the request on
 * @cause_kind: enum vitals_cause_kind
 * @cause_index: of the event, -1: none
 * @cause_signo: the signal
 * @cause_status: the status
 * @cause_text: the text
 * @name: the shown name
 * @path: "main/http/worker-pool"
 */
struct vitals_quitter_info {
	uint32_t size;
	uint32_t depth;
	uint64_t id;
	uint64_t parent_id;
	uint32_t stage;
	uint32_t told;
	uint32_t timed_out;
	uint32_t threads;
	uint32_t children;
	uint32_t abandoned;
	uint32_t late;
	uint64_t timeout_ns;
	uint64_t told_ns;
	uint64_t shutdowns;
	uint64_t timeouts;
	uint64_t timed_out_threads;
	uint64_t last_shutdown_ns;
	uint32_t cause_kind;
	int32_t cause_index;
	int32_t cause_signo;
	int32_t cause_status;
	char cause_text[VITALS_TEXT_MAX];
	char name[VITALS_SHOWN_MAX];
	char path[VITALS_PATH_MAX];
};

/**
 * struct vitals_thread_info - the row of a thread or a hold
 * @size: set by VITALS_INIT()
 * @state: enum vitals_thread_state
 * @id: never used twice
 * @quitter_id: which it is in
 * @heartbeat_id: its heartbeat; 0: none
 * @tid: the kernel's; 0: none yet, or a hold
 * @flags: VITALS_THREAD_...
 * @abandoned: 1: no longer waited for
 * @adopted: 1: made elsewhere
 * @count: of a hold, how often it is held; else 1
 * @late: 1: told to leave, the deadline has passed, still there
 * @since_ns: when it was forked, adopted or first held, CLOCK_MONOTONIC
 * @age_ns: how long ago
 * @told_ns: how long ago its quitter, or itself, was told; 0: was not
 * @name: the shown name
 * @quitter_path: of the quitter
 * @path: of the thread
 * @scope: the scope its heartbeat is judged by; empty: none
 * @thread_class: enum vitals_class: what it is doing, if it is late or its heartbeat is silent
 * @reason: enum vitals_reason: why that is not known
 * @doing: the sentence that goes with it
 */
struct vitals_thread_info {
	uint32_t size;
	uint32_t state;
	uint64_t id;
	uint64_t quitter_id;
	uint64_t heartbeat_id;
	uint32_t tid;
	uint32_t flags;
	uint32_t abandoned;
	uint32_t adopted;
	uint32_t count;
	uint32_t late;
	uint64_t since_ns;
	uint64_t age_ns;
	uint64_t told_ns;
	char name[VITALS_SHOWN_MAX];
	char quitter_path[VITALS_PATH_MAX];
	char path[VITALS_PATH_MAX];
	char scope[VITALS_NAME_MAX];
	uint32_t thread_class;
	uint32_t reason;
	char doing[VITALS_DOING_MAX];
};

/**
 * struct vitals_finding_info - the row of what was found of several threads at once
 * @size: set by VITALS_INIT()
 * @kind: VITALS_EVENT_DEADLOCK or VITALS_EVENT_ASLEEP
 * @number: of its event
 * @at_ns: when it was found, CLOCK_MONOTONIC
 * @threads: how many are in it
 * @over: 1: it has ended since, by a timeout say
 * @doing: the whole of it as a sentence
 */
struct vitals_finding_info {
	uint32_t size;
	uint32_t kind;
	uint64_t number;
	uint64_t at_ns;
	uint32_t threads;
	uint32_t over;
	char doing[VITALS_DOING_MAX];
};

/**
 * struct vitals_scope_info - the row of a scope's name
 * @size: set by VITALS_INIT()
 * @overruns: scopes of that name that were left too late, seen by the monitor or not
 * @overrun_ns: by how much, in all
 * @name: the name; "other" counts what is past 256 names
 */
struct vitals_scope_info {
	uint32_t size;
	uint32_t reserved;
	uint64_t overruns;
	uint64_t overrun_ns;
	char name[VITALS_NAME_MAX];
};

/**
 * struct vitals_part_info - the row of a readiness part
 * @size: set by VITALS_INIT()
 * @ready: 1 or 0
 * @name: of the part
 */
struct vitals_part_info {
	uint32_t size;
	uint32_t ready;
	char name[VITALS_NAME_MAX];
};

/**
 * vitals_snapshot_take() - look at a registry now
 * @registry: NULL: the process's own
 * @snapshot: a snapshot to use again, which is emptied first, or NULL to be made
 *
 * Copies the process row; the others are copied, at most 1 024 at a time, as they are asked
 * for, best in order.
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -EINVAL for @snapshot NULL; -ENOMEM; -ECHILD in a forked child. After an error
 * *@snapshot is as before.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_snapshot_take(vitals_registry *registry, vitals_snapshot **snapshot);

/**
 * vitals_snapshot_free() - forget a snapshot
 * @snapshot: NULL does nothing
 *
 * Threads: any; once.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_snapshot *vitals_snapshot_free(vitals_snapshot *snapshot);

/**
 * vitals_snapshot_process() - the process row
 * @snapshot: as taken; of vitals_quitter_wait_done() too
 * @info: a record with its size set; filled up to that size
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_snapshot_process(vitals_snapshot *snapshot, struct vitals_process_info *info);

/**
 * vitals_snapshot_heartbeat() - the row of the @index-th living heartbeat
 * @snapshot: as taken
 * @index: 0 and up
 * @info: a record with its size set; filled up to that size
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0; -ENOMEM.
 */
VITALS_EXPORT
int vitals_snapshot_heartbeat(vitals_snapshot *snapshot, uint32_t index,
			      struct vitals_heartbeat_info *info);

/**
 * vitals_snapshot_worst() - the row of the @index-th worst heartbeat
 * @snapshot: as taken
 * @index: 0 to 99; dead before stuck before silent before starting, longest silence first
 * @info: a record with its size set
 *
 * Without a walk: from the list the monitor keeps. Those that are well are not in it.
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0; -ENOMEM.
 */
VITALS_EXPORT
int vitals_snapshot_worst(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_heartbeat_info *info);

/**
 * vitals_snapshot_group() - the row of the @index-th group
 * @snapshot: as taken
 * @index: 0 and up
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_snapshot_group(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_group_info *info);

/**
 * vitals_snapshot_quitter() - the row of the @index-th living quitter
 * @snapshot: as taken
 * @index: 0 and up; as a tree is printed: a quitter, then its children with theirs
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0; -ENOMEM.
 */
VITALS_EXPORT
int vitals_snapshot_quitter(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_quitter_info *info);

/**
 * vitals_snapshot_thread() - the row of the @index-th thread or hold
 * @snapshot: as taken; of vitals_quitter_wait_done(): just the late ones, by quitter, parents first
 * @index: 0 and up
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0; -ENOMEM.
 */
VITALS_EXPORT
int vitals_snapshot_thread(vitals_snapshot *snapshot, uint32_t index,
			   struct vitals_thread_info *info);

/**
 * vitals_snapshot_part() - the row of the @index-th readiness part
 * @snapshot: as taken
 * @index: 0 and up
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_snapshot_part(vitals_snapshot *snapshot, uint32_t index,
			 struct vitals_part_info *info);

/**
 * vitals_snapshot_scope() - the row of the @index-th scope name
 * @snapshot: as taken
 * @index: 0 and up; a name has a row from its first overrun on
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_snapshot_scope(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_scope_info *info);

/*
 * Histograms come in buckets of powers of two seconds, as Prometheus' native ones of schema 0
 * (coarse) and 2 (fine) have them. [0] is at most 2^-20 s and the last one the rest; between them [i]
 * is at most 2^(i - 20) s, of the fine ones 2^(i / 4 - 20) s. A bound belongs to the bucket below it.
 * A bucket's middle is at most 9.1 % from anything in a fine one, 41.5 % in a coarse one.
 */
#define VITALS_BUCKETS_COARSE 34u
#define VITALS_BUCKETS_FINE 130u

/**
 * vitals_snapshot_buckets() - a heartbeat's pulse intervals
 * @snapshot: as taken
 * @index: as for vitals_snapshot_heartbeat()
 * @counts: receives the counts, one a bucket, not cumulative
 * @n: room in @counts: VITALS_BUCKETS_COARSE (finer ones are summed into it) or
 *     VITALS_BUCKETS_FINE
 *
 * Their sum is the count that goes with them.
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: the histogram's schema, 0 or 2, which says how much of @counts is filled; -ENODATA
 * without a histogram; -ENOENT after the last; -EINVAL for NULL or another @n; -ENOMEM.
 */
VITALS_EXPORT
int vitals_snapshot_buckets(vitals_snapshot *snapshot, uint32_t index, uint64_t *counts,
			    uint32_t n);

/* Which histogram of a group. */
#define VITALS_GROUP_INTERVALS 0u /* of all pulses */
#define VITALS_GROUP_LATENESS 1u  /* of late pulses: how much over their interval */

/**
 * vitals_snapshot_group_buckets() - a group's histogram, closed members included
 * @snapshot: as taken
 * @index: as for vitals_snapshot_group()
 * @which: VITALS_GROUP_INTERVALS or VITALS_GROUP_LATENESS
 * @counts: receives VITALS_BUCKETS_COARSE counts, one a bucket, not cumulative
 *
 * As old as the group's row. The sum of intervals' counts is the row's @pulses.
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or another @which.
 */
VITALS_EXPORT
int vitals_snapshot_group_buckets(vitals_snapshot *snapshot, uint32_t index,
				  uint32_t which, uint64_t *counts);

/**
 * vitals_snapshot_shutdown_buckets() - how long shutdowns took, of all quitters
 * @snapshot: as taken
 * @counts: receives VITALS_BUCKETS_COARSE counts, one a bucket, not cumulative
 *
 * From the request to the end of the wait; freed quitters included.
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -EINVAL for NULL.
 */
VITALS_EXPORT
int vitals_snapshot_shutdown_buckets(vitals_snapshot *snapshot, uint64_t *counts);

/**
 * vitals_snapshot_print() - the rows as aligned text
 * @snapshot: as taken; of vitals_quitter_wait_done(): the late rows
 * @fd: written to by write(2) alone
 *
 * Threads: any; one at a time for the same snapshot; no heap, no stdio, no locale.
 * Return: 0; -EINVAL for NULL; the errno of write(2).
 */
VITALS_EXPORT
int vitals_snapshot_print(vitals_snapshot *snapshot, int fd);

/**
 * vitals_snapshot_evidence() - what the thread of the @index-th heartbeat is doing
 * @snapshot: as taken
 * @index: as in vitals_snapshot_heartbeat()
 * @evidence: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENODATA if it was not looked at; -ENOENT after the last; -EINVAL for NULL or a size
 * of 0.
 */
VITALS_EXPORT
int vitals_snapshot_evidence(vitals_snapshot *snapshot, uint32_t index,
			     struct vitals_evidence *evidence);

/**
 * vitals_snapshot_finding() - the @index-th of the newest eight deadlocks, and all asleep
 * @snapshot: as taken
 * @index: 0 and up
 * @info: a record with its size set
 *
 * Threads: any; one at a time for the same snapshot.
 * Return: 0; -ENOENT after the last; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_snapshot_finding(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_finding_info *info);

VITALS_END_DECLS

#endif
