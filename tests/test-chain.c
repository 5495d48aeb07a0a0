/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "locks.h"

#include "chain.h"
#include "task.h"
#include "vitals.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__

#define MANY 20

static union lock_room rooms[MANY + 1];
static struct party parties[MANY];
static struct way way;
static _Atomic uint32_t go;
static struct vt_chain chain;
static struct vt_proc proc;

static void setup(void)
{
	vt_proc_begin(&proc, 0);
	(void)way_at(0, &way);
}

static void start(unsigned i, union lock_room *first, union lock_room *then)
{
	parties[i].way = &way;
	parties[i].first = first;
	parties[i].then = then;
	parties[i].go = &go;
	party_start(&parties[i]);
	ck_assert_int_eq(parties[i].error, 0);
}

/* All of them, once each has what it begins with. */
static void let_go(unsigned n)
{
	unsigned i;

	atomic_store(&go, 1);
	for (i = 0; i < n; i++)
		ck_assert(!parties[i].then || thread_waits(parties[i].tid));
}

/* Each has one and waits for the next one's; the last for that of @back. */
static void ring(unsigned n, unsigned back)
{
	unsigned i;

	for (i = 0; i < n; i++)
		ck_assert_int_eq(way_make(&way, &rooms[i]), 0);
	for (i = 0; i < n; i++)
		start(i, &rooms[i], &rooms[i + 1 < n ? i + 1 : back]);
	let_go(n);
}

static bool name_thread(void *user, uint32_t tid, char *name)
{
	unsigned i;

	(void)user;
	for (i = 0; i < MANY; i++)
		if (tid == parties[i].tid && tid) {
			snprintf(name, VITALS_SHOWN_MAX, "worker-%u", i);
			return true;
		}
	return false;
}

static bool name_lock(void *user, uint64_t address, char *name)
{
	(void)user;
	if (address != (uintptr_t)&rooms[1])
		return false;
	strcpy(name, "journal");
	return true;
}

static const struct vt_namer namer = { name_thread, name_lock, NULL };

static const char *said(const struct vt_namer *by, bool cycle)
{
	static char words[2048];
	struct vt_text text;

	vt_text_init(&text, words, sizeof(words));
	if (cycle)
		vt_chain_describe_cycle(&proc, by, &chain, &text);
	else
		vt_chain_describe(&proc, by, &chain, &text);
	return words;
}

