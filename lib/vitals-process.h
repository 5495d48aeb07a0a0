/* SPDX-License-Identifier: MIT */

/*
 * Process
 *
 * What a process, or a test, keeps track of is a registry. NULL is the
 * process's own: it needs no call to make and none to end. Before start there
 * is no thread of ours; start, which fork, the exporter and vitals_exit()
 * imply, starts the monitor.
 */

#ifndef VITALS_PROCESS_H
#define VITALS_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define VITALS_BEGIN_DECLS extern "C" {
#define VITALS_END_DECLS }
#else
#define VITALS_BEGIN_DECLS
#define VITALS_END_DECLS
#endif

#define VITALS_EXPORT __attribute__((visibility("default")))
#define VITALS_MUST_CHECK __attribute__((warn_unused_result))

/* Durations are in nanoseconds everywhere. */
#define VITALS_US(n) (1000u * (uint64_t)(n))
#define VITALS_MS(n) (1000000u * (uint64_t)(n))
#define VITALS_S(n) (1000000000u * (uint64_t)(n))

/* A wait without an end. */
#define VITALS_FOREVER UINT64_MAX

/* Empties an options or record struct and says how large this program knows it to be. */
#define VITALS_INIT(pointer)                                                             \
	(memset((pointer), 0, sizeof(*(pointer))),                                       \
	 (void)((pointer)->size = (uint32_t)sizeof(*(pointer))))

/* A name is 1 to 63 bytes of UTF-8 without control characters, '/' or '#'. */
#define VITALS_NAME_MAX 64
/* A shown name is a name and, for the second and later of that name, '#' and a number. */
#define VITALS_SHOWN_MAX 80
/* A path of shown names; a longer one is cut in the middle. */
#define VITALS_PATH_MAX 256
#define VITALS_TEXT_MAX 64
#define VITALS_GROUPS_MAX 256
#define VITALS_PARTS_MAX 32

VITALS_BEGIN_DECLS

typedef struct vitals_registry vitals_registry;
typedef struct vitals_heartbeat vitals_heartbeat;
typedef struct vitals_quitter vitals_quitter;
typedef struct vitals_thread vitals_thread;
typedef struct vitals_events vitals_events;
typedef struct vitals_snapshot vitals_snapshot;

/* How a heartbeat fares; see vitals_state_name(). */
enum vitals_state {
	VITALS_STARTING = 0, /* registered or started, no beat yet */
	VITALS_HEALTHY = 1,
	VITALS_IDLE = 2,   /* waits by intent */
	VITALS_SILENT = 3, /* no sign of life for longer than its timeout */
	VITALS_STUCK = 4,  /* the same for longer than its stuck timeout */
	VITALS_DEAD = 5,   /* its thread ended without closing it */
	VITALS_CLOSED = 6,
	VITALS_UNBOUNDED = 7, /* in a scope that may take any time */
};
#define VITALS_STATES 8

/**
 * vitals_version() - the version of the library that is running
 *
 * Threads: any; async-signal-safe.
 * Return: "MAJOR.MINOR.PATCH", valid for ever.
 */
VITALS_EXPORT
const char *vitals_version(void);

/**
 * vitals_has() - ask for a feature by name
 * @feature: "heartbeat", "quitter", "snapshot", "memfd" (this system can share the
 *           region with readers outside), ...; unknown names are features not had
 *
 * Threads: any.
 * Return: 1 or 0.
 */
VITALS_EXPORT
int vitals_has(const char *feature);

/**
 * vitals_state_name() - the word for a state, as in metrics, JSON and the page
 * @state: one of enum vitals_state
 *
 * Threads: any; async-signal-safe.
 * Return: "starting", "healthy", "idle", "silent", "stuck", "dead", "closed", "unbounded",
 * or "unknown"; valid for ever.
 */
VITALS_EXPORT
const char *vitals_state_name(int state);

/**
 * vitals_registry_new() - make a registry beside the process's own
 * @slots: heartbeats and threads to reserve room for ahead; 0: as they come
 * @ret: receives the registry
 *
 * For tests and plugins. Services use NULL, the process's own.
 *
 * Threads: any.
 * Return: 0; -EINVAL if @ret is NULL or @slots is over 16 777 216; -ENOMEM.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_registry_new(uint32_t slots, vitals_registry **ret);

/**
 * vitals_registry_free() - stop and forget a registry of vitals_registry_new()
 * @registry: the registry; NULL does nothing
 *
 * Stops its threads and waits for them. Its memory goes with the last handle
 * (heartbeat, quitter, thread, events, snapshot) that still points into it;
 * until then those answer as after vitals_stop().
 *
 * Threads: any but one of the registry's callbacks; once.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_registry *vitals_registry_free(vitals_registry *registry);

/**
 * vitals_start() - start the monitor
 * @registry: NULL: the process's own
 *
 * Nothing that happened before is judged: every heartbeat's clock begins at the
 * later of registration and start. The environment was read at the registry's first
 * use: VITALS=off (nothing is started, judged or served, every call answers as if all
 * were well), VITALS_TIMEOUT_SCALE=N (every heartbeat's timeouts times N, 0.001 to 1000;
 * valgrind, emulators), VITALS_EVIDENCE=off (nobody is looked at, see vitals_evidence_set()).
 * A process that runs with changed privileges (secure_getenv)
 * reads none.
 *
 * The monitor's thread has begun when this returns. A filter of system calls that is installed
 * later is noticed: see docs/sandbox.md.
 *
 * In a forked child of a started process everything inherited is inert; this starts
 * afresh, with an empty registry.
 *
 * Threads: any.
 * Return: 0, also with VITALS=off; -EALREADY if it runs; -EAGAIN, -ENOMEM or -EPERM if the
 * system gives no thread.
 */
