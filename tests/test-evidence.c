/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "seeded.h"

#include "clock.h"
#include "evidence.h"
#include "machine.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The window, by samples of a thread whose clock is at 1 s when it is looked at first. */

struct step {
	unsigned at_ms;
	unsigned clock_ms;
	unsigned voluntary;
	char state; /* 0: only the clock is to be had */
};

static const struct vt_throttle unlimited = { .known = true };
static const struct vt_throttle limited = { .known = true, .limited = true };
static const struct vt_throttle held = { true, true, 1000 };
static const struct vt_throttle unknown = { .known = false };

static const struct {
	const struct vt_throttle *throttle;
	enum vitals_class thread_class;
	unsigned n;
	struct step steps[6];
} windows[] = {
	/* Too short, too few, or by what came before. */
	{ &unlimited, VITALS_RUNNING, 1, { { 0, 0, 0, 'R' } } },
	{ &unlimited, VITALS_RUNNING, 2, { { 0, 0, 0, 'R' }, { 500, 500, 0, 'R' } } },
	{ &unlimited,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 5, 5, 0, 'R' }, { 10, 10, 0, 'R' } } },
	{ &unlimited, VITALS_RUNNING, 2, { { 0, 0, 0, 'R' }, { 10, 0, 0, 'R' } } },
	{ &unlimited,
	  VITALS_RUNNING,
	  4,
	  { { 0, 0, 0, 'R' },
	    { 50, 50, 0, 'R' },
	    { 60, 50, 1, 'S' },
	    { 90, 80, 1, 'R' } } },
	/* It spins: in each part. */
	{ &unlimited,
	  VITALS_SPINNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 50, 49, 0, 'R' }, { 100, 98, 0, 'R' } } },
	{ &unlimited,
	  VITALS_RUNNING,
	  4,
	  { { 0, 0, 0, 'R' },
	    { 50, 50, 0, 'R' },
	    { 100, 60, 0, 'R' },
	    { 150, 110, 0, 'R' } } },
	/* Looks too close to each other make one part. */
	{ &unlimited,
	  VITALS_SPINNING,
	  5,
	  { { 0, 0, 0, 'R' },
	    { 50, 50, 0, 'R' },
	    { 51, 50, 0, 'R' },
	    { 60, 59, 0, 'R' },
	    { 100, 99, 0, 'R' } } },
	/* It gives way again and again, and is still all over its processor. */
	{ &unlimited,
	  VITALS_SPINNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 50, 45, 9, 'R' }, { 100, 90, 18, 'R' } } },
	/* Only its clock is known. */
	{ &unlimited,
	  VITALS_SPINNING,
	  3,
	  { { 0, 0, 0, 0 }, { 50, 49, 0, 0 }, { 100, 98, 0, 0 } } },
	{ &unlimited,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 0 }, { 500, 0, 0, 0 }, { 1000, 1, 0, 0 } } },
	/* Starved: ready all the time. */
	{ &unlimited, VITALS_STARVED, 2, { { 0, 0, 0, 'R' }, { 100, 4, 0, 'R' } } },
	{ &unlimited,
	  VITALS_STARVED,
	  4,
	  { { 0, 0, 0, 'R' },
	    { 50, 0, 0, 'R' },
	    { 60, 10, 0, 'R' },
	    { 100, 10, 0, 'R' } } },
	/* Awake by chance, for it sleeps again and again. */
	{ &unlimited,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 50, 2, 9, 'R' }, { 100, 4, 18, 'R' } } },
	/* Between. */
	{ &unlimited, VITALS_RUNNING, 2, { { 0, 0, 0, 'R' }, { 100, 35, 0, 'R' } } },
	/* With a quota, or where that is not known, no less than its longest period. */
	{ &limited,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 250, 250, 0, 'R' }, { 500, 500, 0, 'R' } } },
	{ &unknown,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 250, 250, 0, 'R' }, { 500, 500, 0, 'R' } } },
	{ &limited,
	  VITALS_SPINNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 600, 550, 0, 'R' }, { 1200, 1100, 0, 'R' } } },
	/* A poor part among many, and in a short window. */
	{ &limited,
	  VITALS_SPINNING,
	  4,
	  { { 0, 0, 0, 'R' },
	    { 600, 600, 0, 'R' },
	    { 610, 600, 0, 'R' },
	    { 1200, 1190, 0, 'R' } } },
	{ &unlimited,
	  VITALS_RUNNING,
	  4,
	  { { 0, 0, 0, 'R' },
	    { 300, 300, 0, 'R' },
	    { 310, 300, 0, 'R' },
	    { 900, 890, 0, 'R' } } },
	/* It did, and is held back now. */
	{ &limited,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 2000, 2000, 0, 'R' }, { 2500, 2010, 0, 'R' } } },
	/* Half of a processor because of the quota. */
	{ &held,
	  VITALS_RUNNING,
	  3,
	  { { 0, 0, 0, 'R' }, { 600, 400, 0, 'R' }, { 1200, 800, 0, 'R' } } },
	{ &held,
	  VITALS_STARVED,
	  3,
	  { { 0, 0, 0, 'R' }, { 600, 60, 0, 'R' }, { 1200, 120, 0, 'R' } } },
};

