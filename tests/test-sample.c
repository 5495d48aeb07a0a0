/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "sample.h"
#include "task.h"
#include "vitals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define REST " 1 2 3 0 -1 4194304 11 22 33 44 55 66 77 88 20 0 1 0"

static const struct {
	const char *text;
	const char *comm;
	char state; /* 0: it is none */
} stats[] = {
	{ "71 (worker) S" REST, "worker", 'S' },
	{ "71 () R" REST, "", 'R' },
	{ "71 (a) R 1 (b) D" REST, "a) R 1 (b", 'D' },
	{ "71 (\n)) T" REST, "\n)", 'T' },
	{ "71 (0123456789abcdefgh) t" REST, "0123456789abcde", 't' },
	{ "71 (cut) S 1 2 3", "", 0 },
	{ "71 (cut) S", "", 0 },
	{ "71 (cut", "", 0 },
	{ "71 cut) S" REST, "", 0 },
	{ ")(", "", 0 },
	{ "", "", 0 },
};

START_TEST(reads_the_state_behind_any_name)
{
	struct vt_sample sample = { 0 };
	bool good = vt_sample_parse_stat(stats[_i].text, &sample);

	ck_assert_int_eq(good, stats[_i].state != 0);
	ck_assert_int_eq(sample.state, stats[_i].state);
	ck_assert_str_eq(sample.comm, stats[_i].comm);
	if (!good)
		return;
	ck_assert_uint_eq(sample.minor_faults, 11);
	ck_assert_uint_eq(sample.major_faults, 33);
	ck_assert_uint_eq(sample.user_ns, VITALS_MS(550));
	ck_assert_uint_eq(sample.system_ns, VITALS_MS(660));
}
END_TEST

static const struct {
	const char *text;
	int32_t call; /* VT_CALL_UNKNOWN: it is none */
	uint64_t last;
	uint64_t pc;
} calls[] = {
	{ "running\n", VT_CALL_NONE, 0, 0 },
	{ "-1 0x7ffd 0x55aa\n", VT_CALL_NONE, 0, 0x55aa },
	{ "202 0x1 0x2 0x3 0x4 0x5 0xffffffffffffffff 0x7ffd 0x55aa\n", 202, UINT64_MAX,
	  0x55aa },
	{ "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", 0, 0, 0 },
	{ "202 0x1 0x2 0x3\n", VT_CALL_UNKNOWN, 0, 0 },
	{ "99999999999 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", VT_CALL_UNKNOWN, 0, 0 },
	{ "-1\n", VT_CALL_UNKNOWN, 0, 0 },
	{ "-7 0x0 0x0\n", VT_CALL_UNKNOWN, 0, 0 },
	{ "", VT_CALL_UNKNOWN, 0, 0 },
};

START_TEST(reads_the_call)
{
	struct vt_sample sample = { .call = VT_CALL_UNKNOWN };
	bool good = vt_sample_parse_syscall(calls[_i].text, &sample);

	ck_assert_int_eq(good, calls[_i].call != VT_CALL_UNKNOWN);
	ck_assert_int_eq(sample.call, calls[_i].call);
	ck_assert_uint_eq(sample.args[5], calls[_i].last);
	ck_assert_uint_eq(sample.pc, calls[_i].pc);
}
END_TEST

START_TEST(reads_the_rest)
{
	struct vt_sample sample = { 0 };

	ck_assert(vt_sample_parse_schedstat("11888 9214 17\n", &sample));
	ck_assert_uint_eq(sample.clock_ns, 11888);
	ck_assert_uint_eq(sample.run_delay_ns, 9214);
	ck_assert_uint_eq(sample.runs, 17);
	/* The clock of its own says more. */
	ck_assert(vt_sample_parse_schedstat("1 2 3\n", &sample));
	ck_assert_uint_eq(sample.clock_ns, 11888);
	ck_assert(!vt_sample_parse_schedstat("1 2", &sample));

	ck_assert(vt_sample_parse_status("Name:\tx\nTracerPid:\t4711\n"
					 "voluntary_ctxt_switches:\t12\n"
					 "nonvoluntary_ctxt_switches:\t34\n",
					 &sample));
	ck_assert_uint_eq(sample.tracer, 4711);
	ck_assert_uint_eq(sample.voluntary, 12);
	ck_assert_uint_eq(sample.involuntary, 34);
	/* Cut off, and a name that looks like a line. */
	ck_assert(!vt_sample_parse_status("Name:\tx\nvoluntary_ctxt_switches:\t12\nnonv",
					  &sample));
	ck_assert(!vt_sample_parse_status("Name:\tvoluntary_ctxt_switches:1\n", &sample));

	ck_assert(!vt_sample_parse_wchan("0", &sample));
	ck_assert(!vt_sample_parse_wchan("", &sample));
	ck_assert_str_eq(sample.wchan, "");
	ck_assert(vt_sample_parse_wchan("futex_wait_queue", &sample));
	ck_assert_str_eq(sample.wchan, "futex_wait_queue");
}
END_TEST

