/* SPDX-License-Identifier: MIT */

/*
 * Quitter
 *
 * One scope of shutdown. Everybody in it can ask "must I quit?" at no cost, be
 * woken by the request, be waited for under one deadline, and be named if late.
 * The root, the main quitter, listens to signals and descriptors.
 */

#ifndef VITALS_QUITTER_H
#define VITALS_QUITTER_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/* When a quitter is told. A child is told no later than its parent's cascade. */
enum vitals_stage {
	VITALS_STAGE_QUIT = 0,
	VITALS_STAGE_DRAIN = 1, /* first: stops accepting, finishes what is under way */
	VITALS_STAGE_FLUSH = 2, /* last: metrics, logs; always gets its share */
};

/* What the library does when the time to leave is up, and somebody is still there. */
enum vitals_at_deadline {
	VITALS_RETURN_AT_DEADLINE = 0, /* nothing: finish returns, and says who is late */
	VITALS_EXIT_AT_DEADLINE = 1,   /* _exit(): the process leaves, whoever hangs */
	VITALS_ABORT_AT_DEADLINE = 2,  /* SIGABRT, for a core; VITALS_ABORT=off: exit */
};

/* What a quit came from. */
enum vitals_cause_kind {
	VITALS_CAUSE_NONE = 0, /* not told to quit */
	VITALS_CAUSE_CALL = 1,
	VITALS_CAUSE_SIGNAL = 2,
	VITALS_CAUSE_FD = 3,
	VITALS_CAUSE_THREAD_ENDED = 4,
	VITALS_CAUSE_THREAD_FAILED = 5,
	VITALS_CAUSE_ALL_DONE = 6, /* everything has returned by itself */
};

/**
 * struct vitals_quitter_options - what vitals_quitter_new() may be told
 * @size: set by VITALS_INIT()
 * @flags: 0
 * @stage: one of enum vitals_stage; of the main quitter's own children only
 * @timeout_ns: its threads' time to leave, from when it is told; a wait for it is over then, at
 *              the latest. 0: the parent's
 * @ready_off_ns: of the main quitter only: how long after readiness has gone the
 *                first thread is told. SIGINT from a terminal does not wait for it
 * @at_deadline: of the main quitter only: enum vitals_at_deadline
 * @report_fd: of the main quitter only: a descriptor to which a line is written for each thread
 *             that was told and has not left, at half and four fifths of the time, and when it is
 *             up; 0: none. Written to by the monitor or by finish, without heap and stdio, for no
 *             longer than 10 ms. Keep it open until the quitter is freed
 * @leave_at: of the main quitter only: which request by signal leaves the process, with
 *            128 + its number, from the handler itself; 0: the third
 * @late_status: of the main quitter only: the exit status if somebody is late, 1 to 255; 0: 1
 */
struct vitals_quitter_options {
	uint32_t size;
	uint32_t flags;
	uint32_t stage;
	uint32_t reserved;
	uint64_t timeout_ns;
	uint64_t ready_off_ns;
	uint32_t at_deadline;
	int32_t report_fd;
	uint32_t leave_at;
	uint32_t late_status;
};

/**
 * struct vitals_cause - why a quitter was told
 * @size: set by VITALS_INIT()
 * @kind: one of enum vitals_cause_kind
 * @index: of the event that on_signal or on_fd returned; -1: none
 * @signo: the signal, for VITALS_CAUSE_SIGNAL
 * @sender_pid: who sent it, 0 if the kernel did
 * @sender_uid: as whom
 * @status: as given to send_quit, or the failed thread's
 * @at_ns: when, CLOCK_MONOTONIC
 * @thread_id: the thread that ended or failed, else 0
 * @origin_id: the quitter it was said to
 * @text: as given
 */
struct vitals_cause {
	uint32_t size;
	uint32_t kind;
	int32_t index;
	int32_t signo;
	int32_t sender_pid;
	uint32_t sender_uid;
	int32_t status;
	uint32_t reserved;
	uint64_t at_ns;
	uint64_t thread_id;
	uint64_t origin_id;
	char text[VITALS_TEXT_MAX];
};

