/* SPDX-License-Identifier: MIT */

/*
 * Ours
 *
 * What of the process is this library's, in all registries: its threads, its memory, and what it is
 * still going to do for somebody. Waits for no lock: where one is held nothing can be told.
 */

#ifndef VT_OURS_H
#define VT_OURS_H

#include <stdbool.h>
#include <stdint.h>

#define VT_OURS 48

/* Threads that wake nobody: ours and onlookers. */
struct vt_ours {
	uint32_t tids[VT_OURS];
	uint32_t n;
};

/*
 * @away: those too that are in a callback of the host's now, which is the host's. Return: false if
 * they cannot be told, or are too many.
 */
bool vt_ours_threads(bool away, struct vt_ours *ours);
bool vt_ours_has(const struct vt_ours *ours, uint32_t tid);

/*
 * Does a word lie in memory of ours? Then whoever waits on it waits for something of ours. What
 * cannot be told does.
 */
bool vt_ours_word(uint64_t address);

/*
 * Is something of ours going to wake a thread, by itself or for what comes from outside by a
 * descriptor: a shutdown that goes on, an event for the host's callback? @signals: quit events by
 * signal are armed; they are for those who wait in ours for being told, and count if there are any.
 * What cannot be told is. Cheap; but for @all, when it goes over all who are in a quitter.
 */
bool vt_ours_promise(bool signals, bool all);

#endif
