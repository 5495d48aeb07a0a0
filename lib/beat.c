/* SPDX-License-Identifier: MIT */

#include "heartbeat.h"

#include "clock.h"
#include "histogram.h"
#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#undef vitals_heartbeat_touch

#define NS_PER_US 1000u

/* Relaxed, here and below: a beat is a fact of its own and publishes nothing else. */
static bool closed(const struct vt_hot *hot)
{
	return atomic_load_explicit(&hot->flags, memory_order_relaxed) & VT_HB_CLOSED;
}

/* The slow part of an interval's end: it was longer than it should be. */
static void interval_late(vitals_heartbeat *heartbeat, uint64_t ns, uint64_t interval_ns)
{
	struct vt_group_slot *group = vt_heartbeat_group(heartbeat);
	uint64_t missed = ns / interval_ns - 1;

	vt_tally_add(&group->lateness,
		     vt_histogram_coarse_of(vt_histogram_fine(ns - interval_ns)), 1,
		     ns - interval_ns);
	if (missed)
		atomic_fetch_add_explicit(heartbeat->intervals
						  ? &heartbeat->intervals->missed
						  : &group->missed,
					  missed, memory_order_relaxed);
}

/* How long from @began_ns to @now_ns; another thread's pulse may have been a little ahead. */
static inline uint64_t interval_of(uint64_t began_ns, uint64_t now_ns)
{
	return now_ns > began_ns ? now_ns - began_ns : 0;
}

/* An interval of @ns, in bucket @fine, has ended. */
static inline void interval_end(vitals_heartbeat *heartbeat, uint64_t ns, unsigned fine)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint64_t interval_ns =
		atomic_load_explicit(&hot->interval_ns, memory_order_relaxed);

	if (heartbeat->intervals)
		vt_intervals_add(heartbeat->intervals, vt_heartbeat_buckets(hot), fine,
				 ns);
	/* 0 only in a forked child, whose copy of the slot is empty. */
	if (__builtin_expect(ns > interval_ns, 0) && interval_ns)
		interval_late(heartbeat, ns, interval_ns);
}

/* The rare ways a pulse goes: it is the first, or another thread's came between. */
static __attribute__((noinline, cold)) void interval_end_slow(vitals_heartbeat *heartbeat,
							      uint64_t began_ns,
							      uint64_t now_ns)
{
	uint64_t ns = interval_of(began_ns, now_ns);

	if (began_ns)
		interval_end(heartbeat, ns, vt_histogram_fine(ns));
}

static __attribute__((noinline, cold)) void pulse_first(vitals_heartbeat *heartbeat,
							uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);

	if (heartbeat->intervals &&
	    vt_intervals_pulse_first(heartbeat->intervals, &hot->pulse, now_ns))
		return;
	interval_end_slow(heartbeat,
			  atomic_exchange_explicit(&hot->pulse, now_ns,
						   memory_order_relaxed),
			  now_ns);
}

int vt_heartbeat_pulse_at(vitals_heartbeat *heartbeat, uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint64_t expected, before, ns;
	unsigned fine;

	if (closed(hot))
		return -ECANCELED;
	expected = atomic_load_explicit(&hot->pulse, memory_order_relaxed);
	atomic_store_explicit(&hot->beat, VT_BEAT_NS(now_ns), memory_order_relaxed);
	if (__builtin_expect(!expected, 0)) {
		pulse_first(heartbeat, now_ns);
		return 0;
	}
	/*
	 * The bucket before the exchange, which mostly finds what was there a moment ago: so the
	 * two go on at the same time.
	 */
	ns = interval_of(expected, now_ns);
	fine = heartbeat->intervals ? vt_histogram_fine(ns) : 0;
	before = atomic_exchange_explicit(&hot->pulse, now_ns, memory_order_relaxed);
	if (__builtin_expect(before == expected, 1))
		interval_end(heartbeat, ns, fine);
	else
		interval_end_slow(heartbeat, before, now_ns);
	return 0;
}

int vitals_heartbeat_pulse(vitals_heartbeat *heartbeat)
{
	if (!heartbeat)
		return -ECANCELED;
	return vt_heartbeat_pulse_at(heartbeat, vt_clock_now());
}

void vitals_heartbeat_touch(vitals_heartbeat *heartbeat)
{
	vitals_heartbeat_touch_inline(heartbeat);
}

int vt_heartbeat_idle_at(vitals_heartbeat *heartbeat, uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint64_t before;

	if (closed(hot))
		return -ECANCELED;
	before = heartbeat->intervals
			 ? vt_intervals_rest(heartbeat->intervals, &hot->pulse, now_ns)
			 : atomic_exchange_explicit(&hot->pulse, 0, memory_order_relaxed);
	/* The work since the last pulse is an interval too; the rest that follows is not. */
	interval_end_slow(heartbeat, before, now_ns);
	atomic_store_explicit(&hot->beat, VT_BEAT_NS(now_ns) | VT_BEAT_IDLE,
			      memory_order_relaxed);
	return 0;
}

int vitals_heartbeat_idle(vitals_heartbeat *heartbeat)
{
	if (!heartbeat)
		return -ECANCELED;
	return vt_heartbeat_idle_at(heartbeat, vt_clock_now());
}

/*
 * Its timer's period: its interval, but for the nanoseconds below a microsecond, which say whose
 * timer it is. A host's timer of the same interval has none there.
 */
