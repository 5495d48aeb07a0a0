/* SPDX-License-Identifier: MIT */

/*
 * A service that goes into a sandbox after start: a filter of system calls that kills the process
 * for any but a few, in all of its threads or in the host's alone. In children, which end by SIGSYS
 * if one of us makes another.
 *
 *   test-sandbox --live all|host|before CALL...   lives as the tests do, under a filter of these calls
 */

#include "harness.h"

#include "clock.h"
#include "monitor.h"
#include "sandbox.h"
#include "task.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define T VITALS_MS(20)
#define CROWD 10000
#define WAIT VITALS_S(10)
#define CALLS_MAX 64

/* By name, for the manual's lists; what a machine does not have needs no leave. */
static const struct {
	const char *name;
	int number;
} calls[] = {
#define CALL(name)                                                                       \
	{                                                                                \
#name, SYS_##name                                                        \
	}
	CALL(brk),
	CALL(clock_gettime),
	CALL(clock_nanosleep),
	CALL(clone),
	CALL(clone3),
	CALL(close),
	CALL(exit),
	CALL(exit_group),
	CALL(fcntl),
	CALL(fstat),
	CALL(ftruncate),
	CALL(futex),
	CALL(get_robust_list),
	CALL(getdents64),
	CALL(getitimer),
	CALL(getpid),
	CALL(getrandom),
	CALL(gettid),
	CALL(lseek),
	CALL(madvise),
	CALL(memfd_create),
	CALL(mmap),
	CALL(mprotect),
	CALL(mremap),
	CALL(munmap),
	CALL(nanosleep),
	CALL(newfstatat),
	CALL(openat),
	CALL(ppoll),
	CALL(prctl),
	CALL(pread64),
	CALL(prlimit64),
	CALL(process_vm_readv),
	CALL(read),
	CALL(readlinkat),
	CALL(restart_syscall),
	CALL(rseq),
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(sched_yield),
	CALL(sendmsg),
	CALL(sendto),
	CALL(set_robust_list),
	CALL(socket),
	CALL(tgkill),
	CALL(timerfd_create),
	CALL(timerfd_gettime),
	CALL(timerfd_settime),
	CALL(write),
#ifdef SYS_readlink
	CALL(readlink),
#endif
#ifdef SYS_poll
	CALL(poll),
#endif
#undef CALL
};

/* With getpid() for the test, which tells with it what failed. */
static const char *const strict[] = {
	"brk",
	"clock_gettime",
	"clock_nanosleep",
	"clone",
	"clone3",
	"exit",
	"exit_group",
	"futex",
	"madvise",
	"mmap",
	"mprotect",
	"munmap",
	"nanosleep",
	"prctl",
	"read",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sched_yield",
	"set_robust_list",
	"write",
	NULL,
};

/* And what the fake evidence needs, and the look whether it may. */
static const char *const for_evidence[] = {
	"close",
	"fcntl",
	"get_robust_list",
	"getdents64",
	"getitimer",
	"getpid",
	"lseek",
	"newfstatat",
	"openat",
	"process_vm_readv",
	"readlink",
	"readlinkat",
	NULL,
};

struct filter {
	struct sock_filter at[2 * CALLS_MAX + 2];
	unsigned short n;
};

static void filter_add(struct filter *filter, const char *name)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	size_t i;

	for (i = 0; i < COUNT(calls) && strcmp(calls[i].name, name) != 0; i++)
		continue;
	if (i == COUNT(calls)) {
		dprintf(STDERR_FILENO, "no such call: %s\n", name);
		_exit(EXIT_FAILURE);
	}
	filter->at[filter->n++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1);
	filter->at[filter->n++] = allow;
}

/* From now on any call but these kills the process; in every thread, or in this one and its own. */
static void filter_install(const char *const *names, const char *const *more, bool all)
{
	struct filter filter = { { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    offsetof(struct seccomp_data, nr)) },
				 1 };
	struct sock_fprog program = { 0, filter.at };

	for (; *names; names++)
		filter_add(&filter, *names);
	for (; more && *more; more++)
		filter_add(&filter, *more);
	filter.at[filter.n++] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	program.len = filter.n;
	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    all ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program) == 0);
}

