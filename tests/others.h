/* SPDX-License-Identifier: MIT */

/*
 * Others
 *
 * What threads wait for in a futex call that has no owner; and locks that come and go.
 */

#ifndef OTHERS_H
#define OTHERS_H

#include <stdbool.h>
#include <stdint.h>

/* @waits of each: Return: whether no owner was claimed, but of a few that have one, theirs. */
bool others_run(uint32_t waits, uint64_t seed);

/* For @seconds: Return: whether no owner was claimed that never was one, nor a deadlock. */
bool churn_run(uint32_t seconds, uint64_t seed);

#endif
