/* SPDX-License-Identifier: MIT */

/*
 * The kernel says in which call a thread is, on which word and for which value of it: from these it
 * follows what the word can be part of, and only then are the words around it looked at.
 *
 * op               val              a thread waits for
 * LOCK_PI(2)       any              a mutex with inheritance: the kernel's own format has the owner
 * WAIT(_BITSET)    2                a mutex; or a rwlock's readers
 *                  ceiling << 19|2  a mutex with a ceiling
 *                  WAITERS | tid    a robust mutex
 *                  3                a rwlock's writer
 *                  n << 3|6         a rwlock's writer who waits for readers
 *                  tid, shared      the end of a thread
 *
 * Many other things wait for a 2. What glibc's mutex has besides, they do not: a kind that goes with
 * the operation, a count that goes with the kind, users, and nothing behind. stdio's lock counts its
 * first holder (no plain mutex does), an arena has a hole where the users would be (and a 1, as
 * thread 1's, where the owner would), a condition has words that are no kind. What an elided mutex
 * says of its owner is not kept: none.
 */

#include "lock.h"

#include "memory.h"
#include "task.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* More than the kernel has numbers for threads. */
#define TIDS (1u << 22)

static bool same_namespace(struct vt_proc *proc)
{
	char mine[64], theirs[64];
	struct vt_proc self;

	vt_proc_begin(&self, 0);
	return vt_proc_link(&self, "ns/pid", mine, sizeof(mine)) >= 0 &&
	       vt_proc_link(proc, "ns/pid", theirs, sizeof(theirs)) >= 0 &&
	       strcmp(mine, theirs) == 0;
}

/* Is it a thread of the process? A lock holds the number that a thread has in its own namespace. */
static bool lives(struct vt_proc *proc, uint32_t tid)
{
	char comm[32];

	if (!tid || tid > TIDS)
		return false;
	if (!proc->pid)
		return vt_task_exists(tid);
	return vt_proc_read(proc, tid, "comm", comm, sizeof(comm)) > 0 &&
	       same_namespace(proc);
}

/* Return: 0; a negative errno. What it is stays a futex unless it lives. */
static int found(struct vt_proc *proc, uint32_t kind, uint32_t tid, struct vt_wait *wait)
{
	if (!lives(proc, tid))
		return 0;
	wait->kind = kind;
	wait->holder_tid = tid;
	return 0;
}

/* The kernel's own format. */
static int read_inherited(struct vt_proc *proc, const struct vt_futex_call *futex,
			  struct vt_wait *wait)
{
	uint32_t word;
	int r = vt_memory_read(proc->pid, futex->address, &word, sizeof(word));

	/* With a thread asleep on it, the kernel has said so in it. */
	if (r || !(word & FUTEX_WAITERS))
		return r;
	return found(proc, VITALS_LOCK_MUTEX, word & FUTEX_TID_MASK, wait);
}

#ifdef __GLIBC__

/* How glibc keeps what it is told of a mutex, in __kind. */
#define TYPE 0x3u /* 0 normal, 1 recursive, 2 checks for errors, 3 adaptive */
#define ROBUST 0x10u
#define CEILING 0x40u
#define SHARED 0x80u
#define NOT_ELIDED 0x200u

/* Below its ceiling, a mutex's word is as any other's. */
#define CEILING_SHIFT 19
#define CEILING_MAX 99u

/* The bits of a rwlock's __readers, below their number; and of the words it waits on. */
#define WRITING 1u
#define WRITER 2u
#define READERS_WAIT 4u
#define READERS_SHIFT 3
#define USED 2u
#define HANDED_OVER 0x80000000u
#define PHASE offsetof(pthread_rwlock_t, __data.__wrphase_futex)
#define WRITERS offsetof(pthread_rwlock_t, __data.__writers_futex)

