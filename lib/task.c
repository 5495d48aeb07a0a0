/* SPDX-License-Identifier: MIT */

#include "task.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * How the kernel makes a thread's processor clock of its id, and a process's: the latter answers for
 * the first thread's id only. (pthread_getcpuclockid wants a pthread_t that may be gone.)
 */
#define THREAD_CLOCK(tid) ((clockid_t)(~(tid) << 3 | 6u))
#define PROCESS_CLOCK(pid) ((clockid_t)(~(pid) << 3 | 2u))

/* And back. */
#define CLOCK_TASK(id) ((uint32_t) ~((id) >> 3))

/* The first thread, where it was the one that noted itself; a pthread_t as glibc has it. */
static _Atomic uintptr_t leader;
static _Atomic uint32_t leader_tid;

/* The C library's own record of a thread. Return: its id; 0: it has none, or no more. */
static uint32_t task_of(pthread_t thread)
{
	clockid_t id;

	return pthread_getcpuclockid(thread, &id) == 0 ? CLOCK_TASK(id) : 0;
}

uint32_t vt_task_of(pthread_t thread)
{
	return task_of(thread);
}

uint32_t vt_task_self(void)
{
	uint32_t tid = task_of(pthread_self());

	return tid ? tid : (uint32_t)syscall(SYS_gettid);
}

__attribute__((constructor)) void vt_task_note(void)
{
	uint32_t tid = vt_task_self();

	if (tid != (uint32_t)getpid())
		return;
	/* Release: with the id comes whose it is; pairs with the acquire in leader_known(). */
	atomic_store_explicit(&leader, (uintptr_t)pthread_self(), memory_order_relaxed);
	atomic_store_explicit(&leader_tid, tid, memory_order_release);
}

/*
 * The kernel takes the id out of glibc's record as a thread goes, the first one's too, whose record
 * stays. Return: whether that is known of @tid; @ret_exists then.
 */
static bool leader_known(uint32_t tid, bool *ret_exists)
{
#ifdef __GLIBC__
	/* Acquire: see vt_task_note(). */
	if (atomic_load_explicit(&leader_tid, memory_order_acquire) != tid)
		return false;
	*ret_exists =
		task_of((pthread_t)atomic_load_explicit(&leader, memory_order_relaxed)) ==
		tid;
	return true;
#else
	(void)tid;
	(void)ret_exists;
	return false;
#endif
}

/* Of the first thread. Return: the letter in its stat file, 0: not known. */
static char leader_state(uint32_t tid)
{
	char path[64], stat[128];
	struct vt_text text;
	const char *at;
	ssize_t n;
	int fd;

	vt_text_init(&text, path, sizeof(path));
	vt_text_add(&text, "/proc/self/task/");
	vt_text_add_u64(&text, tid);
	vt_text_add(&text, "/stat");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, stat, sizeof(stat) - 1);
	(void)close(fd);
	stat[n > 0 ? n : 0] = 0;
	/* The name before it may hold anything. */
	at = strrchr(stat, ')');
	return at && at[1] ? at[2] : 0;
}

bool vt_task_exists(uint32_t tid)
{
	struct timespec unused;
	int saved = errno;
	bool exists = true;
	char state;

	if (clock_gettime(THREAD_CLOCK(tid), &unused))
		exists = errno != EINVAL;
	else if (!leader_known(tid, &exists) &&
		 clock_gettime(PROCESS_CLOCK(tid), &unused) == 0) {
		state = leader_state(tid);
		exists = state != 'Z' && state != 'X';
	}
	errno = saved;
	return exists;
}

uint64_t vt_task_clock_ns(uint32_t tid)
{
	struct timespec used;
	int saved = errno;
	uint64_t ns = 0;

	if (clock_gettime(THREAD_CLOCK(tid), &used) == 0)
		ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
	errno = saved;
	return ns;
}