START_TEST(says_what_the_samples_bear)
{
	struct vt_window window;
	unsigned i;

	vt_window_begin(&window);
	window.has_throttle = true;
	for (i = 0; i < windows[_i].n; i++) {
		const struct step *step = &windows[_i].steps[i];
		struct vt_sample sample = {
			.has = step->state ? VT_SAMPLE_STATE | VT_SAMPLE_SWITCHES : 0,
			.state = step->state,
			.clock_ns = VITALS_S(1) + VITALS_MS(step->clock_ms),
			.clock_at_ns = VITALS_S(5) + VITALS_MS(step->at_ms),
			.voluntary = step->voluntary,
		};

		vt_window_add(&window, &sample);
	}
	ck_assert_int_eq(vt_window_class(&window, windows[_i].throttle),
			 windows[_i].thread_class);
}
END_TEST

/* The machine. */

START_TEST(reads_pressure)
{
	ck_assert_uint_eq(vt_machine_parse_pressure("some avg10=26.32 avg60=73.13 "),
			  2632);
	ck_assert_uint_eq(vt_machine_parse_pressure("some avg10=0.00 avg60"), 0);
	ck_assert_uint_eq(vt_machine_parse_pressure("some avg10=100.00\n"), 10000);
	ck_assert_uint_eq(vt_machine_parse_pressure("full avg10=0.00"), UINT32_MAX);
	ck_assert_uint_eq(vt_machine_parse_pressure("some avg10=1"), UINT32_MAX);
	ck_assert_uint_eq(vt_machine_parse_pressure("some avg10=.5"), UINT32_MAX);
	ck_assert_uint_eq(vt_machine_parse_pressure(""), UINT32_MAX);
}
END_TEST

static const struct {
	const char *text;
	bool good;
	bool limited;
	uint64_t throttled_ns;
} stats[] = {
	{ "nr_periods 3\nnr_throttled 2\nthrottled_time 1234\nnr_bursts 0\n", true, true,
	  1234 },
	{ "usage_usec 1\nnr_periods 3\nnr_throttled 1\nthrottled_usec 7\n", true, true,
	  7000 },
	{ "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", true, false, 0 },
	{ "usage_usec 1\nuser_usec 1\nsystem_usec 0\n", true, false, 0 },
	{ "", false, false, 0 },
	{ "something else\n", false, false, 0 },
};

START_TEST(reads_what_a_group_is_held_back)
{
	struct vt_throttle throttle = { 0 };

	ck_assert_int_eq(vt_machine_parse_stat(stats[_i].text, &throttle),
			 stats[_i].good);
	ck_assert_int_eq(throttle.limited, stats[_i].limited);
	ck_assert_uint_eq(throttle.throttled_ns, stats[_i].throttled_ns);
	/* Those around it add up. */
	(void)vt_machine_parse_stat(stats[_i].text, &throttle);
	ck_assert_uint_eq(throttle.throttled_ns, 2 * stats[_i].throttled_ns);
}
END_TEST

static const struct {
	const char *text;
	int version;
	const char *path;
} groups[] = {
	{ "0::/system.slice/x.service\n", 2, "/system.slice/x.service" },
	{ "3:cpuset:/no\n2:cpu,cpuacct:/a:b\n0::/no\n", 1, "/a:b" },
	{ "0::/no\n2:cpuacct,cpu:/a\n", 1, "/a" },
	{ "3:cpuset:/no\n1:name=systemd:/no\n", 0, "" },
	{ "3:cpuset:/no\n0::/", 2, "/" },
	{ "0::/0123456789012345678901234567890123456789\n", 0, "" },
	{ "nonsense", 0, "" },
	{ "", 0, "" },
};

START_TEST(finds_the_group_that_limits)
{
	char path[32] = "";

	ck_assert_int_eq(vt_machine_parse_cgroup(groups[_i].text, path, sizeof(path)),
			 groups[_i].version);
	ck_assert_str_eq(path, groups[_i].path);
}
END_TEST