/**
 * struct vitals_result - how a shutdown ended
 * @size: set by VITALS_INIT()
 * @status: 0 if all returned and the cause's status is 0; the cause's status if all
 *          returned; 1, or the options' late_status, if somebody is late
 * @index: of the event that ended it, in the order of the on_ calls; -1: none
 * @late: threads and holds that did not leave
 * @abandoned: threads no longer waited for
 * @took_ns: from the request to the end of the wait
 * @kind: of the cause, enum vitals_cause_kind
 * @signo: of the cause
 * @text: of the cause
 */
struct vitals_result {
	uint32_t size;
	int32_t status;
	int32_t index;
	uint32_t late;
	uint32_t abandoned;
	uint32_t kind;
	int32_t signo;
	uint32_t reserved;
	uint64_t took_ns;
	char text[VITALS_TEXT_MAX];
};

/**
 * vitals_quitter_new_main() - make the registry's root quitter, named "main"
 * @registry: NULL: the process's own
 * @timeout_ns: how long everybody has to leave, from the request on
 * @options: NULL: the defaults
 * @ret: receives the quitter
 *
 * Threads: any.
 * Return: 0; -EEXIST the second time, until the first is freed; -EINVAL for @ret
 * NULL, @timeout_ns 0 or an unknown option; -E2BIG; -ENOMEM; -ECANCELED in a forked
 * child. @ret is NULL after an error.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_quitter_new_main(vitals_registry *registry, uint64_t timeout_ns,
			    const struct vitals_quitter_options *options,
			    vitals_quitter **ret);

/**
 * vitals_quitter_new() - make a scope inside a scope
 * @parent: the scope around it
 * @name: what reports call it; unique by "#n" among its living siblings
 * @options: NULL: the defaults
 * @ret: receives the quitter
 *
 * Threads: any.
 * Return: 0; -ECANCELED if @parent was told to quit, and in a forked child; -EINVAL for NULL,
 * a bad name or an unknown option; -E2BIG; -ENOMEM. @ret is NULL after an error.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_quitter_new(vitals_quitter *parent, const char *name,
		       const struct vitals_quitter_options *options,
		       vitals_quitter **ret);

/**
 * vitals_quitter_free() - let go of a quitter
 * @quitter: NULL does nothing
 *
 * Never waits, and tells nobody to quit. What its threads, holds and children still
 * hold lives on, listed and waited for by its parent, until the last of them has left.
 * Freeing the main quitter puts the signal handlers back as they were.
 *
 * Threads: any; once.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_quitter *vitals_quitter_free(vitals_quitter *quitter);

/**
 * vitals_quitter_on_signal() - a signal is a request to quit
 * @main_quitter: the main quitter
 * @signo: the signal
 * @text: what reports call it; NULL: its name
 *
 * Installs a handler (SA_SIGINFO, SA_RESTART, SA_ONSTACK) for just this signal and
 * chains to the one before. A signal that is ignored when this is called stays ignored
 * (nohup). The second signal during a shutdown expires its deadline, but for the share of
 * those who flush; the third, or the leave_at-th, leaves with 128 + @signo from the handler
 * itself. The same signal twice within 500 ms is one request.
 *
 * Threads: any.
 * Return: the event's index, 0 or more; -EINVAL for NULL, not a main quitter, or a signal
 * that cannot be caught; -EEXIST for a signal asked for already; -ENOSPC past 64 events;
 * -ECANCELED in a forked child.
 */
VITALS_EXPORT
int vitals_quitter_on_signal(vitals_quitter *main_quitter, int signo, const char *text);

/**
 * vitals_quitter_on_fd() - a descriptor that turns readable is a request to quit
 * @main_quitter: the main quitter
 * @fd: never read from, never closed; keep it open until the quitter is freed
 * @text: what reports call it; NULL: "fd"
 *
 * Hang-up and error count as readable. A descriptor that the host has closed counts as
 * never readable.
 *
 * Threads: any.
 * Return: the event's index, 0 or more; -EINVAL for NULL, not a main quitter or @fd below
 * 0; -ENOSPC past 64 events; -ECANCELED in a forked child.
 */
