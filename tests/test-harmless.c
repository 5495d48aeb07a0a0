/* SPDX-License-Identifier: MIT */

/*
 * What a hot path must not do: call the system, allocate, lock. In a child whose thread may not
 * call the system at all, the loops run as often as a service would in minutes.
 */

#include "futex.h"
#include "harness.h"
#include "vitals.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define TOUCHES (SANITIZED ? 1000000u : 100000000u)
#define PULSES (SANITIZED ? 100000u : 10000000u)
#define REGISTRATIONS 10000

/* ThreadSanitizer makes calls of its own as memory is used. */
#if defined(__SANITIZE_THREAD__)
#define CALLS_ARE_OURS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CALLS_ARE_OURS false
#endif
#endif
#ifndef CALLS_ARE_OURS
#define CALLS_ARE_OURS true
#endif

static vitals_registry *registry;
static vitals_quitter *top;
static vitals_heartbeat *heartbeat;

/* Calls of the wrapped names, counted in the thread that asks: the monitor may lock. */
static _Thread_local bool counting;
static _Thread_local unsigned wrapped_calls;

static void wrapped(void)
{
	wrapped_calls += counting;
}

/* The linker's names for a wrapped call and the real one. */
#define WRAPPED(type, name, parameters, arguments)                                       \
	type __real_##name parameters;                                                   \
	type __wrap_##name parameters;                                                   \
	type __wrap_##name parameters                                                    \
	{                                                                                \
		wrapped();                                                               \
		return __real_##name arguments;                                          \
	}

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t n, size_t size), (n, size))
WRAPPED(void *, realloc, (void *memory, size_t size), (memory, size))
WRAPPED(void, free, (void *memory), (memory))
WRAPPED(void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
	(at, size, prot, flags, fd, offset))
WRAPPED(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
WRAPPED(void, vt_lock, (struct vt_lock * lock), (lock))

static const uint32_t kinds[] = { 0, VITALS_COARSE_HISTOGRAM, VITALS_NO_HISTOGRAM };

/* With a monitor that looks on. */
static void make(uint32_t flags)
{
	struct vitals_heartbeat_options options;

	VITALS_INIT(&options);
	options.flags = flags;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &top) == 0);
	child_check(vitals_start(registry) == 0);
	child_check(vitals_heartbeat_new(registry, "harmless", VITALS_S(10), &options,
					 &heartbeat) == 0);
}

static void loops(void)
{
	void (*volatile called)(vitals_heartbeat *) = (vitals_heartbeat_touch);
	int told = 0;
	unsigned i;

	for (i = 0; i < TOUCHES; i++)
		vitals_heartbeat_touch(heartbeat);
	for (i = 0; i < PULSES; i++) {
		(void)vitals_heartbeat_pulse(heartbeat);
		called(heartbeat);
		told |= vitals_quitter_must_quit(top);
	}
	if (told)
		_exit(EXIT_FAILURE);
}

/* From now on this thread may make one system call besides leaving: @number, -1 for none. */
static void quiet(int number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(filter), filter };

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Where the clock itself is a system call, there is no pulse without one. */
static bool can_be_quiet(void)
{
	struct timespec ts;
	int status;
	pid_t pid;

	if (!CALLS_ARE_OURS)
		return false;
	pid = fork();
	if (pid == 0) {
		quiet(-1);
		_exit(clock_gettime(CLOCK_MONOTONIC, &ts));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status);
}

static void loops_quietly(void *arg)
{
	make(*(const uint32_t *)arg);
	quiet(-1);
	loops();
}

START_TEST(touches_and_pulses_make_no_system_call)
{
	uint32_t flags = kinds[_i];

	if (can_be_quiet())
		child_run(loops_quietly, &flags);
}
END_TEST

static void loops_counted(void *arg)
{
	vitals_heartbeat *another;

	make(*(const uint32_t *)arg);
	counting = true;
	loops();
	child_check(wrapped_calls == 0);
	/* One that locks shows that calls are counted. */
	child_check(vitals_heartbeat_new(registry, "another", VITALS_S(10), NULL,
					 &another) == 0);
	child_check(wrapped_calls > 0);
	counting = false;
}

START_TEST(touches_and_pulses_allocate_nothing_and_take_no_lock)
{
	uint32_t flags = kinds[_i];

	child_run(loops_counted, &flags);
}
END_TEST

static atomic_uint asleep;

static void sleeps(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	atomic_store(&asleep, 1);
	(void)pause();
}

static void registers(void)
{
	vitals_heartbeat *another;
	int i;

	for (i = 0; i < REGISTRATIONS; i++) {
		if (vitals_heartbeat_new(registry, "another", VITALS_S(10), NULL,
					 &another) < 0)
			_exit(EXIT_FAILURE);
		vitals_heartbeat_unref(another);
	}
}

/* But for a lock that the monitor holds just then, and the memory of the first. */
static void registers_quietly(void *arg)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	(void)arg;
	make(0);
	child_check(vitals_on_event(registry, sleeps, NULL) == 0);
	while (!atomic_load(&asleep)) {
		(void)vitals_heartbeat_pulse(heartbeat);
		(void)nanosleep(&ms, NULL);
	}
	registers();
	quiet(SYS_futex);
	registers();
}

START_TEST(registering_and_closing_call_nothing_while_a_callback_sleeps)
{
	if (can_be_quiet())
		child_run(registers_quietly, NULL);
}
END_TEST

/* For whoever traces us: the loops, between two calls that are easy to find. */
static int loops_marked(void)
{
	static const char begin[] = "loops begin", end[] = "loops end";
	bool found;

	make(0);
	found = write(-1, begin, sizeof(begin) - 1) < 0;
	loops();
	found = write(-1, end, sizeof(end) - 1) < 0 && found;
	_exit(found ? EXIT_SUCCESS : EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("harmless");
	TCase *tc = tcase_create("core");

	if (argc > 1 && strcmp(argv[1], "--loops") == 0)
		return loops_marked();
	tcase_add_loop_test(tc, touches_and_pulses_make_no_system_call, 0, COUNT(kinds));
	tcase_add_loop_test(tc, touches_and_pulses_allocate_nothing_and_take_no_lock, 0,
			    COUNT(kinds));
	tcase_add_test(tc, registering_and_closing_call_nothing_while_a_callback_sleeps);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
