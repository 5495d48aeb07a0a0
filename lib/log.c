/* SPDX-License-Identifier: MIT */

#include "log.h"

#include "clock.h"
#include "events.h"
#include "heartbeat.h"
#include "rows.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* How long the notifier has for what is due. */
#define PATIENCE_NS VITALS_MS(100)
/* How long it may take until all have been looked at. */
#define OWED_MAX_NS VITALS_S(1)
/* Somebody else is at it; a reader of events is held up. */
#define SOON_NS VITALS_MS(1)
#define HELD_NS VITALS_MS(10)
#define GATHER_MIN_NS VITALS_MS(20)
#define GATHER_MAX_NS VITALS_S(1)
/* Events that a turn reads before others have theirs. */
#define EVENTS_MAX 4096
/* How often somebody tries to be the one at it, a tenth of a millisecond apart. */
#define LAST_TRIES 100

/* Nobody who has something else to do ever waits for it. */
static bool claim(struct vt_log *log)
{
	/* Acquire and release: what the one before wrote already is known. */
	return !atomic_exchange_explicit(&log->busy, 1, memory_order_acquire);
}

static void unclaim(struct vt_log *log)
{
	atomic_store_explicit(&log->busy, 0, memory_order_release);
}

static void moment_wait(void)
{
	const struct timespec moment = { .tv_nsec = 100000 };

	(void)nanosleep(&moment, NULL);
}

static bool row(void *user, uint32_t index, uint64_t now_ns,
		struct vitals_heartbeat_info *info)
{
	const struct vt_log *log = user;
	const struct vt_view *view = &log->registry->view;
	struct vt_moment moment = { .now_ns = now_ns };

	vt_tick_load(&vt_view_root(view)->tick, &moment.tick);
	/* The tick may be newer than the caller's look at the clock. */
	if (moment.now_ns < moment.tick.at_ns)
		moment.now_ns = moment.tick.at_ns;
	return vt_row_heartbeat(view, &moment, index, info);
}

/* Return: 0: there may be more; else as vt_changes_log(). */
static int read_one(struct vt_log *log, uint64_t now_ns)
{
	vitals_registry *registry = log->registry;
	struct vt_change_seen seen;
	const struct vt_hot *hot;
	uint32_t gen;
	int r;

	seen.lock = 0;
	seen.timeout_ns = 0;
	r = vt_changes_log(registry, &seen.event, &seen.index, &gen);
	if (r < 0)
		return r;
	if (seen.event.lost)
		vt_log_suppress(log, seen.event.lost);
	if (seen.event.kind == VITALS_EVENT_HEARTBEAT) {
		hot = vt_slot(registry, VT_KIND_HOT, seen.index);
		/* Relaxed: it stands still while the heartbeat lives. */
		seen.timeout_ns =
			atomic_load_explicit(&hot->timeout_ns, memory_order_relaxed);
		if (log->terms.lock_of)
			seen.lock = log->terms.lock_of(registry, seen.index, gen);
	}
	(void)vt_gather_note(&log->gather, &seen, now_ns);
	return 0;
}

/* Relaxed, here and below: a time, by which nothing else is looked at. */
static uint64_t wait_of(const struct vt_log *log)
{
	return atomic_load_explicit(&log->wait_ns, memory_order_relaxed);
}

static void events_read(struct vt_log *log, uint64_t now_ns)
{
	/* Acquire: all up to there are in the list. */
	uint64_t number =
		atomic_load_explicit(&log->registry->root->changes, memory_order_acquire);
	unsigned i;
	int r = 0;

	for (i = 0; i < EVENTS_MAX && r == 0; i++)
		r = read_one(log, now_ns);
	log->retry_ns = r == -EBUSY ? now_ns + HELD_NS : 0;
	if (r == -EAGAIN || r == -ECANCELED)
		log->read = number;
}

static bool unread(const struct vt_log *log)
{
	/* Relaxed: the list itself is read under its lock. */
	return atomic_load_explicit(&log->registry->root->changes, memory_order_relaxed) >
	       log->read;
}

