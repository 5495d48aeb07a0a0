/* SPDX-License-Identifier: MIT */

#include "abort.h"

#include "backstop.h"
#include "capture.h"
#include "clock.h"
#include "leave.h"
#include "log.h"
#include "options.h"
#include "stuck.h"
#include "text.h"
#include "traced.h"
#include "verdict.h"
#include "vitals-act.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CORE_NS VITALS_S(60)
/* How long the signal has to end the process where nothing handles it, and where a handler does. */
#define SIGNAL_NS VITALS_MS(50)
#define HANDLER_NS VITALS_S(1)
/* Put off for a debugger for so long at a time. */
#define ROUND_NS VITALS_S(1)
/* Somebody else is at it. */
#define SOON_NS VITALS_MS(1)
/* Of a walk, a heartbeat takes a few ns: so seldom it is made that it is no burden. */
#define WALK_NS 200u

#define KNOWN_FLAGS                                                                      \
	(VITALS_ABORT_EVEN_IF_STARVED | VITALS_ABORT_EVEN_UNDER_DEBUGGER |               \
	 VITALS_ABORT_DRY_RUN | VITALS_ABORT_OFF)

static bool claim(struct vt_abort *abort)
{
	/* Acquire and release: what the one before has decided is known. */
	return !atomic_exchange_explicit(&abort->busy, 1, memory_order_acquire);
}

static void unclaim(struct vt_abort *abort)
{
	atomic_store_explicit(&abort->busy, 0, memory_order_release);
}

/*
 * Between processes as between episodes: what the kernel gave this program at its start, and the
 * moment. No more is asked of it than that a fleet spreads.
 */
static uint64_t chance(uint64_t below)
{
	uint64_t mixed = vt_clock_real() ^ (uint64_t)getpid() << 40, given = 0;
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (random)
		memcpy(&given, random, sizeof(given));
	mixed ^= given;
	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	mixed ^= mixed >> 31;
	return below == UINT64_MAX ? mixed : mixed % (below + 1);
}

static uint32_t quorum_of(const struct vt_abort_terms *terms, uint32_t critical)
{
	uint64_t share = ((uint64_t)critical * terms->quorum_percent + 99) / 100;
	uint32_t quorum = terms->quorum > share ? terms->quorum : (uint32_t)share;

	return quorum ? quorum : 1;
}

/* "vitals: abort: heartbeat worker#2 has been silent for 4.01s, tid 71; 2 of 8 count, …" */
static void last_words(vitals_registry *registry, const struct vt_abort *abort,
		       const struct vt_stuck *stuck, uint64_t now_ns)
{
	void (*say)(vitals_registry *, const char *) =
		atomic_load_explicit(&abort->last_words, memory_order_acquire);
	char line[256];
	struct vt_text text;

	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, abort->terms.flags & VITALS_ABORT_DRY_RUN
				   ? "vitals: would abort: heartbeat "
				   : "vitals: abort: heartbeat ");
	vt_text_add(&text, stuck->name);
	vt_text_add(&text, " has been silent for ");
	vt_text_add_duration(&text, stuck->silence_ns);
	if (stuck->tid) {
		vt_text_add(&text, ", tid ");
		vt_text_add_u64(&text, stuck->tid);
	}
	vt_text_add(&text, "; ");
	vt_text_add_u64(&text, stuck->counted);
	vt_text_add(&text, " of ");
	vt_text_add_u64(&text, stuck->critical);
	vt_text_add(&text, " critical");
	if (say)
		say(registry, line);
	vt_log_abort_at(registry, line, now_ns);
}

/* Whoever traces the process to show what it does is none. */
static bool debugged(vitals_registry *registry)
{
	int32_t tracer = vt_traced_by();

	return tracer && !vt_capture_is(registry, tracer);
}

/* What becomes of the signal. Return: how long it may take; 0: it would not arrive. */
static uint64_t signal_ns(uint32_t tid)
{
	struct sigaction action;
	bool handled;

	if (sigaction(SIGABRT, NULL, &action))
		return 0;
	handled = (action.sa_flags & SA_SIGINFO) ||
		  (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
	if (!tid || vt_task_blocks(tid, SIGABRT))
		return 0;
	if (handled)
		return HANDLER_NS;
	/* The first of a namespace is not ended by it. */
	return action.sa_handler == SIG_IGN || getpid() == 1 ? 0 : SIGNAL_NS;
}

/* Return: when it is to have come true. */
static uint64_t carry_out(vitals_registry *registry, struct vt_abort *abort,
			  const struct vt_stuck *stuck, uint64_t now_ns)
{
	uint64_t ns;

	/* First of all. Refused, by a filter or a limit, there still is what follows. */
	(void)vt_backstop_arm(abort->terms.core_ns);
	last_words(registry, abort, stuck, now_ns);
	ns = signal_ns(stuck->tid);
	if (!ns || syscall(SYS_tgkill, getpid(), stuck->tid, SIGABRT))
		vt_leave(true, 0);
	abort->step = VT_ABORT_LEAVES;
	abort->leave_ns = now_ns + ns;
	return abort->leave_ns;
}

/* The signal has been blocked meanwhile, or a handler has returned or does not. */
__attribute__((noreturn)) static void leave(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGABRT, &action, NULL);
	vt_leave(true, 0);
}