/* Calls. */

static int fds[2];

static const struct {
	int32_t call;
	char state;
	uint64_t args[4];
	const char *wchan;
	enum vitals_class thread_class;
	const char *begins;
} waits[] = {
	{ SYS_futex,
	  'S',
	  { 0x7f00, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0 },
	  "",
	  VITALS_BLOCKED,
	  "waits for a condition, a semaphore or the like at 0x7f00" },
	{ SYS_futex,
	  'S',
	  { 0x7f00, FUTEX_WAIT_BITSET, 2, 1 },
	  "",
	  VITALS_BLOCKED,
	  "waits for a condition, a semaphore or the like at 0x7f00, for a time" },
	{ SYS_futex,
	  'S',
	  { 0x7f00, FUTEX_LOCK_PI, 2, 0 },
	  "",
	  VITALS_BLOCKED,
	  "waits for a lock at 0x7f00" },
	{ SYS_futex,
	  'S',
	  { 0x7f00, FUTEX_WAKE, 2, 0 },
	  "",
	  VITALS_BLOCKED,
	  "waits in system call " },
	{ SYS_read, 'S', { 99 }, "", VITALS_ON_IO, "reads from descriptor 99" },
	{ SYS_read, 'S', { UINT64_MAX }, "", VITALS_ON_IO, "reads from no descriptor" },
	{ SYS_write,
	  'D',
	  { 99 },
	  "",
	  VITALS_ON_IO,
	  "writes to descriptor 99, and cannot be interrupted" },
	{ SYS_ppoll, 'S', { 8, 5 }, "", VITALS_ON_IO, "polls 5 descriptors" },
	{ SYS_ppoll, 'S', { 0, 0 }, "", VITALS_SLEEPING, "sleeps" },
	{ SYS_pselect6,
	  'S',
	  { 12, 8, 0, 0 },
	  "",
	  VITALS_ON_IO,
	  "selects from descriptors below 12" },
	{ SYS_pselect6, 'S', { 0, 0, 0, 0 }, "", VITALS_SLEEPING, "sleeps" },
	{ SYS_fcntl,
	  'S',
	  { 99, F_SETLKW },
	  "",
	  VITALS_ON_IO,
	  "waits for a lock on a part of descriptor 99" },
	{ SYS_clock_nanosleep, 'S', { 0 }, "", VITALS_SLEEPING, "sleeps" },
	{ SYS_wait4, 'S', { 71 }, "", VITALS_ON_CHILD, "waits for a process (pid 71)" },
	{ SYS_wait4, 'S', { UINT64_MAX }, "", VITALS_ON_CHILD, "waits for a process" },
	{ SYS_rt_sigtimedwait, 'S', { 0 }, "", VITALS_BLOCKED, "waits for a signal" },
	{ SYS_clone,
	  'D',
	  { 0 },
	  "",
	  VITALS_ON_CHILD,
	  "waits for a process it made to run a program" },
	{ 4095,
	  'S',
	  { 0 },
	  "what_ever",
	  VITALS_BLOCKED,
	  "waits in system call 4095, in what_ever" },
	{ 4095, 'D', { 0 }, "", VITALS_ON_IO, "waits in system call 4095" },
	{ VT_CALL_NONE, 'D', { 0 }, "", VITALS_ON_IO, "waits for a disk or a device" },
	{ VT_CALL_NONE, 'S', { 0 }, "", VITALS_BLOCKED, "waits in the kernel" },
	/* By the place, after a setuid or a stop. */
	{ VT_CALL_UNKNOWN,
	  'S',
	  { 0 },
	  "futex_wait_queue",
	  VITALS_BLOCKED,
	  "waits for a lock, a condition or the like" },
	{ VT_CALL_UNKNOWN,
	  'S',
	  { 0 },
	  "unix_stream_read_generic",
	  VITALS_ON_IO,
	  "waits for a local socket" },
	{ VT_CALL_UNKNOWN, 'S', { 0 }, "do_sys_poll", VITALS_ON_IO, "polls" },
	{ VT_CALL_UNKNOWN,
	  'S',
	  { 0 },
	  "do_wait",
	  VITALS_ON_CHILD,
	  "waits for a process" },
	{ SYS_restart_syscall,
	  'S',
	  { 0 },
	  "hrtimer_nanosleep",
	  VITALS_SLEEPING,
	  "sleeps" },
	{ SYS_restart_syscall,
	  'S',
	  { 0 },
	  "",
	  VITALS_BLOCKED,
	  "goes on with a wait that a signal interrupted" },
};

