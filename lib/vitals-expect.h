/* SPDX-License-Identifier: MIT */

/*
 * Expectation
 *
 * For a service's own unit tests: a piece of code that must not go silent. If it does, the test
 * fails while it is stuck, with a line that says where, rather than by a timeout that says nothing.
 */

#ifndef VITALS_EXPECT_H
#define VITALS_EXPECT_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/**
 * VITALS_EXPECT_NO_STALL() - the body must not go silent
 * @ms: silence longer than this fails the test, in milliseconds
 *
 *	VITALS_EXPECT_NO_STALL(100) {
 *		queue_drain(queue);
 *	}
 *
 * The calling thread is watched, with a heartbeat and a monitor of its own (two threads, as long as
 * it lasts), so that other registries have no part in it. A body that is one piece of work just has
 * to end in time; a longer one, or the code under test, beats vitals_expected() now and then. When
 * it is silent for longer, found two ticks (of an eighth of @ms, at least a millisecond) later at the
 * latest, a line goes to stderr and SIGABRT to the stuck thread and to the process: a failure in
 * Check, in gtest and in plain programs, with a core in which the stuck thread shows. So does one
 * that went silent and came back, and one that cannot be watched (no memory, no thread, a bad @ms).
 * A process that is stopped, by a signal or a debugger, is not silent. VITALS_TIMEOUT_SCALE makes
 * all of them longer; with VITALS=off nothing is watched.
 *
 * break, continue, return, goto and C++ exceptions out of the body end it; break and continue mean
 * the body, not a loop around it. longjmp does not, nor does a test framework that leaves by it:
 * the thread is watched until it ends or until vitals_expect_end(vitals_expected()) where it lands.
 * They nest, each with its own time, the begin and the end of an inner one being beats of the outer;
 * threads have them side by side. A child forked in the body is not watched.
 */
#define VITALS_EXPECT_NO_STALL(ms)                                                       \
	VITALS_EXPECT_AT_(ms, VITALS_EXPECT_NAME_(vitals_expectation_, __LINE__))

/**
 * vitals_expected() - the heartbeat of the innermost expectation of the calling thread
 *
 * To be beaten; pulse, touch and idle do nothing to NULL, so code may call them whether it is
 * under test or not. Never unref or close it.
 *
 * Threads: any.
 * Return: the heartbeat, valid until the expectation's end; NULL outside of any.
 */
VITALS_EXPORT
vitals_heartbeat *vitals_expected(void);

/**
 * vitals_expect_begin() - what VITALS_EXPECT_NO_STALL() begins with
 * @timeout_ns: silence longer than this aborts the process; 1 ms to 10 years
 * @file: for the line on stderr; not copied, nor is @function
 * @line: of @file
 * @function: the body's
 *
 * Threads: any; each is watched for itself.
 * Return: its heartbeat. Aborts the process if it cannot be watched.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
vitals_heartbeat *vitals_expect_begin(uint64_t timeout_ns, const char *file, int line,
				      const char *function);

/**
 * vitals_expect_end() - what VITALS_EXPECT_NO_STALL() ends with
 * @expected: of vitals_expect_begin(); NULL does nothing
 *
 * And whatever was begun inside it and not ended. Aborts the process if it was silent.
 *
 * Threads: the one that began it; elsewhere, and for one that has ended, it does nothing.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_heartbeat *vitals_expect_end(vitals_heartbeat *expected);

/* The loop around a body; not for anybody else. */
struct vitals_expectation {
	vitals_heartbeat *expected;
	int left;
};

static inline struct vitals_expectation vitals_expectation_begin(uint64_t timeout_ns,
								 const char *file,
								 int line,
								 const char *function)
{
	struct vitals_expectation expectation = { NULL, 1 };

	expectation.expected = vitals_expect_begin(timeout_ns, file, line, function);
	return expectation;
}

static inline void vitals_expectation_end(struct vitals_expectation *expectation)
{
	(void)vitals_expect_end(expectation->expected);
}

#define VITALS_EXPECTATION_                                                              \
	__attribute__((cleanup(vitals_expectation_end))) struct vitals_expectation
#define VITALS_EXPECT_NAME_(prefix, line) VITALS_EXPECT_JOIN_(prefix, line)
#define VITALS_EXPECT_JOIN_(prefix, line) prefix##line
#define VITALS_EXPECT_AT_(ms, name)                                                      \
	for (VITALS_EXPECTATION_ name = vitals_expectation_begin(                        \
		     VITALS_MS(ms), __FILE__, __LINE__, __func__);                       \
	     name.left; name.left = 0)

VITALS_END_DECLS

#endif