VITALS_EXPORT
int vitals_quitter_on_fd(vitals_quitter *main_quitter, int fd, const char *text);

/**
 * vitals_quitter_must_quit() - must I leave?
 * @quitter: NULL: never
 *
 * Two loads, no lock, no system call; also from a signal handler.
 *
 * Threads: any.
 * Return: 1 from the request on; else 0, as in a forked child.
 */
VITALS_EXPORT
int vitals_quitter_must_quit(const vitals_quitter *quitter);

/**
 * vitals_quitter_fd() - the same question for poll
 * @quitter: the quitter
 *
 * Readable from the request on, for every reader, however often one reads from it.
 * Made with the first call, close-on-exec, closed with the quitter; never close it.
 *
 * Threads: any.
 * Return: the descriptor; -EINVAL for NULL; -ECANCELED in a forked child; -EMFILE, -ENFILE or
 * -ENOMEM.
 */
VITALS_EXPORT
int vitals_quitter_fd(vitals_quitter *quitter);

/**
 * vitals_quitter_cause() - why was it told?
 * @quitter: the quitter
 * @ret: a record with its size set; the first cause wins and children inherit it
 *
 * Threads: any.
 * Return: 0, with kind VITALS_CAUSE_NONE if it was not told, and in a forked child; -EINVAL for
 * NULL or a size below 4.
 */
VITALS_EXPORT
int vitals_quitter_cause(const vitals_quitter *quitter, struct vitals_cause *ret);

/**
 * vitals_quitter_send_quit() - tell everybody in it to leave
 * @quitter: NULL does nothing
 * @status: the exit status that goes with it, for a main quitter
 * @text: why; copied, cut at 63 bytes; NULL: none
 *
 * When it returns, every descendant answers must_quit with 1 and refuses to fork, and
 * whoever waits in ours has been woken. Does not wait for anybody. A main quitter with
 * stages or a ready-off delay begins them.
 *
 * Threads: any.
 * Return: 0, also in a forked child, where it does nothing; -EALREADY if it was told before,
 * the first cause stays; -EINVAL for NULL.
 */
VITALS_EXPORT
int vitals_quitter_send_quit(vitals_quitter *quitter, int status, const char *text);

/**
 * vitals_quitter_wait_done() - wait until everybody in it has left
 * @quitter: the quitter, its whole subtree
 * @timeout_ns: from now; one deadline for all of it. 0: look only
 * @late: receives, after -ETIMEDOUT, a snapshot of just the late threads and holds, to be
 *        freed; NULL: not wanted. Set to NULL otherwise, and also if there is no memory
 *
 * Does not tell anybody to quit. Any number of times and of waiters. A quitter that was told has
 * a time to leave by, its own timeout_ns or that of one around it, whichever is over first: a wait
 * that began before is over then, too.
 *
 * Threads: any. From a thread of that subtree it could never end: -EDEADLK at once.
 * Return: 0; -ETIMEDOUT; -EDEADLK; -EINVAL for NULL; -ECHILD in a forked child.
 */
VITALS_EXPORT
int vitals_quitter_wait_done(vitals_quitter *quitter, uint64_t timeout_ns,
			     vitals_snapshot **late);

/**
 * vitals_quitter_hold() - count work that is not a thread
 * @quitter: the quitter
 * @what: its name in reports; the same name counts up
 *
 * For requests, uploads, what is in a queue. Takes no lock, for one or two names in a quitter, while
 * nobody waits for it, in it or anywhere; a name that comes and goes is the same hold, whose age in
 * reports then counts from its first.
 *
 * Threads: any.
 * Return: 0; -ECANCELED once told to quit, and in a forked child; -EINVAL for NULL or a bad
 * name; -ENOMEM.
 */
VITALS_EXPORT
VITALS_MUST_CHECK
int vitals_quitter_hold(vitals_quitter *quitter, const char *what);

/**
 * vitals_quitter_release() - the end of a hold
 * @quitter: as held
 * @what: as held
 *
 * Threads: any.
 * Return: 0, also in a forked child, where it does nothing; -EINVAL for NULL or what is not
 * held.
 */
VITALS_EXPORT
int vitals_quitter_release(vitals_quitter *quitter, const char *what);

