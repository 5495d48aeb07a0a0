/* SPDX-License-Identifier: MIT */

#include "others.h"

#include "chance.h"
#include "locks.h"

#include "task.h"
#include "vitals.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GROUPS 3
#define MEMBERS 3
#define LOCKS 2
#define TURNS 40u /* a life of a lock */

/* Threads that share some locks, one at a time each: what never is a deadlock. */
struct group {
	pthread_barrier_t meet;
	_Atomic(pthread_mutex_t *) locks[LOCKS];
	void *page;
	struct chance chance;
	_Atomic uint32_t tids[MEMBERS];
};

static struct group groups[GROUPS];
static _Atomic uint64_t n_lives;

/* Anywhere in a page, up to its very end: behind it there is nothing. */
static void locks_make(struct group *group)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE), i;
	static const int types[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				     PTHREAD_MUTEX_ERRORCHECK };
	pthread_mutexattr_t attr;

	group->page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < LOCKS; i++) {
		size_t at = chance_below(&group->chance, 8) * 64 + i * size / 2;
		pthread_mutex_t *lock =
			i ? (pthread_mutex_t *)((char *)group->page + size -
						sizeof(pthread_mutex_t))
			  : (pthread_mutex_t *)((char *)group->page + at);

		pthread_mutexattr_init(&attr);
		pthread_mutexattr_settype(&attr, types[chance_below(&group->chance, 3)]);
		if (chance_below(&group->chance, 4) == 0)
			pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
		if (chance_below(&group->chance, 4) == 0)
			pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
		pthread_mutex_init(lock, &attr);
		atomic_store(&group->locks[i], lock);
	}
}

static void locks_destroy(struct group *group)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE), i;

	for (i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(group->locks[i]);
	/* What comes there now, if anything, is not ours. */
	munmap(group->page, size);
	atomic_fetch_add(&n_lives, 1);
}

static void *live(void *arg)
{
	struct group *group = arg;
	struct chance mine;
	unsigned i;

	for (i = 0; i < MEMBERS; i++) {
		uint32_t none = 0;

		if (atomic_compare_exchange_strong(&group->tids[i], &none,
						   vt_task_self()))
			break;
	}
	mine.state = vt_task_self();
	for (;;) {
		if (pthread_barrier_wait(&group->meet) == PTHREAD_BARRIER_SERIAL_THREAD)
			locks_make(group);
		pthread_barrier_wait(&group->meet);
		for (i = 0; i < TURNS; i++) {
			pthread_mutex_t *lock =
				atomic_load(&group->locks[chance_below(&mine, LOCKS)]);

			pthread_mutex_lock(lock);
			if (chance_below(&mine, 4) == 0)
				usleep((useconds_t)chance_below(&mine, 100));
			pthread_mutex_unlock(lock);
		}
		if (pthread_barrier_wait(&group->meet) == PTHREAD_BARRIER_SERIAL_THREAD)
			locks_destroy(group);
	}
	return NULL;
}

static bool is_member(const struct group *group, uint32_t tid)
{
	unsigned i;

	for (i = 0; i < MEMBERS && atomic_load(&group->tids[i]) != tid; i++)
		continue;
	return i < MEMBERS;
}

static void show(const struct vt_chain *chain)
{
	char words[512];
	struct vt_proc proc;
	struct vt_text text;

	vt_proc_begin(&proc, 0);
	vt_text_init(&text, words, sizeof(words));
	vt_chain_describe_cycle(&proc, NULL, chain, &text);
	printf("a deadlock that is none: %s\n", words);
}

bool churn_run(uint32_t seconds, uint64_t seed)
{
	uint64_t end_ns = clock_ns() + VITALS_S(1) * seconds;
	uint64_t looks = 0, owners = 0, wrong = 0, deadlocks = 0;
	struct vt_chain chain;
	pthread_t thread;
	unsigned i, k;

	for (i = 0; i < GROUPS; i++) {
		groups[i].chance.state = seed + i;
		pthread_barrier_init(&groups[i].meet, NULL, MEMBERS);
		for (k = 0; k < MEMBERS; k++)
			pthread_create(&thread, NULL, live, &groups[i]);
	}
	while (clock_ns() < end_ns) {
		const struct group *group = &groups[looks % GROUPS];
		uint32_t tid = atomic_load(&group->tids[looks / GROUPS % MEMBERS]);

		looks++;
		if (!tid)
			continue;
		chain_of(tid, &chain);
		if (chain.deadlock)
			show(&chain);
		deadlocks += chain.deadlock;
		for (k = 0; k < chain.n; k++) {
			uint32_t holder = chain.hops[k].wait.holder_tid;

			owners += holder != 0;
			wrong += holder && !is_member(group, holder);
		}
	}
	printf("locks that come and go: %u s, %llu lives, %llu looks, %llu owners, "
	       "%llu wrong, %llu deadlocks that are none\n",
	       seconds, (unsigned long long)n_lives, (unsigned long long)looks,
	       (unsigned long long)owners, (unsigned long long)wrong,
	       (unsigned long long)deadlocks);
	/* Who is in it ends with the process. */
	return !wrong && !deadlocks && owners;
}