static struct timespec due_period(const vitals_heartbeat *heartbeat)
{
	const struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint64_t interval_ns =
		atomic_load_explicit(&hot->interval_ns, memory_order_relaxed);
	uint64_t id = atomic_load_explicit(&hot->id, memory_order_relaxed);

	return vt_clock_timespec(interval_ns - interval_ns % NS_PER_US + 1 +
				 id % (NS_PER_US - 1));
}

/* Is the number still the timer that was made for this heartbeat? */
static bool due_fd_ours(const vitals_heartbeat *heartbeat, int fd)
{
	struct timespec period = due_period(heartbeat);
	struct itimerspec is;

	return timerfd_gettime(fd, &is) == 0 && is.it_interval.tv_sec == period.tv_sec &&
	       is.it_interval.tv_nsec == period.tv_nsec;
}

static int due_fd_of(const vitals_heartbeat *heartbeat, memory_order order)
{
	return atomic_load_explicit(&vt_heartbeat_seldom(heartbeat)->due_fd, order) - 1;
}

static void due_fd_arm(const vitals_heartbeat *heartbeat, int fd)
{
	struct itimerspec is = { .it_interval = due_period(heartbeat),
				 .it_value = due_period(heartbeat) };

	(void)timerfd_settime(fd, 0, &is, NULL);
}

/* Return: an armed timer; a negative errno. */
static int due_fd_new(const vitals_heartbeat *heartbeat)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	fd = vt_fd_above_stdio(fd);
	if (fd >= 0)
		due_fd_arm(heartbeat, fd);
	return fd;
}

/* In a forked child: a timer of its own under the same number, for the other is the parent's. */
static void due_fd_renew(const vitals_heartbeat *heartbeat)
{
	/* Relaxed: the child has one thread. */
	int fd = due_fd_of(heartbeat, memory_order_relaxed), mine;

	if (fd < 0 || !due_fd_ours(heartbeat, fd))
		return;
	mine = due_fd_new(heartbeat);
	if (mine < 0 || dup3(mine, fd, O_CLOEXEC) < 0)
		(void)close(fd);
	if (mine >= 0)
		(void)close(mine);
}

static void timers_carried(vitals_registry *registry)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);
	int saved = errno;

	for (i = 0; i < n; i++) {
		const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, i);

		if (atomic_load_explicit(&hot->gen, memory_order_relaxed) & 1u)
			due_fd_renew(vt_heartbeat_at(registry, i));
	}
	errno = saved;
}

static const struct vt_hooks timers_hooks = { .carried = timers_carried };

int vt_heartbeat_due_at(vitals_heartbeat *heartbeat, uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint64_t beat = atomic_load_explicit(&hot->beat, memory_order_relaxed);
	uint64_t interval_ns =
		atomic_load_explicit(&hot->interval_ns, memory_order_relaxed);
	int saved = errno, fd;

	if ((beat & VT_BEAT_MASK) != VT_BEAT_STARTING && !closed(hot) &&
	    now_ns < VT_BEAT_NS(beat) + interval_ns)
		return 0;
	/* Acquire pairs with the exchange in vitals_heartbeat_due_fd(). */
	fd = due_fd_of(heartbeat, memory_order_acquire);
	if (fd >= 0 && vt_heartbeat_current(heartbeat) && due_fd_ours(heartbeat, fd))
		due_fd_arm(heartbeat, fd);
	errno = saved;
	return 1;
}

int vitals_heartbeat_due(vitals_heartbeat *heartbeat)
{
	return heartbeat ? vt_heartbeat_due_at(heartbeat, vt_clock_now()) : 0;
}

int vitals_heartbeat_due_fd(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry;
	int saved = errno, known, fd;

	if (!heartbeat)
		return -EINVAL;
	if (!vt_heartbeat_current(heartbeat) || closed(vt_heartbeat_hot(heartbeat)))
		return -ECANCELED;
	registry = vt_heartbeat_registry(heartbeat);
	known = due_fd_of(heartbeat, memory_order_acquire);
	/* After a host's closefrom the number may be the host's: then a new one. */
	if (known >= 0 && due_fd_ours(heartbeat, known))
		return known;
	vt_lock(&registry->lock);
	vt_registry_hook(registry, &timers_hooks);
	vt_unlock(&registry->lock);
	fd = due_fd_new(heartbeat);
	known++;
	/* Release publishes an armed timer; another thread may have been first. */
	if (fd >= 0 && !atomic_compare_exchange_strong_explicit(
			       &vt_heartbeat_seldom(heartbeat)->due_fd, &known, fd + 1,
			       memory_order_acq_rel, memory_order_acquire)) {
		(void)close(fd);
		fd = known - 1;
	}
	errno = saved;
	return fd;
}

void vt_heartbeat_due_fd_close(vitals_heartbeat *heartbeat)
{
	struct vt_heartbeat_seldom *seldom = vt_heartbeat_seldom(heartbeat);
	int saved = errno, fd;

	/* A look first: nothing is written where there is none. */
	if (due_fd_of(heartbeat, memory_order_relaxed) < 0)
		return;
	fd = atomic_exchange_explicit(&seldom->due_fd, 0, memory_order_acq_rel) - 1;
	if (fd >= 0 && due_fd_ours(heartbeat, fd))
		(void)close(fd);
	errno = saved;
}
