/* SPDX-License-Identifier: MIT */

/*
 * The monitor's thread: turn after turn, and what it waits for in between.
 */

#include "monitor.h"

#include "asleep.h"
#include "changes.h"
#include "clock.h"
#include "findings.h"
#include "helper.h"
#include "namer.h"
#include "sandbox.h"
#include "spares.h"
#include "task.h"
#include "wakefd.h"

#include <errno.h>

/* 64 of the host's, and the one that wakes. */
#define FDS_MAX 65

static const struct vt_monitor_work *work_of(const vitals_registry *registry)
{
	/* Acquire pairs with vt_monitor_work(). */
	return atomic_load_explicit(&registry->monitor->work, memory_order_acquire);
}

static bool running(const vitals_registry *registry)
{
	/* Acquire pairs with the store that stops. */
	return atomic_load_explicit(&registry->run, memory_order_acquire) ==
	       VT_RUN_RUNNING;
}

/* Descriptors of the host's are polled together with one that wakes; made when first needed. */
static void wait_polling(vitals_registry *registry, struct pollfd *fds, unsigned n,
			 uint32_t wake, uint64_t next_ns)
{
	const struct vt_monitor_work *work = work_of(registry);
	uint64_t now_ns = vt_clock_now();
	struct timespec rest;
	int fd = atomic_load_explicit(&registry->wake_fd, memory_order_relaxed);

	if (!vt_wakefd_ours(fd)) {
		fd = vt_wakefd_new();
		/* Release: set and polled only when it is a timer; pairs with vt_registry_wake(). */
		atomic_store_explicit(&registry->wake_fd, fd < 0 ? -1 : fd,
				      memory_order_release);
	}
	fds[n] = (struct pollfd){ .fd = fd < 0 ? -1 : fd, .events = POLLIN };
	vt_wakefd_clear(fd);
	/* Without a descriptor to be woken by, the tick has to do. */
	if (atomic_load_explicit(&registry->wake, memory_order_acquire) != wake)
		return;
	rest = vt_clock_timespec(next_ns > now_ns ? next_ns - now_ns : 0);
	if (ppoll(fds, n + 1, &rest, NULL) > 0)
		work->ready(registry, fds, n, vt_clock_now());
}

/* What a filter that comes later may forbid. */
static void monitor_begin(vitals_registry *registry)
{
	uint32_t tid = vt_task_self();

	/* Relaxed: only this thread itself looks for its own number. */
	atomic_store_explicit(&registry->monitor->tid, tid, memory_order_relaxed);
	vt_sandbox_begin(&registry->sandbox, tid);
	/* A turn by hand may be stuck: then it is for later. */
	if (vt_trylock(&registry->judge)) {
		vt_suspects_begin(registry, &registry->monitor->suspects);
		vt_unlock(&registry->judge);
	}
	/* Release: it has begun; pairs with the wait of the starter. */
	atomic_store_explicit(&registry->spares_maker, tid, memory_order_release);
	vt_futex_wake(&registry->spares_maker, 1);
}

/* Where one may be killed for asking whose a descriptor is, it stays open. */
static void monitor_end(vitals_registry *registry)
{
	bool open = vt_sandbox_open(registry);

	if (vt_trylock(&registry->judge)) {
		vt_suspects_end(registry, &registry->monitor->suspects, open);
		vt_unlock(&registry->judge);
	}
	if (open)
		vt_sandbox_end(&registry->sandbox);
}

static void monitor_await(vitals_registry *registry)
{
	while (!atomic_load_explicit(&registry->spares_maker, memory_order_acquire))
		(void)vt_futex_wait(&registry->spares_maker, 0, UINT64_MAX);
}

static void asleep_tell(vitals_registry *registry, const struct vt_asleep_news *news)
{
	if (!news->changed)
		return;
	if (news->asleep)
		vt_findings_asleep(registry, news->threads, news->doing,
				   &registry->monitor->tick);
	else
		vt_findings_awake(registry);
}

/*
 * Are all threads asleep? Behind the turn, whose work it is not; what it takes is the monitor's own
 * doing all the same.
 */
static void asleep_see_to(vitals_registry *registry, uint64_t *next_ns)
{
	struct vt_monitor *monitor = registry->monitor;
	struct vt_namer namer = vt_namer_of(&registry->view);
	uint64_t now_ns = vt_clock_now(), again_ns, took_ns;
	struct vt_asleep_news news;

	if (!vt_trylock(&registry->judge))
		return;
	again_ns = monitor->asleep.next_ns;
	if (now_ns >= again_ns && vt_sandbox_allows(registry)) {
		again_ns = vt_asleep_turn_at(&monitor->asleep, &registry->proc, &namer,
					     now_ns, &news);
		asleep_tell(registry, &news);
		took_ns = vt_clock_now() - now_ns;
		monitor->busy_ns += took_ns < VT_SUSPECT_NS ? took_ns : VT_SUSPECT_NS;
	} else if (now_ns >= again_ns) {
		again_ns = UINT64_MAX;
	}
	vt_unlock(&registry->judge);
	*next_ns = again_ns < *next_ns ? again_ns : *next_ns;
}