START_TEST(puts_calls_into_words)
{
	struct vt_sample sample = { .has = VT_SAMPLE_STATE };
	struct vt_proc proc;
	struct vt_text text;
	char line[256];

	sample.call = waits[_i].call;
	sample.state = waits[_i].state;
	memcpy(sample.args, waits[_i].args, sizeof(waits[_i].args));
	memcpy(sample.wchan, waits[_i].wchan, strlen(waits[_i].wchan) + 1);
	vt_proc_begin(&proc, 0);
	vt_text_init(&text, line, sizeof(line));
	vt_call_describe(&proc, &sample, &text);
	ck_assert_int_eq(vt_call_class(&sample), waits[_i].thread_class);
	/* What follows hangs on the architecture. */
	line[strlen(waits[_i].begins)] = 0;
	ck_assert_str_eq(line, waits[_i].begins);
}
END_TEST

static void check_target(int fd, const char *words)
{
	struct vt_sample sample = { .call = SYS_read, .state = 'S' };
	struct vt_proc proc;
	struct vt_text text, want;
	char line[256], wanted[256];

	sample.args[0] = (uint64_t)fd;
	vt_proc_begin(&proc, 0);
	vt_text_init(&text, line, sizeof(line));
	vt_call_describe(&proc, &sample, &text);
	vt_text_init(&want, wanted, sizeof(wanted));
	vt_text_add(&want, "reads from descriptor ");
	vt_text_add_u64(&want, (uint64_t)fd);
	vt_text_add(&want, words);
	ck_assert_str_eq(line, wanted);
}

START_TEST(says_what_a_descriptor_is)
{
	char directory[TEMP_PATH_MAX], path[TEMP_PATH_MAX + 128];
	char words[TEMP_PATH_MAX + 128];
	int fd;

	ck_assert_int_eq(pipe(fds), 0);
	check_target(fds[0], ", a pipe");
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check_target(fd, ", /dev/null");
	(void)close(fd);
	temp_dir_make(directory);
	(void)snprintf(path, sizeof(path), "%s/%061d\n", directory, 0);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)snprintf(words, sizeof(words), ", …%059d?", 0);
	check_target(fd, words);
	(void)close(fd);
	temp_dir_remove(directory);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

/* What the call points to is read, and not more than is meant. */
START_TEST(names_what_is_polled)
{
	struct pollfd entries[3] = { { .fd = 901 }, { .fd = -1 }, { .fd = 902 } };
	uint64_t set[2] = { (uint64_t)1 << 9 | (uint64_t)1 << 40, UINT64_MAX };
	struct vt_sample sample = { .call = SYS_ppoll, .state = 'S' };
	struct vt_proc proc;
	struct vt_text text;
	char line[256];

	vt_proc_begin(&proc, 0);
	sample.args[0] = (uint64_t)(uintptr_t)entries;
	sample.args[1] = 3;
	vt_text_init(&text, line, sizeof(line));
	vt_call_describe(&proc, &sample, &text);
	ck_assert_str_eq(line, "polls 3 descriptors: descriptor 901; no descriptor; …");
	sample.args[1] = 1;
	vt_text_init(&text, line, sizeof(line));
	vt_call_describe(&proc, &sample, &text);
	ck_assert_str_eq(line, "polls descriptor 901");

	sample.call = SYS_pselect6;
	sample.args[0] = 40;
	sample.args[1] = (uint64_t)(uintptr_t)set;
	(void)close(9);
	vt_text_init(&text, line, sizeof(line));
	vt_call_describe(&proc, &sample, &text);
	/* The 40th is not below it. */
	ck_assert_str_eq(line, "selects from descriptor 9");
}
END_TEST

/* The whole, of real threads: tests/faults.c does it over and over. */

static const struct {
	enum vitals_class thread_class;
	enum vitals_class
		other; /* also right: on a machine that is busy with something else */
	uint64_t window_ns;
	const char *begins;
} found[FAULTS] = {
	[FAULT_SPIN] = { VITALS_SPINNING, VITALS_RUNNING, VITALS_MS(60), "" },
	[FAULT_MUTEX] = { VITALS_ON_LOCK, VITALS_ON_LOCK, 0, "waits for mutex 0x" },
	[FAULT_CONDVAR] = { VITALS_BLOCKED, VITALS_BLOCKED, 0,
			    "waits for a condition, a semaphore or the like at 0x" },
	[FAULT_READ] = { VITALS_ON_IO, VITALS_ON_IO, 0, "reads from descriptor " },
	[FAULT_SLEEP] = { VITALS_SLEEPING, VITALS_SLEEPING, 0, "sleeps" },
	[FAULT_STARVED] = { VITALS_STARVED, VITALS_RUNNING, VITALS_MS(100), "" },
	[FAULT_QUOTA] = { VITALS_STARVED, VITALS_RUNNING, VITALS_MS(200), "" },
	[FAULT_STOPPED] = { VITALS_HALTED, VITALS_HALTED, 0,
			    "is stopped by a debugger (pid " },
	[FAULT_GONE] = { VITALS_GONE, VITALS_GONE, 0, "is gone" },
};

