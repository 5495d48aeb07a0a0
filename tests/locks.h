/* SPDX-License-Identifier: MIT */

/*
 * Locks
 *
 * Every kind of lock there is and every way to wait for it, and threads that do: what the tests of
 * locks and chains have in common. Who waits for good is left behind: run them in a process of theirs.
 */

#ifndef LOCKS_H
#define LOCKS_H

#include "chain.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Enough for any lock, on a line of its own. */
union lock_room {
	uint64_t words[32];
	void *align;
};

/* A lock of C++. */
struct cxx_lock {
	const char *name;
	bool timed;
	bool rwlock;
	void (*make)(void *lock);
	void (*lock)(void *lock);
};

extern const struct cxx_lock cxx_locks[]; /* ends with a name NULL */

enum how {
	PLAIN,
	TIMED,
	CLOCKED,
	HOWS,
};

/* A kind of lock, and a way to wait for it. */
struct way {
	char name[64];
	int type;
	bool robust;
	bool shared;
	bool inherits; /* its cycles the kernel refuses: none is ever seen */
	bool ceiling;  /* wants a privilege: way_make() may fail */
	bool rwlock;   /* taken for writing */
	bool c11;
	enum how how;
	const struct cxx_lock *cxx;
};

/* The @i-th. Return: false past the last. */
bool way_at(unsigned i, struct way *way);
bool way_timed(const struct way *way);
/* Return: 0, an errno. */
int way_make(const struct way *way, union lock_room *room);
int way_lock(const struct way *way, union lock_room *room);

/* A thread that takes some locks one after the other, and says when it has all but the last. */
struct party {
	const struct way *way;
	union lock_room *first; /* may be NULL */
	union lock_room *then;  /* may be NULL: it has what it wants, and sleeps */
	_Atomic uint32_t *ready;
	_Atomic uint32_t *go; /* waits for it, where there is one, before @then */
	_Atomic uint32_t tid;
	_Atomic int error;
	char name[16]; /* what the kernel is to call it; may be empty */
};

/* Detached. */
void party_start(struct party *party);

/* Until a thread is asleep in a futex call; Return: false if it takes seconds. */
bool thread_waits(uint32_t tid);
/* The same of another call. */
bool thread_sleeps(uint32_t tid);

/* A sample with its call, and a chain from it. */
void chain_of(uint32_t tid, struct vt_chain *chain);

uint64_t clock_ns(void);

#endif
