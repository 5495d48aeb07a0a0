/* SPDX-License-Identifier: MIT */

/*
 * Futex
 *
 * Waiting on a word, and the lock made of one. A lock of ours rather than pthread's: it can
 * be given a deadline on CLOCK_MONOTONIC (the monitor never waits for a stuck thread), and a
 * forked child can start it afresh.
 */

#ifndef VT_FUTEX_H
#define VT_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define VT_CAPABILITY(name) __attribute__((capability(name)))
#define VT_ACQUIRE(lock) __attribute__((acquire_capability(lock)))
#define VT_TRY_ACQUIRE(lock) __attribute__((try_acquire_capability(true, lock)))
#define VT_RELEASE(lock) __attribute__((release_capability(lock)))
#define VT_REQUIRES(lock) __attribute__((requires_capability(lock)))
#define VT_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define VT_CAPABILITY(name)
#define VT_ACQUIRE(lock)
#define VT_TRY_ACQUIRE(lock)
#define VT_RELEASE(lock)
#define VT_REQUIRES(lock)
#define VT_UNCHECKED
#endif

/*
 * Waits while *@word is @value, until @deadline_ns (CLOCK_MONOTONIC, UINT64_MAX: none).
 * Return: 0 when woken, also for nothing; -EAGAIN if *@word is another already; -ETIMEDOUT;
 * -EINTR.
 */
int vt_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns);

/* Async-signal-safe. */
void vt_futex_wake(_Atomic uint32_t *word, int how_many);

/* The half of a 64-bit word that holds its bits 0 to 31: what a futex can wait on. */
_Atomic uint32_t *vt_futex_low(_Atomic uint64_t *word);

struct VT_CAPABILITY("mutex") vt_lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and waited for */
};

void vt_lock(struct vt_lock *lock) VT_ACQUIRE(*lock);
bool vt_trylock(struct vt_lock *lock) VT_TRY_ACQUIRE(*lock);
bool vt_lock_until(struct vt_lock *lock, uint64_t deadline_ns) VT_TRY_ACQUIRE(*lock);
void vt_unlock(struct vt_lock *lock) VT_RELEASE(*lock);

/* In a forked child only, where whoever held it does not exist. */
void vt_lock_reset(struct vt_lock *lock);

#endif