static void *monitor_run(void *arg)
{
	vitals_registry *registry = arg;
	struct pollfd fds[FDS_MAX];

	monitor_begin(registry);
	for (;;) {
		const struct vt_monitor_work *work;
		/* Acquire: what is asked for after this look, a stop too, changes the word. */
		uint32_t wake =
			atomic_load_explicit(&registry->wake, memory_order_acquire);
		uint64_t next_ns = vt_clock_now() + VT_TICK_MIN_NS;
		unsigned n = 0;

		if (!running(registry))
			break;
		vt_spares_make(registry);
		work = work_of(registry);
		/* A turn by hand may just be ending, or be stuck: then without judging. */
		if (vt_monitor_turn_now(registry, &next_ns) < 0 && work)
			(void)work->turn(registry, vt_clock_now());
		asleep_see_to(registry, &next_ns);
		if (work)
			n = work->fds(registry, fds, FDS_MAX - 1);
		if (n)
			wait_polling(registry, fds, n, wake, next_ns);
		else
			(void)vt_futex_wait(&registry->wake, wake, next_ns);
	}
	monitor_end(registry);
	return NULL;
}

/* Says in the tick line whether somebody is meant to look. */
static void watch(vitals_registry *registry, bool on)
{
	struct vt_monitor *monitor = registry->monitor;
	struct vt_tick *tick = &monitor->tick;

	vt_lock(&registry->judge);
	tick->flags = on ? VT_TICK_RUNNING : 0;
	/* Time in which nobody was meant to look is nobody's silence. */
	if (on && tick->started_ns) {
		tick->started_ns = vt_clock_now();
		tick->started_paused_ns = tick->paused_ns;
		tick->at_ns = tick->started_ns;
		tick->before_ns = VT_BEAT_NS(tick->at_ns);
		/* Turns by hand may have been ahead of the clock. */
		tick->grace_ns = 0;
		tick->pause_from_ns = 0;
		tick->pause_ns = 0;
		monitor->late_turns = 0;
		monitor->busy_ns = 0;
	}
	if (on) {
		vt_looks_begin(registry, &monitor->looks, tick);
		vt_sweep_begin(&monitor->sweep, tick);
	}
	vt_tick_store(&registry->root->tick, tick);
	vt_unlock(&registry->judge);
}

static int monitor_start_controlled(vitals_registry *registry)
{
	struct vt_monitor *monitor = registry->monitor;
	uint32_t before;
	int r;

	vt_lock(&registry->lock);
	before = atomic_load_explicit(&registry->run, memory_order_relaxed);
	/* Under the lock, which fork takes: a child is carried over whole, or not at all. */
	atomic_store_explicit(&registry->run, VT_RUN_RUNNING, memory_order_release);
	vt_unlock(&registry->lock);
	if (before == VT_RUN_RUNNING)
		return -EALREADY;
	vt_task_note();
	watch(registry, true);
	vt_changes_stop(registry, false);
	atomic_store_explicit(&registry->spares_maker, 0, memory_order_relaxed);
	r = vt_helper_start(&monitor->thread, "vitals-monitor", monitor_run, registry);
	if (r < 0) {
		watch(registry, false);
		vt_changes_stop(registry, before == VT_RUN_STOPPED);
		atomic_store_explicit(&registry->run, before, memory_order_release);
		return r;
	}
	monitor->joinable = true;
	monitor_await(registry);
	return 0;
}

int vt_monitor_start(vitals_registry *registry)
{
	int r;

	vt_lock(&registry->lock);
	r = vt_monitor_make(registry);
	vt_unlock(&registry->lock);
	if (r < 0)
		return r;
	vt_lock(&registry->monitor_control);
	r = monitor_start_controlled(registry);
	vt_unlock(&registry->monitor_control);
	return r;
}

int vt_monitor_stop(vitals_registry *registry)
{
	struct vt_monitor *monitor;

	vt_lock(&registry->lock);
	monitor = registry->monitor;
	vt_unlock(&registry->lock);
	if (!monitor)
		return 0;
	/* Relaxed: see monitor_run(). */
	if (atomic_load_explicit(&monitor->tid, memory_order_relaxed) == vt_task_self())
		return -EDEADLK;
	vt_lock(&registry->monitor_control);
	if (running(registry)) {
		/* Release pairs with the acquire in running(). */
		atomic_store_explicit(&registry->run, VT_RUN_STOPPED,
				      memory_order_release);
		vt_registry_wake(registry);
	}
	if (monitor->joinable) {
		(void)pthread_join(monitor->thread, NULL);
		monitor->joinable = false;
		atomic_store_explicit(&monitor->tid, 0, memory_order_relaxed);
		watch(registry, false);
		vt_wakefd_close(atomic_exchange_explicit(&registry->wake_fd, -1,
							 memory_order_acq_rel));
		vt_changes_stop(registry, true);
	}
	vt_unlock(&registry->monitor_control);
	return 0;
}
