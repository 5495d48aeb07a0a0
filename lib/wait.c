/* SPDX-License-Identifier: MIT */

/*
 * A thread waits: for a time, for descriptors, for a condition, and in all of them for
 * being told. Idle while it does. Afterwards it touches rather than pulses: the silence
 * that follows is judged, and no interval begins that is not its own.
 */

#include "clock.h"
#include "thread.h"
#include "unblock.h"
#include "wakefd.h"

#include <errno.h>
#include <poll.h>

#define POLL_MAX 1023u

/*
 * Without a notifier nobody kicks: how long a kick may be missed. Those who flush do not rely on it:
 * it may be kept by a callback or a condition of somebody else's.
 */
#define UNHELPED_NS 50000000u

static bool must_leave(const vitals_thread *self)
{
	return !self || !vt_member_current(self) || vt_member_told(self);
}

static void wait_begin(const vitals_thread *self)
{
	(void)vitals_heartbeat_idle(self->heartbeat);
}

static void wait_end(const vitals_thread *self)
{
	vitals_heartbeat_touch(self->heartbeat);
}

static int sleep_until(vitals_thread *self, uint64_t deadline_ns)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(self->quitter);

	for (;;) {
		/*
		 * Acquire, and before the look at all that may tell: whatever tells
		 * changes this word afterwards, and the wait compares it.
		 */
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

		if (must_leave(self))
			return -ECANCELED;
		if (vt_clock_now() >= deadline_ns)
			return 0;
		(void)vt_futex_wait(vt_futex_low(&slot->word), (uint32_t)word,
				    deadline_ns);
	}
}

int vitals_thread_sleep(vitals_thread *self, uint64_t ns)
{
	int r;

	if (must_leave(self))
		return -ECANCELED;
	wait_begin(self);
	r = sleep_until(self, vt_clock_after(vt_clock_now(), ns));
	wait_end(self);
	return r;
}

/*
 * The descriptor that ends a poll, made with the first; anew if the host has closed it.
 */
static int poll_fd(vitals_thread *self)
{
	/* Relaxed: only the thread itself writes it. */
	int fd = atomic_load_explicit(&self->poll_fd, memory_order_relaxed);

	if (vt_wakefd_ours(fd))
		return fd;
	fd = vt_wakefd_new();
	/* Release pairs with the acquire of whoever sets it. */
	if (fd >= 0)
		atomic_store_explicit(&self->poll_fd, fd, memory_order_release);
	return fd;
}

static int poll_with(vitals_thread *self, struct pollfd *all, unsigned n,
		     uint64_t deadline_ns)
{
	uint64_t now_ns = vt_clock_now();
	struct timespec left;
	int r;

	left = vt_clock_timespec(now_ns < deadline_ns ? deadline_ns - now_ns : 0);
	r = ppoll(all, n + 1, deadline_ns == UINT64_MAX ? NULL : &left, NULL);
	if (must_leave(self))
		return -ECANCELED;
	if (r < 0)
		return -errno;
	return r - (all[n].revents != 0);
}

int vitals_thread_poll(vitals_thread *self, struct pollfd *fds, unsigned n, uint64_t ns)
{
	struct pollfd all[POLL_MAX + 1];
	unsigned i;
	int fd, r, saved = errno;

	if (must_leave(self))
		return -ECANCELED;
	if (n > POLL_MAX || (n && !fds))
		return -EINVAL;
	fd = poll_fd(self);
	if (fd < 0)
		return fd;
	for (i = 0; i < n; i++)
		all[i] = (struct pollfd){ .fd = fds[i].fd, .events = fds[i].events };
	all[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	/* Sequentially consistent: see vt_member_told_armed(). */
	atomic_fetch_or_explicit(&self->armed, VT_ARMED_POLL, memory_order_seq_cst);
	wait_begin(self);
	r = vt_member_told_armed(self)
		    ? -ECANCELED
		    : poll_with(self, all, n, vt_clock_after(vt_clock_now(), ns));
	wait_end(self);
	/* Release: see armed_load(). */
	atomic_fetch_and_explicit(&self->armed, ~VT_ARMED_POLL, memory_order_release);
	for (i = 0; r >= 0 && i < n; i++)
		fds[i].revents = all[i].revents;
	errno = saved;
	return r;
}

static int cond_wait_until(vitals_thread *self, pthread_cond_t *cond,
			   pthread_mutex_t *mutex, uint64_t deadline_ns)
{
	bool helped = vt_unblock_helped(vt_member_registry(self)) &&
		      vt_quitter_stage(vt_quitter_slot(self->quitter)) !=
			      VITALS_STAGE_FLUSH;
	uint64_t until_ns = deadline_ns;
	struct timespec until;
	int r;

	/*
	 * Who was told between its look and its wait is kicked again by the notifier, if
	 * there is one.
	 */
	if (!helped && vt_clock_after(vt_clock_now(), UNHELPED_NS) < deadline_ns)
		until_ns = vt_clock_after(vt_clock_now(), UNHELPED_NS);
	until = vt_clock_timespec(until_ns);
	if (until_ns == UINT64_MAX)
		r = pthread_cond_wait(cond, mutex);
	else
		r = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &until);
	return r == ETIMEDOUT && until_ns < deadline_ns ? 0 : -r;
}

static void cond_arm(vitals_thread *self, pthread_cond_t *cond)
{
	vt_lock(&self->wait);
	vt_member_seldom(self)->cond = cond;
	/*
	 * Sequentially consistent: see vt_member_told_armed(). Release: see armed_load().
	 */
	if (cond)
		atomic_fetch_or_explicit(&self->armed, VT_ARMED_COND,
					 memory_order_seq_cst);
	else
		atomic_fetch_and_explicit(&self->armed, ~VT_ARMED_COND,
					  memory_order_release);
	vt_unlock(&self->wait);
}

static void cond_disarm(void *arg)
{
	cond_arm((vitals_thread *)arg, NULL);
}

int vitals_thread_cond_wait(vitals_thread *self, pthread_cond_t *cond,
			    pthread_mutex_t *mutex, uint64_t ns)
{
	volatile int r = -ECANCELED; /* kept across the cleanup's setjmp */

	if (must_leave(self))
		return -ECANCELED;
	if (!cond || !mutex)
		return -EINVAL;
	vt_member_registry(self)->tree->caller(vt_member_registry(self));
	cond_arm(self, cond);
	wait_begin(self);
	/* A foreign cancel in the wait must not leave the condition behind. */
	pthread_cleanup_push(cond_disarm, self);
	if (!vt_member_told_armed(self))
		r = cond_wait_until(self, cond, mutex,
				    vt_clock_after(vt_clock_now(), ns));
	pthread_cleanup_pop(1);
	wait_end(self);
	return must_leave(self) ? -ECANCELED : r;
}

int vitals_thread_on_quit(vitals_thread *self, void (*unblock)(void *user), void *user)
{
	int r;

	if (!self)
		return -EINVAL;
	if (!vt_member_current(self))
		return 0;
	if (unblock)
		vt_member_registry(self)->tree->caller(vt_member_registry(self));
	r = vt_unblock_set(self, unblock, user);
	if (!r && unblock && vt_member_told_armed(self))
		vt_unblock_call(self);
	return r;
}
