/* SPDX-License-Identifier: MIT */

/*
 * libvitals
 *
 * Keeps the vital signs of a service's threads (heartbeats) and of its shutdown (a tree of
 * quitters) and says, while it happens, which thread has stopped.
 *
 * Rules that hold everywhere: a NULL registry is the process's own; a NULL handle makes a call
 * do nothing and answer 0, -EINVAL or NULL; functions answer 0 or a negative errno, and
 * -ECANCELED means "leave"; durations are in nanoseconds; strings are copied and checked when
 * they come in; options and records begin with their size, and 0 is every field's default; a
 * larger options struct than the library knows is taken if the rest is 0, else -E2BIG; a record
 * is filled up to the smaller of the two sizes.
 *
 * Pairs that the caller must keep apart are marked X; "same" means on the same object. All
 * else may run at once.
 *
 *                              [1] [2] [3] [4] [5]
 * [1] heartbeat_unref (last)    X   X   -   -   -   same heartbeat
 * [2] heartbeat_pulse, touch    X   -   -   -   -   same heartbeat; enter, leave: owner
 * [3] snapshot_*                -   -   X   -   -   same snapshot
 * [4] events_next, _close       -   -   -   X   -   same reader
 * [5] quitter_free, any other   -   -   -   -   X   same quitter
 */

#ifndef VITALS_H
#define VITALS_H

#include "vitals-process.h"

#include "vitals-act.h"
#include "vitals-events.h"
#include "vitals-evidence.h"
#include "vitals-expect.h"
#include "vitals-heartbeat.h"
#include "vitals-quitter.h"
#include "vitals-report.h"
#include "vitals-snapshot.h"
#include "vitals-thread.h"

#endif