/* Five words, of which the last two change places between 64 bits and 32; then what spins and lists. */
#define MUTEX_HEAD 20u
#define WORD(name) (offsetof(pthread_mutex_t, __data.name) / 4)
_Static_assert(WORD(__lock) == 0 && WORD(__count) == 1 && WORD(__owner) == 2 &&
		       WORD(__nusers) == (sizeof(long) == 8 ? 3 : 4) &&
		       WORD(__kind) == (sizeof(long) == 8 ? 4 : 3),
	       "the words of a mutex");
_Static_assert(offsetof(pthread_rwlock_t, __data.__readers) == 0 && PHASE == 8 &&
		       WRITERS == 12,
	       "the words of a rwlock");

static bool all_zero(const void *at, size_t n)
{
	const unsigned char *bytes = at;
	size_t i;

	for (i = 0; i < n && !bytes[i]; i++)
		continue;
	return i == n;
}

/* What any mutex has that is held: @more are the bits its kind has to have, besides usual ones. */
static bool mutex_fits(const pthread_mutex_t *mutex, uint32_t more)
{
	uint32_t kind = (uint32_t)mutex->__data.__kind;
	uint32_t users = mutex->__data.__nusers;

	if ((kind & ~(TYPE | SHARED | NOT_ELIDED)) != more || !users || users > TIDS)
		return false;
	return !(kind & NOT_ELIDED) || !(kind & TYPE);
}

static int read_mutex(struct vt_proc *proc, const struct vt_futex_call *futex,
		      struct vt_wait *wait)
{
	uint32_t ceiling = futex->val >> CEILING_SHIFT, kind, count;
	pthread_mutex_t mutex;
	size_t spins;
	int r = vt_memory_read(proc->pid, futex->address, &mutex, sizeof(mutex));

	if (r)
		return r;
	kind = (uint32_t)mutex.__data.__kind;
	count = mutex.__data.__count;
	spins = (kind & TYPE) == PTHREAD_MUTEX_ADAPTIVE_NP ? sizeof(int) : 0;
	if ((uint32_t)mutex.__data.__lock != futex->val ||
	    !mutex_fits(&mutex, ceiling ? CEILING : 0) ||
	    futex->private != !(kind & SHARED) ||
	    !(ceiling || (kind & TYPE) == PTHREAD_MUTEX_RECURSIVE_NP) != !count ||
	    !all_zero((char *)&mutex + MUTEX_HEAD + spins,
		      sizeof(mutex.__data) - MUTEX_HEAD - spins))
		return 0;
	return found(proc, VITALS_LOCK_MUTEX, (uint32_t)mutex.__data.__owner, wait);
}

/* It is in its owner's list, and has the owner twice, but for one that was left by a dead one. */
static int read_robust(struct vt_proc *proc, const struct vt_futex_call *futex,
		       struct vt_wait *wait)
{
	uint32_t tid = futex->val & FUTEX_TID_MASK;
	pthread_mutex_t mutex;
	int r = vt_memory_read(proc->pid, futex->address, &mutex, sizeof(mutex));

	if (r)
		return r;
	if ((uint32_t)mutex.__data.__lock != futex->val || futex->private ||
	    !mutex_fits(&mutex, ROBUST) || !mutex.__data.__count ||
	    !mutex.__data.__list.__next ||
	    ((uint32_t)mutex.__data.__owner != tid && mutex.__data.__owner != INT_MAX))
		return 0;
	return found(proc, VITALS_LOCK_MUTEX, tid, wait);
}

/* What all states have in common in which a thread waits. */
static bool rwlock_fits(const pthread_rwlock_t *rwlock, const struct vt_futex_call *futex)
{
	return (rwlock->__data.__readers & WRITER) &&
	       (rwlock->__data.__wrphase_futex | USED) <= 3 &&
	       (rwlock->__data.__writers_futex | USED) == 3 && !rwlock->__data.__pad3 &&
	       !rwlock->__data.__pad4 &&
	       rwlock->__data.__flags <= PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP &&
	       rwlock->__data.__shared == !futex->private;
}

