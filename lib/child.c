/* SPDX-License-Identifier: MIT */

#include "child.h"

#include "clock.h"
#include "rawfd.h"
#include "vitals-process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define GATE "cd / && read -r go && exec \"$@\" </dev/null"
#define ARGUMENTS_MAX 40

/* How often a child is looked for. */
#define LOOK_NS VITALS_MS(10)
/* And, once killed, how often at most. */
#define TAKE_TRIES 100

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

int vt_child_alone(void)
{
	int r = -1, i;

#ifdef SYS_close_range
	/* The new table begins empty: nothing is closed that is the host's. */
	r = (int)syscall(SYS_close_range, 0u, ~0u, CLOSE_RANGE_UNSHARE);
#endif
	if (r < 0) {
		if (unshare(CLONE_FILES) < 0)
			return -errno;
		for (i = 0; i < (int)sysconf(_SC_OPEN_MAX); i++)
			vt_raw_close(i);
	}
	/* The lowest is taken each time. */
	for (i = 0; i < 3; i++)
		if (vt_raw_open("/dev/null", O_RDWR, 0) < 0)
			return -errno;
	return 0;
}

/* As the child is to find them, or as they are otherwise. */
static void stdio_set(int in, int out)
{
	vt_raw_dup(in, 0);
	vt_raw_dup(out, 1);
	vt_raw_dup(out, 2);
}

static int attributes_make(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r = posix_spawnattr_init(attributes);

	if (r)
		return r;
	sigemptyset(&none);
	sigfillset(&all);
	(void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
							   POSIX_SPAWN_SETSIGMASK |
							   POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setpgroup(attributes, 0);
	(void)posix_spawnattr_setsigmask(attributes, &none);
	(void)posix_spawnattr_setsigdefault(attributes, &all);
	return 0;
}

/* Of posix_spawn, which does not change what it is given. */
static char *unconst(const char *string)
{
	union {
		const char *given;
		char *taken;
	} at = { .given = string };

	return at.taken;
}

static int spawn_shell(const char *const *argv, const char *const *environment,
		       pid_t *ret_pid)
{
	char *arguments[ARGUMENTS_MAX + 5] = { unconst(VT_CHILD_SHELL), unconst("-c"),
					       unconst(GATE), unconst("sh") };
	char *variables[8] = { NULL };
	posix_spawnattr_t attributes;
	unsigned i;
	int r = attributes_make(&attributes);

	if (r)
		return -r;
	for (i = 0; argv[i] && i < ARGUMENTS_MAX; i++)
		arguments[4 + i] = unconst(argv[i]);
	for (i = 0; environment[i] && i < 7; i++)
		variables[i] = unconst(environment[i]);
	r = posix_spawn(ret_pid, VT_CHILD_SHELL, NULL, &attributes, arguments, variables);
	(void)posix_spawnattr_destroy(&attributes);
	return -r;
}

int vt_child_spawn(const char *const *argv, const char *const *environment, int fd,
		   struct vt_child *ret)
{
	int gate[2], null, r;
	pid_t pid = 0;

	if (vt_raw_pipe(gate) < 0)
		return -errno;
	null = vt_raw_open("/dev/null", O_RDWR | O_CLOEXEC, 0);
	if (null < 0) {
		r = -errno;
		vt_raw_close(gate[0]);
		vt_raw_close(gate[1]);
		return r;
	}
	stdio_set(gate[0], fd);
	r = spawn_shell(argv, environment, &pid);
	stdio_set(null, null);
	vt_raw_close(null);
	vt_raw_close(gate[0]);
	if (r < 0)
		vt_raw_close(gate[1]);
	else
		*ret = (struct vt_child){ .pid = pid, .gate = gate[1] };
	return r;
}

void vt_child_go(struct vt_child *child)
{
	/* The signal for it that nobody reads is blocked. */
	vt_raw_write(child->gate, "\n", 1);
	vt_raw_close(child->gate);
	child->gate = -1;
}

/* Return: whether it still runs. */
static bool runs(const struct vt_child *child, bool *ret_known)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	/* Not taken yet, so that its number stays its own. */
	*ret_known =
		waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
	return *ret_known && !info.si_pid;
}

/* It has ended, or has just been killed. Return: whether its end is known. */
static bool take(const struct vt_child *child, int *ret_status)
{
	struct timespec moment = vt_clock_timespec(LOOK_NS);
	unsigned tries = TAKE_TRIES;
	pid_t r;

	/* In the kernel it may be held even then. */
	while ((r = waitpid(child->pid, ret_status, WNOHANG)) == 0 && tries--)
		(void)nanosleep(&moment, NULL);
	return r == child->pid;
}

enum vt_ended vt_child_wait(struct vt_child *child, uint64_t timeout_ns,
			    const _Atomic uint32_t *running, int *ret_status)
{
	uint64_t until_ns = vt_clock_after(vt_clock_now(), timeout_ns);
	struct timespec moment = vt_clock_timespec(LOOK_NS);
	bool known, late = false;
	int status = 0;

	while (runs(child, &known) && !late) {
		/* Acquire pairs with the store that stops. */
		late = vt_clock_now() >= until_ns ||
		       !atomic_load_explicit(running, memory_order_acquire);
		if (!late)
			(void)nanosleep(&moment, NULL);
	}
	/* Somebody else has waited for it: the number may be another's by now. */
	if (!known)
		return VT_ENDED_UNKNOWN;
	(void)kill(-child->pid, SIGKILL);
	known = take(child, &status);
	*ret_status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	if (late)
		return VT_ENDED_TIMEOUT;
	if (!known)
		return VT_ENDED_UNKNOWN;
	return WIFSIGNALED(status) ? VT_ENDED_SIGNALED : VT_ENDED_EXITED;
}
