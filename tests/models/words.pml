/* SPDX-License-Identifier: MIT */

/*
 * Fork against quit against wait: the two words of a node, in a chain main, one, two. Two
 * is made while the others run.
 *
 * lib/live.c (enter, exit, mark), member.c (join, uncount), scope.c and quitter.c (making
 * a node), tell.c (the cascade), report.c (wait_once), reap.c (joining), signals.c (the
 * handler's store), stages.c (the monitor's turn after it).
 *
 * Twice, for the states would be too many in one: with another who waits, and with
 * SIGNAL.
 *
 * Not here: time (a wait without a deadline is the one that could hang), holds (members
 * that no thread runs for; all else is the same).
 */

#define SLEEPERS 2
#include "common.pml"

#define NODES 3
#define THREADS 2
#define ANCESTOR(of, node) ((of) <= (node)) /* it is a chain */

#define QUIT 1   /* VT_QUIT */
#define CLOSED 1 /* VT_LIVE_CLOSED */
#define ONE 2    /* VT_LIVE_ONE */

byte word[NODES];
byte live[NODES];
byte waiters[NODES];
bit linked[NODES];
bit stage; /* root->stages[VITALS_STAGE_QUIT] */

#define told(node) ((word[node] | stage) & QUIT)

/* Of threads, by number. */
bit over[THREADS];    /* tree->over_first */
bit claimed[THREADS]; /* VT_MEMBER_CLAIMED */

/* What is true of them, whoever knows. */
byte node_of[THREADS];
bit counted[THREADS];
bit runs[THREADS]; /* its code, destructors included */

/* What the callers have been told. */
bit sent[NODES]; /* a send_quit has returned */
bit waited;      /* and a wait after it */

/*
 * A step is what somebody without the lock can see: of what is read and written under it
 * alone, a whole turn is one step.
 */

/* vt_quitter_enter() */
inline enter(n)
{
	at = n;
	do
	:: atomic {
		   live[at] = live[at] + ONE;
		   if
#ifdef BROKEN_NO_CLIMB /* B: a parent does not count children */
		   :: break
#else
		   :: live[at] >= 2 * ONE || at == 0 -> break
		   :: else -> at--
#endif
		   fi
	   }
	od;
	at = 0
}

/* vt_quitter_exit(); wakes: the words to be woken once the lock is released */
inline exit(n)
{
	at = n;
	do
	::
#ifdef BROKEN_LIVE_LATE /* C: the look at waiters before live is stored */
	   seen = waiters[at];
	   live[at] = live[at] - ONE;
#else
	   live[at] = live[at] - ONE;
	   seen = waiters[at];
#endif
	   atomic {
		   if
		   :: live[at] >= ONE -> break
		   :: else
		   fi;
#ifndef BROKEN_NO_WAKE /* C: nobody is woken */
		   if
		   :: seen -> wakes = wakes | (1 << at)
		   :: else
		   fi;
#endif
		   seen = 0;
		   if
#ifdef BROKEN_NO_CLIMB
		   :: break
#else
		   :: at == 0 -> break
		   :: else -> at--
#endif
		   fi
	   }
	od;
	atomic {
		seen = 0;
		at = 0
	}
}

/* vt_told_deliver() */
inline wake_all()
{
	do
	:: wakes & 1 -> futex_wake(1); wakes = wakes & ~1
	:: wakes & 2 -> futex_wake(2); wakes = wakes & ~2
	:: wakes & 4 -> futex_wake(3); wakes = wakes & ~4
	:: wakes == 0 -> break
	od
}

/* vt_tell_mark(): in pre-order, which is down the chain. */
inline mark_below(n)
{
	at = n;
	do
	:: atomic {
		   at < NODES && linked[at] ->
		   live[at] = live[at] | CLOSED;
		   word[at] = word[at] | QUIT;
#ifdef BROKEN_TOP_ONLY /* D: the rest of the cascade is left to others */
		   break
#else
		   at++
#endif
	   }
	:: else -> break
	od;
	at = 0
}

/* vt_reap(), join_try(): of another's */
inline reap(t)
{
	if
	:: atomic { !held && over[t] && !claimed[t] -> claimed[t] = 1 };
	   gone = !runs[t];
	   atomic {
		   !held ->
		   claimed[t] = 0;
		   over[t] = over[t] && !gone;
		   gone = 0
	   }
	:: atomic { !held && !(over[t] && !claimed[t]) }
	fi
}

