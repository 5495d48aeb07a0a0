/* SPDX-License-Identifier: MIT */

/*
 * Evidence
 *
 * What a thread that does not beat, or does not leave, is doing: one record, one sentence, the same
 * in events, rows, /health, metrics and log lines. It is read from /proc, from the memory of the
 * process and from its clocks, by the monitor: no signal, no privilege, no lock, no memory from the
 * heap, and nothing is asked of the thread itself.
 *
 * It is looked at when a heartbeat has been silent for half its timeout, several times until it is
 * called silent, then, and again when it is called stuck; late threads from half their time to leave.
 */

#ifndef VITALS_EVIDENCE_H
#define VITALS_EVIDENCE_H

#include "vitals-process.h"

VITALS_BEGIN_DECLS

/* The longest sentence, with its 0. */
#define VITALS_DOING_MAX 512

/* May it be looked at? */
enum vitals_evidence_mode {
	VITALS_EVIDENCE_AUTO =
		0, /* unless a filter of system calls was installed since start */
	VITALS_EVIDENCE_ON = 1,  /* also then: the filter lets it pass */
	VITALS_EVIDENCE_OFF = 2, /* no; deaths and silence are still noticed */
};

/* What a thread is doing, in one word. */
enum vitals_class {
	VITALS_UNKNOWN =
		0, /* it was not looked at, or could not be: the reason says why */
	VITALS_RUNNING =
		1, /* it runs, or may; it was looked at too shortly to say more */
	VITALS_SPINNING = 2, /* it runs all the time */
	VITALS_STARVED = 3,  /* it could run, and the machine does not let it */
	VITALS_ON_LOCK = 4,  /* it waits for a lock */
	VITALS_ON_IO = 5,    /* for a descriptor, a disk */
	VITALS_SLEEPING = 6, /* for the time to pass */
	VITALS_ON_CHILD = 7, /* for a process */
	VITALS_BLOCKED =
		8, /* for something else: a condition, a semaphore, a thread, a signal */
	VITALS_HALTED = 9, /* stopped by a signal or a debugger */
	VITALS_GONE = 10,  /* there is no such thread any more */
};
#define VITALS_CLASSES 11

/* Why something is missing from a record. */
enum vitals_reason {
	VITALS_REASON_NONE = 0,
	VITALS_REASON_NOT_DUMPABLE =
		1, /* since a setuid: User=, or prctl(PR_SET_DUMPABLE, 1) */
	VITALS_REASON_NO_PROC = 2,  /* /proc is not mounted, or hides the process */
	VITALS_REASON_NO_FILES = 3, /* no descriptor is left */
	VITALS_REASON_SECCOMP = 4,  /* a filter was installed after start */
	VITALS_REASON_OFF = 5,      /* the service does not want it */
	VITALS_REASON_NO_TIME = 6,  /* too many at once */
	VITALS_REASON_REFUSED = 7,  /* by something else, a security module say */
};
#define VITALS_REASONS 8

/* What a thread waits for when that can have an owner, or is known. */
enum vitals_lock_kind {
	VITALS_LOCK_NONE = 0,
	VITALS_LOCK_MUTEX = 1,
	VITALS_LOCK_RWLOCK = 2,
	VITALS_LOCK_THREAD = 3, /* joins one */
	VITALS_LOCK_FUTEX =
		4, /* something else that threads sleep on: no owner is known */
};