static uint64_t tick_of(const vitals_registry *registry)
{
	const struct vt_tick_line *line = &registry->root->tick;

	/* Relaxed: a length, by which nothing is looked at. */
	return atomic_load_explicit(&line->tick_ns, memory_order_relaxed);
}

static void gather_time(struct vt_log *log)
{
	uint64_t ns = 2 * tick_of(log->registry);

	ns = ns < GATHER_MIN_NS ? GATHER_MIN_NS : ns;
	ns = ns > GATHER_MAX_NS ? GATHER_MAX_NS : ns;
	log->gather.gather_ns = log->terms.gather_ns ? log->terms.gather_ns : ns;
}

static uint64_t next_of(const struct vt_log *log)
{
	uint64_t next_ns = vt_gather_next(&log->gather),
		 dropped_ns = vt_log_dropped_next(log);

	return dropped_ns < next_ns ? dropped_ns : next_ns;
}

static void turn_claimed(struct vt_log *log, uint64_t now_ns)
{
	log->due_ns = 0;
	if (now_ns < wait_of(log))
		return;
	gather_time(log);
	events_read(log, now_ns);
	log->repeats += vt_gather_turn(&log->gather, now_ns);
	vt_log_tell_dropped(log, now_ns);
}

static bool writes(const struct vt_log *log)
{
	return log->sinks[VT_LOG_LINES].on || log->sinks[VT_LOG_JOURNAL].on;
}

void vt_log_turn_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_log *log = vt_log_of(registry);

	if (!log || !claim(log))
		return;
	if (writes(log) && now_ns >= log->retry_ns)
		turn_claimed(log, now_ns);
	unclaim(log);
}

/* A turn without one that is owed may not have come by all of them. */
static uint64_t owed_until(const struct vt_log *log)
{
	return atomic_load_explicit(&log->owed_ns, memory_order_relaxed) +
	       2 * tick_of(log->registry);
}

/* By the monitor. */
static bool owed(struct vt_log *log, uint64_t now_ns)
{
	if (now_ns >= wait_of(log))
		return false;
	if (now_ns < owed_until(log))
		return true;
	atomic_store_explicit(&log->wait_ns, 0, memory_order_relaxed);
	return false;
}

/* Return: when to look again. */
static uint64_t look_claimed(struct vt_log *log, uint64_t now_ns, bool *ret_wakes)
{
	/* Acquire pairs with the start; where turns are made by hand they write, too. */
	bool threads = atomic_load_explicit(&log->registry->run, memory_order_acquire) ==
		       VT_RUN_RUNNING;

	if (!writes(log))
		return UINT64_MAX;
	if (owed(log, now_ns))
		return owed_until(log);
	if (!unread(log) && next_of(log) > now_ns) {
		log->due_ns = 0;
		return next_of(log);
	}
	if (now_ns < log->retry_ns)
		return log->retry_ns;
	if (!log->due_ns)
		log->due_ns = now_ns;
	if (threads && log->terms.wake && now_ns < log->due_ns + PATIENCE_NS) {
		*ret_wakes = true;
		return log->due_ns + PATIENCE_NS;
	}
	turn_claimed(log, now_ns);
	if (log->retry_ns || unread(log))
		return now_ns + HELD_NS;
	return next_of(log);
}

uint64_t vt_log_look_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_log *log = vt_log_of(registry);
	void (*wake)(vitals_registry * registry);
	bool wakes = false;
	uint64_t next_ns;

	if (!log)
		return UINT64_MAX;
	if (!claim(log))
		return now_ns + SOON_NS;
	next_ns = look_claimed(log, now_ns, &wakes);
	wake = log->terms.wake;
	unclaim(log);
	if (wakes)
		wake(registry);
	return next_ns;
}

void vt_log_owed_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_log *log = vt_log_of(registry);

	if (!log)
		return;
	atomic_store_explicit(&log->owed_ns, now_ns, memory_order_relaxed);
	if (!wait_of(log) || now_ns > wait_of(log) + OWED_MAX_NS)
		atomic_store_explicit(&log->wait_ns, now_ns + OWED_MAX_NS,
				      memory_order_relaxed);
}

