/* SPDX-License-Identifier: MIT */

/*
 * Thread
 *
 * What runs in a member: fork and adopt, the end of a thread by whatever way, who joins
 * it, and what others may do to it.
 */

#ifndef VT_THREAD_H
#define VT_THREAD_H

#include "member.h"

/* Can threads know themselves? Return: 0; -EAGAIN without a key. */
int vt_self_ready(void);

/* The calling thread's handle from now on, NULL: none. Return: 0; -EAGAIN. */
int vt_self_set(vitals_thread *self);

/*
 * Runs what is to be called for threads that were told, and joins those that are gone. Return: when
 * it has to again, UINT64_MAX: when it is woken.
 */
uint64_t vt_thread_callbacks_run(vitals_registry *registry);

/*
 * A thread has ended: what it says of its quitter, its heartbeat, and who joins it.
 * @returned: by return from its function, or by leave. In the thread itself, or for one that is gone.
 */
void vt_thread_over(vitals_thread *self, bool returned, int status);

/* What a forked child that keeps the registry inherits of its members (heir.c). */
extern const struct vt_hooks vt_heir_hooks;

/* Joins threads that have ended and are gone already; waits for none. */
void vt_reap(vitals_registry *registry);

/*
 * Joins those inside @quitter that have ended, until @deadline_ns, and puts dead ones
 * away if it was told. Return: 0; -ETIMEDOUT if one is still running its thread-exit
 * destructors.
 */
int vt_reap_until(vitals_quitter *quitter, uint64_t deadline_ns);

/* Puts away dead ones inside @quitter, for nobody will be able to any more. */
void vt_reap_dead(vitals_quitter *quitter);

/*
 * Those inside @quitter that exited raw, so that nothing of ours ran, are over. @marked_only: of
 * those alone whose heartbeat the monitor has found dead.
 */
void vt_reap_gone(vitals_quitter *quitter, bool marked_only);

/* Puts one away that is gone, and neither claimed nor counted. */
void vt_reap_away(vitals_registry *registry, vitals_thread *member);

/* Calling thread is in @quitter or below: waiting for it could never end. */
bool vt_thread_is_inside(vitals_quitter *quitter);

#endif
