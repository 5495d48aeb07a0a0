/* SPDX-License-Identifier: MIT */

/*
 * Holds that count without the lock. Two users hold and release, in two quitters a and b of
 * main's and by two names; there are two slots, which any hold may have after another.
 * Meanwhile, one for each WAY:
 *
 *   1  one tells a and waits for it
 *   2  one waits for a, told or not
 *   3  finish, and the last thread that counts under the lock
 *   4  a weak thread joins a
 *
 * lib/hold.c (all of it), member.c (count, exit, join), live.c, tell.c (vt_tell_mark), report.c
 * (waits_add, wait_once), finish.c (turn_tree).
 *
 * Not here: of a quitter's quick holds the second (VT_QUICK_HERE), nor that there may be too
 * many; the words of a name are one; abandoned ones, which never are quick.
 */

#define SLEEPERS 1
#include "common.pml"

#ifndef WAY
#define WAY 1
#endif

#define A 0
#define B 1
#define MAIN 2
#define NODES 3
#define SLOTS 2
#define USERS 2
#define NONE 7

/* A slot's word: gen << 4 | count << 1 | QUICK */
#define QUICK 1    /* VT_HOLD_QUICK */
#define ONE_HOLD 2 /* VT_HOLD_ONE */
#define hold_count(word) (((word) >> 1) & 7)

byte word[SLOTS]; /* slot->word */
byte name[SLOTS];
byte quick[MAIN] = NONE; /* seldom->quick[0] */
byte live[NODES];
byte waiters[NODES];
bit news; /* tree->news, since finish has looked */
bit told[MAIN];

/* Guarded by the registry's lock. */
byte count[SLOTS];
byte gen[SLOTS];
byte home[SLOTS] = NONE; /* its quitter; NONE: the slot is free */
bit listed[SLOTS];     /* in root->quick */
byte n_quick;
byte n_waits;
byte threads; /* totals.threads */
bit departed;
bit has_weak;

byte n_finishes;

/* What is true of users: what they hold, and in which of their rounds. */
byte has[USERS] = NONE; /* quitter * 2 + name */
byte round[USERS];
bit weak_told;
bit sent;   /* a send_quit to a has returned */
bit waited; /* and a wait after it */

#define held_as(key) ((has[0] == (key)) + (has[1] == (key)))
#define held_in(node) ((has[0] >> 1) == (node) || (has[1] >> 1) == (node))
#define nothing_held (has[0] == NONE && has[1] == NONE)

/* What it counts to is what is held, whether in its word or under the lock. */
#define counts(s)                                                                        \
	(held_as(home[s] * 2 + name[s]) ==                                                 \
	 (word[s] & QUICK -> hold_count(word[s]) : count[s]))

/* vt_quitter_enter() */
inline enter(n)
{
	d_step {
		threads++;
		live[n]++;
		if
		:: live[n] == 1 -> live[MAIN]++
		:: else
		fi
	}
}

/* vt_quitter_exit(), vt_told_wake(), weak_tell(); that waiters are looked at last: words.pml */
inline exit(n)
{
	d_step {
		live[n]--;
		if
		:: live[n] == 0 && waiters[n] -> futex_wake(n + 1)
		:: else
		fi;
		if
		:: live[n] == 0 && n == A && has_weak ->
			claim(CLAIM_I, !held_in(A));
			weak_told = 1
		:: else
		fi;
		if
		:: live[n] == 0 && n != MAIN ->
			live[MAIN]--;
			news = news || live[MAIN] == 0
		:: live[n] == 0 && n == MAIN -> news = 1
		:: else
		fi
	}
}

/* hold_remove(); the turn of member_exit() is the caller's, who settles all anyway */
inline hold_remove(s)
{
	d_step {
		claim(CLAIM_H, home[s] != NONE && held_as(home[s] * 2 + name[s]) == 0);
		node = home[s];
		home[s] = NONE;
		threads--;
		departed = 1
	};
	exit(node);
	node = 0
}

/* quick_end() */
inline quick_end(s)
{
	node = home[s];
	do
	:: was = word[s];
	   count[s] = hold_count(was);
	   atomic {
		   if
#ifdef BROKEN_SETTLE_STORE /* H: what is counted meanwhile is lost */
		   :: true
#else
		   :: word[s] == was
#endif
			   -> word[s] = 0;
			   claim(CLAIM_H, home[s] != NONE && counts(s));
			   break
		   :: else
		   fi
	   }
	od;
#ifndef BROKEN_NO_CLEAR /* H 2: its quitter goes on finding it */
	quick[node] = NONE;
#endif
	node = 0;
	if
	:: hold_count(was) == 0 -> hold_remove(s)
	:: else
	fi;
	was = 0
}