/*
 * Evidence as the monitor takes it: asked for in every turn, with a call that strict filters kill
 * for if it may.
 */
static const struct vt_monitor_work *real;
static _Atomic uint32_t refusals, takes, reason;

static uint64_t fake_turn(vitals_registry *registry, uint64_t now_ns)
{
	char from = 1, to = 0;
	struct iovec local = { &to, 1 }, remote = { &from, 1 };
	uint32_t why = vt_sandbox_why(registry);

	if (why == VITALS_REASON_NONE) {
		(void)process_vm_readv((pid_t)registry->segments[0].segment->pid, &local,
				       1, &remote, 1, 0);
		atomic_fetch_add(&takes, (uint32_t)to);
	} else {
		atomic_store(&reason, why);
		atomic_fetch_add(&refusals, 1);
	}
	return real->turn(registry, now_ns);
}

static unsigned fake_fds(vitals_registry *registry, struct pollfd *fds, unsigned room)
{
	return real->fds(registry, fds, room);
}

static void fake_ready(vitals_registry *registry, const struct pollfd *fds, unsigned n,
		       uint64_t now_ns)
{
	real->ready(registry, fds, n, now_ns);
}

static uint64_t fake_late(vitals_registry *of, uint64_t now_ns)
{
	return real ? real->late(of, now_ns) : UINT64_MAX;
}

static const struct vt_monitor_work fake = {
	.turn = fake_turn, .late = fake_late, .fds = fake_fds, .ready = fake_ready
};

static vitals_registry *registry;
static vitals_quitter *top;
static vitals_heartbeat *stalled;
static vitals_events *events;
static vitals_heartbeat *crowd[CROWD];

static void nothing(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
}

static void begin(void)
{
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_quitter_new_main(registry, VITALS_S(5), NULL, &top) == 0);
	child_check(vitals_start(registry) == 0);
	/* The notifier's thread begins here, too. */
	child_check(vitals_on_event(registry, nothing, NULL) == 0);
	child_check(vitals_heartbeat_new(registry, "stalled", T, NULL, &stalled) == 0);
	child_check(vitals_heartbeat_own(stalled) == 0);
	child_check(vitals_events_open(registry, stalled, &events) == 0);
	real = registry->monitor->work;
	vt_monitor_work(registry, &fake);
}

static void told(enum vitals_state state)
{
	struct vitals_event event;

	do {
		VITALS_INIT(&event);
		child_check(vitals_events_next(events, WAIT, &event) == 0);
	} while (event.to != (int)state);
}

/* The same end to end: what its row says of why it is stuck. */
static void row_is_sound(void)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	child_check(vitals_snapshot_take(registry, &snapshot) == 0);
	child_check(vitals_snapshot_heartbeat(snapshot, 0, &info) == 0);
	if (atomic_load(&reason) == VITALS_REASON_SECCOMP) {
		child_check(info.thread_class == VITALS_UNKNOWN);
		child_check(info.reason == VITALS_REASON_SECCOMP ||
			    info.reason == VITALS_REASON_NONE);
	} else if (atomic_load(&takes)) {
		child_check(info.reason != VITALS_REASON_SECCOMP);
	}
	snapshot = vitals_snapshot_free(snapshot);
}

static void crowd_comes_and_goes(void)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		child_check(vitals_heartbeat_new(registry, "crowd", VITALS_S(60), NULL,
						 &crowd[i]) == 0);
		child_check(vitals_heartbeat_pulse(crowd[i]) == 0);
	}
	for (i = 0; i < CROWD; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
}

static int member(vitals_thread *self, void *arg)
{
	(void)arg;
	while (vitals_thread_go_on(self)) {
		VITALS_SCOPE(vitals_thread_heartbeat(self), "works", VITALS_S(1));
		(void)vitals_thread_sleep(self, VITALS_MS(1));
	}
	return 0;
}

