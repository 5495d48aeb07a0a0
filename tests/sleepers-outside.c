/* SPDX-License-Identifier: MIT */

/* Programs that another process wakes, or the kernel. */

#include "sleepers.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t work;
static int ends[2];

static void *worker(void *arg)
{
	for (;;) {
		if (sem_wait(&work) == 0)
			progress();
	}
	return arg;
}

/* Others, who wait for each other. */
static void pool(void)
{
	unsigned i;

	sem_init(&work, 0, 0);
	for (i = 0; i < 4; i++)
		thread_new(worker, NULL);
}

static void poke_byte(void)
{
	(void)!write(ends[1], "x", 1);
}

static struct shared {
	sem_t sem;
	pthread_mutex_t mutex;
	pthread_barrier_t barrier;
	_Atomic uint32_t word;
} * shared;

/* The other process waits for a byte. */
static void other_process(void (*fn)(void))
{
	char byte;

	if (pipe(ends))
		cannot();
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[1]);
		fn();
		if (read(ends[0], &byte, 1) == 1) {
			sem_post(&shared->sem);
			pthread_mutex_unlock(&shared->mutex);
			(void)syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1);
			pthread_barrier_wait(&shared->barrier);
		}
		_exit(0);
	}
}

static void shared_make(void)
{
	pthread_barrierattr_t barrier;
	pthread_mutexattr_t mutex;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		cannot();
	sem_init(&shared->sem, 1, 0);
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &barrier, 2);
}

static void nothing(void)
{
}

static void shared_sem(void)
{
	shared_make();
	other_process(nothing);
	pool();
	settled();
	while (sem_wait(&shared->sem))
		continue;
	progress();
}

static void take_mutex(void)
{
	pthread_mutex_lock(&shared->mutex);
	sem_post(&shared->sem);
}

static void shared_mutex(void)
{
	shared_make();
	other_process(take_mutex);
	while (sem_wait(&shared->sem))
		continue;
	pool();
	settled();
	pthread_mutex_lock(&shared->mutex);
	progress();
}

static void shared_barrier(void)
{
	shared_make();
	other_process(nothing);
	pool();
	settled();
	pthread_barrier_wait(&shared->barrier);
	progress();
}

/* A word of several processes that happens to be the id of a thread that lives here. */
static void shared_word(void)
{
	shared_make();
	other_process(nothing);
	pool();
	shared->word = (uint32_t)getpid();
	settled();
	(void)syscall(SYS_futex, &shared->word, FUTEX_WAIT, (uint32_t)getpid(), NULL);
	progress();
}

static void waits_for_child(void)
{
	char byte;
	pid_t pid;

	if (pipe(ends))
		cannot();
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit((int)!read(ends[0], &byte, 1));
	}
	pool();
	settled();
	(void)waitpid(pid, NULL, 0);
	progress();
}

/* The kernel itself wakes a futex, by a ring: what was asked for behind a read of a pipe. */

struct ring_params { /* struct io_uring_params */
	uint32_t sq_entries, cq_entries, flags, cpu, idle, features, wq_fd, reserved[3];
	uint32_t head, tail, mask, entries, sq_flags, dropped, array, reserved1;
	uint64_t reserved2;
	uint32_t cq[8];
	uint64_t reserved3;
};

struct ring_entry { /* struct io_uring_sqe */
	uint8_t opcode, flags;
	uint16_t priority;
	int32_t fd;
	uint64_t offset, address;
	uint32_t length, op_flags;
	uint64_t user;
	uint64_t pad0, address3, pad1;
};

#define RING_READ 22
#define RING_FUTEX_WAKE 52
#define RING_LINK 4
#define FUTEX2_U32_PRIVATE (2 | 128)

static _Atomic uint32_t ring_word;

static void *waits_for_ring(void *arg)
{
	settled();
	(void)syscall(SYS_futex, &ring_word, FUTEX_WAIT_PRIVATE, 0, NULL);
	progress();
	return arg;
}

static void ring_wakes(void)
{
	static char byte;
	struct ring_params params = { 0 };
	struct ring_entry *entries;
	unsigned char *queue;
	int fd = (int)syscall(425, 4, &params); /* io_uring_setup */

	_Static_assert(sizeof(struct ring_entry) == 64, "as the kernel has it");
	_Static_assert(sizeof(struct ring_params) == 120, "as the kernel has it");
	if (fd < 0 || pipe(ends))
		cannot();
	queue = mmap(NULL, params.array + 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	entries = mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0x10000000);
	if (queue == MAP_FAILED || entries == MAP_FAILED)
		cannot();
	entries[0] = (struct ring_entry){ .opcode = RING_READ,
					  .flags = RING_LINK,
					  .fd = ends[0],
					  .address = (uintptr_t)&byte,
					  .length = 1 };
	entries[1] = (struct ring_entry){ .opcode = RING_FUTEX_WAKE,
					  .fd = FUTEX2_U32_PRIVATE,
					  .address = (uintptr_t)&ring_word,
					  .offset = 1,
					  .address3 = UINT32_MAX };
	((uint32_t *)(void *)(queue + params.array))[0] = 0;
	((uint32_t *)(void *)(queue + params.array))[1] = 1;
	*(uint32_t *)(void *)(queue + params.tail) = 2;
	pool();
	if (syscall(426, fd, 2, 0, 0, NULL, 0) != 2) /* io_uring_enter */
		cannot();
	/* The first thread itself is interrupted for the ring's work, and waits again. */
	thread_new(waits_for_ring, NULL);
}

const struct kind sleepers_outside[] = {
	{ "process-shared semaphore", shared_sem, poke_byte, false, false },
	{ "process-shared mutex", shared_mutex, poke_byte, false, false },
	{ "process-shared barrier", shared_barrier, poke_byte, false, false },
	{ "process-shared word like a tid", shared_word, poke_byte, false, false },
	{ "waits for a child", waits_for_child, poke_byte, false, false },
	{ "io_uring wakes a futex", ring_wakes, poke_byte, false, false },
	{ NULL, NULL, NULL, false, false },
};
