/* SPDX-License-Identifier: MIT */

/*
 * Told against asleep: one member, in whatever it may wait in, told in whatever way. WAY
 * chooses what it waits in:
 *
 *   1  vitals_thread_sleep(): on the node's word            wait.c, live.c (bump, mark)
 *   2  vitals_thread_poll(): on a descriptor of its own     wait.c, unblock.c (deliver)
 *   3  vitals_thread_cond_wait(): on the host's condition   wait.c, unblock.c (kick)
 *   4  vitals_thread_on_quit(): in a call of the host's that its callback ends
 *   5  poll(2) on vitals_quitter_fd()                       scope.c, tell.c
 *
 * It is told by send_quit, on its own (it is weak and the others have left, or it is
 * abandoned), or by a signal's handler, after which the monitor's turn tells all.
 *
 * A condition's kick may come between the look and the wait and is repeated, every
 * millisecond, by the notifier and by whoever waits; in between, whoever wants the
 * member's lock has got it. So for it "comes back" is checked as a cycle that never
 * leaves, under weak fairness.
 */

#define SLEEPERS 1
#include "common.pml"

#ifndef WAY
#define WAY 1
#endif

#define QUIT 1
#define BUMP 2

byte word; /* the node's; its low half is slept on */
bit own;   /* the member's */
bit stage;

#define told ((word & QUIT) || own || stage)

bit armed; /* for what WAY says */
bit noted; /* VT_MEMBER_TOLD */
bit told_list, kick_list, call_list;
bit published, readable;

bit wait_held; /* the member's own lock, wait */
bit wants;     /* the member is waiting for it */
bit cond;      /* is set: what to broadcast */
bit in_cond;   /* asleep in it */
bit cond_good; /* the host still has it */

bit unblock; /* is set: what to call */
bit calling;
bit unblocked;
bit user_good; /* the host still has what it is called with */
byte calls;

bit is_back; /* it came back */

/* The member's side */

inline wait_lock()
{
	wants = 1;
	atomic {
		!wait_held ->
		wait_held = 1;
		wants = 0
	}
}

/* sleep_until() */
inline sleep_on_word()
{
	do
	::
#ifdef BROKEN_LOOK_FIRST /* C 1: the word is read after the look */
	   if
	   :: told -> break
	   :: else
	   fi;
	   value = word;
#else
	   value = word;
	   if
	   :: told -> break
	   :: else
	   fi;
#endif
	   futex_wait(0, 1, word, value)
	od
}

/* vitals_thread_poll() */
inline sleep_in_poll()
{
#ifdef BROKEN_ARM_LATE /* C 2: the look, then armed */
	if
	:: told -> goto back
	:: else
	fi;
	armed = 1;
#else
	armed = 1;
	/* vt_member_told_armed(): its words, then all. */
	if
	:: (word & QUIT) || own -> goto poll_end
	:: else
	fi;
	if
	:: told -> goto poll_end
	:: else
	fi;
#endif
	readable;
poll_end:
	armed = 0
}

/* cond_arm(), cond_wait_until(), cond_disarm() */
inline sleep_in_cond()
{
	cond_good = 1;
	wait_lock();
	cond = 1;
	armed = 1;
	wait_held = 0;
	if
	:: (word & QUIT) || own || stage
	:: else ->
		in_cond = 1;
		!in_cond
	fi;
	wait_lock();
	cond = 0;
	armed = 0;
	wait_held = 0;
	cond_good = 0 /* it may destroy it now */
}

/* call_once(), by whomever */
inline call(limit)
{
	atomic { !wait_held -> wait_held = 1 };
#ifdef BROKEN_CALL_TWICE /* E 4: who comes meanwhile calls it as well */
	mine = unblock && calls < limit;
#else
	mine = unblock && calls < limit && !calling;
#endif
	if
	:: mine -> calls++; claim(CLAIM_E, !calling); calling = 1
	:: else
	fi;
	wait_held = 0;
	if
	:: mine ->
		claim(CLAIM_E, user_good);
		unblocked = 1;
		claim(CLAIM_E, calls <= 2 && user_good);
		calling = 0
	:: else
	fi
}

/* vt_unblock_set() */
inline unblock_set(to)
{
	do
	:: atomic { !wait_held -> wait_held = 1 };
	   if
	   :: !calling -> break
#ifdef BROKEN_NO_WAIT_FOR_CALL /* E 4: it goes while it is being called */
	   :: calling -> break
#endif
	   :: else -> wait_held = 0;
		   /* It sleeps on calling, which the kernel compares. */
		   !calling
	   fi
	od;
	unblock = to;
	armed = to;
	wait_held = 0
}

inline sleep_in_call()
{
	user_good = 1;
#ifdef BROKEN_SET_UNLOOKED /* C 4: told before it said what to call: not called */
	unblock_set(1);
#else
	unblock_set(1);
	if
	:: told -> call(1)
	:: else
	fi;
#endif
	/* What it waits for may come as well, or never. */
	if
	:: unblocked = 1
	:: unblocked
	:: skip -> unblocked
	fi;
	unblock_set(0);
	user_good = 0
}

