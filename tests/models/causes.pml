/* SPDX-License-Identifier: MIT */

/*
 * Why: two requests by call, to main and to its child, and signals for two events, one of
 * them twice, whose handlers take no lock. Others read the causes meanwhile.
 *
 * lib/tell.c (vt_tell_at), stages.c (vt_main_begin, begin, vt_main_turn_at), live.c
 * (vt_quitter_mark), signals.c (vt_signals_note_at, sender_note).
 *
 * Of two handlers for the same signal the later has no say for half a second (last_ns); the
 * earlier may not have got on by then.
 */

#define SLEEPERS 1
#include "common.pml"

#define NODES 2
#define EVENTS 2

/* Causes by number: of call n, n; of event n, FROM_EVENT + n. */
#define FROM_EVENT 3

bit told[NODES];   /* VT_QUIT in the word */
byte cause[NODES]; /* 0: none */
bit phase;         /* not VT_PHASE_IDLE */
byte why;          /* main->why */

byte pending; /* bits of events; requests->pending */
byte who[EVENTS];   /* 0: none came; else the handler that was first */
bit at_ns[EVENTS];  /* when is known */
#ifdef BROKEN_SEEN_FIRST
bit came[EVENTS];
#endif
byte began; /* how many requests to main were told that it was theirs */

/* vt_quitter_mark() of one that was not */
inline mark(node, by)
{
	if
#ifdef BROKEN_LAST_WINS /* F: who was told is told again */
	:: true ->
#else
	:: !told[node] ->
#endif
		claim(CLAIM_F, !told[node] && !cause[node]);
#ifdef BROKEN_WORD_FIRST /* F: told before there is a cause */
		told[node] = 1;
		cause[node] = by
#else
		cause[node] = by;
		told[node] = 1
#endif
	:: else
	fi
}

/* begin(), advance(): without stages */
inline begin(by)
{
	claim(CLAIM_F, !why);
	why = by;
	phase = 1;
	began++;
	claim(CLAIM_F, began == 1);
	mark(0, why);
	mark(1, why)
}

/* vitals_quitter_send_quit() to main: it begins as an event does. */
proctype call_main(byte by)
{
	bit was;

	lock(); /* vt_tell_at() looks whether it is main, and is done with the lock */
	was = phase;
	unlock();
	lock();
#ifndef BROKEN_LOOK_ONCE /* F: what it saw is what it goes by */
	was = phase;
#endif
	if
	:: !was -> begin(by)
	:: else
	fi;
	unlock();
	claim(CLAIM_F, why)
}

/* … to the child */
proctype call_child(byte by)
{
	lock();
	mark(1, by);
	unlock();
	claim(CLAIM_F, cause[1])
}

/* sender_note() */
inline note(event, me)
{
#ifdef BROKEN_SEEN_FIRST /* F: that there is one before who it is */
	atomic {
		first = !came[event];
		came[event] = 1
	};
	if
	:: first ->
		who[event] = me;
		at_ns[event] = 1
	:: else
	fi
#else
	atomic {
		if
		:: !who[event] -> who[event] = me
		:: else
		fi
	};
	at_ns[event] = 1
#endif
}

/* vt_signals_note_at() */
proctype handler(byte event, me)
{
	bit first;

#ifdef BROKEN_BIT_FIRST /* F: the event before who sent it */
	atomic { pending = pending | (1 << event) };
	note(event, me)
#else
	note(event, me);
	atomic { pending = pending | (1 << event) }
#endif
}

/* The monitor's turns: vt_main_turn_at() */
proctype monitor()
{
	byte bits;

end:
	do
	:: pending ->
		lock();
		atomic {
			bits = pending;
			pending = 0
		};
		if
		:: !phase && bits & 1 ->
			claim(CLAIM_F, who[0] && at_ns[0]);
			begin(FROM_EVENT)
		:: !phase && !(bits & 1) && bits ->
			claim(CLAIM_F, who[1] && at_ns[1]);
			begin(FROM_EVENT + 1)
		:: else
		fi;
		bits = 0;
		unlock()
	od
}

/* Whoever obeys asks why, without a lock, and later again. */
proctype reader(byte node)
{
	byte first;

	if
	:: told[node] ->
		first = cause[node];
		claim(CLAIM_F, first);
		claim(CLAIM_F, cause[node] == first)
	:: timeout /* nobody is told */
	fi
}

init
{
	atomic {
		run call_main(1);
		run call_child(2);
		run handler(0, 1);
		run handler(0, 2);
		run handler(1, 3);
		run monitor();
		run reader(0);
		run reader(1)
	}
}