/* A thread that waits in read() on a pipe, until it is closed. */
struct waiter {
	pthread_t thread;
	_Atomic uint32_t tid;
	int pipe[2];
};

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;
	char byte;

	atomic_store(&waiter->tid, vt_task_self());
	(void)!read(waiter->pipe[0], &byte, 1);
	return NULL;
}

static void waiter_begin(struct waiter *waiter)
{
	struct vt_proc proc;
	struct vt_sample sample = { 0 };

	atomic_store(&waiter->tid, 0);
	child_check(pipe(waiter->pipe) == 0);
	child_check(pthread_create(&waiter->thread, NULL, waiter_run, waiter) == 0);
	vt_proc_begin(&proc, 0);
	while (!atomic_load(&waiter->tid) || sample.state != 'S') {
		(void)usleep(1000);
		vt_sample_take(&proc, atomic_load(&waiter->tid), VT_SAMPLE_STATE, 0,
			       &sample);
	}
}

static void waiter_end(struct waiter *waiter)
{
	(void)close(waiter->pipe[1]);
	child_check(pthread_join(waiter->thread, NULL) == 0);
	(void)close(waiter->pipe[0]);
}

#define ALL                                                                              \
	(VT_SAMPLE_STATE | VT_SAMPLE_DELAY | VT_SAMPLE_CALL | VT_SAMPLE_SWITCHES |       \
	 VT_SAMPLE_WCHAN)

static void check_waits(struct vt_proc *proc, const struct waiter *waiter)
{
	struct vt_sample sample;

	errno = 4711;
	vt_sample_take(proc, waiter->tid, ALL & ~VT_SAMPLE_WCHAN, 1, &sample);
	child_check(errno == 4711);
	child_check(sample.reason == VITALS_REASON_NONE);
	child_check((sample.has & (ALL & ~VT_SAMPLE_WCHAN)) == (ALL & ~VT_SAMPLE_WCHAN));
	child_check(!sample.gone && sample.state == 'S');
	child_check(sample.call == SYS_read);
	child_check(sample.args[0] == (uint64_t)waiter->pipe[0]);
	child_check(sample.clock_ns != 0 && sample.voluntary != 0 && sample.runs != 0);
}

static void sees_a_waiter(void *arg)
{
	struct waiter waiter;
	struct vt_proc proc;
	struct vt_sample sample;

	waiter_begin(&waiter);
	vt_proc_begin(&proc, (uint32_t)(arg ? getpid() : 0));
	check_waits(&proc, &waiter);
	waiter_end(&waiter);
	/* A joined thread may still be on its way out. */
	do {
		vt_sample_take(&proc, waiter.tid, ALL, 1, &sample);
	} while (!sample.gone && usleep(1000) == 0);
	child_check(sample.reason == VITALS_REASON_NONE);
}

START_TEST(sees_a_thread_and_that_it_is_gone)
{
	bool as_another = true;

	child_run(sees_a_waiter, NULL);
	child_run(sees_a_waiter, &as_another);
}
END_TEST

/* Takes every descriptor there is. Return: one of them. */
static int take_all(int *first)
{
	struct rlimit limit = { 64, 64 };
	int fd, last = -1;

	child_check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	*first = -1;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
		if (*first < 0)
			*first = fd;
		last = fd;
	}
	child_check(errno == EMFILE);
	return last;
}