/* fd_publish() */
inline sleep_on_fd()
{
#ifdef BROKEN_FD_LATE /* C 5: the look, then published */
	if
	:: told -> readable = 1
	:: else
	fi;
	published = 1;
#else
	published = 1;
	if
	:: told -> readable = 1
	:: else
	fi;
#endif
	readable
}

proctype member()
{
	byte value;
	bit mine;

	if
	:: told -> goto back
	:: else
	fi;
#if WAY == 1
	sleep_on_word();
#elif WAY == 2
	sleep_in_poll();
#elif WAY == 3
	sleep_in_cond();
#elif WAY == 4
	sleep_in_call();
#else
	sleep_on_fd();
#endif
back:
	is_back = 1
}

/* The teller's side; the registry's lock is held */

/* vt_member_note() */
inline note(listed)
{
	if
	:: armed && !noted ->
		noted = 1;
		listed = 1
	:: else
	fi
}

/* vt_quitter_mark(), tell_collect() */
inline mark()
{
	if
	:: !(word & QUIT) ->
#ifdef BROKEN_NOTE_FIRST /* C 2: armed, then the word */
		note(member_told);
		word = word | QUIT;
#else
		word = word | QUIT;
		note(member_told);
#endif
		node_told = 1
	:: else
	fi
}

/* vt_member_tell() */
inline tell_own()
{
	if
	:: !own ->
#ifdef BROKEN_BUMP_FIRST /* C 1: the word changes before there is something to see */
		atomic { word = word ^ BUMP };
		own = 1;
#else
		own = 1;
#ifndef BROKEN_NO_BUMP /* C 1: the word that is slept on stays as it is */
		/* One bit for 31: a sleeper would have to miss 2^31 of them. */
		atomic { word = word ^ BUMP };
#endif
#endif
		wakes = 1;
		note(member_told)
	:: else
	fi
}

/* vt_told_deliver(), vt_told_settle(), vt_unblock_calls(); no lock at first */
inline told_done()
{
	if
	:: wakes || node_told -> futex_wake(1)
	:: else
	fi;
	if
	:: node_told && published -> readable = 1
	:: else
	fi;
	if
	:: member_told ->
#if WAY == 2
		if
		:: armed -> readable = 1
		:: else
		fi
#elif WAY == 3
		/* Not kicked at once: that is for the notifier. */
		lock();
		kick_list = kick_list || armed;
		unlock()
#elif WAY == 4
		lock();
		call_list = call_list || armed;
		unlock();
		atomic { !held -> claimed = call_list; call_list = 0 };
		if
		:: claimed ->
			call(1);
			if
			:: armed -> call(2) /* half its time is gone */
			:: else
			fi
		:: else
		fi
#else
		skip
#endif
	:: else
	fi;
	skip
}

/* cond_kick() */
inline kick()
{
#ifdef BROKEN_KICK_UNLOCKED /* E 3: the member may leave meanwhile */
	if
	:: cond -> claim(CLAIM_E, cond_good); in_cond = 0
	:: else
	fi
#else
	if
	:: atomic { !wait_held -> wait_held = 1 };
	   if
	   :: cond -> claim(CLAIM_E, cond_good); in_cond = 0
	   :: else
	   fi;
	   wait_held = 0
	:: wait_held /* for too long: it stays armed, so it is kicked again */
	fi
#endif
}

proctype teller()
{
	bit node_told, member_told, wakes, mine, claimed;

	lock();
	mark();
	unlock();
	told_done()
}

proctype teller_own()
{
	bit node_told, member_told, wakes, mine, claimed;

	lock();
	tell_own();
	unlock();
	told_done()
}

proctype handler()
{
	stage = 1
}

/* work_turn(): the monitor's, when a handler has woken it */
proctype monitor()
{
	bit node_told, member_told, wakes, mine, claimed;

	stage;
	lock();
	mark();
	unlock();
	told_done()
}

/* vt_unblock_kicks(), a millisecond after the last: the notifier, and whoever waits */
proctype kicker()
{
end:
	do
	:: atomic { kick_list && !held && !wants && !wait_held -> kick_list = 0 };
	   kick();
#ifndef BROKEN_ONE_KICK /* C 3: and never again */
	   /* kicks_sort() */
	   atomic { !held -> kick_list = kick_list || armed }
#endif
	od
}

init
{
	atomic {
		run member();
		run kicker();
		/* At least one of the three comes. */
#if WAY == 5
		/* The node's descriptor is for the node, not for one member. */
		if
		:: run teller()
		:: run handler(); run monitor()
		:: run teller(); run handler(); run monitor()
		fi
#else
		if
		:: run teller()
		:: run teller_own()
		:: run handler(); run monitor()
		:: run teller(); run teller_own()
		:: run teller(); run teller_own(); run handler(); run monitor()
		fi
#endif
	}
}

#ifdef CYCLES
ltl comes_back { <> is_back }
#endif
