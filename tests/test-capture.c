/* SPDX-License-Identifier: MIT */

/*
 * A command when a heartbeat is stuck: what it gets, what becomes of it, and what it may. Turns are by
 * hand, in the tests' own time; the commands are real.
 */

#include "harness.h"

#include "abort.h"
#include "capture.h"
#include "clock.h"
#include "service.h"
#include "traced.h"
#include "vitals-act.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_MS(400)
#define TICK VITALS_MS(50)
#define STUCK (4 * T + 3 * TICK)
#define PATIENCE_S 20

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);

/* Whom the process has allowed to trace it, in order, and what that one ran then. */
static _Atomic uint32_t n_tracers;
static unsigned long tracers[8];
static char tracer_exe[256];

int __wrap_prctl(int option, ...)
{
	unsigned long what;
	char path[64];
	va_list list;

	va_start(list, option);
	what = va_arg(list, unsigned long);
	va_end(list);
	if (option == PR_SET_PTRACER && n_tracers < 8) {
		/* Time for one that does not wait. */
		(void)usleep(50000);
		(void)snprintf(path, sizeof(path), "/proc/%lu/exe", what);
		if (what && readlink(path, tracer_exe, sizeof(tracer_exe) - 1) < 0)
			tracer_exe[0] = 0;
		tracers[n_tracers] = what;
		atomic_fetch_add(&n_tracers, 1);
	}
	return __real_prctl(option, what, 0ul, 0ul, 0ul);
}

static char directory[TEMP_PATH_MAX];
static char output[TEMP_PATH_MAX + 16];
static vitals_registry *registry;
static vitals_heartbeat *heartbeat;
static uint64_t now;

static void setup(void)
{
	temp_dir_make(directory);
	(void)snprintf(output, sizeof(output), "%s/output", directory);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = vt_clock_now();
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "culprit", T, NULL, &heartbeat),
			 0);
}

static void teardown(void)
{
	vitals_heartbeat_close(heartbeat);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
	temp_dir_remove(directory);
}

static int ask(const char *const *command, uint32_t per_hour, uint64_t timeout_ns)
{
	struct vitals_capture_options options;

	VITALS_INIT(&options);
	options.command = command;
	options.output = output;
	options.per_hour = per_hour;
	options.timeout_ns = timeout_ns;
	return vitals_capture(registry, &options);
}

static int ask_shell(const char *script, uint32_t per_hour, uint64_t timeout_ns)
{
	const char *const command[] = { "/bin/sh", "-c", script, "sh", "%p", NULL };

	return ask(command, per_hour, timeout_ns);
}

static void passes(uint64_t ns)
{
	for (; ns >= TICK; ns -= TICK) {
		now += TICK;
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
}

static void recovers(void)
{
	struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, 0);

	atomic_store(&hot->beat, VT_BEAT_NS(now) | VT_BEAT_PULSE);
	passes(T / 2);
}

static void stalls(void)
{
	passes(STUCK);
}

static struct vt_capture_counts counts(void)
{
	struct vt_capture_counts counted;

	vt_capture_count(registry, &counted);
	return counted;
}

/* The whole of the output, once @text is in it @times; freed by the caller. */
static char *output_with(const char *text, unsigned times)
{
	uint64_t until_ns = vt_clock_now() + VITALS_S(PATIENCE_S);
	char *all, *at;
	unsigned n;

	for (;;) {
		all = access(output, F_OK) ? calloc(1, 1) : file_read(output, NULL);
		for (n = 0, at = all; (at = strstr(at, text)); at++)
			n++;
		if (n >= times)
			return all;
		ck_assert_msg(vt_clock_now() < until_ns, "no \"%s\" in: %s", text, all);
		free(all);
		(void)usleep(10000);
	}
}

static void output_has(const char *text)
{
	char *all = output_with("capture: ended", 1);

	ck_assert_msg(strstr(all, text) != NULL, "no \"%s\" in: %s", text, all);
	free(all);
}

