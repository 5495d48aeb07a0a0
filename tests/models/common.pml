/* SPDX-License-Identifier: MIT */

/*
 * What all models share: the claims, the registry's lock, the kernel's futex.
 *
 * Memory model. Spin interleaves single statements on one memory: sequential consistency.
 * The code is not so in general. It is where it has to be, so the models hold for it as
 * long as
 *
 *   - what is written under the registry's lock and read under it is ordered by the lock
 *     (vt_lock() acquires, vt_unlock() releases: futex.c; its own model is lock.pml);
 *   - what is written under the lock and read without it publishes by release to acquire:
 *     one word at a time, and who reads an old value goes on as if a little earlier;
 *   - where two threads each write one word and then read the other's, both sides are
 *     memory_order_seq_cst. Those pairs, each in the model named:
 *
 *     words.pml   live, then waiters       live_set(), vt_quitter_exit() in live.c
 *                 waiters, then live       wait_once() in report.c; the kernel reads live
 *     sleeps.pml  word, then armed         vt_quitter_mark() in live.c, vt_member_note()
 *                                          in member.c
 *                 own word, then armed     vt_member_tell(), vt_member_note() in member.c
 *                 armed, then both words   vitals_thread_poll(), cond_arm() in wait.c and
 *                                          vt_unblock_set() in unblock-calls.c, then
 *                                          vt_member_told_armed() in member.c
 *                 word, then VT_NODE_FD    vt_quitter_mark() in live.c, tell_collect() in
 *                                          tell.c
 *                 VT_NODE_FD, then word    fd_publish() in scope.c
 *
 *   - a slot's word is changed by compare-and-swap while its hold is quick (hold.c), and of one
 *     word all see one order; what is read before a swap, by acquire, is read before it.
 *
 * A variant that has the two in the other order is what a weaker order would allow. A
 * signal handler's store needs no pair: the monitor's turn follows, and tells by words.
 *
 * A variant is made by -DBROKEN_...; ONLY chooses the claim whose assertions count.
 */

#define CLAIM_A 1 /* a fork or a hold is refused or waited for: no third case */
#define CLAIM_B 2 /* after a successful wait no counted thread runs, nothing is held */
#define CLAIM_C 3 /* who waits or sleeps comes back: no invalid end state */
#define CLAIM_D 4 /* when send_quit has returned all below answer told */
#define CLAIM_E 5 /* nothing freed is used, and it is freed once */
#define CLAIM_F 6 /* the first cause wins */
#define CLAIM_G 7 /* the lock excludes */
#define CLAIM_H 8 /* each hold is counted once, where it belongs, and released once */
#define CLAIM_I 9 /* that all have left is not said while something is held */
#define CLAIM_J 10 /* nobody is on two lists of calls, or twice on one */
#define CLAIM_K 11 /* a callback is called twice at most, one at a time, and not once it was taken back */
#define CLAIM_L 12 /* in the end nothing is pinned */

#ifdef ONLY
#define claim(which, what) assert(ONLY != which || (what))
#else
#define claim(which, what) assert(what)
#endif

/* The registry's lock, as all but lock.pml see it. */
bit held;

inline lock()
{
	atomic { !held -> held = 1 }
}

inline unlock()
{
	held = 0
}

/* By sleeper: the number of the word it is asleep on; 0: awake. */
byte asleep[SLEEPERS];

/* vt_futex_wait(): the kernel compares and falls asleep in one. */
#define futex_wait(me, number, word, value)                                              \
	atomic {                                                                         \
		if                                                                       \
		:: (word) == (value) -> asleep[me] = number                              \
		:: else                                                                  \
		fi                                                                       \
	}                                                                                \
	asleep[me] == 0

inline futex_wake(number)
{
	d_step {
		for (waked : 0 .. SLEEPERS - 1) {
			if
			:: asleep[waked] == number -> asleep[waked] = 0
			:: else
			fi
		}
		waked = 0
	}
}

byte waked;
