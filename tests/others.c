/* SPDX-License-Identifier: MIT */

#include "others.h"

#include "chance.h"
#include "locks.h"

#include "futex.h"
#include "task.h"
#include "vitals.h"

#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS_MAX 100000u

static struct chance chance;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock, nonrecursive;
static pthread_barrier_t barrier, shared_barrier;
static sem_t sem, shared_sem, inner;
static FILE *file;
static pthread_once_t *onces;
static _Atomic uint32_t turn;    /* how many rounds were let go */
static _Atomic uint32_t raw[32]; /* a word, and what happens to lie around it */
static _Atomic uint32_t waiter, helper;
static _Atomic bool over;

static long futex(_Atomic uint32_t *word, int op, uint32_t val)
{
	return syscall(SYS_futex, (void *)(uintptr_t)word, op, val, NULL, NULL,
		       FUTEX_BITSET_MATCH_ANY);
}

static void cond_wait(uint32_t round)
{
	pthread_mutex_lock(&mutex);
	while (atomic_load(&turn) <= round)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

static void cond_release(uint32_t round)
{
	pthread_mutex_lock(&mutex);
	atomic_store(&turn, round + 1);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
}

static void sem_take(uint32_t round)
{
	(void)round;
	while (sem_wait(&sem))
		continue;
}

static void sem_give(uint32_t round)
{
	(void)round;
	sem_post(&sem);
}

static void shared_sem_take(uint32_t round)
{
	(void)round;
	while (sem_wait(&shared_sem))
		continue;
}

static void shared_sem_give(uint32_t round)
{
	(void)round;
	sem_post(&shared_sem);
}

static void barrier_meet(uint32_t round)
{
	(void)round;
	pthread_barrier_wait(&barrier);
}

static void shared_barrier_meet(uint32_t round)
{
	(void)round;
	pthread_barrier_wait(&shared_barrier);
}

static void read_first(uint32_t round)
{
	(void)round;
	pthread_rwlock_rdlock(&rwlock);
}

static void write_it(uint32_t round)
{
	(void)round;
	pthread_rwlock_wrlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

static void read_end(uint32_t round)
{
	(void)round;
	pthread_rwlock_unlock(&rwlock);
}

static void *helper_writes(void *unused)
{
	(void)unused;
	atomic_store(&helper, vt_task_self());
	pthread_rwlock_wrlock(&nonrecursive);
	pthread_rwlock_unlock(&nonrecursive);
	return NULL;
}

static pthread_t helping;

/* A reader, then a writer behind it: readers now wait behind that one. */
static void writer_first(uint32_t round)
{
	(void)round;
	pthread_rwlock_rdlock(&nonrecursive);
	atomic_store(&helper, 0);
	pthread_create(&helping, NULL, helper_writes, NULL);
	while (!atomic_load(&helper))
		usleep(10);
	(void)thread_waits(atomic_load(&helper));
}

static void read_it(uint32_t round)
{
	(void)round;
	pthread_rwlock_rdlock(&nonrecursive);
	pthread_rwlock_unlock(&nonrecursive);
}

static void writer_last(uint32_t round)
{
	(void)round;
	pthread_rwlock_unlock(&nonrecursive);
	pthread_join(helping, NULL);
}

static void file_first(uint32_t round)
{
	(void)round;
	flockfile(file);
}

static void file_write(uint32_t round)
{
	fprintf(file, "%u\n", round);
}

static void file_end(uint32_t round)
{
	(void)round;
	funlockfile(file);
}

static void once_body(void)
{
	while (sem_wait(&inner))
		continue;
}

static void *once_help(void *once)
{
	atomic_store(&helper, vt_task_self());
	pthread_once(once, once_body);
	return NULL;
}

static void once_first(uint32_t round)
{
	atomic_store(&helper, 0);
	pthread_create(&helping, NULL, once_help, &onces[round]);
	while (!atomic_load(&helper))
		usleep(10);
	(void)thread_waits(atomic_load(&helper));
}

static void once_wait(uint32_t round)
{
	pthread_once(&onces[round], once_body);
}

static void once_end(uint32_t round)
{
	(void)round;
	sem_post(&inner);
	pthread_join(helping, NULL);
}

/* As Rust's and Go's: 2 is "held and waited for", and what follows is what it guards. */
static void raw_first(uint32_t round)
{
	uint32_t likely[] = { 0, 1, 2, 3, 0x80, 0x200, waiter, vt_task_self() };
	unsigned i;

	for (i = 0; i < 32; i++)
		atomic_store(&raw[i], (round & 1) ? likely[chance_below(&chance, 8)]
						  : (uint32_t)chance_next(&chance));
	/* Poison and padding are there; and one whole mutex in a thousand would be one. */
	atomic_store(&raw[17], 7);
	atomic_store(&raw[16], 2);
}

static void raw_wait(uint32_t round)
{
	(void)round;
	while (atomic_load(&raw[16]) == 2)
		futex(&raw[16], FUTEX_WAIT_BITSET_PRIVATE, 2);
}

static void raw_shared(uint32_t round)
{
	(void)round;
	while (atomic_load(&raw[16]) == 2)
		futex(&raw[16], FUTEX_WAIT_BITSET, 2);
}

static void raw_end(uint32_t round)
{
	(void)round;
	atomic_store(&raw[16], 0);
	futex(&raw[16], FUTEX_WAKE, INT32_MAX);
	futex(&raw[16], FUTEX_WAKE_PRIVATE, INT32_MAX);
}

/* The number of a thread that lives, in a word that is nobody's. */
static void tid_first(uint32_t round)
{
	(void)round;
	atomic_store(&raw[16], vt_task_self());
}

static void tid_wait(uint32_t round)
{
	uint32_t val = (uint32_t)getpid();

	(void)round;
	while (atomic_load(&raw[16]) == val)
		futex(&raw[16], FUTEX_WAIT_BITSET, val);
}

static void nothing(uint32_t round)
{
	(void)round;
}

static const struct other {
	const char *name;
	void (*first)(uint32_t round);
	void (*wait)(uint32_t round);
	void (*release)(uint32_t round);
} others[] = {
	{ "condition", nothing, cond_wait, cond_release },
	{ "semaphore", nothing, sem_take, sem_give },
	{ "shared semaphore", nothing, shared_sem_take, shared_sem_give },
	{ "barrier", nothing, barrier_meet, barrier_meet },
	{ "shared barrier", nothing, shared_barrier_meet, shared_barrier_meet },
	{ "rwlock's readers", read_first, write_it, read_end },
	{ "rwlock's writer to come", writer_first, read_it, writer_last },
	{ "stdio", file_first, file_write, file_end },
	{ "once", once_first, once_wait, once_end },
	{ "word 2", raw_first, raw_wait, raw_end },
	{ "word 2, shared", raw_first, raw_shared, raw_end },
	{ "a tid in a word", tid_first, tid_wait, raw_end },
};

static const struct other *other;
static _Atomic uint32_t begun, done;
static uint32_t wanted;

static void *wait_all(void *unused)
{
	uint32_t i;

	(void)unused;
	atomic_store(&waiter, vt_task_self());
	for (i = 0; i < wanted; i++) {
		while (atomic_load(&begun) <= i)
			usleep(20);
		other->wait(i);
		atomic_store(&done, i + 1);
	}
	return NULL;
}

/* Return: the owner that is claimed. */
static uint32_t claimed(uint32_t tid)
{
	struct vt_sample sample;
	struct vt_proc proc;
	struct vt_wait wait;

	vt_proc_begin(&proc, 0);
	vt_sample_take(&proc, tid, VT_SAMPLE_CALL, clock_ns(), &sample);
	return vt_lock_of(&proc, &sample, &wait) ? wait.holder_tid : 0;
}

static bool other_run(const struct other *which, uint32_t waits)
{
	uint32_t wrong = 0, seen = 0, i;
	pthread_t thread;

	other = which;
	wanted = waits;
	atomic_store(&begun, 0);
	atomic_store(&done, 0);
	atomic_store(&turn, 0);
	atomic_store(&waiter, 0);
	pthread_create(&thread, NULL, wait_all, NULL);
	while (!atomic_load(&waiter))
		usleep(20);
	for (i = 0; i < waits; i++) {
		other->first(i);
		atomic_store(&begun, i + 1);
		seen += thread_waits(atomic_load(&waiter));
		wrong += claimed(atomic_load(&waiter)) != 0;
		other->release(i);
		while (atomic_load(&done) <= i)
			usleep(20);
	}
	pthread_join(thread, NULL);
	printf("%-34s %u waits, owners claimed: %u\n", which->name, seen, wrong);
	fflush(stdout);
	return !wrong && seen == waits;
}

/*
 * One arena, and more pieces than a thread's own store takes: they go into the arena's fast bins,
 * whose mark lies where a mutex has its owner.
 */
static void *allocate(void *tid)
{
	void *pieces[24];
	unsigned i;

	atomic_store((_Atomic uint32_t *)tid, vt_task_self());
	while (!atomic_load(&over)) {
		for (i = 0; i < 24; i++)
			pieces[i] = malloc(100);
		/* The compiler must not do without. */
		__asm__ volatile("" : : "r"(pieces) : "memory");
		for (i = 0; i < 24; i++)
			free(pieces[i]);
	}
	return NULL;
}

#define ALLOCATORS 6

static bool arena_run(uint32_t waits)
{
	_Atomic uint32_t tids[ALLOCATORS] = { 0 };
	uint64_t end_ns = clock_ns() + VITALS_S(20);
	uint32_t seen = 0, wrong = 0, i = 0;
	pthread_t threads[ALLOCATORS];
	struct vt_sample sample;
	struct vt_wait wait;
	struct vt_proc proc;

	(void)mallopt(M_ARENA_MAX, 1);
	vt_proc_begin(&proc, 0);
	for (i = 0; i < ALLOCATORS; i++)
		pthread_create(&threads[i], NULL, allocate, &tids[i]);
	for (i = 0; seen < waits && clock_ns() < end_ns; i++) {
		uint32_t tid = atomic_load(&tids[i % ALLOCATORS]);

		if (!tid)
			continue;
		vt_sample_take(&proc, tid, VT_SAMPLE_CALL, clock_ns(), &sample);
		if (!vt_lock_of(&proc, &sample, &wait))
			continue;
		seen++;
		wrong += wait.holder_tid != 0;
	}
	atomic_store(&over, true);
	for (i = 0; i < ALLOCATORS; i++)
		pthread_join(threads[i], NULL);
	printf("%-34s %u waits, owners claimed: %u\n", "arena of malloc", seen, wrong);
	return !wrong;
}

bool others_run(uint32_t waits, uint64_t seed)
{
	pthread_rwlockattr_t attr;
	pthread_barrierattr_t shared;
	bool good = true;
	unsigned i;

	waits = waits < ROUNDS_MAX ? waits : ROUNDS_MAX;
	chance.state = seed;
	file = fopen("/dev/null", "w");
	onces = calloc(waits, sizeof(*onces));
	sem_init(&sem, 0, 0);
	sem_init(&inner, 0, 0);
	sem_init(&shared_sem, 1, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared_barrier, &shared, 2);
	pthread_rwlock_init(&rwlock, NULL);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&nonrecursive, &attr);
	printf("as process %d:\n", getpid());
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		good &= other_run(&others[i], waits);
	return arena_run(waits) && good;
}