static void lives_without_files(void *arg)
{
	struct waiter waiter;
	struct vt_proc proc;
	struct vt_sample sample;
	int first, last, i;

	(void)arg;
	waiter_begin(&waiter);
	vt_proc_begin(&proc, 0);
	vt_proc_keep(&proc);
	child_check(proc.spare != 0);
	last = take_all(&first);
	/* Again and again: it is taken back each time. */
	for (i = 0; i < 10; i++)
		check_waits(&proc, &waiter);
	child_check(proc.spare != 0);

	/* It is the host's now, and stays open. */
	child_check(dup2(first, proc.spare - 1) == proc.spare - 1);
	vt_sample_take(&proc, waiter.tid, ALL, 1, &sample);
	child_check(sample.reason == VITALS_REASON_NO_FILES);
	child_check(!sample.gone && sample.clock_ns != 0 && sample.has == 0);
	child_check(fcntl(last, F_GETFD) >= 0);
	child_check(proc.spare == 0);

	/* There is room again, and a spare with it. */
	(void)close(first);
	check_waits(&proc, &waiter);
	child_check(proc.spare != 0);
	check_waits(&proc, &waiter);
	vt_proc_end(&proc);
	child_check((first = open("/dev/null", O_RDONLY)) >= 0);
	(void)close(first);
	waiter_end(&waiter);
}

START_TEST(gives_its_spare_and_never_the_hosts)
{
	child_run(lives_without_files, NULL);
}
END_TEST

static void is_not_dumpable(void *arg)
{
	struct waiter waiter;
	struct vt_proc proc;
	struct vt_sample sample;

	(void)arg;
	waiter_begin(&waiter);
	vt_proc_begin(&proc, 0);
	/* Glibc's setuid does it in every thread, and wakes it for that. */
	child_check(setgid(65534) == 0 && setuid(65534) == 0);
	child_check(prctl(PR_GET_DUMPABLE) == 0);
	do {
		vt_sample_take(&proc, waiter.tid, ALL, 1, &sample);
	} while (sample.state == 'R' && usleep(1000) == 0);
	child_check(sample.reason == VITALS_REASON_NOT_DUMPABLE);
	child_check(sample.call == VT_CALL_UNKNOWN);
	child_check(!sample.gone && sample.state == 'S');
	child_check((sample.has & (VT_SAMPLE_STATE | VT_SAMPLE_SWITCHES)) ==
		    (VT_SAMPLE_STATE | VT_SAMPLE_SWITCHES));
	child_check(prctl(PR_SET_DUMPABLE, 1) == 0);
	check_waits(&proc, &waiter);
	waiter_end(&waiter);
}

START_TEST(says_what_a_setuid_took)
{
	if (geteuid() == 0)
		child_run(is_not_dumpable, NULL);
}
END_TEST

START_TEST(a_file_that_does_not_fit_is_cut)
{
	struct vt_proc proc;
	char text[8];
	int open_before = fd_count();

	vt_proc_begin(&proc, 0);
	ck_assert_int_eq(vt_proc_read(&proc, vt_task_self(), "status", text, 8), 7);
	ck_assert_str_eq(text, "Name:\tt");
	ck_assert_int_eq(vt_proc_read(&proc, 0, "no-such-file", text, 8), -ENOENT);
	ck_assert_str_eq(text, "");
	ck_assert_int_gt(vt_proc_link(&proc, "exe", text, 8), 0);
	ck_assert_int_eq(vt_proc_link(&proc, "fd/4711", text, 8), -ENOENT);
	ck_assert_str_eq(text, "");
	/* Who keeps no spare has nothing to end. */
	ck_assert_int_eq(fd_count(), open_before);
	vt_proc_keep(&proc);
	ck_assert_int_eq(fd_count(), open_before + 1);
	vt_proc_end(&proc);
	ck_assert_int_eq(fd_count(), open_before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sample");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, reads_the_state_behind_any_name, 0, COUNT(stats));
	tcase_add_loop_test(tc, reads_the_call, 0, COUNT(calls));
	tcase_add_test(tc, reads_the_rest);
	tcase_add_test(tc, sees_a_thread_and_that_it_is_gone);
	tcase_add_test(tc, gives_its_spare_and_never_the_hosts);
	tcase_add_test(tc, says_what_a_setuid_took);
	tcase_add_test(tc, a_file_that_does_not_fit_is_cut);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
