/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "locks.h"

#include "lock.h"
#include "memory.h"
#include "task.h"
#include "vitals.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __GLIBC__

/* As a thread that waits on the first word of it would see it. */
static union {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	uint32_t words[32];
} made;

static struct vt_proc proc;
static struct vt_wait wait_;

static void setup(void)
{
	vt_proc_begin(&proc, 0);
	memset(&made, 0, sizeof(made));
}

/* Return: the owner that is read from it. */
static uint32_t owner(uint32_t op, uint32_t val, bool private, const void *word)
{
	struct vt_futex_call futex = {
		.address = (uintptr_t)word, .op = op, .val = val, .private = private
	};

	ck_assert_int_eq(vt_lock_read(&proc, &futex, &wait_), 0);
	ck_assert(wait_.holder_tid || wait_.kind != VITALS_LOCK_MUTEX);
	return wait_.holder_tid;
}

/* Mutexes as glibc makes them; who holds each is the caller. */
static const struct image {
	uint32_t op;
	uint32_t val; /* and the word; 0: the owner's, as robust mutexes have it */
	bool private;
	uint32_t count;
	uint32_t kind;
	bool listed;
} images[] = {
	{ FUTEX_WAIT, 2, true, 0, 0, false },
	{ FUTEX_WAIT, 2, true, 0, 0x200, false },
	{ FUTEX_WAIT_BITSET, 2, true, 0, 0x200, false },
	{ FUTEX_WAIT, 2, true, 1, 1, false },
	{ FUTEX_WAIT, 2, true, 7, 1, false },
	{ FUTEX_WAIT, 2, true, 0, 2, false },
	{ FUTEX_WAIT, 2, true, 0, 3, false },
	{ FUTEX_WAIT, 2, false, 0, 0x280, false },
	{ FUTEX_WAIT, 2, false, 1, 0x81, false },
	{ FUTEX_WAIT, 5 << 19 | 2, true, 1, 0x40, false },
	{ FUTEX_WAIT, 5 << 19 | 2, false, 1, 0xc1, false },
	{ FUTEX_WAIT, 0, false, 1, 0x290, true },
	{ FUTEX_WAIT_BITSET, 0, false, 1, 0x91, true },
};

#define IMAGES ((int)(sizeof(images) / sizeof(*images)))

static uint32_t image_make(const struct image *image)
{
	uint32_t val = image->val ? image->val : FUTEX_WAITERS | vt_task_self();

	memset(&made, 0xa5, sizeof(made));
	memset(&made.mutex, 0, sizeof(made.mutex));
	made.mutex.__data.__lock = (int)val;
	made.mutex.__data.__count = image->count;
	made.mutex.__data.__owner = (int)vt_task_self();
	made.mutex.__data.__nusers = 1;
	made.mutex.__data.__kind = (int)image->kind;
	if (image->listed)
		memset((char *)&made.mutex + sizeof(made.mutex) - 2 * sizeof(void *), 1,
		       2 * sizeof(void *));
	return val;
}

START_TEST(reads_the_owner_of_a_mutex)
{
	const struct image *image = &images[_i];
	uint32_t val = image_make(image);

	ck_assert_uint_eq(owner(image->op, val, image->private, &made), vt_task_self());
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_MUTEX);
	ck_assert_uint_eq(wait_.lock, (uintptr_t)&made);
}
END_TEST

START_TEST(knows_no_owner_when_a_word_does_not_fit)
{
	const struct image *image = &images[_i];
	uint32_t val = image_make(image), *users = &made.mutex.__data.__nusers;

	ck_assert_uint_eq(owner(image->op, val, !image->private, &made), 0);
	ck_assert_uint_eq(owner(image->op, val + 1, image->private, &made), 0);
	ck_assert_uint_eq(owner(FUTEX_WAIT_REQUEUE_PI, val, image->private, &made), 0);
	made.mutex.__data.__lock--;
	ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	made.mutex.__data.__lock++;
	*users = 0;
	ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	*users = 0x7f12ab34;
	ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	*users = 1;
	made.mutex.__data.__count = image->count ? 0 : 1;
	ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	made.mutex.__data.__count = image->count;
	/* What is left of it, by what is not its own. */
	ck_assert_uint_ne(owner(image->op, val, image->private, &made), 0);
	memset((char *)&made.mutex + 20, image->listed ? 0 : 1, sizeof(made.mutex) - 20);
	ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
}
END_TEST

