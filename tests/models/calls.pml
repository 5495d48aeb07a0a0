/* SPDX-License-Identifier: MIT */

/*
 * Callbacks: a thread says what to call, perhaps something else, perhaps nothing again, and
 * ends; two tell it, each for a reason of its own (its quitter, it alone) and each calls
 * whatever is to be called, as the notifier does; time passes, or does not.
 *
 * lib/unblock-calls.c, unblock.c (deliver, settle), over.c (over_do), member.c (note), wait.c
 * (vitals_thread_on_quit), main.c (turn_tree).
 *
 * One member: that the lists are linked well is a matter of one thread at a time. That it is
 * called at all, once told: sleeps.pml. Not here: a callback that ends its own thread.
 */

#define SLEEPERS 1
#include "common.pml"

#define TELLERS 2
#define SELF 1 /* in calling; else who calls, + 1 */

/* Guarded by the registry's lock. */
byte refs = 1; /* being listed, and whoever looks */
bit listed = 1;
bit noted;   /* VT_MEMBER_TOLD */
bit call;    /* VT_MEMBER_CALL */
bit again;   /* VT_MEMBER_AGAIN */
bit waiting; /* VT_MEMBER_WAITING */
byte tellers;       /* how often it is in a struct vt_told */
byte to_call;       /* … on call_first */
byte to_call_again; /* … on again_first */

/* Guarded by its own lock; the callbacks are 1 and 2. */
byte unblock;
byte calls;
byte calling;

bit armed; /* VT_ARMED_CALL */
bit told;  /* its own word or its quitter's */

/* What is true of the callbacks. */
bit valid[3];
byte ran[3]; /* since it was set */
byte running;
bit half; /* of its time is gone */
bit ended;

#define used() claim(CLAIM_E, refs > 0)
#define once_on_a_list() claim(CLAIM_J, to_call + to_call_again <= 1)

inline unref()
{
	used();
	refs--
}

inline call_add()
{
	used();
	to_call++;
	once_on_a_list()
}

inline again_add()
{
	used();
	again = 1;
	waiting = 1;
	to_call_again++;
	once_on_a_list()
}

inline again_remove()
{
	used();
	waiting = 0;
	to_call_again--
}

inline call_forget()
{
	call = 0;
	again = 0;
#ifndef BROKEN_NO_PIN
	unref()
#endif
}

/* call_once(); what is under its lock nobody sees half of */
inline call_once(me, limit)
{
	atomic {
		used();
		if
#ifdef BROKEN_CALLING /* K: two at a time */
		:: calls < limit ->
#else
		:: calls < limit && !calling ->
#endif
			what = unblock
		:: else -> what = 0
		fi;
		if
		:: what ->
			calls++;
#ifndef BROKEN_CALLING_LATE
			calling = me
#endif
		:: else
		fi
	};
	if
	:: what ->
#ifdef BROKEN_CALLING_LATE /* K: it says so when it has let go of the lock */
		calling = me;
#endif
		d_step {
			ran[what]++;
			running++;
			claim(CLAIM_K, valid[what] && ran[what] <= 1 + half);
			claim(CLAIM_K, running == 1)
		};
		d_step {
			claim(CLAIM_K, valid[what]);
			running--
		};
		d_step {
			used();
			calling = 0;
			what = 0
		}
	:: else
	fi
}

/* vt_unblock_calls(), called() */
inline unblock_calls(me)
{
	do
	:: atomic {
		   !held && to_call ->
		   used();
		   to_call--;
#ifdef BROKEN_LIMIT /* K: the other call needs no time to pass */
		   most = 2
#else
		   most = 1 + again
#endif
	   };
	   call_once(me, most);
	   atomic {
		   !held ->
		   if
#ifdef BROKEN_ENDED /* L: once more, though it has ended since */
		   :: !again ->
#else
		   :: !again && armed ->
#endif
			   again_add()
		   :: else -> call_forget()
		   fi
	   }
	:: atomic { !held && !to_call -> break }
	od
}