/* The sentence as it has to be. */
static const char *formed(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *formed(const char *format, ...)
{
	static char words[2048];
	va_list list;

	va_start(list, format);
	vsnprintf(words, sizeof(words), format, list);
	va_end(list);
	return words;
}

#define LOCK(i) ((void *)&rooms[i])

START_TEST(finds_a_cycle_from_each_of_its_threads)
{
	unsigned n = (unsigned)_i + 2, i;
	uint64_t key = 0;

	ring(n, 0);
	for (i = 0; i < n; i++) {
		chain_of(parties[i].tid, &chain);
		ck_assert(chain.deadlock && !chain.timed && !chain.longer);
		ck_assert_uint_eq(chain.n, n);
		ck_assert_uint_eq(chain.back, 0);
		ck_assert(chain.key && (!i || chain.key == key));
		key = chain.key;
		ck_assert_uint_eq(chain.hops[1].tid, parties[(i + 1) % n].tid);
	}
}
END_TEST

START_TEST(tells_a_cycle_from_its_lowest_thread)
{
	unsigned low, i;

	ring(2, 0);
	low = parties[0].tid < parties[1].tid ? 0 : 1;
	for (i = 0; i < 2; i++) {
		chain_of(parties[i].tid, &chain);
		ck_assert_str_eq(
			said(&namer, true),
			low ? formed("worker-1 waits for mutex %p held by worker-0 waits "
				     "for mutex journal (%p) held by worker-1",
				     LOCK(0), LOCK(1))
			    : formed("worker-0 waits for mutex journal (%p) held by "
				     "worker-1 waits for mutex %p held by worker-0",
				     LOCK(1), LOCK(0)));
	}
	chain_of(parties[0].tid, &chain);
	ck_assert_str_eq(
		said(&namer, false),
		formed("waits for mutex journal (%p), held by worker-1 (tid %u), "
		       "which waits for mutex %p, held by worker-0 (tid %u): "
		       "a deadlock",
		       LOCK(1), parties[1].tid, LOCK(0), parties[0].tid));
}
END_TEST

START_TEST(finds_a_cycle_that_it_is_not_part_of)
{
	uint64_t key;

	ring(4, 2);
	chain_of(parties[2].tid, &chain);
	key = chain.key;
	ck_assert(chain.deadlock && chain.back == 0 && chain.n == 2);
	chain_of(parties[0].tid, &chain);
	ck_assert(chain.deadlock && chain.back == 2 && chain.n == 4);
	ck_assert_uint_eq(chain.key, key);
	ck_assert_ptr_null(strstr(said(&namer, true), "worker-0"));
}
END_TEST

START_TEST(finds_who_waits_for_itself)
{
	(void)way_make(&way, &rooms[0]);
	start(0, &rooms[0], &rooms[0]);
	let_go(1);
	chain_of(parties[0].tid, &chain);
	ck_assert(chain.deadlock && chain.n == 1 && chain.back == 0);
	ck_assert_str_eq(said(&namer, true),
			 formed("worker-0 waits for mutex %p held by worker-0", LOCK(0)));
}
END_TEST

START_TEST(says_of_a_timed_cycle_that_it_ends)
{
	(void)way_at(1, &way);
	ring(3, 0);
	chain_of(parties[0].tid, &chain);
	ck_assert(chain.deadlock && chain.timed);
	ck_assert_ptr_nonnull(strstr(said(&namer, true), ", until it times out"));
	ck_assert_ptr_nonnull(
		strstr(said(&namer, false), "deadlock, until it times out"));
}
END_TEST

START_TEST(calls_strangers_by_the_kernels_names)
{
	strcpy(parties[0].name, "pool-1");
	strcpy(parties[1].name, "b\377d\n");
	ring(2, 0);
	chain_of(parties[0].tid, &chain);
	ck_assert_str_eq(said(NULL, false),
			 formed("waits for mutex %p, held by thread b?d (tid %u), which "
				"waits for mutex %p, held by thread pool-1 (tid %u): "
				"a deadlock",
				LOCK(1), parties[1].tid, LOCK(0), parties[0].tid));
}
END_TEST

START_TEST(ends_with_who_waits_for_no_lock)
{
	(void)way_make(&way, &rooms[0]);
	start(0, NULL, &rooms[0]);
	start(1, &rooms[0], NULL);
	let_go(1);
	ck_assert(thread_sleeps(parties[1].tid));
	chain_of(parties[0].tid, &chain);
	ck_assert(!chain.deadlock && chain.n == 2);
	ck_assert_uint_eq(chain.hops[1].wait.kind, 0);
	ck_assert_uint_eq(chain.last.tid, parties[1].tid);
	ck_assert_ptr_eq(strstr(said(&namer, false),
				formed("waits for mutex %p, held by worker-1 (tid %u)",
				       LOCK(0), parties[1].tid)),
			 said(&namer, false));
	ck_assert_str_eq(said(&namer, true), "");
	chain_of(parties[1].tid, &chain);
	ck_assert_uint_eq(chain.n, 1);
	ck_assert_str_eq(said(&namer, false), "");
}
END_TEST

START_TEST(gives_up_after_so_many)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(way_make(&way, &rooms[i]), 0);
	for (i = 0; i < MANY; i++)
		start(i, &rooms[i], i + 1 < MANY ? &rooms[i + 1] : NULL);
	let_go(MANY);
	chain_of(parties[0].tid, &chain);
	ck_assert(chain.longer && !chain.deadlock);
	ck_assert_uint_eq(chain.n, VT_HOPS);
	chain_of(parties[MANY - VT_HOPS].tid, &chain);
	ck_assert(!chain.longer && chain.n == VT_HOPS);
}
END_TEST

/* Threads that join each other; glibc sees it of two, not of three. */
static pthread_t joined[3];
static _Atomic uint32_t joiner_tids[3];

static void *join_next(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	atomic_store(&joiner_tids[i], vt_task_self());
	while (!atomic_load(&go))
		usleep(100);
	pthread_join(joined[(i + 1) % 3], NULL);
	return NULL;
}