/* Enough are stuck, for long enough. */
static uint64_t decide(vitals_registry *registry, struct vt_abort *abort,
		       const struct vt_stuck *stuck, uint64_t now_ns)
{
	bool was = abort->traced;

	if (!(abort->terms.flags & VITALS_ABORT_EVEN_UNDER_DEBUGGER)) {
		abort->traced = debugged(registry);
		if (abort->traced || was) {
			abort->due_ns += ROUND_NS;
			return now_ns + ROUND_NS;
		}
	}
	atomic_fetch_add_explicit(&abort->decisions, 1, memory_order_relaxed);
	if (!(abort->terms.flags & VITALS_ABORT_DRY_RUN))
		return carry_out(registry, abort, stuck, now_ns);
	last_words(registry, abort, stuck, now_ns);
	abort->step = VT_ABORT_SAID;
	return UINT64_MAX;
}

static void over(struct vt_abort *abort)
{
	abort->step = VT_ABORT_WATCHES;
	abort->traced = false;
}

/* Enough may be stuck. Return: as the turn. */
static uint64_t look(vitals_registry *registry, struct vt_abort *abort,
		     uint64_t paused_ns, uint64_t now_ns)
{
	const struct vt_abort_terms *terms = &abort->terms;
	uint64_t ran_ns = now_ns - paused_ns;
	struct vt_stuck stuck;

	if (abort->step == VT_ABORT_WAITS && ran_ns < abort->due_ns &&
	    now_ns < abort->find_ns)
		return abort->due_ns + paused_ns;
	if (abort->step != VT_ABORT_WAITS && now_ns < abort->find_ns)
		return abort->find_ns;
	vt_stuck_find(registry, now_ns, terms->flags & VITALS_ABORT_EVEN_IF_STARVED,
		      &stuck);
	abort->find_ns = now_ns + WALK_NS * vt_view_used(&registry->view, VT_KIND_HOT);
	if (stuck.counted < quorum_of(terms, stuck.critical)) {
		over(abort);
		return UINT64_MAX;
	}
	if (abort->step == VT_ABORT_SAID)
		return UINT64_MAX;
	if (abort->step == VT_ABORT_WATCHES) {
		abort->step = VT_ABORT_WAITS;
		abort->due_ns = vt_clock_after(ran_ns, terms->after_ns);
		abort->due_ns = vt_clock_after(abort->due_ns, chance(terms->jitter_ns));
	}
	if (ran_ns < abort->due_ns)
		return vt_clock_after(abort->due_ns, paused_ns);
	return decide(registry, abort, &stuck, now_ns);
}

static uint64_t turn_claimed(vitals_registry *registry, struct vt_abort *abort,
			     uint64_t now_ns)
{
	struct vt_stuck stuck;
	struct vt_tick tick;

	if (abort->terms.flags & VITALS_ABORT_OFF)
		return UINT64_MAX;
	if (abort->step == VT_ABORT_LEAVES) {
		if (now_ns >= abort->leave_ns)
			leave();
		return abort->leave_ns;
	}
	vt_stuck_sum(registry, &stuck);
	if (stuck.bad < quorum_of(&abort->terms, stuck.critical)) {
		over(abort);
		abort->find_ns = 0;
		return UINT64_MAX;
	}
	vt_tick_load(&registry->root->tick, &tick);
	return look(registry, abort, tick.paused_ns, now_ns);
}

uint64_t vt_abort_turn_at(vitals_registry *registry, uint64_t now_ns)
{
	/* Acquire pairs with the release in vt_abort_make(). */
	struct vt_abort *abort =
		atomic_load_explicit(&registry->abort, memory_order_acquire);
	uint64_t next_ns;

	if (!abort)
		return UINT64_MAX;
	if (!claim(abort))
		return now_ns + SOON_NS;
	next_ns = turn_claimed(registry, abort, now_ns);
	unclaim(abort);
	return next_ns;
}

int vt_abort_make(vitals_registry *registry)
{
	struct vt_abort *abort;

	if (atomic_load_explicit(&registry->abort, memory_order_relaxed))
		return 0;
	abort = vt_registry_room(registry, sizeof(*abort));
	if (!abort)
		return -ENOMEM;
	abort->terms.flags = VITALS_ABORT_OFF;
	atomic_store_explicit(&registry->abort, abort, memory_order_release);
	return 0;
}

/* They take the place of those before, and what was under way by those begins anew. */
static void terms_set(struct vt_abort *abort, const struct vitals_abort_options *options)
{
	const char *wanted = secure_getenv("VITALS_ABORT");
	const struct timespec moment = { .tv_nsec = 100000 };

	/* Who is at it is at it for a moment, or ends the process. */
	while (!claim(abort))
		(void)nanosleep(&moment, NULL);
	if (abort->step != VT_ABORT_LEAVES)
		over(abort);
	abort->find_ns = 0;
	abort->terms = (struct vt_abort_terms){
		.after_ns = options->after_ns,
		.jitter_ns = options->jitter_ns,
		.core_ns = options->core_ns ? options->core_ns : CORE_NS,
		.quorum = options->quorum,
		.quorum_percent = options->quorum_percent,
		.flags = options->flags,
	};
	if (wanted && !strcmp(wanted, "off"))
		abort->terms.flags |= VITALS_ABORT_OFF;
	unclaim(abort);
}

int vitals_abort_when_stuck(vitals_registry *registry,
			    const struct vitals_abort_options *options)
{
	struct vitals_abort_options mine;
	int r;

	r = vt_options_load(&mine, sizeof(mine), options);
	if (r < 0)
		return r;
	if ((mine.flags & ~KNOWN_FLAGS) || mine.quorum_percent > 100)
		return -EINVAL;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	vt_lock(&registry->lock);
	r = vt_abort_make(registry);
	/* Under the lock, which fork takes: no child finds it half set. */
	if (r == 0)
		terms_set(atomic_load_explicit(&registry->abort, memory_order_relaxed),
			  &mine);
	vt_unlock(&registry->lock);
	if (r == 0)
		vt_registry_wake(registry);
	return r;
}