/* vt_unblock_set() */
inline unblock_set(with)
{
	atomic {
#ifndef BROKEN_SET /* K: what is being called goes on */
		!calling ->
#endif
		valid[unblock] = 0;
		unblock = with;
		calls = 0;
		armed = with != 0;
		valid[with] = with != 0;
		ran[with] = 0
	}
}

/* vitals_thread_on_quit(), vt_unblock_call() */
inline on_quit(with)
{
	unblock_set(with);
	if
	:: told ->
		call_once(SELF, 1);
		atomic {
			!held ->
			if
#ifdef BROKEN_OWN_BIT /* J: whether somebody else is about to */
			:: true ->
#else
			:: !call ->
#endif
				call = 1;
				refs++;
				again_add()
			:: else
			fi
		}
	:: else
	fi
}

proctype self()
{
	byte what;

	on_quit(1);
	if
	:: on_quit(2)
	:: unblock_set(0); on_quit(2)
	:: skip
	fi;
	/* over_do(), vt_unblock_forget(), and, as early as it can be, vt_member_remove() */
	unblock_set(0);
	atomic {
		!held ->
#ifndef BROKEN_FORGET /* L: it stays to be called again */
		if
		:: waiting -> again_remove(); call_forget()
#ifdef BROKEN_FORGET_ALL /* E: also what somebody is about to call */
		:: call && !waiting -> call_forget()
#endif
		:: else
		fi;
#endif
		ended = 1;
		listed = 0;
		unref()
	}
}

/* vt_quitter_mark() or vt_member_tell(), vt_member_note(), then vt_told_done() */
proctype teller(byte me)
{
	byte what, most;
	bit mine;

	lock();
	told = 1;
	atomic {
		if
#ifdef BROKEN_NOTED /* J: on two tellers' lists by its one link */
		:: listed && armed ->
#else
		:: listed && armed && !noted ->
#endif
			noted = 1;
			mine = 1;
			tellers++;
			claim(CLAIM_J, tellers == 1);
#ifndef BROKEN_TOLD_PIN /* E: it may be gone before it is delivered */
			refs++
#endif
		:: else
		fi;
		unlock()
	};
	if
	:: mine ->
		used(); /* vt_told_deliver() */
		/* vt_told_settle() */
		atomic {
			!held ->
			used();
			tellers--;
			if
#ifdef BROKEN_BIT /* J: whoever is about to be called is put there again */
			:: armed ->
#else
			:: armed && !call ->
#endif
#ifndef BROKEN_NO_PIN /* E: a list holds nobody */
				refs++;
#endif
				call = 1;
				call_add()
			:: else
			fi;
#ifndef BROKEN_TOLD_PIN
			unref()
#endif
		}
	:: else
	fi;
	unblock_calls(me)
}

/* In the end, when nobody has anything left to do. */
inline check_end()
{
	claim(CLAIM_L, refs == 0 && !call && !again && !waiting);
	claim(CLAIM_L, to_call + to_call_again == 0)
}

proctype notifier()
{
	byte what, most;

end:
	do
	:: to_call -> unblock_calls(4)
	:: timeout -> check_end(); break
	od
}

/* vt_unblock_again_at(), by turns of the monitor's or of finish's, which end with all threads */
proctype turns()
{
end:
	do
	:: atomic {
		   !held && to_call_again && !ended ->
		   half = 1;
#ifdef BROKEN_STAYS /* J: on one list it is still on the other */
		   waiting = 0;
#else
		   again_remove();
#endif
		   if
		   :: armed -> call_add()
		   :: else -> call_forget()
		   fi
	   }
	:: ended -> break
	od
}

init
{
	atomic {
		run self();
		run teller(2);
		run teller(3);
		run notifier();
		run turns()
	}
}