static void tree_grows_and_ends(void)
{
	vitals_quitter *quitter;
	vitals_snapshot *snapshot = NULL;

	child_check(vitals_quitter_new(top, "pool", NULL, &quitter) == 0);
	child_check(vitals_thread_fork(quitter, "w", VITALS_S(5), member, NULL, NULL) ==
		    0);
	child_check(vitals_thread_fork(quitter, "w", VITALS_S(5), member, NULL, NULL) ==
		    0);
	child_check(vitals_quitter_hold(quitter, "request") == 0);
	child_check(vitals_snapshot_take(registry, &snapshot) == 0);
	snapshot = vitals_snapshot_free(snapshot);
	child_check(vitals_quitter_release(quitter, "request") == 0);
	child_check(vitals_quitter_send_quit(quitter, 0, "enough") == 0);
	child_check(vitals_quitter_wait_done(quitter, WAIT, NULL) == 0);
	quitter = vitals_quitter_free(quitter);
}

/* What a service does in its sandbox. */
static void live(void)
{
	told(VITALS_SILENT);
	told(VITALS_STUCK);
	row_is_sound();
	child_check(vitals_heartbeat_pulse(stalled) == 0);
	told(VITALS_HEALTHY);
	crowd_comes_and_goes();
	tree_grows_and_ends();
	stalled = vitals_heartbeat_unref(stalled);
	child_check(vitals_quitter_finish(top, NULL, NULL) == 0);
	child_check(vitals_set_ready(registry, "part", 1) == 0);
	child_check(vitals_stop(registry) == 0);
}

/* All of what the registry has grown into since, if any. */
static bool grown(bool shared)
{
	uint32_t i;

	for (i = 2; i < registry->n_segments; i++)
		if ((registry->segments[i].fd >= 0) != shared)
			return false;
	return registry->n_segments > 2;
}

/* A look may be under way, unless the service has said that there must be none. */
static void go_inside(const char *const *names)
{
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_OFF) == 0);
	filter_install(names, NULL, true);
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_AUTO) == 0);
}

static void filtered_everywhere(void *unused)
{
	(void)unused;
	begin();
	go_inside(strict);
	live();
	child_check(atomic_load(&refusals) > 0);
	child_check(atomic_load(&reason) == VITALS_REASON_SECCOMP);
	child_check(grown(false));
}

START_TEST(a_filter_in_every_thread_is_noticed_and_kills_nobody)
{
	child_run(filtered_everywhere, NULL);
}
END_TEST

static void filtered_host(void *unused)
{
	(void)unused;
	begin();
	filter_install(strict, NULL, false);
	live();
	/* The monitor is outside of it, and goes on as before. */
	child_check(atomic_load(&takes) > 0);
	child_check(atomic_load(&refusals) == 0);
	child_check(grown(true));
}

START_TEST(a_filter_in_the_hosts_threads_kills_nobody_and_costs_nothing)
{
	child_run(filtered_host, NULL);
}
END_TEST

static void filtered_on(void *unused)
{
	uint32_t before;

	(void)unused;
	begin();
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_ON) == 0);
	filter_install(strict, for_evidence, true);
	before = atomic_load(&takes);
	told(VITALS_STUCK);
	child_check(atomic_load(&takes) > before);
	child_check(atomic_load(&refusals) == 0);
	/* Segments would be made with calls that this filter kills for. */
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_OFF) == 0);
	child_check(vitals_heartbeat_pulse(stalled) == 0);
	told(VITALS_HEALTHY);
	live();
	child_check(atomic_load(&reason) == VITALS_REASON_OFF);
}

START_TEST(who_asks_for_evidence_gets_it_under_a_filter)
{
	child_run(filtered_on, NULL);
}
END_TEST

static const char *const usual[] = {
	"close",        "fcntl",      "fstat",  "ftruncate", "get_robust_list",
	"getdents64",   "getitimer",  "getpid", "gettid",    "lseek",
	"memfd_create", "newfstatat", "openat", "prlimit64", "process_vm_readv",
	"readlink",     "readlinkat", NULL,
};

static void filtered_before(void *unused)
{
	(void)unused;
	filter_install(strict, usual, true);
	begin();
	live();
	child_check(atomic_load(&takes) > 0);
	child_check(atomic_load(&refusals) == 0);
	child_check(grown(true));
}

START_TEST(a_filter_from_before_the_start_is_where_it_begins)
{
	child_run(filtered_before, NULL);
}
END_TEST

