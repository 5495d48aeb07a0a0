/* SPDX-License-Identifier: MIT */

#include "locks.h"

#include "task.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Deadlocks are what is made here: to ThreadSanitizer none of them is news. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}

#ifndef WITH_CXX
const struct cxx_lock cxx_locks[] = { { .name = NULL } };
#endif

#define TYPES 4
#define KINDS 5 /* usual, robust, shared, inheriting, with a ceiling */
#define MUTEXES (TYPES * KINDS * HOWS)
#define MORE 4 /* rwlocks in three ways, mtx_t */

static const int types[TYPES] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				  PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP };
static const char *const type_names[TYPES] = { "normal", "recursive", "errorcheck",
					       "adaptive" };
static const char *const kind_names[KINDS] = { "", " robust", " shared", " inheriting",
					       " ceiling" };
static const char *const how_names[HOWS] = { "", " timed", " clocked" };

uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool way_more(unsigned i, struct way *way)
{
	if (i < HOWS) {
		way->rwlock = true;
		way->how = (enum how)i;
		snprintf(way->name, sizeof(way->name), "rwlock%s", how_names[i]);
		return true;
	}
	if (i == HOWS) {
		way->c11 = true;
		snprintf(way->name, sizeof(way->name), "mtx_t");
		return true;
	}
	way->cxx = &cxx_locks[0];
	for (i -= MORE; i && way->cxx->name; i--)
		way->cxx++;
	if (!way->cxx->name)
		return false;
	way->rwlock = way->cxx->rwlock;
	way->how = way->cxx->timed ? CLOCKED : PLAIN;
	snprintf(way->name, sizeof(way->name), "%s", way->cxx->name);
	return true;
}

bool way_at(unsigned i, struct way *way)
{
	unsigned kind = i / HOWS % KINDS;

	memset(way, 0, sizeof(*way));
	if (i >= MUTEXES)
		return way_more(i - MUTEXES, way);
	way->type = types[i / HOWS / KINDS];
	way->robust = kind == 1;
	way->shared = kind == 2;
	way->inherits = kind == 3;
	way->ceiling = kind == 4;
	way->how = (enum how)(i % HOWS);
	snprintf(way->name, sizeof(way->name), "%s%s%s", type_names[i / HOWS / KINDS],
		 kind_names[kind], how_names[way->how]);
	return true;
}

bool way_timed(const struct way *way)
{
	return way->how != PLAIN;
}

static int mutex_make(const struct way *way, pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;
	int r;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, way->type);
	if (way->robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (way->shared)
		pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (way->inherits)
		pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (way->ceiling) {
		pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
		pthread_mutexattr_setprioceiling(&attr, 5);
	}
	r = pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return r;
}

int way_make(const struct way *way, union lock_room *room)
{
	memset(room, 0, sizeof(*room));
	if (way->cxx) {
		way->cxx->make(room);
		return 0;
	}
	if (way->c11)
		return mtx_init((mtx_t *)room, mtx_plain);
	if (way->rwlock)
		return pthread_rwlock_init((pthread_rwlock_t *)room, NULL);
	return mutex_make(way, (pthread_mutex_t *)room);
}

static struct timespec until(clockid_t clock)
{
	struct timespec end;

	clock_gettime(clock, &end);
	end.tv_sec += 1000;
	return end;
}

static int rwlock_lock(const struct way *way, pthread_rwlock_t *lock)
{
	struct timespec end = until(way->how == TIMED ? CLOCK_REALTIME : CLOCK_MONOTONIC);

	return way->how == PLAIN ? pthread_rwlock_wrlock(lock)
	       : way->how == TIMED
		       ? pthread_rwlock_timedwrlock(lock, &end)
		       : pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &end);
}

static int mutex_lock(const struct way *way, pthread_mutex_t *mutex)
{
	struct timespec end = until(way->how == TIMED ? CLOCK_REALTIME : CLOCK_MONOTONIC);

	return way->how == PLAIN ? pthread_mutex_lock(mutex)
	       : way->how == TIMED
		       ? pthread_mutex_timedlock(mutex, &end)
		       : pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
}

int way_lock(const struct way *way, union lock_room *room)
{
	if (way->cxx) {
		way->cxx->lock(room);
		return 0;
	}
	if (way->c11)
		return mtx_lock((mtx_t *)room);
	if (way->rwlock)
		return rwlock_lock(way, (pthread_rwlock_t *)room);
	return mutex_lock(way, (pthread_mutex_t *)room);
}

static void *party_run(void *arg)
{
	struct party *party = arg;
	struct sched_param param = { .sched_priority = 1 };
	int r = 0;

	if (party->name[0])
		(void)prctl(PR_SET_NAME, party->name);
	/* A ceiling is for those who have a priority. */
	if (party->way && party->way->ceiling)
		r = sched_setscheduler(0, SCHED_FIFO, &param) ? errno : 0;
	if (!r && party->first)
		r = way_lock(party->way, party->first);
	atomic_store(&party->error, r);
	atomic_store(&party->tid, vt_task_self());
	if (party->ready)
		atomic_fetch_add(party->ready, 1);
	while (party->go && !atomic_load(party->go))
		usleep(100);
	if (!r && party->then)
		(void)way_lock(party->way, party->then);
	for (;;)
		pause();
	return NULL;
}

void party_start(struct party *party)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	if (pthread_create(&thread, &attr, party_run, party)) {
		perror("pthread_create");
		_exit(2);
	}
	pthread_attr_destroy(&attr);
	while (!atomic_load(&party->tid))
		usleep(20);
}

static bool is_in(uint32_t tid, bool futex)
{
	struct vt_futex_call call;
	struct vt_sample sample;
	struct vt_proc proc;
	unsigned i;

	vt_proc_begin(&proc, 0);
	for (i = 0; i < 50000; i++) {
		vt_sample_take(&proc, tid, VT_SAMPLE_CALL, clock_ns(), &sample);
		if (sample.call >= 0 && (!futex || vt_call_futex(&sample, &call)))
			break;
		usleep(100);
	}
	return i < 50000;
}

bool thread_waits(uint32_t tid)
{
	return is_in(tid, true);
}

bool thread_sleeps(uint32_t tid)
{
	return is_in(tid, false);
}

void chain_of(uint32_t tid, struct vt_chain *chain)
{
	uint64_t now_ns = clock_ns();
	struct vt_sample sample;
	struct vt_proc proc;

	vt_proc_begin(&proc, 0);
	vt_sample_take(&proc, tid, VT_SAMPLE_CALL, now_ns, &sample);
	vt_chain_follow(&proc, &sample, now_ns, chain);
}
