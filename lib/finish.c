/* SPDX-License-Identifier: MIT */

/*
 * The end of a main quitter: wait for an event, drive the stages, wait for everybody, say
 * how it went. Does itself all that the monitor does for a shutdown, so that it needs
 * none.
 */

#include "clock.h"
#include "log.h"
#include "main.h"
#include "missing.h"
#include "notifier.h"
#include "options.h"
#include "report.h"
#include "systemd.h"
#include "text.h"
#include "thread.h"
#include "unblock.h"
#include "wakefd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * How often threads on their way out are looked at.
 */
#define SOON_NS 1000000u
/* Without a descriptor to be woken by, and where several wait. */
#define BLIND_NS 10000000u

/* How long the lock is waited for: whoever holds it may be stuck. */
#define PATIENCE_NS VITALS_MS(10)
/* How soon it looks again whether those in condition waits are kicked. */
#define KICK_NS VITALS_MS(20)

/* Where it stands after a turn. */
struct standing {
	uint64_t wish_ns; /* when to look again */
	bool told_all;    /* the last stage was told */
	bool blind;       /* without the lock */
	bool over;        /* all have left, or the time is up */
	bool late;        /* the time is up and not all have left */
};

static int wake_fd_make(struct vt_tree *tree)
{
	/* Acquire and release: set by whoever has news only when it is a timer. */
	int old = atomic_load_explicit(&tree->wake_fd, memory_order_acquire), fd;

	if (vt_wakefd_ours(old))
		return old;
	fd = vt_wakefd_new();
	if (fd < 0)
		return -1;
	if (!atomic_compare_exchange_strong_explicit(&tree->wake_fd, &old, fd,
						     memory_order_acq_rel,
						     memory_order_acquire)) {
		vt_wakefd_close(fd);
		fd = old;
	}
	return fd;
}

/*
 * Callbacks may never return: they are the notifier's, if there can be one, unless that is who waits
 * here; or it is kept by another of the host's, and the process leaves whatever keeps this thread.
 * Return: whether there are any left to be called.
 */
static bool calls_see_to(vitals_registry *registry, const struct vt_main *main,
			 uint64_t now_ns)
{
	struct vt_tree *tree = registry->tree;
	bool any, here, kept;

	vt_lock(&registry->lock);
	any = tree->call_first != 0;
	here = vt_notifier_is_here(registry);
	/* Relaxed: a hint. */
	kept = any && now_ns > tree->called_for_ns + KICK_NS &&
	       atomic_load_explicit(&tree->away, memory_order_relaxed) &&
	       vt_ladder_leaves(&main->ladder);
	vt_unlock(&registry->lock);
	if (!any)
		return false;
	if (!here && !kept &&
	    !(atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	      VT_ROOT_OFF) &&
	    vt_notifier_start(registry) == 0) {
		vt_notifier_wake(registry);
		return true;
	}
	return vt_unblock_calls(registry);
}

/*
 * The lock is not to be had: nothing but the time goes on. Whoever waits in ours is woken by its
 * stage's word.
 */
static void turn_blind(vitals_registry *registry, struct vt_main *main, uint64_t since_ns,
		       struct standing *standing)
{
	uint64_t now_ns = vt_clock_now();

	vt_main_blind_at(registry, main, since_ns, now_ns);
	standing->blind = true;
	standing->wish_ns = now_ns + SOON_NS;
	if (now_ns >= vt_ladder_deadline(registry, &main->ladder))
		standing->over = standing->late = true;
}

