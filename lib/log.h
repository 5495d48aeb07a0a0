/* SPDX-License-Identifier: MIT */

/*
 * Log
 *
 * Writes the news to a descriptor of the host's, and to the journal. The notifier does; where it is
 * held up in a callback of the host's, the monitor, for nothing in it waits: no lock, no memory, no
 * reader.
 */

#ifndef VT_LOG_H
#define VT_LOG_H

#include "datagram.h"
#include "gather.h"
#include "lines.h"
#include "registry.h"

#include <unistd.h>

enum vt_log_form {
	VT_LOG_LINES,
	VT_LOG_JOURNAL,
};
#define VT_LOG_FORMS 2

/* A line costs its part of that; as much is saved up. */
#define VT_LOG_CREDIT_NS VITALS_S(60)

/* printed + suppressed = what was found since it was asked for, less what is being gathered. */
struct vt_log_sink {
	bool on;
	bool torn;           /* the last line was written in part */
	uint64_t printed;    /* reports, in lines that were written whole */
	uint64_t suppressed; /* … that were not */
	uint64_t untold;     /* of those, not yet mentioned in a line */
};

struct vt_log_terms {
	int fd;
	struct vt_file file;
	struct vt_address journal;
	uint32_t lines_per_minute;
	uint64_t gather_ns; /* 0: by the tick */
	/* Starts a turn in the thread that calls out. */
	void (*wake)(vitals_registry *registry);
	/* The lock that the heartbeat's thread waits for; 0: none. */
	uint64_t (*lock_of)(vitals_registry *registry, uint32_t index, uint32_t gen);
};

struct vt_log {
	_Atomic int32_t pid; /* of the process that asked: no child of it writes */
	_Atomic uint32_t busy;

	/* guarded by busy */
	vitals_registry *registry;
	struct vt_log_terms terms;
	struct vt_log_sink sinks[VT_LOG_FORMS];
	uint64_t read;      /* the list is read up to that number */
	uint64_t credit_ns; /* what lines cost, in time that has passed */
	uint64_t credit_at_ns;
	uint64_t repeats;  /* of stalls that lasted: found by no event */
	uint64_t told_ns;  /* when a line was tried last */
	uint64_t due_ns;   /* since when something waits for the notifier; 0: nothing */
	uint64_t retry_ns; /* not before: a reader of events was held up */
	struct vt_gather gather;

	/* Nothing is read or told before; and when that was asked for last. Written by the monitor. */
	_Atomic uint64_t wait_ns;
	_Atomic uint64_t owed_ns;
};

/* NULL: nobody in this process has asked. */
static inline struct vt_log *vt_log_of(vitals_registry *registry)
{
	/* Acquire pairs with the release in vt_log_ask(), both. */
	struct vt_log *log = atomic_load_explicit(&registry->log, memory_order_acquire);

	if (!log || atomic_load_explicit(&log->pid, memory_order_acquire) != getpid())
		return NULL;
	return log;
}

/*
 * From now on news are written in @form, or no longer. What the other form goes by stays; limits are
 * for both. Return: 0; -ENOMEM.
 */
int vt_log_ask(vitals_registry *registry, enum vt_log_form form, bool on,
	       const struct vt_log_terms *terms);

/* Does this process write any? */
bool vt_log_asked(vitals_registry *registry);

/*
 * In each turn of the monitor: sees to it that what is due is written. Return: when to look again at
 * the latest, UINT64_MAX: any time.
 */
uint64_t vt_log_look_at(vitals_registry *registry, uint64_t now_ns);

/*
 * By the monitor: one that is silent could not be looked at yet. What is told waits for it, but not for
 * long, so that those who are stuck in one lock are told of together.
 */
void vt_log_owed_at(vitals_registry *registry, uint64_t now_ns);

/*
 * Writes @news where they are wanted, or counts them as suppressed; what vt_gather_to goes by. In a
 * turn.
 */
void vt_log_tell(void *log, struct vt_news *news, uint64_t now_ns);
void vt_log_suppress(void *log, uint64_t reports);

/* What was suppressed, and no line has told of: when that is to have a line of its own, and it. */
uint64_t vt_log_dropped_next(const struct vt_log *log);
void vt_log_tell_dropped(struct vt_log *log, uint64_t now_ns);

/* Writes what is due. */
void vt_log_turn_at(vitals_registry *registry, uint64_t now_ns);

/* The same before the process ends, and nothing more is gathered. */
void vt_log_last_at(vitals_registry *registry, uint64_t now_ns);
/* The same, and @words for whoever reads what was the last. */
void vt_log_abort_at(vitals_registry *registry, const char *words, uint64_t now_ns);
/* The same when nobody looks any more. */
void vt_log_stop(vitals_registry *registry);

#endif
