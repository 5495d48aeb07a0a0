/* SPDX-License-Identifier: MIT */

/*
 * The lock made of a futex: lib/futex.c. Two who wait for it as long as it takes, one who
 * gives up, as the monitor does. Its exchanges are single operations on one word, so no
 * pair of words has an order to keep.
 */

#define SLEEPERS 3
#include "common.pml"

#define FREE 0
#define HELD 1
#define WAITED 2

byte word;
byte inside;

/* vt_trylock() */
inline trylock(got)
{
	atomic {
		got = (word == FREE);
		if
		:: got -> word = HELD
		:: else
		fi
	}
}

inline exchange(to, was)
{
	atomic {
		was = word;
		word = to
	}
}

/* vt_unlock() */
inline release(was)
{
	inside--;
	exchange(FREE, was);
	if
#ifdef BROKEN_NO_WAKE /* C: nobody is woken */
	:: true
#else
	:: was == WAITED ->
		/* One: whichever. */
		if
		:: atomic { asleep[0] -> asleep[0] = 0 }
		:: atomic { asleep[1] -> asleep[1] = 0 }
		:: atomic { asleep[2] -> asleep[2] = 0 }
		:: atomic { !asleep[0] && !asleep[1] && !asleep[2] }
		fi
	:: else
#endif
	fi;
	was = 0
}

inline enter()
{
	inside++;
	claim(CLAIM_G, inside == 1)
}

/* vt_lock() */
proctype patient(byte me)
{
	byte was;
	bit got;
	byte rounds = 2;

	do
	:: rounds == 0 -> break
	:: else ->
		rounds--;
		trylock(got);
		if
		:: got
		:: else ->
			do
#ifdef BROKEN_HELD_AS_FREE /* C: taken as if nobody waited, while somebody may */
			:: exchange(HELD, was);
#else
			:: exchange(WAITED, was);
#endif
#ifdef BROKEN_TAKEN_WHILE_HELD /* G: held is taken for free */
			   if
			   :: was != WAITED -> break
#else
			   if
			   :: was == FREE -> break
#endif
			   :: else
			   fi;
#ifdef BROKEN_HELD_AS_FREE
			   futex_wait(me, 1, word, HELD)
#else
			   futex_wait(me, 1, word, WAITED)
#endif
			od
		fi;
		enter();
		release(was)
	od
}

/* vt_lock_until(): its time may be over whenever it sleeps. */
proctype hasty(byte me)
{
	byte was;
	bit got;

	trylock(got);
	if
	:: got -> goto mine
	:: else
	fi;
	do
	:: exchange(WAITED, was);
	   if
	   :: was == FREE -> goto mine
	   :: else
	   fi;
	   atomic {
		   if
		   :: word == WAITED -> asleep[me] = 1
		   :: else
		   fi
	   };
	   if
	   :: asleep[me] == 0
#ifdef BROKEN_WOKEN_GIVES_UP /* C: woken, and gone without passing it on */
	   :: asleep[me] == 0 -> goto gone
#endif
	   :: atomic { asleep[me] -> asleep[me] = 0; goto gone } /* -ETIMEDOUT */
	   fi
	od;
mine:
	enter();
	release(was);
gone:
	skip
}

init
{
	atomic {
		run patient(0);
		run patient(1);
		run hasty(2)
	}
}