/**
 * struct vitals_evidence - what a thread is doing
 * @size: set by VITALS_INIT()
 * @thread_class: enum vitals_class
 * @reason: enum vitals_reason; why something is missing
 * @tid: the kernel's number of the thread
 * @at_ns: when it was looked at last, CLOCK_MONOTONIC
 * @window_ns: how long before that it was looked at first: what the counts are over
 * @took_ns: what the last look took
 * @looks: how many there were
 * @state: the kernel's letter for it: 'R', 'S', 'D', 'T', 't', 'Z', …; 0: not known
 * @call: number of the system call it is in; -1: in none; -2: not known
 * @moved: 1: there was a sign of life between the looks
 * @args: of the call
 * @cpu_ns: processor time in the window, by the thread's own clock
 * @user_ns: in the window, to the clock tick (10 ms)
 * @system_ns: as @user_ns
 * @run_delay_ns: in the window, ready and not let run; a wait that still lasts may not be in it
 * @voluntary: context switches in the window that it asked for
 * @involuntary: and that it did not
 * @minor_faults: page faults in the window, without the disk
 * @major_faults: and with
 * @throttled_ns: in the window, how long the process's control group was held back
 * @lock: address of what it waits for; 0: none, or not known
 * @lock_kind: enum vitals_lock_kind
 * @holder_tid: of the thread that holds it, likely; 0: not known
 * @hops: threads in the chain from holder to holder
 * @deadlock: 1: the chain comes back to itself
 * @pressure_cpu: of the machine, share of the last 10 s in which somebody waited for a processor,
 *                in hundredths of a percent; UINT32_MAX: not known
 * @pressure_io: the same for the disk
 * @pressure_memory: the same for memory
 * @comm: what the kernel calls the thread
 * @wchan: where in the kernel it waits; empty: not known
 * @doing: the sentence, as in "waits for mutex journal (0x5581), held by flusher (tid 71)"
 */
struct vitals_evidence {
	uint32_t size;
	uint32_t thread_class;
	uint32_t reason;
	uint32_t tid;
	uint64_t at_ns;
	uint64_t window_ns;
	uint64_t took_ns;
	uint32_t looks;
	uint32_t state;
	int32_t call;
	uint32_t moved;
	uint64_t args[6];
	uint64_t cpu_ns;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t run_delay_ns;
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t minor_faults;
	uint64_t major_faults;
	uint64_t throttled_ns;
	uint64_t lock;
	uint32_t lock_kind;
	uint32_t holder_tid;
	uint32_t hops;
	uint32_t deadlock;
	uint32_t pressure_cpu;
	uint32_t pressure_io;
	uint32_t pressure_memory;
	uint32_t reserved;
	char comm[16];
	char wchan[48];
	char doing[VITALS_DOING_MAX];
};

/**
 * vitals_class_name() - a word for a class
 * @thread_class: enum vitals_class
 *
 * Threads: any; async-signal-safe.
 * Return: "spinning", "lock", …; "unknown" for any other number.
 */
VITALS_EXPORT
const char *vitals_class_name(int thread_class);

/**
 * vitals_reason_text() - what is missing, and what to do about it
 * @reason: enum vitals_reason
 *
 * Threads: any; async-signal-safe.
 * Return: a sentence; empty for VITALS_REASON_NONE and any other number.
 */
VITALS_EXPORT
const char *vitals_reason_text(int reason);

/**
 * vitals_evidence_set() - may the monitor look at what threads are doing?
 * @registry: NULL: the process's own
 * @mode: enum vitals_evidence_mode
 *
 * Looking makes system calls of which a strict seccomp filter may kill the process. So, by default,
 * the monitor notices when a filter is installed after start, and makes none from then on: records
 * say VITALS_REASON_SECCOMP. A service whose filter lets them pass (docs/sandbox.md has the list)
 * asks for them, best before it installs the filter. VITALS_EVIDENCE=off in the environment is
 * stronger than this call.
 *
 * No look that goes by the mode before is under way when it returns. So a service that is being looked
 * at just while it installs its filter is safe if it says OFF before, and AUTO after.
 *
 * Threads: any; waits for a turn of the monitor's.
 * Return: 0; -EINVAL for another @mode; -EBUSY if that turn takes a second; -ENOMEM; -ECANCELED in a forked child that has not started
 * afresh.
 */
VITALS_EXPORT
int vitals_evidence_set(vitals_registry *registry, int mode);

/**
 * vitals_lock_name() - what reports call a lock
 * @lock: its address: a pthread_mutex_t, a pthread_rwlock_t, a std::mutex; never read through
 * @name: 1 to 63 bytes of UTF-8 without control characters, '/' or '#'; NULL: no name any more
 *
 * Of the whole process. A lock that goes is given no name first, or its address keeps it.
 *
 * Threads: any.
 * Return: 0; -EINVAL for @lock NULL or a bad name; -ENOSPC past 1 024 names.
 */
VITALS_EXPORT
int vitals_lock_name(const void *lock, const char *name);

VITALS_END_DECLS

#endif
