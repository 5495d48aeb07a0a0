/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "futex.h"
#include "vitals.h"
#include "wakefd.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

START_TEST(waits_only_while_the_word_is_as_it_was)
{
	_Atomic uint32_t word = 5;

	ck_assert_int_eq(vt_futex_wait(&word, 4, UINT64_MAX), -EAGAIN);
	ck_assert_int_eq(vt_futex_wait(&word, 5, vt_clock_now()), -ETIMEDOUT);
}
END_TEST

/* What is held is the test's to know: the analysis cannot follow an assertion. */
static bool take(struct vt_lock *lock) VT_UNCHECKED
{
	return vt_trylock(lock);
}

static bool take_now(struct vt_lock *lock) VT_UNCHECKED
{
	return vt_lock_until(lock, vt_clock_now());
}

static void give(struct vt_lock *lock) VT_UNCHECKED
{
	vt_unlock(lock);
}

START_TEST(a_lock_that_is_held_is_given_up_at_the_deadline)
{
	struct vt_lock lock = { 0 };

	ck_assert(take(&lock));
	ck_assert(!take(&lock));
	ck_assert(!take_now(&lock));
	give(&lock);
	ck_assert(take_now(&lock));
	vt_lock_reset(&lock);
	ck_assert(take(&lock));
	give(&lock);
}
END_TEST

static struct vt_lock counted_lock;
static unsigned long counted; /* guarded by counted_lock */

static void *count_up(void *unused)
{
	unsigned i;

	for (i = 0; i < 20000; i++) {
		vt_lock(&counted_lock);
		counted++;
		vt_unlock(&counted_lock);
	}
	return unused;
}

START_TEST(a_lock_lets_in_one_at_a_time)
{
	pthread_t threads[8];
	unsigned i;

	for (i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(counted, 160000);
}
END_TEST

static bool readable(int fd, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, ms) == 1 && pollfd.revents == POLLIN;
}

START_TEST(a_wakefd_cannot_be_drained)
{
	int fd = vt_wakefd_new();
	uint64_t value;
	unsigned i;

	ck_assert_int_ge(fd, 0);
	ck_assert(!readable(fd, 0));
	vt_wakefd_set(fd);
	for (i = 0; i < 100000; i++)
		(void)!read(fd, &value, sizeof(value));
	ck_assert(readable(fd, 1000));
	vt_wakefd_clear(fd);
	ck_assert(!readable(fd, 0));
	vt_wakefd_close(fd);
	ck_assert(!vt_wakefd_ours(fd));
}
END_TEST

START_TEST(a_number_that_is_no_longer_ours_is_left_alone)
{
	int pipes[2], fd = vt_wakefd_new();

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_ge(fd, 0);
	/* The host closed it, and the number is its pipe's now. */
	ck_assert_int_eq(dup2(pipes[1], fd), fd);
	vt_wakefd_set(fd);
	vt_wakefd_clear(fd);
	vt_wakefd_close(fd);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert(readable(pipes[0], 0));
	errno = 77;
	vt_wakefd_set(-1);
	vt_wakefd_close(-1);
	ck_assert_int_eq(errno, 77);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(a_time_that_never_comes_does_not_overflow)
{
	ck_assert_uint_eq(vt_clock_after(5, VITALS_FOREVER), UINT64_MAX);
	ck_assert_uint_eq(vt_clock_after(UINT64_MAX - 1, 5), UINT64_MAX);
	ck_assert_uint_eq(vt_clock_after(5, 6), 11);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("futex");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, waits_only_while_the_word_is_as_it_was);
	tcase_add_test(tc, a_lock_that_is_held_is_given_up_at_the_deadline);
	tcase_add_test(tc, a_lock_lets_in_one_at_a_time);
	tcase_add_test(tc, a_wakefd_cannot_be_drained);
	tcase_add_test(tc, a_number_that_is_no_longer_ours_is_left_alone);
	tcase_add_test(tc, a_time_that_never_comes_does_not_overflow);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
