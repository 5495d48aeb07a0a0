/* SPDX-License-Identifier: MIT */

/*
 * The end of a main quitter: wait for an event, drive the stages, wait for everybody, say
 * how it went. Does itself all that the monitor does for a shutdown, so that it needs
 * none.
 */

#include "clock.h"
#include "main.h"
#include "notifier.h"
#include "options.h"
#include "report.h"
#include "text.h"
#include "thread.h"
#include "unblock.h"
#include "wakefd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * How often those in condition waits are kicked, and threads on their way out looked at.
 */
#define SOON_NS 1000000u
/* Without a descriptor to be woken by, and when another finish may clear it. */
#define BLIND_NS 10000000u

/* Where it stands after a turn. */
struct standing {
	uint64_t wish_ns; /* when to look again */
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

/* Callbacks may never return: they are the notifier's, if there can be one. */
static void calls_see_to(vitals_registry *registry)
{
	bool any;

	vt_lock(&registry->lock);
	any = registry->tree->call_first != 0;
	vt_unlock(&registry->lock);
	if (!any)
		return;
	if (!(atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	      VT_ROOT_OFF) &&
	    vt_notifier_start(registry) == 0)
		vt_notifier_wake(registry);
	else
		(void)vt_unblock_calls(registry);
}

static struct standing finish_turn(vitals_quitter *quitter, struct vt_main *main)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct standing standing = { 0 };
	struct vt_told told = { 0 };
	uint64_t bits = vt_main_look(main), now_ns = vt_clock_now(), deadline_ns;
	bool all_done, kicks, told_all;

	vt_reap_gone(quitter, true);
	vt_lock(&registry->lock);
	all_done = registry->tree->departed && vt_main_empty(quitter);
	standing.wish_ns = vt_main_turn_at(registry, main, bits, all_done, now_ns, &told);
	kicks = vt_unblock_kick(registry, &told);
	told_all = vt_main_phase(main) == VT_PHASE_FLUSH;
	deadline_ns = vt_main_phase(main) == VT_PHASE_IDLE ? UINT64_MAX
							   : main->deadline_ns;
	vt_tree_unlock(registry, &told);
	vt_told_deliver(registry, &told);
	vt_lock(&registry->lock);
	vt_told_settle(registry, &told);
	vt_tree_unlock(registry, &told);
	calls_see_to(registry);

	if (told_all && vt_main_empty(quitter)) {
		/* Joined as well, or about to be. */
		standing.over = vt_reap_until(quitter, now_ns) == 0;
		kicks = true;
	}
	if (told_all && !standing.over && now_ns >= deadline_ns)
		standing.over = standing.late = true;
	if (deadline_ns < standing.wish_ns)
		standing.wish_ns = deadline_ns;
	if (kicks && now_ns + SOON_NS < standing.wish_ns)
		standing.wish_ns = now_ns + SOON_NS;
	return standing;
}

/* Sleeps until there is news, an event, or @wish_ns. */
static void finish_wait(vitals_registry *registry, struct vt_main *main, uint32_t news,
			uint64_t wish_ns)
{
	struct pollfd fds[VT_EVENTS + 1];
	int fd = wake_fd_make(registry->tree);
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

/* Threads no longer waited for, anywhere in the tree. */
static uint32_t abandoned_count(vitals_registry *registry, const vitals_quitter *quitter)
{
	uint32_t at, n = 0;

	vt_lock(&registry->lock);
	for (at = vt_quitter_index(quitter) + 1; at;
	     at = vt_quitter_next(registry, quitter, at, true))
		n += vt_slot_get(
			&vt_quitter_slot(vt_quitter_at(registry, at - 1))->abandoned);
	vt_unlock(&registry->lock);
	return n;
}

static void result_fill(vitals_quitter *quitter, uint32_t late, uint64_t now_ns,
			struct vitals_result *result)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	const struct vt_main *main = registry->main;

	memset(result, 0, sizeof(*result));
	result->size = (uint32_t)sizeof(*result);
	result->late = late;
	result->abandoned = abandoned_count(registry, quitter);
	vt_lock(&registry->lock);
	/* What exit makes of it, so that it is never an error. */
	result->status = late ? 1 : main->why.status & 0xff;
	result->index = main->why.index;
	result->kind = main->why.kind;
	result->signo = main->why.signo;
	result->took_ns = now_ns > main->begun_ns ? now_ns - main->begun_ns : 0;
	memcpy(result->text, main->why.text, sizeof(result->text));
	vt_unlock(&registry->lock);
}

static int finish_check(vitals_quitter *quitter)
{
	vitals_registry *registry;
	bool is_main;

	if (!quitter)
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return -ECHILD;
	vt_lock(&registry->lock);
	is_main = quitter->is_main;
	vt_unlock(&registry->lock);
	if (!is_main)
		return -EINVAL;
	return vt_thread_is_inside(quitter) ? -EDEADLK : 0;
}

/* Whether the last has returned is seen only while quick holds are not all there is. */
static void finishes_add(vitals_registry *registry, uint32_t n)
{
	vt_lock(&registry->lock);
	registry->tree->n_finishes += n;
	vt_holds_settle(registry);
	vt_unlock(&registry->lock);
}

int vitals_quitter_finish(vitals_quitter *main_quitter, struct vitals_result *result,
			  vitals_snapshot **late)
{
	struct standing standing;
	struct vitals_result mine;
	vitals_registry *registry;
	uint64_t now_ns;
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
	finishes_add(registry, 1);
	for (;;) {
		/*
		 * Acquire pairs with vt_tree_news(): what comes after this look is seen
		 * later.
		 */
		uint32_t news =
			atomic_load_explicit(&registry->tree->news, memory_order_acquire);

		standing = finish_turn(main_quitter, registry->main);
		if (standing.over)
			break;
		finish_wait(registry, registry->main, news, standing.wish_ns);
	}
	finishes_add(registry, UINT32_MAX);
	now_ns = vt_clock_now();
	if (standing.late)
		n = vt_report_late(main_quitter, true, now_ns, late);
	if (!n)
		vt_report_done(main_quitter, now_ns);
	result_fill(main_quitter, n, now_ns, &mine);
	if (result)
		(void)vt_record_store(result, &mine, sizeof(mine));
	return mine.status;
}
