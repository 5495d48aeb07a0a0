/* SPDX-License-Identifier: MIT */

/*
 * Quit against free: who holds a node, and what a teller holds of it while it wakes
 * people with no lock held. Main, a child in it, a thread and a hold in the child.
 *
 * lib/quitter.c (refs, node_free), main.c (vitals_quitter_free), member.c (join, remove),
 * tell.c (tell_collect), unblock.c (deliver, settle), over.c and reap.c (a thread's end),
 * hold.c.
 *
 * Words that are woken after the unlock are not held: they are in slots, whose memory
 * stays until the registry goes, and a slot's next user is woken for nothing. So the
 * registry must not go first: told->registry_refs.
 */

#define SLEEPERS 1
#include "common.pml"

#define NODES 2
#define MEMBERS 2

/* Guarded by the registry's lock. */
byte refs[NODES]; /* handle, children, members, and whoever looks */
byte member_refs[MEMBERS];
bit listed[MEMBERS];
bit armed[MEMBERS]; /* waits in something that a teller ends */
bit marked[NODES];

byte registry_refs; /* atomic */
byte live;          /* of the child's members */

/* How often it has been freed. */
byte freed[NODES];
byte member_freed[MEMBERS];
byte registry_freed;

#define use(node) claim(CLAIM_E, !freed[node] && !registry_freed)
#define use_member(member) claim(CLAIM_E, !member_freed[member] && !registry_freed)

inline registry_unref()
{
	atomic {
		claim(CLAIM_E, registry_refs > 0 && !registry_freed);
		registry_refs--;
		if
		:: registry_refs == 0 -> registry_freed++
		:: else
		fi
	}
}

inline registry_lock()
{
	claim(CLAIM_E, !registry_freed);
	lock()
}

inline registry_unlock()
{
	claim(CLAIM_E, !registry_freed);
	unlock()
}

/* Its own reference, of whoever lets go of what may be the last to hold the registry. */
inline keep()
{
#ifndef BROKEN_NO_KEEP /* E: it relies on what it is about to let go of */
	registry_refs++
#else
	skip
#endif
}

inline let_go()
{
#ifndef BROKEN_NO_KEEP
	registry_unref()
#else
	skip
#endif
}

/* vt_told_drop(), after the unlock */
inline drop()
{
	do
	:: drops > 0 -> drops--; registry_unref()
	:: else -> break
	od
}

/* node_free() */
inline node_free(node)
{
	claim(CLAIM_E, !freed[node]);
	freed[node]++;
#ifdef BROKEN_NO_KEEP
	registry_unref()
#else
	drops++
#endif
}

/* vt_quitter_unref() */
inline node_unref(node)
{
	use(node);
	refs[node]--;
	if
	:: refs[node] == 0 ->
		node_free(node);
		if
#ifdef BROKEN_NO_PARENT /* E: a child does not hold its parent */
		:: false
#else
		:: node == 1 ->
			use(0);
			refs[0]--;
			if
			:: refs[0] == 0 -> node_free(0)
			:: else
			fi
#endif
		:: else
		fi
	:: else
	fi
}

/* vt_member_unref() */
inline member_unref(m)
{
	use_member(m);
	member_refs[m]--;
	if
	:: member_refs[m] == 0 ->
		node_unref(1);
		member_freed[m]++;
		claim(CLAIM_E, member_freed[m] == 1);
		drops++
	:: else
	fi
}

/* vt_member_join(), before all else here */
inline join(m)
{
	refs[1]++;
	member_refs[m] = 1;
	registry_refs++;
	live++;
	listed[m] = 1
}

/* over_do() and put_away() of a thread, vitals_quitter_release() of a hold */
proctype member(byte m)
{
	byte drops;
	bit tells;

	use_member(m);
	keep();
	registry_lock();
	use(1);
	live--; /* vt_member_uncount(), which climbs; its waiters' word is to be woken */
	use(0);
	tells = (live == 0);
	listed[m] = 0;
	member_unref(m); /* vt_member_remove() */
	registry_unlock();
	/* vt_told_done(): the word, in its slot. */
	if
	:: tells -> claim(CLAIM_E, !registry_freed)
	:: else
	fi;
	drop();
	let_go()
}

/* vt_tell_at(): main, and all below; by whom has main, and frees it afterwards. */
proctype owner()
{
	byte drops, pinned;
	bit pins[NODES], member_pins[MEMBERS];

	registry_lock();
	use(0);
	marked[0] = 1;
	/* Main has no members: tell_collect() leaves it. The child, if it is still there: */
	if
	:: !freed[1] ->
		marked[1] = 1;
		pins[1] = listed[0] || listed[1];
#ifndef BROKEN_NO_PIN /* E: a node is not held while it is woken */
		refs[1] = refs[1] + pins[1];
#endif
		/* vt_member_note() */
		member_pins[0] = listed[0] && armed[0];
		member_pins[1] = listed[1] && armed[1];
#ifndef BROKEN_NO_MEMBER_PIN /* E: nor a member */
		member_refs[0] = member_refs[0] + member_pins[0];
		member_refs[1] = member_refs[1] + member_pins[1]
#endif
	:: else
	fi;
	registry_unlock();
	/* vt_told_done() */
	pinned = pins[1] || member_pins[0] || member_pins[1];
	if
	:: pinned ->
		registry_refs++;
		/* vt_told_deliver(): no lock is held. */
		if
		:: pins[1] -> use(1)
		:: else
		fi;
		if
		:: member_pins[0] -> use_member(0)
		:: else
		fi;
		if
		:: member_pins[1] -> use_member(1)
		:: else
		fi;
		registry_lock();
		/* vt_told_settle() */
		if
#ifdef BROKEN_NO_PIN
		:: false
#else
		:: pins[1] -> node_unref(1)
#endif
		:: else
		fi;
		if
#ifdef BROKEN_NO_MEMBER_PIN
		:: false
#else
		:: member_pins[0] -> member_unref(0)
#endif
		:: else
		fi;
		if
#ifdef BROKEN_NO_MEMBER_PIN
		:: false
#else
		:: member_pins[1] -> member_unref(1)
#endif
		:: else
		fi;
		registry_unlock();
		drop();
		registry_unref()
	:: else
	fi;
	/* vitals_quitter_free(main) */
	keep();
	registry_lock();
	node_unref(0);
	registry_unlock();
	drop();
	let_go()
}

/* vitals_registry_free(): the host's own reference, as early as it likes */
proctype host()
{
	registry_unref()
}

/* vitals_quitter_free() of the child, whoever is in it */
proctype freer()
{
	byte drops;

	keep();
	registry_lock();
#ifdef BROKEN_FREE_AT_ONCE /* E: with its handle goes the node */
	node_free(1);
#else
	node_unref(1);
#endif
	registry_unlock();
	drop();
	let_go()
}

init
{
	atomic {
		registry_refs = 1 + NODES;
#ifdef BROKEN_NO_PARENT
		refs[0] = 1;
#else
		refs[0] = 2; /* its handle, its child */
#endif
		refs[1] = 1;
		join(0);
		join(1);
		if
		:: armed[0] = 1
		:: skip
		fi;
		if
		:: armed[1] = 1
		:: skip
		fi;
		run member(0);
		run member(1);
		run owner();
		run freer();
		run host()
	}
	/* When all are done each was freed, once. */
	_nr_pr == 1;
	claim(CLAIM_E, freed[0] == 1 && freed[1] == 1 && registry_freed == 1);
	claim(CLAIM_E, member_freed[0] == 1 && member_freed[1] == 1)
}
