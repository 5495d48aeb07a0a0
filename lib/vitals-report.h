/* SPDX-License-Identifier: MIT */

/*
 * Report
 *
 * Where stalls are told without a line of the service's own code: a log, the journal, a file whose
 * age a simple checker can watch. All of it is off until it is asked for.
 *
 * A line is one write in logfmt:
 *
 *   time=2026-11-22T11:16:32.123Z level=error msg="worker-2 is silent" heartbeat=worker-2
 *   state=silent silence=1.2s timeout=1s class=lock
 *   doing="waits for mutex journal (0x5581), held by flusher (tid 71)" tid=70 suppressed=0
 *
 * What is found is a report: a heartbeat that turns silent, stuck or dead, or is well again after
 * that; a deadlock, all asleep, a pause of the process; a stall that still lasts at the next of its
 * intervals, which double, from its timeout or a second on. Heartbeats that turn silent within a
 * moment and wait for the same lock, or more than eight that do the same, are told in one line; it
 * stands for as many reports as it says threads. Every report is either printed or suppressed:
 * because there have been too many lines, because a heartbeat stalls again and again (it is told of
 * at once, after a second, two, four … a minute), because a newer change came before it was
 * read, or because the line could not be written. The next line that is written says how many, as
 * suppressed=; if none comes for a minute, one does for that alone. So printed and suppressed
 * together are what was found, and a stall of ten minutes is eleven lines.
 *
 * Lines are written without a lock, memory from the heap or stdio, and nobody waits for whoever
 * reads them; where an event callback does not come back, they are written all the same.
 */

#ifndef VITALS_REPORT_H
#define VITALS_REPORT_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/**
 * struct vitals_log_options - how much is written
 * @size: set by VITALS_INIT()
 * @lines_per_minute: at most; what was not used is saved up for a minute; 0: 60
 * @gather_ns: how long a report waits for more of the same; 0: two of the monitor's ticks, between
 *             20 ms and a second
 */
struct vitals_log_options {
	uint32_t size;
	uint32_t lines_per_minute;
	uint64_t gather_ns;
};

/**
 * vitals_log() - write reports to a descriptor
 * @registry: NULL: the process's own
 * @fd: a pipe, socket, terminal or file, 2 say; stays the caller's; negative: no longer
 * @options: NULL: defaults; for the journal, too
 *
 * One a registry: another takes its place. A reader that takes no more is not waited for. Once
 * the caller has closed it, or another file is at its number, nothing is written to it. A forked
 * child writes nothing unless it asks itself.
 *
 * Starts the monitor and the notifier, unless vitals_step() makes the turns.
 *
 * Threads: any.
 * Return: 0; -EBADF if @fd is not open; -EINVAL for a size of 0; -E2BIG for options that this
 * library does not know; -ENOMEM; -EAGAIN or -EPERM if the system gives no thread; -ECANCELED in a
 * forked child that has not started afresh.
 */
VITALS_EXPORT
int vitals_log(vitals_registry *registry, int fd,
	       const struct vitals_log_options *options);

/**
 * vitals_log_journal() - send reports to the journal
 * @registry: NULL: the process's own
 * @on: 1; 0: no longer
 *
 * To /run/systemd/journal/socket, in its own protocol: MESSAGE, PRIORITY, MESSAGE_ID, one for each
 * kind of report, and what a line has as VITALS_HEARTBEAT, VITALS_STATE, VITALS_CLASS, VITALS_DOING,
 * VITALS_SILENCE_USEC …. Where there is no journal, reports count as suppressed. Beside vitals_log(),
 * with its options, or alone.
 *
 * Threads: any.
 * Return: 0; -ENOMEM, -EAGAIN, -EPERM or -ECANCELED as vitals_log().
 */
VITALS_EXPORT
int vitals_log_journal(vitals_registry *registry, int on);

/**
 * vitals_heartbeat_file() - keep a file young while the process is live
 * @registry: NULL: the process's own
 * @path: absolute, copied; made if it is not there; NULL: no longer
 * @every_ns: how often its modification time is set; 0: every second
 *
 * For a checker that can do no more than look how old a file is. It is touched while /livez is 200:
 * not while a critical heartbeat is stuck or dead, nor when nobody looks; a silent one does not
 * stop it, and a shutdown does not. It is touched by this call, too, and never removed.
 *
 * The notifier touches it. If it does not for half of @every_ns, because a callback of the
 * service's holds it up, the monitor does, but only where the file lies in memory (tmpfs, as in /run
 * or /dev/shm): another file system may keep who calls it.
 *
 * Threads: any; waits for the file system.
 * Return: 0; -EINVAL for a path that is not absolute; -ENAMETOOLONG; what open(2) says, as -EACCES,
 * -ENOENT; -ENOMEM, -EAGAIN, -EPERM or -ECANCELED as vitals_log().
 */
VITALS_EXPORT
int vitals_heartbeat_file(vitals_registry *registry, const char *path, uint64_t every_ns);

VITALS_END_DECLS

#endif
