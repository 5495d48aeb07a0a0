/* SPDX-License-Identifier: MIT */

/*
 * Thread
 *
 * A thread forked through a quitter, or adopted into one: counted until it is
 * really gone, with a heartbeat if it wants one. Its handle is valid in the thread
 * itself only; everybody else speaks ids, which are never used twice.
 */

#ifndef VITALS_THREAD_H
#define VITALS_THREAD_H

#include "vitals-process.h"

#include <poll.h>
#include <pthread.h>

VITALS_BEGIN_DECLS

/* Is not waited for: told when the last that is waited for has gone. */
#define VITALS_THREAD_WEAK 0x1u
/* Its end, whatever its status, tells its quitter to quit. */
#define VITALS_THREAD_QUIT_WHEN_IT_ENDS 0x2u
/* Its end with a status other than 0, or without returning, tells its quitter to quit. */
#define VITALS_THREAD_QUIT_WHEN_IT_FAILS 0x4u

/**
 * typedef vitals_thread_fn - what a forked thread runs
 * @self: the thread's handle
 * @arg: as given to vitals_thread_fork()
 *
 * Return: its status. 0 closes its heartbeat; any other end leaves it dead until it is closed, or
 * a wait for its quitter that has been told puts it away. Its destructors run after that.
 */
typedef int (*vitals_thread_fn)(vitals_thread *self, void *arg);

/**
 * struct vitals_thread_options - what fork and adopt may be told
 * @size: set by VITALS_INIT()
 * @flags: VITALS_THREAD_...
 * @heartbeat_flags: as in vitals_heartbeat_options
 * @reserved: 0
 * @interval_ns: as there
 * @start_ns: as there
 * @stuck_ns: as there
 * @group: as there
 * @attr: for the new thread (stack size, scheduling); NULL: the defaults. A detached state
 *        is not taken over: the library joins. Not for adopt
 */
struct vitals_thread_options {
	uint32_t size;
	uint32_t flags;
	uint32_t heartbeat_flags;
	uint32_t reserved;
	uint64_t interval_ns;
	uint64_t start_ns;
	uint64_t stuck_ns;
	const char *group;
	const pthread_attr_t *attr;
};

/**
 * vitals_thread_fork() - start a thread in a quitter
 * @quitter: counts it; a quit that is under way refuses it, and a fork that succeeded is
 *           waited for: there is no third case
 * @name: what reports call it, its heartbeat too, and, cut to 15 bytes, the kernel
 * @timeout_ns: of its heartbeat; 0: without one
 * @fn: what it runs
 * @arg: for @fn
 * @options: NULL: the defaults
 *
 * Implies vitals_start().
 *
 * Threads: any.
 * Return: 0; -ECANCELED if @quitter was told to quit, and in a forked child; -EINVAL for NULL, a
 * bad name or option; -E2BIG; -ENOSPC for a 257th group; -EAGAIN if the system gives no thread; -ENOMEM; -EPERM
 * for scheduling the process may not have. After an error nothing is left behind.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_thread_fork(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
		       vitals_thread_fn fn, void *arg,
		       const struct vitals_thread_options *options);

/**
 * vitals_thread_adopt() - take the calling thread into a quitter
 * @quitter: as for fork
 * @name: as for fork; the kernel's name stays
 * @timeout_ns: as for fork
 * @options: NULL: the defaults
 * @ret: receives the handle
 *
 * For threads that somebody else makes: pools, libuv, std::thread, OpenMP. One that ends
 * without vitals_thread_leave() is noticed by a TLS destructor, the last to run, see
 * vitals_heartbeat_own(): its heartbeat is dead and it is no longer waited for. In a forked child
 * of a process that was not started only the thread that forked is still in its quitter.
 *
 * Threads: any that is in no quitter yet.
 * Return: 0; -ECANCELED, -EINVAL, -E2BIG, -ENOSPC, -ENOMEM as for fork; -EBUSY if it is in one;
 * -EAGAIN without a TLS key. @ret is NULL after an error.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_thread_adopt(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
			const struct vitals_thread_options *options, vitals_thread **ret);

/**
 * vitals_thread_leave() - an adopted thread is done
 * @self: its handle, gone afterwards; NULL does nothing
 * @status: as a forked one returns
 *
 * Threads: @self only.
 */
VITALS_EXPORT
void vitals_thread_leave(vitals_thread *self, int status);

