/* SPDX-License-Identifier: MIT */

/*
 * Registry
 *
 * What one process, or one test, keeps track of: the region's segments, the private memory beside
 * them by the same index, the lock, and what state it is in. Knows how slots are taken and given
 * back, not what is in them.
 *
 * Lock order: notifier_control, monitor_control, judge (one turn at a time) before lock (structure:
 * slots, names, the tree) before events_lock and spares_lock. The monitor's judging takes only judge and, for a
 * moment, events_lock; nobody calls out under any of them. A forked child starts all afresh.
 */

#ifndef VT_REGISTRY_H
#define VT_REGISTRY_H

#include "futex.h"
#include "proc.h"
#include "region.h"
#include "view.h"
#include "vitals.h"

#include <pthread.h>

#define VT_SEGMENTS 64
#define VT_ROOMS 16
#define VT_HOOKS 8

/* How often the monitor looks: so many times in the shortest timeout, within these bounds. */
#define VT_TICKS 8
#define VT_TICK_MIN_NS VITALS_MS(1)
#define VT_TICK_MAX_NS VITALS_S(1)

/* What is taken and given back: a slot, or a pair of them, and the private record beside it. */
enum vt_pool {
	VT_POOL_HEARTBEAT, /* hot, cold and rare */
	VT_POOL_COARSE,
	VT_POOL_FINE,
	VT_POOL_QUITTER,
	VT_POOL_MEMBER,
	VT_POOL_CAUSE,
	VT_POOL_SHUTDOWN,
	VT_POOL_SCOPES,
	VT_POOLS,
};

/*
 * In every private record, where the pool says: a free slot's place in the queue, a living one's in
 * its name's chain (names.c).
 */
struct vt_link {
	uint32_t next;
	uint32_t
		stamp; /* free: the turn under which it was given back; living: a hint, names.c */
};

/* What the private records of a span begin with; behind them is what few of them need. */
struct vt_span_head {
	vitals_registry *registry;
	uint32_t epoch; /* that its handles are made under */
	uint32_t first;
	uint32_t count;
	uint32_t number; /* of the span in its pool */
	_Atomic uint64_t
		*bits; /* the inbox's: one for each, and one for each word of those */
	struct vt_wheel_link
		*links; /* the wheel's: close together, for it goes by many */
};

/* Where in a wheel a heartbeat is: index + 1 of its neighbours, see wheel.c. */
struct vt_wheel_link {
	uint32_t prev;
	uint32_t next;
};

/* Bytes of a private record; what it is, the room that owns it knows, and asserts that it fits. */
#define VT_RECORD_HEARTBEAT 40u
#define VT_RECORD_QUITTER 32u
#define VT_RECORD_MEMBER 88u
/* And of what few need: pages not written to take no memory. */
#define VT_SELDOM_HEARTBEAT 24u
#define VT_SELDOM_QUITTER 24u
#define VT_SELDOM_MEMBER 56u

/* From one record of a pool to the next. */
#define VT_RECORD_STRIDE(record) ((record) + sizeof(struct vt_link))
/* Records begin on a line of their own. */
#define VT_SPAN_HEAD 64u

/* Records lie side by side behind their span's head, and what few need behind all of them. */
static inline struct vt_span_head *vt_span_of(const void *record, uint32_t place,
					      uint32_t size)
{
	uintptr_t at = (uintptr_t)record - place * VT_RECORD_STRIDE(size);

	return (struct vt_span_head *)(at - VT_SPAN_HEAD);
}

static inline void *vt_span_seldom(const struct vt_span_head *span, uint32_t place,
				   uint32_t size, uint32_t seldom)
{
	uintptr_t at =
		(uintptr_t)span + VT_SPAN_HEAD + span->count * VT_RECORD_STRIDE(size);

	return (unsigned char *)at + place * seldom;
}

struct vt_pool_state {
	struct vt_span_head *spans[VT_SPANS];
	_Atomic uint32_t n_spans;
	uint32_t capacity;
	uint32_t free_first; /* index + 1; a queue, oldest first */
	uint32_t free_last;
	uint32_t living;
};

/* A chained hash of what has a name, by (scope, name, number): see names.h. */
struct vt_names {
	uint32_t *buckets;  /* named + 1 */
	uint32_t n_buckets; /* a power of two, 0: none yet */
	uint32_t living;
};

/*
 * Is what the host has installed still what it was? See sandbox.h; all zero: not begun.
 */
