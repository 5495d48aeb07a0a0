/* SPDX-License-Identifier: MIT */

/*
 * Topics
 *
 * What is measured, a file a topic: each adds its rows to the table.
 */

#ifndef TOPICS_H
#define TOPICS_H

#include <stdbool.h>
#include <stdint.h>

/* How hard to look. */
struct effort {
	bool brief;    /* a minute or two for all topics rather than ten */
	uint64_t seed; /* of what is random */
};

void beats_bench(const struct effort *effort);
void scopes_bench(const struct effort *effort);
void questions_bench(const struct effort *effort);
void holds_bench(const struct effort *effort);
void cores_bench(const struct effort *effort);
void register_bench(const struct effort *effort);
void scale_bench(const struct effort *effort);
void tree_bench(const struct effort *effort);
void polls_bench(const struct effort *effort);
void wakes_bench(const struct effort *effort);
void tells_bench(const struct effort *effort);
void joins_bench(const struct effort *effort);
void evidence_bench(const struct effort *effort);
void watch_bench(const struct effort *effort);

/* Without it there is nothing to measure: says where, and exits with 2. */
#define must(condition) ((condition) ? (void)0 : must_at(#condition, __FILE__, __LINE__))
__attribute__((noreturn)) void must_at(const char *condition, const char *file, int line);

/* Progress of a long part, on stderr. */
__attribute__((format(printf, 1, 2))) void progress(const char *format, ...);

/* xorshift64*: the next of a row of random numbers. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

#endif