START_TEST(the_command_gets_who_is_stuck_and_nothing_of_the_hosts)
{
	int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec */
	char text[64];
	sigset_t term;

	(void)signal(SIGUSR1, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	ck_assert_int_eq(setenv("SECRET", "told", 1), 0);
	ck_assert_int_eq(
		ask_shell(
			"echo pid $1 $VITALS_PID of $VITALS_HEARTBEAT; echo in $PWD; "
			"echo secret=$SECRET.; for i in /proc/$$/fd/*; do echo $i; done; "
			"grep Sig /proc/self/status; echo group $(cut -d' ' -f5 "
			"/proc/$$/stat) of $$; cat; echo words >&2; exit 3",
			0, 0),
		0);
	stalls();
	output_has("vitals: capture: heartbeat culprit is stuck for ");
	(void)snprintf(text, sizeof(text), "pid %d %d of culprit\n", getpid(), getpid());
	output_has(text);
	output_has("in /\n");
	output_has("secret=.\n");
	output_has("/fd/2\n");
	(void)snprintf(text, sizeof(text), "/fd/%d\n", leaked);
	{
		char *all = output_with("capture: ended", 1);

		ck_assert_ptr_null(strstr(all, text));
		ck_assert_ptr_null(strstr(all, "/fd/4\n"));
		free(all);
	}
	output_has("SigBlk:\t0000000000000000\n");
	/* But for what the C library keeps for itself, with numbers above these. */
	output_has("0000000\nSigCgt:\t");
	output_has("words\nvitals: capture: ended with status 3 after ");
	ck_assert_int_eq(close(leaked), 0);
}
END_TEST

START_TEST(the_output_is_appended_to)
{
	unsigned i;

	file_write(output, "before\n", 7);
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	for (i = 1; i <= 2; i++) {
		stalls();
		free(output_with("ended with status 0", i));
		recovers();
	}
	output_has("before\nvitals: capture: ");
	free(output_with("\nonce\n", 2));
	ck_assert_uint_eq(counts().begun, 2);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	char target[TEMP_PATH_MAX + 16];
	uint64_t until_ns = vt_clock_now() + VITALS_S(PATIENCE_S);

	(void)snprintf(target, sizeof(target), "%s/target", directory);
	ck_assert_int_eq(symlink(target, output), 0);
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	stalls();
	while (!counts().failed && vt_clock_now() < until_ns)
		(void)usleep(1000);
	ck_assert_uint_eq(counts().failed, 1);
	ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(one_that_hangs_is_killed_with_its_children)
{
	char *all;
	int pid;

	ck_assert_int_eq(ask_shell("trap '' TERM; sleep 1000 & echo child $!; wait", 0,
				   VITALS_MS(300)),
			 0);
	stalls();
	all = output_with("capture: killed after ", 1);
	ck_assert_int_eq(sscanf(strstr(all, "\nchild "), " child %d", &pid), 1);
	free(all);
	ck_assert_uint_eq(counts().timeouts, 1);
	/* Whoever inherits it may not have waited for it yet. */
	while (kill(pid, 0) == 0) {
		char path[64], *status;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (access(path, F_OK))
			break;
		status = file_read(path, NULL);
		if (strstr(status, ") Z "))
			pid = 0x7ffffff;
		free(status);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(one_that_hangs_does_not_keep_a_stop)
{
	uint64_t begun;

	ck_assert_int_eq(ask_shell("echo begun; sleep 1000", 0, 0), 0);
	stalls();
	free(output_with("\nbegun\n", 1));
	begun = vt_clock_now();
	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_uint_lt(vt_clock_now() - begun, VITALS_S(5));
	free(output_with("capture: killed after ", 1));
}
END_TEST

START_TEST(no_more_than_so_many_in_an_hour)
{
	uint64_t until_ns = vt_clock_now() + VITALS_S(PATIENCE_S);
	unsigned i;

	ck_assert_int_eq(ask_shell("echo once", 2, 0), 0);
	for (i = 1; i <= 5; i++) {
		stalls();
		while (counts().begun + counts().skipped < i && vt_clock_now() < until_ns)
			(void)usleep(1000);
		free(output_with("capture: ended", i < 2 ? i : 2));
		recovers();
	}
	ck_assert_uint_eq(counts().begun, 2);
	ck_assert_uint_eq(counts().skipped, 3);
}
END_TEST

START_TEST(what_turns_stuck_meanwhile_is_not_captured)
{
	uint64_t until_ns = vt_clock_now() + VITALS_S(PATIENCE_S);
	vitals_heartbeat *others[8];
	unsigned i;

	for (i = 0; i < 8; i++)
		ck_assert_int_eq(
			vitals_heartbeat_new(registry, "other", T, NULL, &others[i]), 0);
	ck_assert_int_eq(ask_shell("echo begun; sleep 0.3", 60, 0), 0);
	stalls();
	while (counts().skipped < 8 && vt_clock_now() < until_ns)
		(void)usleep(1000);
	ck_assert_uint_eq(counts().begun, 1);
	ck_assert_uint_eq(counts().skipped, 8);
	for (i = 0; i < 8; i++)
		(void)vitals_heartbeat_unref(others[i]);
}
END_TEST

START_TEST(what_cannot_be_run_is_refused)
{
	const char *const none[] = { "no-such-program-anywhere", NULL };
	const char *const empty[] = { NULL };
	const char *const relative[] = { "bin/sh", NULL };
	const char *const missing[] = { "/no/such/program", NULL };
	const char *const one[] = { output, NULL };
	const char *many[40];
	unsigned i;

	for (i = 0; i < 39; i++)
		many[i] = "true";
	many[39] = NULL;
	ck_assert_int_eq(ask(none, 0, 0), -ENOENT);
	ck_assert_int_eq(ask(empty, 0, 0), -EINVAL);
	ck_assert_int_eq(ask(relative, 0, 0), -EINVAL);
	ck_assert_int_eq(ask(missing, 0, 0), -ENOENT);
	ck_assert_int_eq(ask(many, 0, 0), -E2BIG);
	ck_assert_int_eq(ask(many + 30, 65, 0), -EINVAL);
	file_write(output, "", 0);
	ck_assert_int_eq(chmod(output, 0600), 0);
	/* Root may run nothing that nobody may. */
	ck_assert_int_eq(ask(one, 0, 0), -EACCES);
	/* A program, but not of this machine: the shell says so. */
	file_write(output, "\177ELF", 4);
	ck_assert_int_eq(chmod(output, 0700), 0);
	{
		char program[TEMP_PATH_MAX + 16];
		const char *const broken[] = { program, NULL };

		(void)snprintf(program, sizeof(program), "%s/program", directory);
		ck_assert_int_eq(rename(output, program), 0);
		ck_assert_int_eq(ask(broken, 0, 0), 0);
	}
	stalls();
	output_has("ended with status 12");
}
END_TEST

/* As journald would: what comes in on a connection, until @text is in it. */
static void journal_hears(int fd, const char *text, char *all, size_t size)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int peer = accept(fd, NULL, NULL);
	size_t length = 0;
	ssize_t n = 1;

	ck_assert_int_ge(peer, 0);
	ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	while (n > 0 && length < size - 1) {
		do
			n = read(peer, all + length, size - 1 - length);
		while (n < 0 && errno == EINTR);
		length += n > 0 ? (size_t)n : 0;
		all[length] = 0;
	}
	ck_assert_msg(n == 0, "%s after: %s", strerror(errno), all);
	ck_assert_msg(strstr(all, text) != NULL, "no \"%s\" in: %s", text, all);
	ck_assert_int_eq(close(peer), 0);
}

START_TEST(the_journal_is_told_by_its_own_protocol)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char all[4096];

	ck_assert_uint_lt(strlen(output), sizeof(address.sun_path));
	memcpy(address.sun_path, output, strlen(output) + 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	stalls();
	journal_hears(fd, "\nonce\nvitals: capture: ended with status 0", all,
		      sizeof(all));
	ck_assert_int_eq(strncmp(all,
				 "vitals-capture\n\n4\n0\n0\n0\n0\nvitals: capture: "
				 "heartbeat culprit",
				 46),
			 0);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void callback_hangs(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	(void)pthread_mutex_lock(&held);
	(void)pthread_mutex_unlock(&held);
}

START_TEST(a_callback_that_hangs_does_not_keep_it)
{
	(void)pthread_mutex_lock(&held);
	ck_assert_int_eq(vitals_on_event(registry, callback_hangs, NULL), 0);
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	stalls();
	output_has("\nonce\n");
	(void)pthread_mutex_unlock(&held);
}
END_TEST

START_TEST(a_host_that_waits_for_any_child_keeps_nobody)
{
	/* What it has ended with is then not known. */
	(void)signal(SIGCHLD, SIG_IGN);
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	stalls();
	output_has("\nonce\nvitals: capture: ended after ");
}
END_TEST

START_TEST(it_can_be_turned_off_and_on_again)
{
	struct vitals_capture_options options;

	VITALS_INIT(&options);
	options.flags = VITALS_CAPTURE_OFF;
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	ck_assert_int_eq(vitals_capture(registry, &options), 0);
	stalls();
	ck_assert_int_eq(vitals_capture(registry, &options), 0);
	recovers();
	ck_assert_int_eq(ask_shell("echo twice", 0, 0), 0);
	ck_assert_int_eq(ask_shell("echo thrice", 0, 0), 0);
	stalls();
	output_has("\nthrice\n");
	ck_assert_uint_eq(counts().begun, 1);
}
END_TEST

START_TEST(it_alone_may_trace_and_does_not_run_before_it_may)
{
	const char *const command[] = { "sleep", "0.2", NULL };
	char shell[256] = "";

	ck_assert_int_gt((int)readlink("/bin/sh", shell, sizeof(shell) - 1), 0);
	ck_assert_int_eq(ask(command, 0, 0), 0);
	stalls();
	output_has("ended with status 0");
	ck_assert_uint_eq(n_tracers, 2);
	ck_assert_uint_ne(tracers[0], 0);
	ck_assert_uint_ne(tracers[0], (unsigned long)getpid());
	ck_assert_ptr_nonnull(strstr(tracer_exe, shell));
	ck_assert_uint_eq(tracers[1], 0);
}
END_TEST

static void *asks_nothing(void *arg)
{
	(void)arg;
	return NULL;
}

/*
 * The real thing: a debugger that a thread of ours, unprivileged, may not be traced by but for what is
 * allowed to it. With Yama away, or off, all of one user may trace each other anyway.
 */
static void traced_child(void *arg)
{
	const char *const command[] = { "gdb", "-nx", "-batch", "-p",
					"%p",  "-ex", "bt",     NULL };
	pthread_t thread;

	(void)arg;
	child_check(pthread_create(&thread, NULL, asks_nothing, NULL) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	if (getuid() == 0) {
		child_check(chown(directory, 65534, 65534) == 0);
		child_check(setgid(65534) == 0 && setuid(65534) == 0);
		child_check(prctl(PR_SET_DUMPABLE, 1) == 0);
	}
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_step(registry, now = vt_clock_now()) == 0);
	child_check(vitals_heartbeat_new(registry, "culprit", T, NULL, &heartbeat) == 0);
	child_check(ask(command, 0, VITALS_S(15)) == 0);
	stalls();
	free(output_with("vitals: capture: ended with status 0", 1));
}

START_TEST(a_debugger_run_by_it_may_trace_the_process)
{
	char yama[16] = "absent\n";
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ck_assert_int_gt((int)read(fd, yama, sizeof(yama) - 1), 0);
		ck_assert_int_eq(close(fd), 0);
	}
	if (access("/usr/bin/gdb", X_OK)) {
		printf("no gdb: nobody traces\n");
		return;
	}
	printf("yama's ptrace_scope: %s", yama);
	child_run(traced_child, NULL);
	free(output_with("output_with", 1));
}
END_TEST

START_TEST(its_own_debugger_is_none)
{
	struct vitals_abort_options options;

	(void)prctl(PR_SET_DUMPABLE, 1);
	/* A tracer that stays: the decision is not put off for it. */
	if (access("/usr/bin/strace", X_OK))
		return;
	VITALS_INIT(&options);
	options.flags = VITALS_ABORT_DRY_RUN;
	options.after_ns = VITALS_S(60);
	ck_assert_int_eq(vitals_abort_when_stuck(registry, &options), 0);
	ck_assert_int_eq(ask_shell("exec strace -f -o /dev/null -p $1", 0, 0), 0);
	stalls();
	while (!vt_traced_by())
		(void)usleep(10000);
	ck_assert_int_eq(vt_capture_is(registry, vt_traced_by()), 1);
	passes(VITALS_S(62));
	ck_assert_uint_eq(atomic_load(&registry->abort->decisions), 1);
}
END_TEST

static void forked_child(void *arg)
{
	(void)arg;
	child_check(ask_shell("echo once", 0, 0) == -ECANCELED);
	child_check(vitals_start(registry) == 0);
	child_check(atomic_load(&registry->capture) == NULL);
	child_check(vitals_stop(registry) == 0);
}

START_TEST(a_forked_child_does_not_inherit_it)
{
	ck_assert_int_eq(ask_shell("echo once", 0, 0), 0);
	/* ThreadSanitizer starts no thread in a child of many. */
	if (!SANITIZED)
		child_run(forked_child, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("capture");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_command_gets_who_is_stuck_and_nothing_of_the_hosts);
	tcase_add_test(tc, the_output_is_appended_to);
	tcase_add_test(tc, a_link_is_not_followed);
	tcase_add_test(tc, one_that_hangs_is_killed_with_its_children);
	tcase_add_test(tc, one_that_hangs_does_not_keep_a_stop);
	tcase_add_test(tc, no_more_than_so_many_in_an_hour);
	tcase_add_test(tc, what_turns_stuck_meanwhile_is_not_captured);
	tcase_add_test(tc, what_cannot_be_run_is_refused);
	tcase_add_test(tc, the_journal_is_told_by_its_own_protocol);
	tcase_add_test(tc, a_callback_that_hangs_does_not_keep_it);
	tcase_add_test(tc, a_host_that_waits_for_any_child_keeps_nobody);
	tcase_add_test(tc, it_can_be_turned_off_and_on_again);
	tcase_add_test(tc, it_alone_may_trace_and_does_not_run_before_it_may);
	tcase_add_test(tc, a_debugger_run_by_it_may_trace_the_process);
	tcase_add_test(tc, its_own_debugger_is_none);
	tcase_add_test(tc, a_forked_child_does_not_inherit_it);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