/* By hand, in a process of the test's own. */
static void looks_go_on(void *unused)
{
	int fds = fd_count(), i;

	(void)unused;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(!vt_sandbox_allows(registry));
	for (i = 1; i <= 100; i++) {
		child_check(vitals_step(registry, VITALS_S((uint64_t)i)) == 0);
		child_check(vt_sandbox_why(registry) == VITALS_REASON_NONE);
	}
	child_check(fd_count() == fds + 2);
	registry = vitals_registry_free(registry);
	child_check(fd_count() == fds);
}

START_TEST(without_a_filter_it_is_allowed_each_time)
{
	child_run(looks_go_on, NULL);
}
END_TEST

static void *why_here(void *ret)
{
	*(uint32_t *)ret = vt_sandbox_why(registry);
	return NULL;
}

static void looks_elsewhere(void *unused)
{
	pthread_t thread;
	uint32_t why = 0;

	(void)unused;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	child_check(pthread_create(&thread, NULL, why_here, &why) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	child_check(why == VITALS_REASON_OFF);
	child_check(vt_sandbox_allows(registry));
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_ON) == 0);
	child_check(pthread_create(&thread, NULL, why_here, &why) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	child_check(why == VITALS_REASON_NONE);
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_OFF) == 0);
	child_check(vt_sandbox_why(registry) == VITALS_REASON_OFF);
	registry = vitals_registry_free(registry);
}

START_TEST(another_thread_is_allowed_only_when_asked_for)
{
	child_run(looks_elsewhere, NULL);
}
END_TEST

static void environment_says_off(void *unused)
{
	(void)unused;
	child_check(setenv("VITALS_EVIDENCE", "off", 1) == 0);
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_evidence_set(registry, VITALS_EVIDENCE_ON) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	child_check(vt_sandbox_why(registry) == VITALS_REASON_OFF);
	child_check(vt_sandbox_open(registry));
	registry = vitals_registry_free(registry);
}

START_TEST(the_environment_is_stronger_than_the_service)
{
	child_run(environment_says_off, NULL);
}
END_TEST

static void lost(void *how)
{
	int fd;

	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	child_check(vt_sandbox_allows(registry));
	fd = registry->sandbox.fd;
	child_check(fd >= 512);
	if (*(const int *)how == 0)
		child_check(close(fd) == 0);
	else if (*(const int *)how == 1)
		child_check(dup2(open("/dev/zero", O_RDONLY), fd) == fd);
	else
		child_check(dup2(open("/proc/1/status", O_RDONLY), fd) == fd);
	child_check(vt_sandbox_why(registry) == VITALS_REASON_NO_FILES);
	child_check(vt_sandbox_why(registry) == VITALS_REASON_NO_FILES);
	registry = vitals_registry_free(registry);
	/* The host's stays open. */
	child_check((fcntl(fd, F_GETFD) >= 0) == (*(const int *)how != 0));
}

START_TEST(what_the_host_has_closed_allows_nothing)
{
	child_run(lost, &_i);
}
END_TEST

static void without_descriptors(void *unused)
{
	struct rlimit limit = { 3, 3 };

	(void)unused;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	child_check(vt_sandbox_why(registry) == VITALS_REASON_NO_FILES);
	registry = vitals_registry_free(registry);
}

START_TEST(without_a_descriptor_the_reason_says_so)
{
	child_run(without_descriptors, NULL);
}
END_TEST

/* One file, so one place in it: a child that touched it would take the parent's next answer. */
static void forks(void *unused)
{
	int fds, i;

	(void)unused;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	for (i = 0; i < 10; i++) {
		int pid = fork();

		if (pid == 0) {
			fds = fcntl(512, F_GETFD);
			_exit(fds >= 0 || vt_sandbox_allows(registry));
		}
		child_passed(pid);
		child_check(vt_sandbox_allows(registry));
	}
	registry = vitals_registry_free(registry);
}

START_TEST(a_forked_child_has_none_and_takes_none)
{
	child_run(forks, NULL);
}
END_TEST

#define GROWERS 4
#define GROWN (CROWD / GROWERS / 4)

static void *grows(void *first)
{
	vitals_heartbeat **at = first;
	int i;

	for (i = 0; i < GROWN; i++)
		worker_check(vitals_heartbeat_new(registry, "crowd", VITALS_S(60), NULL,
						  &at[i]) == 0);
	return NULL;
}

