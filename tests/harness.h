/* SPDX-License-Identifier: MIT */

/*
 * Harness
 *
 * What every test program shares: running its suite, checks in worker threads and in child
 * processes, files that live for one test.
 */

#ifndef HARNESS_H
#define HARNESS_H

#include <check.h>
#include <stddef.h>

/* Is this built under a sanitizer that sees to memory or threads? */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Under the one that sees to threads: it is slow, and finds nothing in long runs of one thread. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif

/*
 * Runs the suite and frees it. CK_RUN_SUITE, CK_RUN_CASE, CK_FORK, CK_VERBOSITY and
 * CK_DEFAULT_TIMEOUT are honoured. Returns what main is to return.
 */
int run_suite(Suite *suite);

/*
 * A check in a thread that is not the test's main one, where a failed ck_assert would leave by
 * longjmp or _exit. It only records, goes on, and is true when the condition is. The main thread
 * calls worker_checks_passed() once the workers are done, or has it as a teardown.
 */
#define worker_check(condition)                                                          \
	worker_check_at((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

int worker_check_at(int passed, const char *condition, const char *file, int line);
unsigned worker_failures(void);
void worker_checks_passed(void);

/* A directory of the test's own below $TMPDIR. */
#define TEMP_PATH_MAX 256

void temp_dir_make(char ret_path[TEMP_PATH_MAX]);
/* With everything in it; an empty path does nothing. */
void temp_dir_remove(const char *path);

/* Whole files; a failure fails the test. What is read is followed by a 0 and freed by the caller. */
char *file_read(const char *path, size_t *ret_size);
void file_write(const char *path, const void *data, size_t size);

/* Reads tests/golden/NAME of the source tree; the caller frees it. */
char *golden_read(const char *name, size_t *ret_size);

/* How many descriptors the process has open: the same before and after, or something leaks. */
int fd_count(void);
/* How many pages it has mapped; the same. Not from the heap. */
size_t mapped_pages(void);

/*
 * Runs a part of a test in a process of its own, which may close everything, lower its limits or
 * forbid itself system calls, and waits for it. It fails the test by child_check(), by a signal,
 * or by taking longer than CHILD_SECONDS; never by ck_assert, which writes to a file even when all
 * is well.
 */
#define CHILD_SECONDS 25
#define child_check(condition)                                                           \
	child_check_at((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

void child_run(void (*fn)(void *arg), void *arg);
/* In a child of the test's own fork: ends it by SIGALRM, as Check would end the whole test. */
void child_alarm(unsigned seconds);
void child_check_at(int passed, const char *condition, const char *file, int line);
/* Fails the test unless the child of this test's own fork ended with status 0. */
void child_passed(int pid);

#endif