/* Told whatever was told before. */
static void abort_tell(struct vt_log *log, const char *words, uint64_t now_ns)
{
	struct vt_news news = { .kind = VT_NEWS_ABORT, .bad = true };
	struct vt_text text;

	vt_text_init(&text, news.event.doing, sizeof(news.event.doing));
	vt_text_add(&text, words);
	log->credit_ns = VT_LOG_CREDIT_NS;
	vt_log_tell(log, &news, now_ns);
}

void vt_log_last_at(vitals_registry *registry, uint64_t now_ns)
{
	vt_log_abort_at(registry, NULL, now_ns);
}

void vt_log_abort_at(vitals_registry *registry, const char *words, uint64_t now_ns)
{
	struct vt_log *log = vt_log_of(registry);
	unsigned tries = 0;

	if (!log)
		return;
	/* Who is at it is just writing. But it may have been stopped at that. */
	while (!claim(log)) {
		if (++tries == LAST_TRIES)
			return;
		moment_wait();
	}
	if (writes(log)) {
		atomic_store_explicit(&log->wait_ns, 0, memory_order_relaxed);
		turn_claimed(log, now_ns);
		vt_gather_flush(&log->gather, now_ns);
		if (words)
			abort_tell(log, words, now_ns);
	}
	unclaim(log);
}

void vt_log_stop(vitals_registry *registry)
{
	struct vt_tick tick;

	/* By the time of the last turn, which may have been made by hand. */
	vt_tick_load(&registry->root->tick, &tick);
	vt_log_last_at(registry, tick.at_ns);
}

bool vt_log_asked(vitals_registry *registry)
{
	return vt_log_of(registry);
}

/* Return: the room, this process's; NULL without memory. */
static struct vt_log *log_make(vitals_registry *registry) VT_REQUIRES(registry->lock)
{
	struct vt_log *log = atomic_load_explicit(&registry->log, memory_order_relaxed);

	if (vt_log_of(registry))
		return log;
	if (!log)
		log = vt_registry_room(registry, sizeof(*log));
	if (!log)
		return NULL;
	/* Another process's, if it was carried over into this one: nothing was asked for yet. */
	vt_gather_clear(&log->gather);
	memset(log->sinks, 0, sizeof(log->sinks));
	log->registry = registry;
	log->gather.to = (struct vt_gather_to){ vt_log_tell, vt_log_suppress, row, log };
	log->credit_ns = VT_LOG_CREDIT_NS;
	log->credit_at_ns = 0;
	log->told_ns = 0;
	log->repeats = 0;
	log->due_ns = 0;
	log->retry_ns = 0;
	atomic_store_explicit(&log->wait_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&log->busy, 0, memory_order_relaxed);
	atomic_store_explicit(&log->pid, getpid(), memory_order_release);
	atomic_store_explicit(&registry->log, log, memory_order_release);
	return log;
}

static void terms_take(struct vt_log *log, enum vt_log_form form,
		       const struct vt_log_terms *terms)
{
	struct vt_log_terms before = log->terms;

	log->terms = *terms;
	if (form == VT_LOG_JOURNAL) {
		log->terms.fd = before.fd;
		log->terms.file = before.file;
	} else {
		log->terms.journal = before.journal;
	}
}

int vt_log_ask(vitals_registry *registry, enum vt_log_form form, bool on,
	       const struct vt_log_terms *terms)
{
	struct vt_log *log;

	vt_lock(&registry->lock);
	log = vt_changes_make(registry) < 0 ? NULL : log_make(registry);
	vt_unlock(&registry->lock);
	if (!log)
		return -ENOMEM;
	while (!claim(log))
		moment_wait();
	if (!writes(log)) {
		vt_gather_clear(&log->gather);
		vt_changes_log_from_now(registry);
	}
	log->sinks[form] = (struct vt_log_sink){ .on = on };
	if (on)
		terms_take(log, form, terms);
	unclaim(log);
	return 0;
}