/**
 * vitals_quitter_abandon() - no longer wait for a thread
 * @quitter: the quitter it is in, or one above
 * @thread_id: as in vitals_event, vitals_thread_info and vitals_thread_id()
 *
 * The thread is told to leave and stays listed; it changes neither what wait_done answers
 * nor the exit status. Its heartbeat is closed and its name is free: a replacement may be
 * forked under it. Also how a dead one is put away.
 *
 * Threads: any.
 * Return: 0, also in a forked child, where it does nothing; -EALREADY if it is; -ESRCH if there
 * is no such thread in @quitter; -EINVAL for NULL or 0.
 */
VITALS_EXPORT
int vitals_quitter_abandon(vitals_quitter *quitter, uint64_t thread_id);

/**
 * vitals_quitter_finish() - wait for an event, stop everything, say how it went
 * @main_quitter: the main quitter
 * @result: a record with its size set; NULL: not wanted
 * @late: as for vitals_quitter_wait_done()
 *
 * Waits for the first of: an event of on_signal or on_fd, send_quit on the main quitter,
 * or that every thread there was has returned. Then turns readiness off, tells the stages in
 * order (drain, quit, flush) and waits, all within the main quitter's timeout, counted from
 * the event. Those who flush have a tenth of it, at most 1 s, to themselves at the end. When it is
 * up and somebody is late, it returns, or the process ends, as at_deadline says; also if a stuck
 * thread holds a lock of ours, of stdio or of the allocator.
 *
 * Threads: one that is not in the tree (-EDEADLK), usually main.
 * Return: the exit status, 0 or more, as in vitals_result; -EINVAL for NULL, not a main
 * quitter or a @result of size 0; -EDEADLK; -ECHILD in a forked child.
 */
VITALS_EXPORT
int vitals_quitter_finish(vitals_quitter *main_quitter, struct vitals_result *result,
			  vitals_snapshot **late);

/**
 * vitals_exit() - finish, name who is late, and leave the process
 * @main_quitter: the main quitter; NULL leaves with 1 at once
 *
 * Writes a line for each thread that was told and is still there to stderr, or to report_fd: at
 * half and four fifths of the time, and when it is up; by write(2) alone. Then exit() if all have
 * returned, _exit() if not, for destructors under living threads crash; or SIGABRT, if at_deadline
 * says so. Whatever hangs, the process is gone by the deadline: also if this thread is kept from
 * getting any further. Handlers of exit() have what is left of the time, at least 1 s.
 *
 * The process's status is finish's answer: 0 if all returned, whatever signal asked for it;
 * the status of send_quit, or of the thread that failed, if all returned; 1, or the
 * late_status of the options, if somebody is late; 128 + the signal if the third, or the
 * leave_at-th, ended it.
 * So a graceful stop by SIGTERM is 0 and not 143: systemd and Kubernetes read it as a clean
 * stop (Restart=on-failure leaves it at that, a pod has "Completed"), and 1 as a failure that
 * is worth a look.
 *
 * Threads: as vitals_quitter_finish().
 * Return: never.
 */
VITALS_EXPORT
__attribute__((noreturn)) void vitals_exit(vitals_quitter *main_quitter);

/* How a handle begins, for the inline form of must_quit; not for anybody else. */
struct vitals_quitter_head {
	const uint64_t *word;
	const uint64_t *stage;
};
#define VITALS_QUIT_BIT 1u

static inline int vitals_quitter_must_quit_inline(const vitals_quitter *quitter)
{
	const struct vitals_quitter_head *head =
		(const struct vitals_quitter_head *)(const void *)quitter;

	/* Acquire: what was written before the request is seen by whoever obeys it. */
	if (!head)
		return 0;
	return (int)((__atomic_load_n(head->word, __ATOMIC_ACQUIRE) |
		      __atomic_load_n(head->stage, __ATOMIC_ACQUIRE)) &
		     VITALS_QUIT_BIT);
}

#ifndef VITALS_NO_INLINE
#define vitals_quitter_must_quit(quitter) vitals_quitter_must_quit_inline(quitter)
#endif

VITALS_END_DECLS

#endif
