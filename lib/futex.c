/* SPDX-License-Identifier: MIT */

#include "futex.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int vt_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	struct timespec until = vt_clock_timespec(deadline_ns);
	int saved = errno;
	int r = 0;

	if (syscall(SYS_futex, (void *)(uintptr_t)word, FUTEX_WAIT_BITSET_PRIVATE, value,
		    deadline_ns == UINT64_MAX ? NULL : &until, NULL,
		    FUTEX_BITSET_MATCH_ANY) < 0)
		r = -errno;
	errno = saved;
	return r;
}

void vt_futex_wake(_Atomic uint32_t *word, int how_many)
{
	int saved = errno;

	(void)syscall(SYS_futex, (void *)(uintptr_t)word, FUTEX_WAKE_PRIVATE, how_many,
		      NULL, NULL, 0);
	errno = saved;
}

_Atomic uint32_t *vt_futex_low(_Atomic uint64_t *word)
{
	_Atomic uint32_t *halves = (_Atomic uint32_t *)(uintptr_t)word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return &halves[1];
#else
	return &halves[0];
#endif
}

bool vt_trylock(struct vt_lock *lock) VT_UNCHECKED
{
	uint32_t free_word = 0;

	/* Acquire pairs with the release in vt_unlock(). */
	return atomic_compare_exchange_strong_explicit(
		&lock->word, &free_word, 1, memory_order_acquire, memory_order_relaxed);
}

bool vt_lock_until(struct vt_lock *lock, uint64_t deadline_ns) VT_UNCHECKED
{
	if (vt_trylock(lock))
		return true;

	/* From here on it is held as "waited for", so that its holder wakes the next. */
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
		if (vt_futex_wait(&lock->word, 2, deadline_ns) == -ETIMEDOUT)
			return false;
	return true;
}

void vt_lock(struct vt_lock *lock) VT_UNCHECKED
{
	(void)vt_lock_until(lock, UINT64_MAX);
}

void vt_unlock(struct vt_lock *lock) VT_UNCHECKED
{
	/* Release publishes all that was written under the lock to the next vt_trylock(). */
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
		vt_futex_wake(&lock->word, 1);
}

void vt_lock_reset(struct vt_lock *lock)
{
	/* Relaxed: the child has one thread. */
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}