/* vt_holds_settle() */
inline settle()
{
	do
	:: atomic { listed[0] -> listed[0] = 0; n_quick-- }; quick_end(0)
	:: atomic { !listed[0] && listed[1] -> listed[1] = 0; n_quick-- }; quick_end(1)
	:: atomic { !listed[0] && !listed[1] -> break }
	od
}

/* quick_allowed() */
#define watched_by_finish (n_finishes && threads <= n_quick + 1)
#ifdef BROKEN_WAITS /* C 2: quick again while somebody waits */
#define waited_for 0
#else
#define waited_for n_waits
#endif
#ifdef BROKEN_FINISHES /* C 3: quick again while finish waits for the last */
#define allowed(n) (!waited_for && !(n == A && has_weak))
#else
#define allowed(n) (!waited_for && !watched_by_finish && !(n == A && has_weak))
#endif

/* quick_begin() */
inline quick_begin(s)
{
	if
	:: atomic {
		   quick[home[s]] == NONE && allowed(home[s]) ->
		   listed[s] = 1;
		   n_quick++
	   };
#ifdef BROKEN_NO_GEN /* H 2: the word of another use looks the same */
	   word[s] = count[s] * ONE_HOLD | QUICK;
#else
	   word[s] = (gen[s] & 15) << 4 | count[s] * ONE_HOLD | QUICK;
#endif
	   quick[home[s]] = s
	:: else
	fi
}

/* quick_find(): slot NONE: none */
inline quick_find(n, called)
{
	slot = quick[n];
	if
	:: atomic { slot == NONE -> seen = 0 }
	:: else ->
		seen = word[slot];
		if
		:: atomic { !(seen & QUICK) || name[slot] != called -> slot = NONE }
		:: else ->
#ifndef BROKEN_NO_RECHECK /* H 2: it may be another quitter's by now */
			if
			:: atomic { quick[n] != slot -> slot = NONE }
			:: else
			fi
#else
			skip
#endif
		fi
	fi
}

/* hold_find() */
inline hold_find(n, called)
{
	d_step {
		if
		:: home[0] == n && name[0] == called -> slot = 0
		:: home[1] == n && name[1] == called -> slot = 1
		:: else -> slot = NONE
		fi
	}
}

/* From here on it is held. */
inline now_held(me, n, called)
{
	claim(CLAIM_A, !(n == A && sent) && !(n == A && waited));
	claim(CLAIM_H, home[slot] == n && name[slot] == called);
	has[me] = n * 2 + called;
	claim(CLAIM_H, counts(slot));
	claim(CLAIM_A, live[n])
}

inline now_released(me, n, called)
{
	claim(CLAIM_H, home[slot] == n && name[slot] == called);
	has[me] = NONE;
	claim(CLAIM_H, counts(slot))
}

/* hold_slowly(), hold_add() */
inline hold_slowly(me, n, called)
{
	atomic {
		!held ->
		if
		:: told[n] -> goto refused
		:: else -> held = 1
		fi
	};
	hold_find(n, called);
	if
	:: slot != NONE ->
		if
		:: atomic {
			   word[slot] & QUICK ->
			   word[slot] = word[slot] + ONE_HOLD;
			   now_held(me, n, called)
		   }
		:: atomic {
			   !(word[slot] & QUICK) ->
			   count[slot]++;
			   now_held(me, n, called)
		   };
		   quick_begin(slot)
		fi
	:: else ->
		/* vt_member_join() */
		atomic {
			if
			:: home[0] == NONE -> slot = 0
			:: home[1] == NONE -> slot = 1
			:: else -> unlock(); goto refused /* -ENOMEM */
			fi;
			gen[slot]++;
			word[slot] = 0
		};
		atomic {
			name[slot] = called;
			count[slot] = 1;
			home[slot] = n;
			enter(n);
			now_held(me, n, called)
		};
		quick_begin(slot)
	fi;
	unlock()
}

/* vitals_quitter_hold() */
inline hold(me, n, called)
{
	do
	:: quick_find(n, called);
	   if
	   :: slot == NONE -> hold_slowly(me, n, called); break
	   :: else ->
		   if
		   :: told[n] -> goto refused
		   :: else
		   fi;
		   atomic {
			   if
			   :: word[slot] == seen ->
				   word[slot] = seen + ONE_HOLD;
				   now_held(me, n, called);
				   break
			   :: else
			   fi
		   }
	   fi
	od;
	atomic {
		slot = NONE;
		seen = 0
	}
}