/* A writer that holds it; 0: none does. */
static uint32_t writer_of(const pthread_rwlock_t *rwlock)
{
	uint32_t readers = rwlock->__data.__readers;

	if ((readers & (WRITING | WRITER | READERS_WAIT)) != (WRITING | WRITER) ||
	    !(rwlock->__data.__wrphase_futex & 1))
		return 0;
	return (uint32_t)rwlock->__data.__cur_writer;
}

/* Does the state go with a thread that waits on the word at @offset? */
static bool rwlock_waited(const pthread_rwlock_t *rwlock, size_t offset)
{
	uint32_t readers = rwlock->__data.__readers >> READERS_SHIFT;
	uint32_t writers = rwlock->__data.__writers & ~HANDED_OVER;
	bool prefers_readers = rwlock->__data.__flags == PTHREAD_RWLOCK_PREFER_READER_NP;

	switch (offset) {
	case WRITERS:
		return prefers_readers ? !rwlock->__data.__writers : writers != 0;
	case PHASE:
		/* Readers wait for a writer's phase to end, a writer waits for it to begin. */
		return readers != 0;
	default:
		return readers != 0 && !(rwlock->__data.__readers & WRITING) &&
		       !rwlock->__data.__cur_writer &&
		       rwlock->__data.__flags ==
			       PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
	}
}

/* As if the word were the one at @offset. Return: 0; 1: it is not; a negative errno. */
static int read_rwlock_at(struct vt_proc *proc, const struct vt_futex_call *futex,
			  size_t offset, struct vt_wait *wait)
{
	pthread_rwlock_t rwlock;
	uint64_t base = futex->address - offset;
	uint32_t writer, word;
	int r = vt_memory_read(proc->pid, base, &rwlock, sizeof(rwlock));

	if (r)
		return r;
	memcpy(&word, (char *)&rwlock + offset, sizeof(word));
	if (word != futex->val || !rwlock_fits(&rwlock, futex) ||
	    !rwlock_waited(&rwlock, offset))
		return 1;
	writer = futex->val == 3 ? writer_of(&rwlock) : 0;
	/* Nobody says who its readers are. */
	if (rwlock.__data.__cur_writer && !lives(proc, writer))
		return 1;
	wait->lock = base;
	wait->kind = VITALS_LOCK_RWLOCK;
	wait->holder_tid = writer;
	wait->writer = writer != 0;
	return 0;
}

/* Where one word can be two of a rwlock's, and is, nothing is said. */
static int read_rwlock(struct vt_proc *proc, const struct vt_futex_call *futex,
		       struct vt_wait *wait)
{
	struct vt_wait as_phase = *wait, as_writers = *wait;
	int phase = read_rwlock_at(proc, futex, PHASE, &as_phase), writers = 1;

	if (futex->val == 3)
		writers = read_rwlock_at(proc, futex, WRITERS, &as_writers);
	if (phase < 0 && writers < 0)
		return phase;
	if (!phase == !writers)
		return 0;
	*wait = phase ? as_writers : as_phase;
	return 0;
}

/*
 * The end of a thread: the word is the one that the kernel clears then, in glibc's descriptor of it,
 * a little before the list of robust mutexes that the kernel knows of that very thread.
 */
static int read_thread(struct vt_proc *proc, const struct vt_futex_call *futex,
		       struct vt_wait *wait)
{
	uint32_t word;
	uintptr_t head = 0;
	size_t size;
	int saved = errno;
	int r = vt_memory_read(proc->pid, futex->address, &word, sizeof(word));

	if (r || word != futex->val || !lives(proc, word))
		return r;
	if (syscall(SYS_get_robust_list, (pid_t)word, &head, &size))
		head = 0;
	errno = saved;
	if (head <= futex->address || head - futex->address > 64)
		return 0;
	return found(proc, VITALS_LOCK_THREAD, word, wait);
}