/* How far the stages are. Return: whether the lock was to be had. */
static bool turn_tree(vitals_quitter *quitter, struct vt_main *main,
		      struct standing *standing)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	uint64_t bits = vt_main_look(main), now_ns = vt_clock_now(), again_ns;
	uint64_t deadline_ns = vt_ladder_deadline(registry, &main->ladder);
	uint64_t until_ns = now_ns + PATIENCE_NS;
	struct vt_told told = { 0 };
	bool all_done, helped;

	/* Not past the deadline, but for a last try. */
	if (deadline_ns < until_ns)
		until_ns = deadline_ns < now_ns + SOON_NS ? now_ns + SOON_NS
							  : deadline_ns;
	if (!vt_lock_until(&registry->lock, until_ns))
		return false;
	/* Whether somebody has them counts if they are all there is, in this main quitter. */
	vt_holds_settle(registry);
	all_done = registry->tree->departed && vt_main_empty(quitter);
	standing->wish_ns =
		vt_main_turn_at(registry, main, bits, all_done, now_ns, &told);
	again_ns = vt_unblock_again_at(registry, now_ns, &told);
	standing->told_all = vt_main_phase(main) == VT_PHASE_FLUSH;
	vt_tree_unlock(registry, &told);
	helped = vt_unblock_helped(registry);
	vt_told_deliver(registry, &told, !helped);
	vt_lock(&registry->lock);
	vt_told_settle(registry, &told);
	vt_tree_unlock(registry, &told);
	if (vt_unblock_kicks_for(registry, now_ns) && again_ns > now_ns + KICK_NS)
		again_ns = now_ns + KICK_NS;
	if (calls_see_to(registry, main, now_ns) && again_ns > now_ns + KICK_NS)
		again_ns = now_ns + KICK_NS;
	if (again_ns < standing->wish_ns)
		standing->wish_ns = again_ns;
	return true;
}

/* @locked_out_ns: since when the lock is not to be had; 0: it is. */
static struct standing finish_turn(vitals_quitter *quitter, struct vt_main *main,
				   uint64_t *locked_out_ns)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct standing standing = { 0 };
	uint64_t now_ns = vt_clock_now(), climb_ns, deadline_ns;

	if (!turn_tree(quitter, main, &standing)) {
		if (!*locked_out_ns)
			*locked_out_ns = now_ns;
		turn_blind(registry, main, *locked_out_ns, &standing);
		(void)vt_ladder_climb_at(registry, &main->ladder, vt_clock_now());
		return standing;
	}
	*locked_out_ns = 0;
	vt_reap_gone(quitter, true);
	now_ns = vt_clock_now();
	if (standing.told_all && vt_main_empty(quitter)) {
		/* Joined as well, or about to be. */
		standing.over = vt_reap_until(quitter, now_ns) == 0;
		if (now_ns + SOON_NS < standing.wish_ns)
			standing.wish_ns = now_ns + SOON_NS;
	}
	deadline_ns = vt_ladder_deadline(registry, &main->ladder);
	if (standing.told_all && !standing.over && now_ns >= deadline_ns)
		standing.over = standing.late = true;
	climb_ns = standing.over ? UINT64_MAX
				 : vt_ladder_climb_at(registry, &main->ladder, now_ns);
	if (climb_ns < standing.wish_ns)
		standing.wish_ns = climb_ns;
	if (deadline_ns < standing.wish_ns)
		standing.wish_ns = deadline_ns;
	return standing;
}