START_TEST(finds_threads_that_join_in_a_ring)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		pthread_create(&joined[i], NULL, join_next, (void *)(uintptr_t)i);
	for (i = 0; i < 3; i++)
		while (!atomic_load(&joiner_tids[i]))
			usleep(100);
	atomic_store(&go, 1);
	for (i = 0; i < 3; i++)
		ck_assert(thread_waits(joiner_tids[i]));
	chain_of(joiner_tids[1], &chain);
	ck_assert(chain.deadlock && chain.n == 3 && !chain.timed);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(chain.hops[i].wait.kind, VITALS_LOCK_THREAD);
	ck_assert_uint_eq(chain.hops[0].wait.holder_tid, joiner_tids[2]);
	ck_assert_ptr_nonnull(strstr(said(NULL, true), " joins thread "));
}
END_TEST

static void *lock_it(void *lock)
{
	atomic_store(&joiner_tids[1], vt_task_self());
	(void)way_lock(&way, lock);
	return NULL;
}

static void *join_with_lock(void *lock)
{
	pthread_t thread;

	(void)way_lock(&way, lock);
	pthread_create(&thread, NULL, lock_it, lock);
	atomic_store(&joiner_tids[0], vt_task_self());
	pthread_join(thread, NULL);
	return NULL;
}

START_TEST(finds_who_joins_a_thread_that_wants_its_lock)
{
	pthread_t thread;

	(void)way_make(&way, &rooms[0]);
	pthread_create(&thread, NULL, join_with_lock, &rooms[0]);
	while (!atomic_load(&joiner_tids[0]) || !atomic_load(&joiner_tids[1]))
		usleep(100);
	ck_assert(thread_waits(joiner_tids[0]) && thread_waits(joiner_tids[1]));
	chain_of(joiner_tids[0], &chain);
	ck_assert(chain.deadlock && chain.n == 2);
	ck_assert_uint_eq(chain.hops[0].wait.kind, VITALS_LOCK_THREAD);
	ck_assert_uint_eq(chain.hops[1].wait.kind, VITALS_LOCK_MUTEX);
}
END_TEST

#endif /* __GLIBC__ */

static bool name_long(void *user, uint32_t tid, char *name)
{
	(void)user;
	(void)tid;
	strcpy(name, "\303\244\342\202\254\360\237\231\202\303\266");
	return true;
}

/* Is it whole UTF-8? Of what the names above are made. */
static bool whole(const char *words)
{
	const unsigned char *s = (const unsigned char *)words;

	while (*s) {
		unsigned n = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4, i;

		for (i = 1; i < n; i++)
			if ((s[i] & 0xc0) != 0x80)
				return false;
		s += n;
	}
	return true;
}

START_TEST(never_cuts_a_character)
{
	static const struct vt_namer long_namer = { name_long, NULL, NULL };
	struct vt_chain made = { .n = 2, .deadlock = true };
	struct vt_proc self;
	char words[512];
	size_t size;

	vt_proc_begin(&self, 0);
	made.hops[0].tid = 7;
	made.hops[0].wait =
		(struct vt_wait){ 0x5581, VITALS_LOCK_MUTEX, 8, 0, false, false };
	made.hops[1].tid = 8;
	made.hops[1].wait =
		(struct vt_wait){ UINT64_MAX, VITALS_LOCK_RWLOCK, 7, 0, true, true };
	for (size = 1; size < sizeof(words); size++) {
		struct vt_text text;

		memset(words, 'x', sizeof(words));
		vt_text_init(&text, words, size);
		vt_chain_describe(&self, &long_namer, &made, &text);
		ck_assert_uint_lt(strlen(words), size);
		ck_assert(whole(words));
		ck_assert_int_eq(words[size], 'x');
		vt_text_init(&text, words, size);
		vt_chain_describe_cycle(&self, &long_namer, &made, &text);
		ck_assert_uint_lt(strlen(words), size);
		ck_assert(whole(words));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *tc = tcase_create("core");

#ifdef __GLIBC__
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, finds_a_cycle_from_each_of_its_threads, 0, 2);
	tcase_add_test(tc, tells_a_cycle_from_its_lowest_thread);
	tcase_add_test(tc, finds_a_cycle_that_it_is_not_part_of);
	tcase_add_test(tc, finds_who_waits_for_itself);
	tcase_add_test(tc, says_of_a_timed_cycle_that_it_ends);
	tcase_add_test(tc, calls_strangers_by_the_kernels_names);
	tcase_add_test(tc, ends_with_who_waits_for_no_lock);
	tcase_add_test(tc, gives_up_after_so_many);
	tcase_add_test(tc, finds_threads_that_join_in_a_ring);
	tcase_add_test(tc, finds_who_joins_a_thread_that_wants_its_lock);
#endif
	tcase_add_test(tc, never_cuts_a_character);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