START_TEST(takes_no_mutex_for_another_word)
{
	static const uint32_t words[] = { 0,           1, 3, 4, 6, 0xe, 1000u << 19 | 2,
					  3u << 19 | 3 };
	const struct image *image = &images[_i];
	unsigned i;

	(void)image_make(image);
	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		made.mutex.__data.__lock = (int)words[i];
		ck_assert_uint_eq(owner(image->op, words[i], image->private, &made), 0);
	}
}
END_TEST

START_TEST(knows_no_owner_of_a_kind_that_there_is_not)
{
	const struct image *image = &images[_i];
	uint32_t val = image_make(image), bit;

	for (bit = 4; bit < 32; bit++) {
		uint32_t other = image->kind ^ 1u << bit;

		made.mutex.__data.__kind = (int)other;
		/* Of a normal mutex it may be said, or not, that it is never elided. */
		if (bit == 9 && !(image->kind & 3))
			continue;
		/* And a robust one is waited for as a shared one always. */
		if (bit == 7 && image->listed)
			continue;
		ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	}
}
END_TEST

START_TEST(knows_no_owner_that_does_not_live)
{
	const struct image *image = &images[_i];
	uint32_t val = image_make(image);
	static const uint32_t gone[] = { 0, 0x3fffff, 0x7fffffff, UINT_MAX };
	unsigned i;

	for (i = 0; i < 4; i++) {
		made.mutex.__data.__owner = (int)gone[i];
		if (image->listed)
			made.mutex.__data.__lock =
				(int)(val = FUTEX_WAITERS | (gone[i] & FUTEX_TID_MASK));
		ck_assert_uint_eq(owner(image->op, val, image->private, &made), 0);
	}
}
END_TEST

START_TEST(takes_a_robust_mutex_that_was_left_by_a_dead_one)
{
	uint32_t val = image_make(&images[IMAGES - 1]);

	made.mutex.__data.__owner = INT_MAX;
	ck_assert_uint_eq(owner(FUTEX_WAIT, val, false, &made), vt_task_self());
	made.mutex.__data.__owner = 1;
	ck_assert_uint_eq(owner(FUTEX_WAIT, val, false, &made),
			  vt_task_self() == 1 ? 1 : 0);
	/* Whoever waits for it then does not wait. */
	val |= FUTEX_OWNER_DIED;
	made.mutex.__data.__lock = (int)val;
	ck_assert_uint_eq(owner(FUTEX_WAIT, val, false, &made), 0);
}
END_TEST

START_TEST(reads_the_kernels_own_format)
{
	made.words[0] = vt_task_self() | FUTEX_WAITERS;
	memset(&made.words[1], 0xa5, sizeof(made) - 4);
	ck_assert_uint_eq(owner(FUTEX_LOCK_PI, 0, true, &made), vt_task_self());
	ck_assert_uint_eq(owner(13, 5, false, &made), vt_task_self());
	ck_assert_uint_eq(owner(FUTEX_WAIT, made.words[0], true, &made), 0);
	made.words[0] = vt_task_self();
	ck_assert_uint_eq(owner(FUTEX_LOCK_PI, 0, true, &made), 0);
	made.words[0] = FUTEX_WAITERS | FUTEX_OWNER_DIED;
	ck_assert_uint_eq(owner(FUTEX_LOCK_PI, 0, true, &made), 0);
}
END_TEST

/* What the first words are of other things that wait for a 2. */
START_TEST(knows_no_owner_of_what_looks_alike)
{
	uint32_t me = vt_task_self();
	const uint32_t alike[][10] = {
		{ 2, 1, me, 0x7f12, 0, 0, 0, 0, 0, 0 }, /* stdio, its owner a pointer */
		{ 2, 1, me, 1, 0, 0, 0, 0, 0, 0 },
		{ 2, 0, me, 0, 0, 0, 0, 0, 0, 0 }, /* an arena, with a fast bin */
		{ 2, 2, me, 0, 0, 0, 0, 0, 0, 0 }, /* another arena */
		{ 2, 2, me, 1, 1, 1, 0, 0, 0, 0 }, /* a condition, a mutex behind it */
		{ 2, 1, 1, me, 1, 1, 0, 0, 0, 0 },
		{ 2, 0, me, 1, 0x100, 0, 0, 0, 0, 0 }, /* elided */
		{ 2, 0, me, 1, me | 4, 0, 0, 0, 0, 0 },
		{ 2, 0, me, 1, 0, 0, 0, 1, 0, 0 },
	};
	unsigned i;

	for (i = 0; i < sizeof(alike) / sizeof(*alike); i++) {
		memcpy(made.words, alike[i], sizeof(alike[i]));
		ck_assert_uint_eq(owner(FUTEX_WAIT, 2, true, &made), 0);
		ck_assert_uint_eq(wait_.kind, VITALS_LOCK_FUTEX);
	}
}
END_TEST