/* release_slowly() */
inline release_slowly(me, n, called)
{
	lock();
#ifndef BROKEN_RELEASE /* H 2: what is still quick is counted under the lock */
	settle();
#endif
	hold_find(n, called);
	atomic {
		claim(CLAIM_H, slot != NONE && count[slot] > 0);
		count[slot]--;
		now_released(me, n, called)
	};
	if
	:: count[slot] == 0 -> hold_remove(slot)
	:: else
	fi;
	unlock()
}

/* vitals_quitter_release() */
inline release(me, n, called)
{
	do
	:: quick_find(n, called);
	   if
	   :: slot == NONE || hold_count(seen) == 0 -> release_slowly(me, n, called); break
	   :: else ->
		   atomic {
			   if
			   :: word[slot] == seen ->
				   word[slot] = seen - ONE_HOLD;
				   now_released(me, n, called);
				   break
			   :: else
			   fi
		   }
	   fi
	od;
	atomic {
		slot = NONE;
		seen = 0
	}
}

/* Of two users the first is content with one hold. */
proctype user(byte me)
{
	byte slot = NONE, seen, was, node, n, called;

	do
	:: round[me] <= me ->
		round[me]++;
		atomic {
			if
			:: n = A; called = 0
			:: round[me] == 2 -> n = A; called = 1
			:: round[me] == 2 -> n = B; called = 0
			fi
		};
		hold(me, n, called);
		release(me, n, called)
	:: else -> break
	od;
refused:
	skip
}

/* waits_add() */
inline waits_add(by)
{
	lock();
	n_waits = n_waits + by;
#ifdef BROKEN_UNLOCKED /* H 2: settled while others change them */
	unlock();
	settle()
#else
#ifndef BROKEN_WAITS_SETTLE /* C 2: the last release tells nobody */
	settle();
#endif
	unlock()
#endif
}

/* vitals_quitter_wait_done(); that waiters is counted first: words.pml */
inline wait_done(me, n)
{
	waits_add(1);
	do
	:: was = live[n];
	   if
	   :: was == 0 -> break
	   :: else
	   fi;
	   waiters[n]++;
	   futex_wait(me, n + 1, live[n], was);
	   waiters[n]--
	od;
	was = 0;
	lock();
	n_waits--;
	unlock()
}

/* vt_tell_at(), then a wait */
proctype quitter()
{
	byte was, node;

	lock();
#ifndef BROKEN_TELL /* A: told, and yet one more counts by itself */
	settle();
#endif
	told[A] = 1;
	unlock();
	sent = 1;
	wait_done(0, A);
	d_step {
		claim(CLAIM_B, !held_in(A));
		waited = 1
	}
}

/* Waits for those it finds there. */
proctype waiter()
{
	byte was, node, found[USERS];

	d_step {
		found[0] = ((has[0] >> 1) == A -> round[0] : 0);
		found[1] = ((has[1] >> 1) == A -> round[1] : 0)
	};
	wait_done(0, A);
	claim(CLAIM_B, !((has[0] >> 1) == A && found[0] == round[0]));
	claim(CLAIM_B, !((has[1] >> 1) == A && found[1] == round[1]))
}

/* A thread of main's leaves: over_do(), member_exit() */
proctype thread()
{
	byte was, node;

	lock();
	departed = 1;
	threads--;
#ifndef BROKEN_EXIT /* C 3: nobody says that those who are left are holds that nobody has */
	if
	:: threads <= n_quick -> settle()
	:: else
	fi;
#endif
	exit(MAIN);
	unlock()
}

/* vitals_quitter_finish(); its time is not needed */
proctype finish()
{
	byte was, node;

	n_finishes++;
	do
	:: news = 0;
	   lock();
#ifdef BROKEN_COUNT /* I 3: that none counts under the lock is taken for nobody */
	   if
	   :: departed && threads <= n_quick ->
#else
#ifndef BROKEN_FINISH /* C 3: nor finish, when it begins */
	   settle();
#endif
	   if
	   :: departed && live[MAIN] == 0 ->
#endif
		   claim(CLAIM_I, nothing_held);
		   told[A] = 1;
		   told[B] = 1;
		   unlock();
		   break
	   :: else
	   fi;
	   unlock();
	   news
	od
}

/* vt_member_join(), member_count() */
proctype weak()
{
	byte was, node;
	bit any;

	lock();
#ifndef BROKEN_WEAK /* C 4: it is not told by a release */
	settle();
#endif
	has_weak = 1;
	any = live[A] > 0;
	unlock();
	!any || weak_told
}

init
{
	atomic {
		run user(0);
		run user(1);
#if WAY == 1
		run quitter()
#elif WAY == 2
		run waiter()
#elif WAY == 3
		live[MAIN] = 1;
		threads = 1;
		run thread();
		run finish()
#else
		run weak()
#endif
	}
}
