/* SPDX-License-Identifier: MIT */

/*
 * Act
 *
 * What the library does about a stuck heartbeat when it is asked to, beside telling of it: a command
 * that looks at the process from outside while it is stuck, and the end of the process, with a core
 * that shows the culprit. Nothing of it happens by itself.
 */

#ifndef VITALS_ACT_H
#define VITALS_ACT_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/* vitals_abort_options.flags */
#define VITALS_ABORT_EVEN_IF_STARVED 1u /* the machine's fault counts, too */
#define VITALS_ABORT_EVEN_UNDER_DEBUGGER 2u
#define VITALS_ABORT_DRY_RUN 4u /* says so, and goes on */
#define VITALS_ABORT_OFF 8u     /* no longer */

/**
 * struct vitals_abort_options - when to end the process
 * @size: set by VITALS_INIT()
 * @flags: VITALS_ABORT_... or 0
 * @after_ns: so long at least as many as @quorum must have been stuck on end; 0: at once. Time in
 *            which the process did not run does not count
 * @jitter_ns: and up to so much longer, by chance, so that a fleet does not end in one moment;
 *             chosen anew each time, when enough are stuck
 * @core_ns: how long the core may take to be written before the process is killed; 0: 60 s
 * @quorum: so many of the critical heartbeats; 0: 1
 * @quorum_percent: and this share of them, rounded up, if that is more; at most 100
 *
 * A heartbeat counts that is stuck or dead, and not informative; one whose thread the machine does
 * not let run (VITALS_STARVED) does not, unless the flags say so.
 */
struct vitals_abort_options {
	uint32_t size;
	uint32_t flags;
	uint64_t after_ns;
	uint64_t jitter_ns;
	uint64_t core_ns;
	uint32_t quorum;
	uint32_t quorum_percent;
};

/**
 * vitals_abort_when_stuck() - let the process end when it is stuck
 * @registry: NULL: the process's own
 * @options: NULL: all defaults: as soon as one is stuck
 *
 * By SIGABRT to the thread that has been silent longest, so that the core shows it as the one that
 * crashed; from a thread of ours where there is no such thread any more, or it blocks the signal. A
 * handler of the host's is called, and has a second; then its default action ends the process,
 * whatever the handler does. Whoever recovers before that stops it. The monitor does it alone: no
 * callback, no lock and no memory that a stuck thread holds is needed. Behind it stands a timer of the
 * kernel's that kills the process after @core_ns, armed first. It does not reach the first process
 * of a pid namespace, which has no core either: that one exits, with 134.
 *
 * While a debugger holds the process it is put off, and once more after that. VITALS_ABORT=off in
 * the environment turns it off, read by this call; a process with changed privileges (secure_getenv)
 * does not read it. A later call takes the place of the one before. A forked child of a started
 * process does not inherit it.
 *
 * Threads: any.
 * Return: 0, also with VITALS=off and VITALS_ABORT=off; -EINVAL for unknown flags or a percentage
 * over 100; -E2BIG; -ENOMEM; -ECANCELED in a forked child that has not started afresh.
 */
VITALS_EXPORT
int vitals_abort_when_stuck(vitals_registry *registry,
			    const struct vitals_abort_options *options);

/* vitals_capture_options.flags */
#define VITALS_CAPTURE_OFF 1u /* no longer */

/* How many arguments a command may have, and how many bytes they may take, each with its 0. */
#define VITALS_CAPTURE_ARGUMENTS 32
#define VITALS_CAPTURE_BYTES 2048

/**
 * struct vitals_capture_options - which command to run when a heartbeat is stuck
 * @size: set by VITALS_INIT()
 * @flags: VITALS_CAPTURE_... or 0
 * @command: its name, in PATH or from '/' on, and its arguments, ended by NULL; an argument "%p" is
 *           replaced by the number of the process; copied. NULL: "vitals why --stacks %p"
 * @output: path, from '/' on, of a file that is appended to, made with mode 0600 if it is not there,
 *          no symbolic link; or of a socket that takes a stream as journald's does; copied.
 *          NULL: journald's
 * @timeout_ns: the command and its children are killed after that; 0: 60 s
 * @per_hour: no more often; 0: 4; at most 64
 * @reserved: 0
 */
struct vitals_capture_options {
	uint32_t size;
	uint32_t flags;
	const char *const *command;
	const char *output;
	uint64_t timeout_ns;
	uint32_t per_hour;
	uint32_t reserved;
};

/**
 * vitals_capture() - run a command when a heartbeat is stuck
 * @registry: NULL: the process's own
 * @options: NULL: all defaults
 *
 * For what can only be seen from outside: stacks, with a debugger. When a heartbeat turns stuck, one
 * command at a time; what turns stuck while one runs is not captured. While it runs it alone, with
 * its children, may trace the process (PR_SET_PTRACER, which afterwards is nobody: a host that
 * allowed somebody else allows him again). Its output begins with a line that says who is stuck and
 * ends with one that says how it ended.
 *
 * It runs in a process group of its own, in "/", by way of /bin/sh, with no descriptor of the host's,
 * signals as after a reboot, and an environment of PATH and VITALS_PID, VITALS_TID and
 * VITALS_HEARTBEAT (whose is stuck). It is a child of the process: a SIGCHLD handler of the host's
 * hears of it, and who waits for any child may be told of its end; that is fine.
 *
 * Starts a thread, which waits in a descriptor table of its own, so that neither a command that hangs
 * nor a callback that does keeps anybody. A later call takes the place of the one before.
 *
 * Threads: any but the callback of vitals_on_event() (-EDEADLK).
 * Return: 0, also with VITALS=off; -ENOENT if the command is not found, or /bin/sh is not; -EACCES
 * if it is no program; -EINVAL for unknown flags, an empty command, paths that do not begin with
 * '/', or a limit over 64; -E2BIG for too many or too long arguments, or an options struct of a later
 * library; -ENAMETOOLONG; -ENOSYS if the system gives no descriptor table; -EAGAIN, -EPERM or -ENOMEM
 * if it gives no thread; -EDEADLK; -ENOSPC past 64 readers of events; -ECANCELED in a forked child that
 * has not started afresh.
 */
VITALS_EXPORT
int vitals_capture(vitals_registry *registry,
		   const struct vitals_capture_options *options);

VITALS_END_DECLS

#endif