static void rwlock_make(uint32_t readers, uint32_t phase, uint32_t writers)
{
	memset(&made, 0, sizeof(made));
	made.rwlock.__data.__readers = readers;
	made.rwlock.__data.__wrphase_futex = phase;
	made.rwlock.__data.__writers_futex = writers;
}

START_TEST(reads_the_writer_of_a_rwlock)
{
	uint32_t me = vt_task_self();

	rwlock_make(0xb, 3, 1);
	made.rwlock.__data.__cur_writer = (int)me;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 3, true,
				&made.rwlock.__data.__wrphase_futex),
			  me);
	ck_assert(wait_.writer);
	ck_assert_uint_eq(wait_.lock, (uintptr_t)&made);
	rwlock_make(0x3, 1, 3);
	made.rwlock.__data.__cur_writer = (int)me;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 3, true,
				&made.rwlock.__data.__writers_futex),
			  me);
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_RWLOCK);
	ck_assert_uint_eq(wait_.lock, (uintptr_t)&made);
}
END_TEST

START_TEST(knows_no_reader_of_a_rwlock)
{
	uint32_t me = vt_task_self(), *phase = &made.rwlock.__data.__wrphase_futex;

	rwlock_make(0xa, 2, 1);
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 2, true, phase), 0);
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_RWLOCK);
	ck_assert_uint_eq(wait_.lock, (uintptr_t)&made);
	/* A state that there is not. */
	made.rwlock.__data.__cur_writer = (int)me;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 2, true, phase), 0);
	rwlock_make(0x8, 3, 1);
	made.rwlock.__data.__cur_writer = (int)me;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 3, true, phase), 0);
	rwlock_make(0xb, 3, 1);
	made.rwlock.__data.__cur_writer = (int)me;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 3, false, phase), 0);
	made.rwlock.__data.__pad3 = 1;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 3, true, phase), 0);
	/* A reader behind a writer who waits for readers. */
	rwlock_make(0xe, 2, 1);
	made.rwlock.__data.__flags = PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, 0xe, true, &made), 0);
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_RWLOCK);
}
END_TEST

START_TEST(takes_a_thread_by_its_own_word_only)
{
	made.words[0] = vt_task_self();
	ck_assert_uint_eq(owner(FUTEX_WAIT_BITSET, vt_task_self(), false, &made), 0);
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_FUTEX);
}
END_TEST

/* Each kind there is, for real. */
START_TEST(names_who_holds_it)
{
	static union lock_room room;
	static struct party holder, waiter;
	static struct way way;
	struct vt_sample sample;

	if (!way_at((unsigned)_i, &way) || way_make(&way, &room))
		return;
	holder = (struct party){ .way = &way, .first = &room };
	waiter = (struct party){ .way = &way, .then = &room };
	party_start(&holder);
	if (holder.error && way.ceiling)
		return;
	ck_assert_int_eq(holder.error, 0);
	party_start(&waiter);
	ck_assert(thread_waits(waiter.tid));
	vt_sample_take(&proc, waiter.tid, VT_SAMPLE_CALL, 1, &sample);
	ck_assert(vt_lock_of(&proc, &sample, &wait_));
	ck_assert_msg(wait_.holder_tid == holder.tid, "%s", way.name);
	ck_assert_uint_eq(wait_.lock, (uintptr_t)&room);
	ck_assert_uint_eq(wait_.kind,
			  way.rwlock ? VITALS_LOCK_RWLOCK : VITALS_LOCK_MUTEX);
	ck_assert_int_eq(wait_.timed, way_timed(&way));
	/* As if it had been in another call meanwhile. */
	sample.sp -= 16;
	ck_assert(vt_lock_of(&proc, &sample, &wait_));
	ck_assert_uint_eq(wait_.holder_tid, 0);
	ck_assert_uint_eq(wait_.kind, VITALS_LOCK_FUTEX);
}
END_TEST

