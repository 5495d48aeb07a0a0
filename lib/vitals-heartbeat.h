/* SPDX-License-Identifier: MIT */

/*
 * Heartbeat
 *
 * One named sign of life with a timeout: how long silence is allowed. A touch or
 * a pulse breaks the silence; idle says that it is meant.
 */

#ifndef VITALS_HEARTBEAT_H
#define VITALS_HEARTBEAT_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/* Worth a warning only: never turns /health to 503 nor /readyz or /livez. */
#define VITALS_INFORMATIVE 0x1u
/* Keeps no histogram of its pulse intervals: a quarter of a KiB rather than 1.3 KiB. */
#define VITALS_NO_HISTOGRAM 0x2u
/* Keeps one bucket an octave rather than four: 0.6 KiB, and quantiles up to 41.5 % off, not 9.1 %. */
#define VITALS_COARSE_HISTOGRAM 0x4u

/**
 * struct vitals_heartbeat_options - what vitals_heartbeat_new() may be told
 * @size: set by VITALS_INIT()
 * @flags: VITALS_INFORMATIVE, VITALS_NO_HISTOGRAM, VITALS_COARSE_HISTOGRAM; without the last two a
 *         histogram of four buckets an octave
 * @interval_ns: how often it should pulse; 0: half the timeout
 * @start_ns: silence allowed before the first beat, up to 10 years; 0: the timeout
 * @stuck_ns: silence after which it counts as stuck, up to 40 years; 0: four timeouts
 * @group: the class it is counted in, a name; NULL: "default"
 */
struct vitals_heartbeat_options {
	uint32_t size;
	uint32_t flags;
	uint64_t interval_ns;
	uint64_t start_ns;
	uint64_t stuck_ns;
	const char *group;
};

/**
 * vitals_heartbeat_new() - watch a sign of life
 * @registry: NULL: the process's own
 * @name: what reports call it; copied. Need not be unique: the second living one
 *        of a name is shown as "name#2"
 * @timeout_ns: silence longer than this is reported; 1 ms to 10 years
 * @options: NULL: the defaults
 * @ret: receives the heartbeat, with one reference
 *
 * It belongs to no thread until vitals_heartbeat_own(). Its clock runs from now
 * or from start, whichever is later. Waits for neither a look of the monitor nor a
 * callback; a timeout shorter than any before wakes the monitor.
 *
 * Threads: any.
 * Return: 0; -EINVAL for a bad name, group, flag or time (stuck not above the
 * timeout, interval above it), or @ret NULL; -E2BIG if @options is larger than the
 * library knows and not 0 there; -ENOSPC for a 257th group; -ENOMEM; -ECANCELED in a
 * forked child. @ret is NULL after an error.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_heartbeat_new(vitals_registry *registry, const char *name, uint64_t timeout_ns,
			 const struct vitals_heartbeat_options *options,
			 vitals_heartbeat **ret);

/**
 * vitals_heartbeat_ref() - one more holder
 * @heartbeat: NULL does nothing
 *
 * Threads: any.
 * Return: @heartbeat.
 */