/* What the monitor makes, takes part in forks, and is given back at the end. */
START_TEST(grows_from_many_threads_while_it_forks)
{
	pthread_t growers[GROWERS];
	int fds = fd_count(), i;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	for (i = 0; i < GROWERS; i++)
		ck_assert_int_eq(
			pthread_create(&growers[i], NULL, grows, &crowd[i * GROWN]), 0);
	for (i = 0; i < 10; i++) {
		int pid = fork(), left;

		if (pid == 0) {
			/* None of the parent's is left open. */
			left = fd_count();
			_exit(left > fds);
		}
		child_passed(pid);
	}
	for (i = 0; i < GROWERS; i++)
		ck_assert_int_eq(pthread_join(growers[i], NULL), 0);
	worker_checks_passed();
	for (i = 0; i < GROWERS * GROWN; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
	ck_assert_int_eq(vitals_stop(registry), 0);
	registry = vitals_registry_free(registry);
	ck_assert_int_le(fd_count(), fds);
}
END_TEST

static void *knows_itself(void *ret)
{
	*(bool *)ret = vt_task_self() == (uint32_t)syscall(SYS_gettid);
	return NULL;
}

static void ids(void *unused)
{
	pthread_t thread;
	bool known = false;
	int pid;

	(void)unused;
	child_check(vt_task_self() == (uint32_t)getpid());
	child_check(pthread_create(&thread, NULL, knows_itself, &known) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	child_check(known);
	pid = fork();
	if (pid == 0)
		_exit(vt_task_self() != (uint32_t)getpid());
	child_passed(pid);
}

START_TEST(a_thread_knows_its_id_in_a_forked_child_too)
{
	child_run(ids, NULL);
}
END_TEST

static void cost(void *unused)
{
	uint64_t best = UINT64_MAX, from;
	int i, j;

	(void)unused;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_step(registry, VITALS_S(1)) == 0);
	for (i = 0; i < 20; i++) {
		from = vt_clock_now();
		for (j = 0; j < 100; j++)
			child_check(vt_sandbox_allows(registry));
		if (vt_clock_now() - from < best)
			best = vt_clock_now() - from;
	}
	printf("a look at the sandbox: %.1f us\n", (double)best / 1e5);
	fflush(stdout);
	registry = vitals_registry_free(registry);
}

static int live_under(int argc, char **argv)
{
	if (argc < 4 || argc - 3 > CALLS_MAX) {
		fprintf(stderr, "usage: %s --live all|host|before CALL...\n", argv[0]);
		return 2;
	}
	child_alarm(CHILD_SECONDS);
	if (strcmp(argv[2], "before") == 0)
		filter_install((const char *const *)argv + 3, NULL, true);
	begin();
	if (strcmp(argv[2], "all") == 0)
		go_inside((const char *const *)argv + 3);
	else if (strcmp(argv[2], "host") == 0)
		filter_install((const char *const *)argv + 3, NULL, false);
	live();
	_exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("core");

	if (argc > 1 && strcmp(argv[1], "--live") == 0)
		return live_under(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--cost") == 0) {
		cost(NULL);
		return 0;
	}
	/* A sanitizer makes calls of its own. */
	if (!SANITIZED) {
		tcase_add_test(tc, a_filter_in_every_thread_is_noticed_and_kills_nobody);
		tcase_add_test(
			tc, a_filter_in_the_hosts_threads_kills_nobody_and_costs_nothing);
		tcase_add_test(tc, who_asks_for_evidence_gets_it_under_a_filter);
		tcase_add_test(tc, a_filter_from_before_the_start_is_where_it_begins);
	}
	tcase_add_test(tc, without_a_filter_it_is_allowed_each_time);
	tcase_add_test(tc, another_thread_is_allowed_only_when_asked_for);
	tcase_add_test(tc, the_environment_is_stronger_than_the_service);
	tcase_add_loop_test(tc, what_the_host_has_closed_allows_nothing, 0, 3);
	tcase_add_test(tc, without_a_descriptor_the_reason_says_so);
	tcase_add_test(tc, a_forked_child_has_none_and_takes_none);
	tcase_add_test(tc, grows_from_many_threads_while_it_forks);
	tcase_add_test(tc, a_thread_knows_its_id_in_a_forked_child_too);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