/**
 * vitals_thread_self() - the calling thread's handle
 *
 * Threads: any.
 * Return: the handle; NULL in a thread that was neither forked nor adopted.
 */
VITALS_EXPORT
vitals_thread *vitals_thread_self(void);

/**
 * vitals_thread_id() - the id by which others speak of it
 * @self: NULL has none
 *
 * Threads: @self only.
 * Return: the id, never 0; 0 for NULL.
 */
VITALS_EXPORT
uint64_t vitals_thread_id(const vitals_thread *self);

/**
 * vitals_thread_quitter() - the quitter it is in
 * @self: NULL is in none
 *
 * Threads: @self only.
 * Return: the quitter, valid while the thread is; NULL for NULL.
 */
VITALS_EXPORT
vitals_quitter *vitals_thread_quitter(const vitals_thread *self);

/**
 * vitals_thread_heartbeat() - its heartbeat
 * @self: NULL has none
 *
 * Threads: @self only.
 * Return: the heartbeat, valid while the thread is, ref it to keep it; NULL without one.
 */
VITALS_EXPORT
vitals_heartbeat *vitals_thread_heartbeat(const vitals_thread *self);

/**
 * vitals_thread_go_on() - "I am alive" and "do I go on?" in one
 * @self: NULL must leave
 *
 * A pulse, and the questions: was its quitter, its stage or itself told to leave?
 *
 * Threads: @self only.
 * Return: 1; 0 to leave.
 */
VITALS_EXPORT
int vitals_thread_go_on(vitals_thread *self);

/**
 * vitals_thread_sleep() - wait, idle, until a time has passed or it must leave
 * @self: NULL must leave
 * @ns: how long, VITALS_FOREVER: until it must leave
 *
 * Threads: @self only.
 * Return: 0 after all of @ns; -ECANCELED as soon as it must leave.
 */
VITALS_EXPORT
int vitals_thread_sleep(vitals_thread *self, uint64_t ns);

/**
 * vitals_thread_poll() - poll, idle, until there is something or it must leave
 * @self: NULL must leave
 * @fds: as for poll(2); NULL if @n is 0
 * @n: how many, at most 1 023
 * @ns: how long at most; 0: look only; VITALS_FOREVER
 *
 * Threads: @self only.
 * Return: how many of @fds have something; 0 when the time has passed; -ECANCELED as soon as
 * it must leave; -EINVAL for too many; -EINTR, -ENOMEM, -EMFILE or -ENFILE.
 */
VITALS_EXPORT
int vitals_thread_poll(vitals_thread *self, struct pollfd *fds, unsigned n, uint64_t ns);

/**
 * vitals_thread_cond_wait() - wait, idle, on a condition or until it must leave
 * @self: NULL must leave
 * @cond: as for pthread_cond_wait
 * @mutex: locked by the caller, and again when it returns
 * @ns: how long at most; VITALS_FOREVER
 *
 * Wakes for nothing, as pthread_cond_wait may: look at the predicate again.
 *
 * Threads: @self only.
 * Return: 0; -ETIMEDOUT; -ECANCELED as soon as it must leave; -EINVAL for NULL; -EPERM or
 * -EOWNERDEAD as pthread_cond_wait says of a checking or robust @mutex.
 */
VITALS_EXPORT
int vitals_thread_cond_wait(vitals_thread *self, pthread_cond_t *cond,
			    pthread_mutex_t *mutex, uint64_t ns);

/**
 * vitals_thread_on_quit() - what gets it out of a blocking call
 * @self: the thread
 * @unblock: called when it is told to leave, without a lock of ours, in another thread:
 *           shutdown(fd), a flag that a progress callback reads. Called once more when half its
 *           time to leave is gone and it is still there, so it must do no harm twice, and it must
 *           not block, for others wait behind it. NULL: no longer
 * @user: for @unblock
 *
 * One at a time; the next call replaces it. When this returns the callback before is not
 * running any more. Told already: it is called at once, here. All signals may be blocked in
 * it, as in vitals_on_event().
 *
 * Threads: @self only.
 * Return: 0, also in a forked child, where nothing calls it; -EINVAL for NULL @self; -EDEADLK from
 * the callback itself.
 */
VITALS_EXPORT
int vitals_thread_on_quit(vitals_thread *self, void (*unblock)(void *user), void *user);

VITALS_END_DECLS

#endif