/* In another process, as a tool would. */
START_TEST(names_it_in_another_process)
{
	static struct party holder, waiter;
	static union lock_room room;
	static struct way way;
	struct vt_sample sample;
	uint32_t tids[2] = { 0 };
	int pipes[2];
	pid_t pid;

	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		(void)way_at(0, &way);
		(void)way_make(&way, &room);
		holder = (struct party){ .way = &way, .first = &room };
		waiter = (struct party){ .way = &way, .then = &room };
		party_start(&holder);
		party_start(&waiter);
		tids[0] = holder.tid;
		tids[1] = thread_waits(waiter.tid) ? waiter.tid : 0;
		_exit(write(pipes[1], tids, sizeof(tids)) < 0 || sleep(60));
	}
	ck_assert_int_eq(read(pipes[0], tids, sizeof(tids)), sizeof(tids));
	vt_proc_begin(&proc, (uint32_t)pid);
	vt_sample_take(&proc, tids[1], VT_SAMPLE_CALL, 1, &sample);
	/* Not everybody may look into others. */
	if (vt_lock_of(&proc, &sample, &wait_) && !wait_.reason) {
		ck_assert_uint_eq(wait_.holder_tid, tids[0]);
		ck_assert_uint_eq(wait_.lock, (uintptr_t)&room);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

#endif /* __GLIBC__ */

START_TEST(survives_memory_that_is_not_there)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vt_futex_call futex = { .op = FUTEX_WAIT, .val = 2, .private = true };
	struct vt_proc mine;
	struct vt_wait wait;
	char buffer[64];
	unsigned i;

	vt_proc_begin(&mine, 0);
	munmap(pages + page, page);
	errno = 77;
	for (i = 1; i < 64; i++)
		ck_assert_int_eq(vt_memory_read(0, (uintptr_t)pages + page - i, buffer,
						64),
				 -EFAULT);
	ck_assert_int_eq(vt_memory_read(0, (uintptr_t)pages + page - 64, buffer, 64), 0);
	ck_assert_int_eq(vt_memory_read(0, 0, buffer, 1), -EFAULT);
	ck_assert_int_eq(vt_memory_read(0, UINT64_MAX - 7, buffer, 16), -EFAULT);
	ck_assert_int_eq(vt_memory_read(0x3fffff, 0, buffer, 1), -ESRCH);
	for (futex.address = 0; futex.address < 64; futex.address++)
		(void)vt_lock_read(&mine, &futex, &wait);
	futex.address = (uintptr_t)pages + page - 4;
	*(uint32_t *)(uintptr_t)futex.address = 2;
	(void)vt_lock_read(&mine, &futex, &wait);
	ck_assert_uint_eq(wait.kind, VITALS_LOCK_FUTEX);
	ck_assert_uint_eq(wait.holder_tid, 0);
	ck_assert_int_eq(errno, 77);
	munmap(pages, page);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock");
	TCase *tc = tcase_create("core");

#ifdef __GLIBC__
	struct way way;
	int ways = 0;

	while (way_at((unsigned)ways, &way))
		ways++;
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, reads_the_owner_of_a_mutex, 0, IMAGES);
	tcase_add_loop_test(tc, knows_no_owner_when_a_word_does_not_fit, 0, IMAGES);
	tcase_add_loop_test(tc, takes_no_mutex_for_another_word, 0, IMAGES);
	tcase_add_loop_test(tc, knows_no_owner_of_a_kind_that_there_is_not, 0, IMAGES);
	tcase_add_loop_test(tc, knows_no_owner_that_does_not_live, 0, IMAGES);
	tcase_add_test(tc, takes_a_robust_mutex_that_was_left_by_a_dead_one);
	tcase_add_test(tc, reads_the_kernels_own_format);
	tcase_add_test(tc, knows_no_owner_of_what_looks_alike);
	tcase_add_test(tc, reads_the_writer_of_a_rwlock);
	tcase_add_test(tc, knows_no_reader_of_a_rwlock);
	tcase_add_test(tc, takes_a_thread_by_its_own_word_only);
	tcase_add_loop_test(tc, names_who_holds_it, 0, ways);
	tcase_add_test(tc, names_it_in_another_process);
#endif
	tcase_add_test(tc, survives_memory_that_is_not_there);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