VITALS_EXPORT
vitals_heartbeat *vitals_heartbeat_ref(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_unref() - one holder less; the last one closes it
 * @heartbeat: NULL does nothing
 *
 * Threads: any.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_heartbeat *vitals_heartbeat_unref(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_close() - no longer watch it
 * @heartbeat: NULL does nothing. The reference stays the caller's
 *
 * For somebody else's heartbeat too. It counts nowhere any more and its name is
 * free; whoever still pulses it gets -ECANCELED and harms nothing. Waits for
 * neither a look of the monitor nor a callback.
 *
 * Threads: any; any number of times.
 */
VITALS_EXPORT
void vitals_heartbeat_close(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_own() - the calling thread is whose life this is
 * @heartbeat: the heartbeat
 *
 * From now on the heartbeat is dead when the thread ends without closing it: by return,
 * pthread_exit or cancel at once, in the last round of the thread's destructors, so that those of
 * others may still beat; one of a newer key in that very round comes too late, as does a call of
 * this that is the thread's first, made in a destructor. Where no destructor runs (a raw exit), and
 * for those, the monitor finds the thread gone when the heartbeat falls silent, or within a second
 * while it is; a thread of the process that was given the same tid since passes for the owner.
 * What vitals_thread_fork() and vitals_thread_adopt() make is owned already.
 *
 * A forked child of a process that was not started has no other thread: what the thread that
 * forked owns is its own there too, what others own is dead.
 *
 * Threads: any; the new owner.
 * Return: 0; -EINVAL for NULL; -ECANCELED if it is closed; -EBUSY if another living
 * thread owns it; -ENOMEM.
 */
VITALS_EXPORT
int vitals_heartbeat_own(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_pulse() - a timed beat
 * @heartbeat: NULL is closed
 *
 * Reads the clock once; the interval since the pulse before goes into the
 * histogram, and none is lost when several threads pulse at once. No system call,
 * no lock, no allocation.
 *
 * Threads: any, also several at once, also a signal handler.
 * Return: 0; -ECANCELED if it is closed. May be ignored.
 */
VITALS_EXPORT
int vitals_heartbeat_pulse(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_touch() - an untimed beat for hot loops
 * @heartbeat: NULL does nothing
 *
 * One load and one store. Says "alive as of the monitor's last tick"; the
 * heartbeat is silent only when the silence passes its timeout and a tick. A tick is an
 * eighth of the shortest timeout in the registry, from 1 ms to 1 s. It is in no histogram.
 *
 * Threads: any, also several at once, also a signal handler.
 */
VITALS_EXPORT
void vitals_heartbeat_touch(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_idle() - the silence from here on is meant
 * @heartbeat: NULL is closed
 *
 * Ends with the next beat. Ends the interval since the last pulse, as a pulse does; the time spent
 * idle is in none. Rows say so at once; events and counts by state when the monitor comes by, see
 * struct vitals_event.
 *
 * Threads: any.
 * Return: 0; -ECANCELED if it is closed.
 */
VITALS_EXPORT
int vitals_heartbeat_idle(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_enter() - a piece of work with a budget of its own begins
 * @heartbeat: the calling thread's own; NULL does nothing
 * @name: what reports call it; copied
 * @budget_ns: how long it may take, 1 ms to 10 years; 0: as long as it likes, because @name
 *
 * A beat. While its thread is in a scope a heartbeat is judged by its scopes and not by its
 * timeout: silent once the time of one of them is up, however long an inner one may take, and
 * stuck when that one has taken as many times its budget as stuck is times the timeout. Pulses,
 * touches and idle are noted and put nothing off. If none of its scopes is bounded it is
 * unbounded, which is well. A scope left too late is counted under its name, seen by the monitor
 * or not; one that ends with its heartbeat, by close or by its thread's end, is not.
 *
 * Of 32 scopes inside one another all is known; those inside of these are only counted. What it
 * costs is the clock and some stores; a heartbeat's first scope, and one with a shorter budget than
 * any before, take a lock and may wake the monitor.
 *
 * Threads: the owner; not a signal handler.
 * Return: the depth, 1 and up; 0 for NULL; -EINVAL for a bad name or budget; -ECANCELED if it is
 * closed, and in a forked child; -EPERM if no living thread owns it; -ENOMEM. All may be handed to
 * vitals_heartbeat_leave().
 */
VITALS_EXPORT
int vitals_heartbeat_enter(vitals_heartbeat *heartbeat, const char *name,
			   uint64_t budget_ns);

/**
 * vitals_heartbeat_leave() - that piece of work is done
 * @heartbeat: as entered
 * @depth: what vitals_heartbeat_enter() answered; 0, an errno, or one left already does nothing
 *
 * With it all scopes inside of it end. A beat: after the last scope the timeout begins anew. One
 * that is too late looks its name up, and takes a lock the first time there is that name.
 *
 * Threads: the owner; not a signal handler.
 */
VITALS_EXPORT
void vitals_heartbeat_leave(vitals_heartbeat *heartbeat, int depth);

/* What VITALS_SCOPE() leaves. */
struct vitals_scope {
	vitals_heartbeat *heartbeat;
	int depth;
};

static inline struct vitals_scope vitals_scope_enter(vitals_heartbeat *heartbeat,
						     const char *name, uint64_t budget_ns)
{
	struct vitals_scope scope;

	scope.heartbeat = heartbeat;
	scope.depth = vitals_heartbeat_enter(heartbeat, name, budget_ns);
	return scope;
}

static inline void vitals_scope_leave(struct vitals_scope *scope)
{
	vitals_heartbeat_leave(scope->heartbeat, scope->depth);
}

/*
 * VITALS_SCOPE(heartbeat, "fsync", VITALS_MS(200)); is a declaration: entered there, left where its
 * block ends, by whichever way. longjmp and, in C without -fexceptions, pthread_exit leave nothing.
 */
#define VITALS_SCOPE(heartbeat, name, budget_ns)                                         \
	VITALS_SCOPE_AT_(heartbeat, name, budget_ns, __COUNTER__)
#define VITALS_SCOPE_AT_(heartbeat, name, budget_ns, n)                                  \
	VITALS_SCOPE_AS_(heartbeat, name, budget_ns, n)
#define VITALS_SCOPE_AS_(heartbeat, name, budget_ns, n)                                  \
	struct vitals_scope vitals_scope_##n                                             \
		__attribute__((unused, cleanup(vitals_scope_leave))) =                   \
			vitals_scope_enter((heartbeat), (name), (budget_ns))

/**
 * vitals_heartbeat_due() - is it time to pulse?
 * @heartbeat: NULL never is
 *
 * Threads: any.
 * Return: 1 if its interval has passed since its last beat or there was none yet;
 * else 0. A closed one answers 1: the pulse will say so.
 */
VITALS_EXPORT
int vitals_heartbeat_due(vitals_heartbeat *heartbeat);

/**
 * vitals_heartbeat_due_fd() - the same question for poll
 * @heartbeat: the heartbeat
 *
 * Readable once an interval. A vitals_heartbeat_due() that answers 1, or reading
 * eight bytes from it, makes it wait for the next. Made with the first call,
 * close-on-exec, closed with the heartbeat; never close it.
 *
 * Threads: any.
 * Return: the descriptor; -EINVAL for NULL; -ECANCELED if it is closed; -EMFILE,
 * -ENFILE or -ENOMEM.
 */
VITALS_EXPORT
int vitals_heartbeat_due_fd(vitals_heartbeat *heartbeat);

/* How a handle begins, for the inline form of touch; not for anybody else. */
struct vitals_heartbeat_head {
	uint64_t *beat;
	const uint64_t *tick;
};

static inline void vitals_heartbeat_touch_inline(vitals_heartbeat *heartbeat)
{
	const struct vitals_heartbeat_head *head =
		(const struct vitals_heartbeat_head *)(const void *)heartbeat;

	/* Relaxed: the word is read as a fact of its own and publishes nothing else. */
	if (head)
		__atomic_store_n(head->beat,
				 __atomic_load_n(head->tick, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
}

#ifndef VITALS_NO_INLINE
#define vitals_heartbeat_touch(heartbeat) vitals_heartbeat_touch_inline(heartbeat)
#endif

VITALS_END_DECLS

#endif