static int read_wait(struct vt_proc *proc, const struct vt_futex_call *futex,
		     struct vt_wait *wait)
{
	uint32_t val = futex->val, ceiling = val >> CEILING_SHIFT;
	uint32_t flags = val & ((1u << READERS_SHIFT) - 1);
	int r = 0;

	if (val & FUTEX_WAITERS)
		return val & FUTEX_OWNER_DIED ? 0 : read_robust(proc, futex, wait);
	if (ceiling <= CEILING_MAX && (val & ((1u << CEILING_SHIFT) - 1)) == 2)
		r = read_mutex(proc, futex, wait);
	if (wait->kind == VITALS_LOCK_FUTEX && (val == 2 || val == 3))
		r = read_rwlock(proc, futex, wait);
	if (wait->kind == VITALS_LOCK_FUTEX && flags == (WRITER | READERS_WAIT))
		r = read_rwlock_at(proc, futex, 0, wait);
	if (wait->kind == VITALS_LOCK_FUTEX && !futex->private && val && val <= TIDS)
		r = read_thread(proc, futex, wait);
	return r < 0 ? r : 0;
}

#else

/* Another C library's locks are its own affair. */
static int read_wait(struct vt_proc *proc, const struct vt_futex_call *futex,
		     struct vt_wait *wait)
{
	(void)proc;
	(void)futex;
	(void)wait;
	return 0;
}

#endif

int vt_lock_read(struct vt_proc *proc, const struct vt_futex_call *futex,
		 struct vt_wait *wait)
{
	int r = 0;

	memset(wait, 0, sizeof(*wait));
	wait->lock = futex->address;
	wait->kind = VITALS_LOCK_FUTEX;
	wait->timed = futex->timed;
	switch (futex->op) {
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		r = read_inherited(proc, futex, wait);
		break;
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		r = read_wait(proc, futex, wait);
		break;
	default:
		break;
	}
	if (r == -EPERM || r == -ENOSYS)
		wait->reason = VITALS_REASON_REFUSED;
	return r;
}

static bool still_in_it(struct vt_proc *proc, const struct vt_sample *sample)
{
	struct vt_sample now;

	vt_sample_take(proc, sample->tid, VT_SAMPLE_CALL, sample->at_ns, &now);
	return now.call == sample->call && now.sp == sample->sp && now.pc == sample->pc &&
	       memcmp(now.args, sample->args, sizeof(now.args)) == 0;
}

/*
 * The kernel gives a mutex with inheritance to a sleeper before it wakes that one: who has what it
 * waits for is about to have it. (It refuses a thread to wait for itself.)
 */
static bool given(const struct vt_futex_call *futex, const struct vt_wait *wait,
		  uint32_t tid)
{
	return wait->holder_tid == tid &&
	       (futex->op == FUTEX_LOCK_PI || futex->op == FUTEX_LOCK_PI2);
}

bool vt_lock_of(struct vt_proc *proc, const struct vt_sample *sample,
		struct vt_wait *wait)
{
	struct vt_futex_call futex;
	struct vt_wait again;

	memset(wait, 0, sizeof(*wait));
	if (!vt_call_futex(sample, &futex))
		return false;
	(void)vt_lock_read(proc, &futex, wait);
	if (wait->kind == VITALS_LOCK_FUTEX)
		return true;
	(void)vt_lock_read(proc, &futex, &again);
	if (again.lock == wait->lock && again.kind == wait->kind &&
	    again.holder_tid == wait->holder_tid && !given(&futex, wait, sample->tid) &&
	    still_in_it(proc, sample))
		return true;
	/* It changed under our eyes. */
	wait->lock = futex.address;
	wait->kind = VITALS_LOCK_FUTEX;
	wait->holder_tid = 0;
	wait->writer = false;
	return true;
}