struct vt_sandbox {
	uint32_t tid;     /* whose status file it is, and who may ask */
	int fd;           /* of it; -1: none, or no more */
	uint32_t reason;  /* enum vitals_reason: it may never be asked again; 0: it may */
	uint32_t mode;    /* of seccomp, at the beginning */
	uint32_t filters; /* how many there were then */
	uint64_t device;
	uint64_t inode;
};

/* The next segment of a pool, made by the monitor: see spares.h. */
struct vt_spare {
	_Atomic uint32_t state;  /* enum vt_spare_state, in spares.c */
	_Atomic uint32_t wanted; /* the first index of it */
	uint32_t first;          /* of what was made */
	struct vt_mapping mapping;
};

/* How the registry's threads stand. */
enum vt_run {
	VT_RUN_NEVER,   /* nobody has looked yet */
	VT_RUN_STEPPED, /* turns by hand */
	VT_RUN_RUNNING,
	VT_RUN_STOPPED,
	VT_RUN_FORKED, /* a child's copy of a started one: empty and silent until started afresh */
};

/* What is done for those above when a registry's lot changes; each may be NULL. */
struct vt_hooks {
	/*
	 * In a forked child that keeps it: makes what a room has there apart from the parent's,
	 * its descriptors above all.
	 */
	void (*carried)(vitals_registry *registry);
	/* Before its rooms go. */
	void (*ended)(vitals_registry *registry);
};

struct vitals_registry {
	struct vt_lock lock;
	struct vt_lock judge;
	struct vt_lock events_lock;
	struct vt_lock
		monitor_control; /* start and stop, one at a time; never in a turn */
	struct vt_lock
		notifier_control;     /* the same of the notifier; never in a callback */
	struct vt_lock notifier_lock; /* what it calls; held for no call out */

	struct vt_view view;
	struct vt_root *root; /* set once the first segment is there */
	uint64_t id;
	_Atomic uint32_t refs; /* holders of the whole: its maker, and what outlives it */
	_Atomic uint32_t ready; /* the first segment is there */
	_Atomic uint32_t
		epoch; /* changes when a forked child gives up what it inherited */
	_Atomic uint32_t
		forks; /* changes in every forked child, where no thread of ours is */
	_Atomic uint32_t run;   /* enum vt_run */
	_Atomic uint32_t turns; /* odd while a turn looks at slots */
	_Atomic uint64_t ids;   /* last given */
	uint32_t reserve;       /* slots asked for ahead */

	_Atomic uint32_t inbox; /* a bit for each span: see inbox.h */
	_Atomic uint32_t wake;  /* changes when the monitor has something to do now */
	bool fork_locked;       /* prepare holds lock */
	bool fork_spares;       /* and spares_lock */
	bool fork_saved;        /* and has saved the segments, for the child to keep */
	_Atomic int
		wake_fd; /* what it polls beside the host's descriptors; -1: it waits on wake */

	/* guarded by lock */
	struct vt_mapping segments[VT_SEGMENTS];
	uint32_t n_segments;
	struct vt_pool_state pools[VT_POOLS];
	struct vt_names names;
	struct vt_room {
		void *at;
		size_t size;
	} rooms[VT_ROOMS];
	uint32_t n_rooms;
	const struct vt_hooks *hooks[VT_HOOKS]; /* NULL: no more */
	vitals_registry *next;                  /* fork.c's */

	struct vt_sandbox sandbox; /* of the monitor's thread, or of who turns by hand */
	struct vt_proc proc; /* the same: what they read the kernel's files through */
	_Atomic uint32_t evidence_mode;   /* enum vitals_evidence_mode */
	_Atomic uint32_t evidence_barred; /* by VITALS_EVIDENCE=off */

	_Atomic uint32_t spares_maker;  /* the monitor's task, 0: nobody makes any */
	_Atomic uint32_t spares_wanted; /* a bit for each pool */
	struct vt_lock spares_lock; /* while one is made; the maker waits for nobody */
	struct vt_spare spares[VT_POOLS];

	/* What the rooms above keep here; each belongs to the room it is named after. */
	struct vt_monitor *monitor;
	struct vt_main *main;
	struct vt_changes *changes;
	struct vt_notifier *notifier;
	struct vt_tree *tree;
	struct vt_systemd
		*_Atomic systemd; /* read without the lock, as those that follow */
	struct vt_log *_Atomic log;
	struct vt_beacon *_Atomic beacon;
	struct vt_abort *_Atomic abort;
	struct vt_capture *_Atomic capture;
};

