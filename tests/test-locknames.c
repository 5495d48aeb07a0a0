/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "locknames.h"
#include "vitals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMES 1024
#define WRITERS 3
#define READS 100000u
#define FORKS 100

static _Alignas(8) char locks[4 * NAMES]; /* where they would be */
static _Atomic bool over;

static const char *name_of(const void *lock)
{
	static char name[VITALS_NAME_MAX];

	return vt_lock_name_of((uintptr_t)lock, name) ? name : "";
}

START_TEST(names_a_lock_until_it_has_none)
{
	char longest[66];

	memset(longest, 'x', 65);
	longest[63] = 0;
	ck_assert_str_eq(name_of(&locks[0]), "");
	ck_assert_int_eq(vitals_lock_name(&locks[0], "journal"), 0);
	ck_assert_int_eq(vitals_lock_name(&locks[8], longest), 0);
	ck_assert_str_eq(name_of(&locks[0]), "journal");
	ck_assert_str_eq(name_of(&locks[8]), longest);
	ck_assert_str_eq(name_of(&locks[1]), "");
	ck_assert_int_eq(vitals_lock_name(&locks[0], "flüchtig"), 0);
	ck_assert_str_eq(name_of(&locks[0]), "flüchtig");
	ck_assert_int_eq(vitals_lock_name(&locks[0], NULL), 0);
	ck_assert_int_eq(vitals_lock_name(&locks[0], NULL), 0);
	ck_assert_str_eq(name_of(&locks[0]), "");
	ck_assert_str_eq(name_of(&locks[8]), longest);
}
END_TEST

START_TEST(refuses_what_is_no_name)
{
	char longer[66];

	memset(longer, 'x', 65);
	longer[64] = 0;
	ck_assert_int_eq(vitals_lock_name(NULL, "journal"), -EINVAL);
	ck_assert_int_eq(vitals_lock_name(NULL, NULL), -EINVAL);
	ck_assert_int_eq(vitals_lock_name(&locks[0], ""), -EINVAL);
	ck_assert_int_eq(vitals_lock_name(&locks[0], "a/b"), -EINVAL);
	ck_assert_int_eq(vitals_lock_name(&locks[0], "a\nb"), -EINVAL);
	ck_assert_int_eq(vitals_lock_name(&locks[0], longer), -EINVAL);
	ck_assert_str_eq(name_of(&locks[0]), "");
	ck_assert_str_eq(name_of(NULL), "");
}
END_TEST

START_TEST(has_room_for_so_many_over_and_over)
{
	char name[VITALS_NAME_MAX];
	unsigned round, i;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < NAMES; i++) {
			snprintf(name, sizeof(name), "lock-%u-%u", round, i);
			ck_assert_int_eq(
				vitals_lock_name(&locks[3 * i + round % 2], name), 0);
		}
		ck_assert_int_eq(vitals_lock_name(&locks[4 * NAMES - 1], "more"),
				 -ENOSPC);
		ck_assert_int_eq(vitals_lock_name(&locks[round % 2], "another"), 0);
		for (i = 1; i < NAMES; i++) {
			snprintf(name, sizeof(name), "lock-%u-%u", round, i);
			ck_assert_str_eq(name_of(&locks[3 * i + round % 2]), name);
		}
		for (i = 0; i < NAMES; i++)
			ck_assert_int_eq(
				vitals_lock_name(&locks[3 * i + round % 2], NULL), 0);
		for (i = 0; i < 4 * NAMES; i++)
			ck_assert_str_eq(name_of(&locks[i]), "");
	}
}
END_TEST

/* Each name is one letter, many times, and which says whose it is. */
static void *rename_all(void *arg)
{
	unsigned who = (unsigned)(uintptr_t)arg, i;
	char name[VITALS_NAME_MAX] = "";

	for (i = 0; !atomic_load(&over); i++) {
		unsigned at = i % 16;

		memset(name, (int)('a' + at), 63 - (i + who) % 60);
		name[63 - (i + who) % 60] = 0;
		worker_check(vitals_lock_name(&locks[8 * at], i % 5 ? name : NULL) == 0);
	}
	return NULL;
}

START_TEST(is_read_in_one_piece_while_it_is_written)
{
	pthread_t threads[WRITERS];
	char name[VITALS_NAME_MAX];
	unsigned i, k, found = 0, torn = 0;

	atomic_store(&over, false);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, rename_all, (void *)(uintptr_t)i);
	for (i = 0; found < READS; i++) {
		if (!vt_lock_name_of((uintptr_t)&locks[8 * (i % 16)], name))
			continue;
		found++;
		for (k = 0; name[k] == (char)('a' + i % 16); k++)
			continue;
		torn += !k || name[k];
	}
	atomic_store(&over, true);
	for (i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	worker_checks_passed();
	ck_assert_uint_eq(torn, 0);
}
END_TEST

/* Forked at any moment of another's writing. */
START_TEST(goes_on_in_a_forked_child)
{
	pthread_t threads[WRITERS];
	unsigned i, forks;

	atomic_store(&over, false);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, rename_all, (void *)(uintptr_t)i);
	for (forks = 0; forks < (SANITIZED ? FORKS / 10 : FORKS); forks++) {
		pid_t pid = fork();

		if (!pid) {
			child_alarm(10);
			for (i = 0; i < 16; i++)
				child_check(!vitals_lock_name(&locks[8 * i], "child") &&
					    !strcmp(name_of(&locks[8 * i]), "child"));
			for (i = 0; i < NAMES - 16; i++)
				child_check(
					!vitals_lock_name(&locks[8 * 16 + i], "more"));
			child_check(vitals_lock_name(&locks[4 * NAMES - 1], "more") ==
				    -ENOSPC);
			_exit(0);
		}
		child_passed(pid);
	}
	atomic_store(&over, true);
	for (i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	worker_checks_passed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("locknames");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, names_a_lock_until_it_has_none);
	tcase_add_test(tc, refuses_what_is_no_name);
	tcase_add_test(tc, has_room_for_so_many_over_and_over);
	tcase_add_test(tc, is_read_in_one_piece_while_it_is_written);
	tcase_add_test(tc, goes_on_in_a_forked_child);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