VITALS_EXPORT
int vitals_start(vitals_registry *registry);

/**
 * vitals_stop() - stop the monitor and the notifier
 * @registry: NULL: the process's own
 *
 * Waits for both, for the running callback too. Readers of events get
 * -ECANCELED. Heartbeats and quitters go on working; nobody looks at them.
 *
 * Threads: any but one of the registry's callbacks (-EDEADLK).
 * Return: 0, also if it did not run; -EDEADLK.
 */
VITALS_EXPORT
int vitals_stop(vitals_registry *registry);

/**
 * vitals_step() - one turn of the monitor by hand
 * @registry: NULL: the process's own
 * @now_ns: the time of the turn, CLOCK_MONOTONIC; not before the last turn's
 *
 * For tests, and for hosts without a thread to spare. The first turn is the
 * start. A turn later than two ticks after the one before counts as a pause of
 * the process, and the time between them as nobody's silence, as for the monitor's
 * thread; only when the eight before were as late, a tick of it counts, or a 128th of
 * it if that is more. To walk through time step by at most vitals_process_info.tick_ns.
 *
 * Threads: any.
 * Return: 0; -EBUSY if the monitor's thread runs or another turn is under way;
 * -EINVAL if @now_ns is before the last turn; -ENOMEM; -ECANCELED in a forked child.
 */
VITALS_EXPORT
int vitals_step(vitals_registry *registry, uint64_t now_ns);

/**
 * vitals_set_ready() - say whether a part of the service can do its work
 * @registry: NULL: the process's own
 * @part: a name; NULL: "main"
 * @ready: 1 or 0
 *
 * With parts, the process is ready when every part is and the heartbeats allow
 * it; without a call, when the heartbeats allow it. The first time it is ready
 * /startupz turns 200 and stays so. Readiness ends by itself when the main
 * quitter is told to quit.
 *
 * Threads: any.
 * Return: 0; -EINVAL for a bad name; -ENOSPC past VITALS_PARTS_MAX parts; -ENOMEM;
 * -ECANCELED in a forked child.
 */
VITALS_EXPORT
int vitals_set_ready(vitals_registry *registry, const char *part, int ready);

/**
 * vitals_systemd() - tell the service manager how the process fares
 * @registry: NULL: the process's own
 * @flags: 0
 *
 * Where NOTIFY_SOCKET is set (systemd's Type=notify, a container's runtime) sends, from now
 * on and from this process alone: READY=1 when /startupz turns 200, WATCHDOG=1 at half of
 * WATCHDOG_USEC while /livez is 200, STOPPING=1 with the quit stage, EXTEND_TIMEOUT_USEC=
 * at the beginning of a shutdown and while threads leave, STATUS= with who is late. Where it
 * is not set does nothing. The variables are read by this call, and left as they are; a process
 * that runs with changed privileges (secure_getenv) reads none. Sending never waits, and keeps
 * no descriptor.
 *
 * Starts the monitor and the notifier, unless vitals_step() makes the turns. Say first
 * which parts are not ready yet: without any the process is ready at once. Once is enough,
 * more do nothing. A forked child says nothing unless it asks itself.
 *
 * Threads: any.
 * Return: 0, also if there is nobody to tell; -EINVAL for @flags, a NOTIFY_SOCKET that is
 * neither a path nor '@' and a name, or a WATCHDOG_USEC or WATCHDOG_PID that is no number;
 * -ENOMEM; -EAGAIN or -EPERM if the system gives no thread; -ECANCELED in a forked child
 * that has not started afresh.
 */
VITALS_EXPORT
int vitals_systemd(vitals_registry *registry, uint32_t flags);

/**
 * vitals_reloading() - tell the service manager that a reload has begun
 * @registry: NULL: the process's own
 *
 * For Type=notify-reload, in answer to the signal that asks for it. Over, and told as
 * READY=1, with the next vitals_set_ready(…, 1) with which all is ready. One that begins
 * before that takes its place.
 *
 * Threads: any.
 * Return: 0, also if there is nobody to tell; -ENOMEM; -ECANCELED in a forked child.
 */
VITALS_EXPORT
int vitals_reloading(vitals_registry *registry);

/**
 * vitals_thread_looks_on() - say that the calling thread wakes nobody
 *
 * For a thread that only reads and reports what others do: an exporter's, a sampler's. While all
 * others sleep for ever the process is told to be asleep (VITALS_EVENT_ASLEEP), whatever this one
 * does. Until it ends; in a forked child no more. Up to 16 threads at a time.
 *
 * Threads: any.
 * Return: 0, also if it has said so before; -ENOSPC; -ENOMEM.
 */
VITALS_EXPORT
int vitals_thread_looks_on(void);

VITALS_END_DECLS

#endif