/* Sleeps until there is news, an event, or @wish_ns. */
static void finish_wait(vitals_registry *registry, struct vt_main *main, uint32_t news,
			uint64_t wish_ns)
{
	struct pollfd fds[VT_EVENTS + 1];
	/*
	 * Of several nobody clears it, for another may not have seen it yet. Relaxed: who comes
	 * meanwhile does not, and wakes this one with what wakes him.
	 */
	bool alone = atomic_load_explicit(&registry->tree->n_finishes,
					  memory_order_relaxed) == 1;
	int fd = alone ? wake_fd_make(registry->tree) : -1;
	uint64_t now_ns;
	struct timespec rest;
	unsigned n;

	vt_wakefd_clear(fd);
	now_ns = vt_clock_now();
	if (wish_ns > now_ns + (fd < 0 ? BLIND_NS : VITALS_S(1)))
		wish_ns = now_ns + (fd < 0 ? BLIND_NS : VITALS_S(1));
	/* Acquire: news after this look makes the descriptor readable again. */
	if (wish_ns <= now_ns ||
	    atomic_load_explicit(&registry->tree->news, memory_order_acquire) != news)
		return;
	n = vt_main_fds(main, fds, NULL, VT_EVENTS);
	fds[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	rest = vt_clock_timespec(wish_ns - now_ns);
	(void)ppoll(fds, n, &rest, NULL);
}

/* By what needs no lock: it may not be to be had. */
static void result_fill(vitals_quitter *quitter, uint32_t late, uint64_t now_ns,
			struct vitals_result *result)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	/* Relaxed: it stands still by now. */
	uint64_t asked_ns =
		atomic_load_explicit(&registry->tree->asked_ns, memory_order_relaxed);
	struct vitals_cause cause;

	VITALS_INIT(&cause);
	(void)vitals_quitter_cause(quitter, &cause);
	memset(result, 0, sizeof(*result));
	result->size = (uint32_t)sizeof(*result);
	result->late = late;
	result->abandoned =
		vt_missing_abandoned(&registry->view, vt_quitter_index(quitter));
	/* What exit makes of it, so that it is never an error. */
	result->status = late ? vt_ladder_late_status(&registry->main->ladder)
			      : cause.status & 0xff;
	result->index = cause.index;
	result->kind = cause.kind;
	result->signo = cause.signo;
	result->took_ns = now_ns > asked_ns ? now_ns - asked_ns : 0;
	memcpy(result->text, cause.text, sizeof(result->text));
}

/* How it went, into the records of the quitters and for the caller. Return: how many are late. */
static uint32_t finish_count(vitals_quitter *quitter, const struct standing *standing,
			     uint64_t now_ns, vitals_snapshot **late)
{
	uint32_t n = 0;

	if (standing->blind)
		return vt_report_blind(quitter, now_ns, late);
	if (standing->late)
		n = vt_report_late(quitter, true, now_ns, late);
	if (!n)
		vt_report_done(quitter, now_ns);
	return n;
}

/* Without a lock, which may not be to be had. */
static int finish_check(const vitals_quitter *quitter)
{
	const vitals_thread *self = vitals_thread_self();

	if (!quitter)
		return -EINVAL;
	if (!vt_quitter_current(quitter))
		return -ECHILD;
	if (!vt_quitter_is_main(quitter))
		return -EINVAL;
	return self && vt_member_current(self) &&
			       vt_member_registry(self) == vt_quitter_registry(quitter) &&
			       vt_quitter_akin(self->quitter, quitter)
		       ? -EDEADLK
		       : 0;
}

int vitals_quitter_finish(vitals_quitter *main_quitter, struct vitals_result *result,
			  vitals_snapshot **late)
{
	struct standing standing;
	struct vitals_result mine;
	vitals_registry *registry;
	uint64_t locked_out_ns = 0, now_ns;
	uint32_t n = 0;
	int r;

	if (late)
		*late = NULL;
	if (result && result->size < sizeof(result->size))
		return -EINVAL;
	r = finish_check(main_quitter);
	if (r)
		return r;
	registry = vt_quitter_registry(main_quitter);
	/* Relaxed, both: seen by who begins a quick hold after the lock of a turn. */
	atomic_fetch_add_explicit(&registry->tree->n_finishes, 1, memory_order_relaxed);
	for (;;) {
		/*
		 * Acquire pairs with vt_tree_news(): what comes after this look is seen
		 * later.
		 */
		uint32_t news =
			atomic_load_explicit(&registry->tree->news, memory_order_acquire);

		standing = finish_turn(main_quitter, registry->main, &locked_out_ns);
		if (standing.over)
			break;
		finish_wait(registry, registry->main, news, standing.wish_ns);
	}
	atomic_fetch_sub_explicit(&registry->tree->n_finishes, 1, memory_order_relaxed);
	now_ns = vt_clock_now();
	n = finish_count(main_quitter, &standing, now_ns, late);
	vt_ladder_over(registry, &registry->main->ladder, n);
	result_fill(main_quitter, n, now_ns, &mine);
	/* A shutdown may be over before the monitor has seen it. */
	vt_systemd_last_at(registry, now_ns);
	vt_log_last_at(registry, now_ns);
	if (result)
		(void)vt_record_store(result, &mine, sizeof(mine));
	return mine.status;
}