/* vt_member_join(), pthread_create(), thread_main(), over_do() */
inline fork(t, n)
{
	node_of[t] = n;
#ifdef BROKEN_JOIN_UNLOCKED /* A: the question and the answer are not one */
	if
	:: told(n) -> goto refused
	:: else
	fi;
#endif
	atomic {
		!held ->
		if
#ifndef BROKEN_JOIN_UNLOCKED
		:: told(n) -> goto refused
#endif
		:: else -> held = 1
		fi
	};
#ifdef BROKEN_COUNT_LATE /* B: counted once it runs */
	claim(CLAIM_A, !sent[0] && !sent[1]);
	unlock();
	runs[t] = 1;
	lock();
	enter(n);
#else
	enter(n);
#endif
	atomic {
		counted[t] = 1;
		claim(CLAIM_A, !sent[0] && !sent[1]);
		unlock()
	};
#ifndef BROKEN_COUNT_LATE
	if
	:: /* the system gives none: member_undo() */
	   lock();
#ifndef BROKEN_NO_UNDO /* C: it stays counted for ever */
	   exit(n);
#endif
	   atomic {
		   counted[t] = 0;
		   unlock()
	   };
	   wake_all();
	   goto refused
	:: d_step {
		   claim(CLAIM_A, !waited);
		   runs[t] = 1
	   }
	fi;
#endif
	/* It leaves, told or not, whenever it likes. */
	lock();
	exit(n);
#ifdef BROKEN_OVER_LATE /* B: not counted, and not yet to be joined */
	unlock();
	lock();
#endif
	atomic {
		counted[t] = 0;
		over[t] = 1;
		unlock()
	};
	wake_all();
	reap(1 - t);
	runs[t] = 0
}

proctype forker_one()
{
	byte at, seen, wakes;
	bit gone;

	fork(0, 1);
refused:
	skip
}

/* vitals_quitter_new(), then a fork in it */
proctype forker_two()
{
	byte at, seen, wakes;
	bit gone;

#ifdef BROKEN_MAKE_UNLOCKED /* D: the same, of a child that is made */
	if
	:: told(1) -> goto refused
	:: else
	fi;
#endif
	atomic {
		!held ->
		if
#ifndef BROKEN_MAKE_UNLOCKED
		:: told(1) -> goto refused
#endif
		:: else
		fi;
		linked[2] = 1;
		claim(CLAIM_D, !sent[0] && !sent[1])
	};
	fork(1, 2);
refused:
	skip
}

#define everyone_below_told(n)                                                           \
	((told(n) || !linked[n]) && (told(2) || !linked[2]) && (n == 2 || told(1)))

/* vt_tell_at() */
inline send_quit(n)
{
	if
	:: atomic { !held && (word[n] & QUIT) } /* -EALREADY: another has told all of them */
	:: atomic { !held && !(word[n] & QUIT) -> held = 1 };
	   mark_below(n);
	   unlock()
	fi;
	skip;
	d_step {
		claim(CLAIM_D, everyone_below_told(n));
		sent[n] = 1
	}
}

/* over_claim(): one that has ended, is not joined, and is below. */
#ifdef BROKEN_CLAIM_IS_JOIN /* B: whoever is another's to join is not waited for */
#define to_join(t, n) (over[t] && !claimed[t] && ANCESTOR(n, node_of[t]))
#else
#define to_join(t, n) (over[t] && ANCESTOR(n, node_of[t]))
#endif

/* vt_reap_until(); between two tries it sleeps for a time, or until somebody joined. */
inline join_all(n)
{
	do
	:: atomic { !held && to_join(0, n) }; reap(0)
	:: atomic { !held && !to_join(0, n) && to_join(1, n) }; reap(1)
	:: atomic { !held && !to_join(0, n) && !to_join(1, n) -> break }
	od
}

/* vt_report_wait() */
inline wait_done(me, n)
{
	do
	:: value = live[n];
	   if
	   :: value < ONE -> break
	   :: else
	   fi;
#ifdef BROKEN_WAITERS_LATE /* C: counted after the kernel has looked */
	   atomic {
		   if
		   :: live[n] == value -> asleep[me] = n + 1
		   :: else
		   fi
	   };
	   waiters[n]++;
	   asleep[me] == 0;
#else
	   waiters[n]++;
#ifdef BROKEN_NO_COMPARE /* C: asleep whatever live is by now */
	   asleep[me] = n + 1;
	   asleep[me] == 0;
#else
	   futex_wait(me, n + 1, live[n], value);
#endif
#endif
	   waiters[n]--
	od;
	value = 0;
#ifndef BROKEN_NO_JOIN /* B: ended is as good as gone */
	join_all(n);
#endif
	skip
}

/* Tells one, and waits for it. */
proctype quitter()
{
	byte at, value;
	bit gone;

	send_quit(1);
	wait_done(0, 1);
	d_step {
		claim(CLAIM_A, !counted[0] && !counted[1]);
		claim(CLAIM_B, !runs[0] && !runs[1]);
		waited = 1
	}
}

/* Waits for main, or with the other for one, told or not: for those it found there. */
proctype waiter()
{
	byte value, n;
	bit gone, found[THREADS];

	if
	:: n = 0
	:: n = 1
	fi;
	d_step {
		found[0] = counted[0];
		found[1] = counted[1]
	};
	wait_done(1, n);
	claim(CLAIM_B, !(found[0] && runs[0]) && !(found[1] && runs[1]))
}

/* vt_signals_note_at(), which takes no lock; then the monitor's turn tells main. */
proctype signal()
{
	byte at;

	if
	:: stage = QUIT;
	   claim(CLAIM_D, everyone_below_told(0));
	   send_quit(0)
	:: skip /* none came */
	fi
}

init
{
	atomic {
		linked[0] = 1;
		linked[1] = 1;
		run forker_one();
		run forker_two();
		run quitter();
#ifdef SIGNAL
		run signal()
#else
		run waiter()
#endif
	}
}