static void nothing(int number)
{
	(void)number;
}

static void look(uint32_t pid, uint32_t tid, uint64_t window_ns,
		 struct vitals_evidence *evidence)
{
	struct vt_window window;
	struct vt_proc proc;
	int i;

	vt_proc_begin(&proc, pid);
	vt_window_begin(&window);
	for (i = 0; i < 4; i++) {
		vt_window_look(&proc, tid, vt_clock_now(), &window);
		(void)usleep((useconds_t)(window_ns / 4000));
	}
	VITALS_INIT(evidence);
	errno = 4711;
	vt_evidence_take(&proc, NULL, tid, vt_clock_now(), &window, evidence, NULL);
	child_check(errno == 4711);
}

static void check_found(enum fault_kind kind, const struct vitals_evidence *evidence)
{
	const char *begins = found[kind].begins;

	child_check(evidence->thread_class == found[kind].thread_class ||
		    evidence->thread_class == found[kind].other);
	child_check(strncmp(evidence->doing, begins, strlen(begins)) == 0);
	child_check(evidence->size == sizeof(*evidence));
	child_check(evidence->reason == VITALS_REASON_NONE);
	child_check(evidence->looks == 5 && evidence->took_ns != 0);
	child_check(kind == FAULT_GONE || strcmp(evidence->comm, "culprit") == 0);
}

static void seed_fault(void *arg)
{
	enum fault_kind kind = *(const enum fault_kind *)arg;
	struct vitals_evidence evidence;
	struct fault_helper helper;
	struct fault fault;

	(void)signal(SIGUSR1, nothing);
	fault_helper_begin(&helper);
	fault_prepare(&fault);
	if (fault_begin(&fault, kind, &helper)) {
		look(0, fault.tid, found[kind].window_ns, &evidence);
		check_found(kind, &evidence);
		/* The same as if of another process. */
		look((uint32_t)getpid(), fault.tid, found[kind].window_ns, &evidence);
		check_found(kind, &evidence);
		fault_end(&fault, &helper);
	}
	fault_discard(&fault);
	fault_helper_end(&helper);
}

START_TEST(says_what_is_wrong)
{
	enum fault_kind kind = (enum fault_kind)_i;

	child_run(seed_fault, &kind);
}
END_TEST

START_TEST(a_record_without_a_look_says_why)
{
	struct vitals_evidence evidence;

	VITALS_INIT(&evidence);
	vt_evidence_none(71, 4711, VITALS_REASON_SECCOMP, &evidence);
	ck_assert_uint_eq(evidence.size, sizeof(evidence));
	ck_assert_uint_eq(evidence.tid, 71);
	ck_assert_uint_eq(evidence.thread_class, VITALS_UNKNOWN);
	ck_assert_str_eq(evidence.doing, vitals_reason_text(VITALS_REASON_SECCOMP));
	ck_assert_str_eq(vitals_class_name(VITALS_SPINNING), "spinning");
	ck_assert_str_eq(vitals_class_name(-1), "unknown");
	ck_assert_str_eq(vitals_class_name(VITALS_CLASSES), "unknown");
	ck_assert_str_eq(vitals_reason_text(VITALS_REASON_NONE), "");
	ck_assert_str_eq(vitals_reason_text(-1), "");
	ck_assert_str_eq(vitals_reason_text(VITALS_REASONS), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evidence");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, says_what_the_samples_bear, 0, COUNT(windows));
	tcase_add_test(tc, reads_pressure);
	tcase_add_loop_test(tc, reads_what_a_group_is_held_back, 0, COUNT(stats));
	tcase_add_loop_test(tc, finds_the_group_that_limits, 0, COUNT(groups));
	tcase_add_loop_test(tc, puts_calls_into_words, 0, COUNT(waits));
	tcase_add_test(tc, says_what_a_descriptor_is);
	tcase_add_test(tc, names_what_is_polled);
	tcase_add_loop_test(tc, says_what_is_wrong, 0, FAULTS);
	tcase_add_test(tc, a_record_without_a_look_says_why);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