/*
 * The registry that a public @registry means, ready for use: NULL is the process's own, laid out
 * with its first use. Return: 0; -ENOMEM; -ECANCELED in a forked child that has not started afresh.
 */
int vt_registry_get(vitals_registry *registry, vitals_registry **ret);

/* The same, but nothing is made: NULL if it was never used. For reading. */
vitals_registry *vt_registry_peek(vitals_registry *registry);

bool vt_registry_ready(const vitals_registry *registry);

vitals_registry *vt_registry_ref(vitals_registry *registry);
vitals_registry *vt_registry_unref(vitals_registry *registry);

/* A registry in a forked child that lays itself out afresh, for start. Return: 0; -ENOMEM. */
int vt_registry_renew(vitals_registry *registry);

/* The monitor has something to do now. Async-signal-safe. */
void vt_registry_wake(vitals_registry *registry);

/* An id that was never used before. */
uint64_t vt_registry_id(vitals_registry *registry);

/* Does a handle that was made under @epoch still speak for this process? */
static inline bool vt_registry_current(const vitals_registry *registry, uint32_t epoch)
{
	/* Relaxed: it changes only in a child that has one thread yet. */
	return atomic_load_explicit(&registry->epoch, memory_order_relaxed) == epoch;
}

/*
 * Takes a slot and its private record; both are as their last user left them but for gen, which the
 * taker makes odd when all is in place (vt_slot_open()). Return: 0; -ENOMEM.
 */
int vt_slot_new(vitals_registry *registry, enum vt_pool pool, uint32_t *ret_index)
	VT_REQUIRES(registry->lock);

/*
 * Gives a slot back. Its gen is even already (vt_slot_close()): a turn of the monitor that is under
 * way may still be looking, so it is not taken again before that turn is over.
 */
void vt_slot_free(vitals_registry *registry, enum vt_pool pool, uint32_t index)
	VT_REQUIRES(registry->lock);

void *vt_slot(const vitals_registry *registry, enum vt_kind kind, uint32_t index);
void *vt_record(const vitals_registry *registry, enum vt_pool pool, uint32_t index);
struct vt_link *vt_link(const vitals_registry *registry, enum vt_pool pool,
			uint32_t index);

/* The span that has the record at @index. */
static inline struct vt_span_head *vt_span_with(const vitals_registry *registry,
						enum vt_pool pool, uint32_t index)
{
	struct vt_span_head *const *spans = registry->pools[pool].spans;
	/* Acquire: the spans up to there are filled in. */
	uint32_t n = atomic_load_explicit(&registry->pools[pool].n_spans,
					  memory_order_acquire);

	/* The newest holds half of all. */
	while (--n && index < spans[n]->first)
		continue;
	return spans[n];
}

/*
 * The next use of a free slot begins: whoever knows the last by its gen no longer takes the slot for
 * that. What is filled in from here on is stored with release, so that a copy that has any of it
 * sees the gen too.
 */
static inline void vt_slot_take(_Atomic uint32_t *gen)
{
	uint32_t old = atomic_load_explicit(gen, memory_order_relaxed);

	atomic_store_explicit(gen, old + 2, memory_order_release);
}

/* Makes gen odd: from here on readers see the slot. All else is in place. */
static inline void vt_slot_open(_Atomic uint32_t *gen)
{
	uint32_t old = atomic_load_explicit(gen, memory_order_relaxed);

	/* Release: whoever sees the slot in use sees all that was put in place before. */
	atomic_store_explicit(gen, (old | 1u), memory_order_release);
}

/* Makes gen even: readers no longer see the slot, and throw away what they copied. */
static inline void vt_slot_close(_Atomic uint32_t *gen)
{
	uint32_t old = atomic_load_explicit(gen, memory_order_relaxed);

	/* Sequentially consistent, with vt_slot_free()'s look at turns: see there. */
	if (old & 1u)
		atomic_store_explicit(gen, old + 1, memory_order_seq_cst);
}

/*
 * A room's private state: @size zero bytes, kept until the registry goes. Return: NULL without memory.
 */
void *vt_registry_room(vitals_registry *registry, size_t size)
	VT_REQUIRES(registry->lock);

/* From now on @hooks are called. Once is enough, more do nothing. */
void vt_registry_hook(vitals_registry *registry, const struct vt_hooks *hooks)
	VT_REQUIRES(registry->lock);

#endif
