/* SPDX-License-Identifier: MIT */

/*
 * Events
 *
 * What the library tells: which heartbeat changed, from what to what, when and for
 * how long. Changes are one list ordered by number, each heartbeat in it once with its
 * newest; a reader is a position in it. So a reader that never reads blocks nobody, fills
 * nothing, and loses only what a newer change of the same heartbeat made stale.
 */

#ifndef VITALS_EVENTS_H
#define VITALS_EVENTS_H

#include "vitals-evidence.h"
#include "vitals-process.h"

VITALS_BEGIN_DECLS

enum vitals_event_kind {
	VITALS_EVENT_HEARTBEAT = 1,
	VITALS_EVENT_PAUSE = 2,    /* the whole process did not run for lasted_ns */
	VITALS_EVENT_DEADLOCK = 3, /* threads wait for each other's locks, in a circle */
	VITALS_EVENT_ASLEEP = 4,   /* all threads sleep, and nobody is left to wake one */
};

/**
 * struct vitals_event - one change
 * @size: set by VITALS_INIT()
 * @kind: one of enum vitals_event_kind
 * @number: 1 and up, in order
 * @lost: changes that newer ones of the same heartbeat made stale before this reader saw them, or
 *        whose heartbeat has gone, since the event before
 * @heartbeat_id: which
 * @thread_id: of the thread whose heartbeat it is, for vitals_quitter_abandon(); 0: none
 * @from: enum vitals_state; -1 in a first event
 * @to: enum vitals_state
 * @at_ns: when it was seen, CLOCK_MONOTONIC
 * @real_ns: the same moment, CLOCK_REALTIME
 * @lasted_ns: how long @from had lasted, pauses of the process included; at the end of a stall (from
 *             silent or stuck to neither) the whole stall, from silent on; of a pause, its length;
 *             0 in a first event
 * @silence_ns: the silence at that moment, in a scope the time in it, pauses not counted; at the end
 *              of a stall the longest that it came to
 * @tid: of the thread, 0: none
 * @flags: as in vitals_heartbeat_options
 * @name: the shown name
 * @group: the heartbeat's group
 * @scope: which it is silent or stuck in, died in, or is unbounded for; empty: none
 * @thread_class: enum vitals_class, what its thread is doing; of any other kind of event 0
 * @threads: of a deadlock, how many are in it; of all asleep, how many there are
 * @doing: the sentence that goes with it; of a deadlock the whole of it; empty: nothing is known
 *
 * Silent and stuck are told in the monitor's first turn after their time is up; the end of a stall,
 * and a first beat, within a tick and an eighth of the timeout, or a second if that is less. What
 * changes without anything being wrong (healthy, idle, unbounded) is told when the monitor comes by,
 * which it does at 12 500 heartbeats a second, or 4 096 a tick where that is fewer: of a few at once,
 * of 100 000 within 8 s, with ticks of a second within 25 s. What came and went between two looks is no event.
 */
struct vitals_event {
	uint32_t size;
	uint32_t kind;
	uint64_t number;
	uint64_t lost;
	uint64_t heartbeat_id;
	uint64_t thread_id;
	int32_t from;
	int32_t to;
	uint64_t at_ns;
	uint64_t real_ns;
	uint64_t lasted_ns;
	uint64_t silence_ns;
	uint32_t tid;
	uint32_t flags;
	char name[VITALS_SHOWN_MAX];
	char group[VITALS_NAME_MAX];
	char scope[VITALS_NAME_MAX];
	uint32_t thread_class;
	uint32_t threads;
	char doing[VITALS_DOING_MAX];
};

/* The seed's boolean: false for silent, stuck and dead, true for healthy, idle and unbounded. */
#define VITALS_STATE_IS_GOOD(state)                                                      \
	((state) == VITALS_HEALTHY || (state) == VITALS_IDLE ||                          \
	 (state) == VITALS_UNBOUNDED)

/**
 * vitals_on_event() - be called for every event
 * @registry: NULL: the process's own
 * @fn: called in a thread of ours, one event at a time, with no lock held; NULL: no longer
 * @user: for @fn
 *
 * One callback a registry. It may take as long as it likes: the monitor goes on judging, and
 * the callback gets what it missed, newest of each heartbeat, when it returns. When this
 * returns the callback before is not running any more. All signals are blocked in it: a
 * process, or a thread, that it starts wants a mask of its own.
 *
 * Threads: any but the callback itself (-EDEADLK).
 * Return: 0; -EDEADLK; -EAGAIN or -ENOMEM if the system gives no thread; -ECANCELED in a forked
 * child.
 */
VITALS_EXPORT
int vitals_on_event(vitals_registry *registry,
		    void (*fn)(const struct vitals_event *event, void *user), void *user);

/**
 * vitals_events_open() - read events
 * @registry: NULL: the process's own
 * @heartbeat: only of this one; NULL: of all
 * @ret: receives the reader, at the end of the list: what comes from now on
 *
 * Threads: any.
 * Return: 0; -EINVAL for @ret NULL or a heartbeat of another registry; -ECANCELED in a forked
 * child; -ENOMEM; -ENOSPC past 64 readers. @ret is NULL after an error.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_events_open(vitals_registry *registry, vitals_heartbeat *heartbeat,
		       vitals_events **ret);

/**
 * vitals_events_fd() - poll for events
 * @events: the reader
 *
 * Readable while there is something to read, and for ever after vitals_stop(). Reading from
 * it does nothing. Made with the first call, close-on-exec, closed with the reader; never
 * close it.
 *
 * Threads: any.
 * Return: the descriptor; -EINVAL for NULL; -EMFILE, -ENFILE or -ENOMEM.
 */
VITALS_EXPORT
int vitals_events_fd(vitals_events *events);

/**
 * vitals_events_next() - the next event
 * @events: the reader
 * @timeout_ns: how long to wait for one; 0: look only; VITALS_FOREVER
 * @event: a record with its size set
 *
 * Threads: any, one at a time for the same reader.
 * Return: 0; -ETIMEDOUT if there is none; -ECANCELED after vitals_stop() once all are read,
 * and in a forked child; -EINVAL for NULL or a size of 0.
 */
VITALS_EXPORT
int vitals_events_next(vitals_events *events, uint64_t timeout_ns,
		       struct vitals_event *event);

/**
 * vitals_events_close() - read no more
 * @events: NULL does nothing
 *
 * Threads: any; once; not while another waits in vitals_events_next() on it.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_events *vitals_events_close(vitals_events *events);

/**
 * vitals_event_text() - one line for the host's own logger
 * @event: the event
 * @buffer: receives the line, without a newline, always ended by a 0
 * @size: of @buffer
 *
 * Threads: any; async-signal-safe.
 * Return: the length of the whole line, which may be @size or more; -EINVAL for NULL.
 */
VITALS_EXPORT
int vitals_event_text(const struct vitals_event *event, char *buffer, size_t size);

VITALS_END_DECLS

#endif
