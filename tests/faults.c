/* SPDX-License-Identifier: MIT */

/*
 * Seeded faults, over and over: does the evidence say what each is, and how long does it take? As
 * whoever we are, as nobody, without a descriptor left, and after a setuid that closed /proc.
 *
 * usage: faults [RUNS [SEED]]; or VITALS_FAULTS, VITALS_FAULTS_SEED
 *
 * It fails below 99 of 100, or, where /proc is closed, without the reason; and whenever one that is
 * starved is said to spin, also in windows of any length from 2 ms on.
 */

#include "chance.h"
#include "seeded.h"

#include "evidence.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define RUNS_MAX 100000
#define SHORT_MAX_NS VITALS_MS(150)

enum condition {
	AS_IS,
	AS_NOBODY,
	NO_FILES,
	NOT_DUMPABLE,
	CONDITIONS,
};

static const char *const condition_names[CONDITIONS] = {
	"as is",
	"as nobody",
	"no descriptors",
	"after setuid",
};

static const struct {
	enum vitals_class thread_class;
	uint64_t window_ns;
	unsigned looks; /* before the last */
} wanted[FAULTS] = {
	[FAULT_SPIN] = { VITALS_SPINNING, VITALS_MS(60), 4 },
	[FAULT_MUTEX] = { VITALS_ON_LOCK, VITALS_MS(2), 1 },
	[FAULT_CONDVAR] = { VITALS_BLOCKED, VITALS_MS(2), 1 },
	[FAULT_READ] = { VITALS_ON_IO, VITALS_MS(2), 1 },
	[FAULT_SLEEP] = { VITALS_SLEEPING, VITALS_MS(2), 1 },
	[FAULT_STARVED] = { VITALS_STARVED, VITALS_MS(200), 4 },
	[FAULT_QUOTA] = { VITALS_STARVED, VITALS_MS(200), 4 },
	[FAULT_STOPPED] = { VITALS_HALTED, VITALS_MS(2), 1 },
	[FAULT_GONE] = { VITALS_GONE, VITALS_MS(2), 1 },
};

/* What came of the runs of one fault. */
struct tally {
	uint32_t runs;
	uint32_t right;
	uint32_t named;  /* of the right: by the reason alone */
	uint32_t busy;   /* done again: the machine did not let a spinner run */
	uint32_t unjust; /* said to spin, and starved */
	uint32_t n_took;
	uint64_t took[RUNS_MAX];
	char wrong[VITALS_DOING_MAX];
};

static struct tally tally;
static struct chance chance;
static uint32_t n_runs;

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void rest(uint64_t ns)
{
	struct timespec time = { (time_t)(ns / VITALS_S(1)), (long)(ns % VITALS_S(1)) };

	(void)nanosleep(&time, NULL);
}

/* As the monitor does it. */
static void look(struct vt_proc *proc, uint32_t tid, uint64_t window_ns, unsigned looks,
		 struct vitals_evidence *evidence)
{
	struct vt_window window;
	unsigned i;

	VITALS_INIT(evidence);
	vt_window_begin(&window);
	for (i = 0; i < looks; i++) {
		vt_window_look(proc, tid, clock_now(), &window);
		rest(window_ns / looks);
	}
	vt_evidence_take(proc, NULL, tid, clock_now(), &window, evidence, NULL);
}

/*
 * Was a spinner not let run, by whatever else there is on the machine? What it waits for still is in
 * no run delay yet; its clock says so.
 */
static bool machine_busy(enum fault_kind kind, const struct vitals_evidence *evidence)
{
	return kind == FAULT_SPIN && evidence->thread_class == VITALS_RUNNING &&
	       evidence->cpu_ns < evidence->window_ns / 5 * 4;
}

static void count(enum fault_kind kind, const struct vitals_evidence *evidence)
{
	bool starved = kind == FAULT_STARVED || kind == FAULT_QUOTA;

	if (machine_busy(kind, evidence)) {
		tally.busy++;
		return;
	}
	tally.runs++;
	if (tally.n_took < RUNS_MAX)
		tally.took[tally.n_took++] = evidence->took_ns;
	if (starved && evidence->thread_class == VITALS_SPINNING)
		tally.unjust++;
	if (evidence->thread_class == wanted[kind].thread_class) {
		tally.right++;
	} else if (evidence->reason == VITALS_REASON_NOT_DUMPABLE) {
		tally.right++;
		tally.named++;
	} else {
		memcpy(tally.wrong, evidence->doing, sizeof(tally.wrong));
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double took_us(uint32_t thousandth)
{
	uint64_t at = (uint64_t)tally.n_took * thousandth / 1000;

	if (!tally.n_took)
		return 0;
	return (double)tally.took[at < tally.n_took ? at : tally.n_took - 1] / 1e3;
}

/* Return: whether it is good enough. */
static bool report(enum condition condition, const char *fault)
{
	bool good = tally.runs && tally.runs >= n_runs / 4 &&
		    tally.right * 100u >= tally.runs * 99u && !tally.unjust;

	qsort(tally.took, tally.n_took, sizeof(tally.took[0]), compare);
	printf("%-15s %-8s %6u %6u %6u %6u %6u %7.0f %7.0f %7.0f  %s\n",
	       condition_names[condition], fault, tally.right, tally.runs - tally.right,
	       tally.named, tally.unjust, tally.busy, took_us(500), took_us(990),
	       took_us(1000), good ? tally.wrong : "NOT GOOD ENOUGH");
	if (!good && tally.wrong[0])
		printf("  %s\n", tally.wrong);
	fflush(stdout);
	return good;
}

static bool run_all(enum condition condition, struct vt_proc *proc, struct fault *fault,
		    const struct fault_helper *helper, enum fault_kind kind)
{
	struct vitals_evidence evidence;
	uint32_t i;

	memset(&tally, 0, sizeof(tally));
	for (i = 0; tally.runs < n_runs && i < n_runs * 4; i++) {
		if (!fault_begin(fault, kind, helper)) {
			printf("%-15s %-8s cannot be had here\n",
			       condition_names[condition], fault_names[kind]);
			return true;
		}
		look(proc, atomic_load(&fault->tid), wanted[kind].window_ns,
		     wanted[kind].looks, &evidence);
		count(kind, &evidence);
		fault_end(fault, helper);
	}
	return report(condition, fault_names[kind]);
}

/* Windows of any length: what they say may be little, but not that it spins. */
static bool run_short(enum condition condition, struct vt_proc *proc, struct fault *fault,
		      const struct fault_helper *helper, enum fault_kind kind)
{
	struct vitals_evidence evidence;
	uint32_t i;

	memset(&tally, 0, sizeof(tally));
	if (!fault_begin(fault, kind, helper))
		return true;
	for (i = 0; i < n_runs * 2; i++) {
		/* The shorter, the oftener: a quota's whole share is had in one go. */
		uint64_t most_ns = 1 + chance_below(&chance, SHORT_MAX_NS);
		uint64_t ns = VITALS_MS(2) + chance_below(&chance, most_ns);

		look(proc, atomic_load(&fault->tid), ns,
		     1 + (unsigned)chance_below(&chance, 8), &evidence);
		count(kind, &evidence);
		tally.right = tally.runs - tally.unjust;
	}
	fault_end(fault, helper);
	return report(condition, kind == FAULT_QUOTA ? "quota, ~" : "idle, ~");
}

static void on_signal(int number)
{
	(void)number;
}

/* Gives up what the condition is without; the spare is kept before, as the monitor does. */
static void give_up(enum condition condition)
{
	struct rlimit limit = { 128, 128 };

	if (condition == AS_NOBODY || condition == NOT_DUMPABLE) {
		if (setgid(NOBODY) || setuid(NOBODY))
			abort();
		(void)prctl(PR_SET_DUMPABLE, condition == AS_NOBODY ? 1 : 0);
	}
	if (condition == NO_FILES) {
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
			continue;
	}
}

/* In a process of its own. Return: its status. */
static int run_condition(enum condition condition)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct fault_helper helper;
	struct fault fault;
	struct vt_proc proc;
	bool good = true;
	enum fault_kind kind;

	(void)sigaction(SIGUSR1, &action, NULL);
	fault_helper_begin(&helper);
	fault_prepare(&fault);
	vt_proc_begin(&proc, 0);
	vt_proc_keep(&proc);
	give_up(condition);
	for (kind = 0; kind < FAULTS; kind++)
		good &= run_all(condition, &proc, &fault, &helper, kind);
	good &= run_short(condition, &proc, &fault, &helper, FAULT_STARVED);
	good &= run_short(condition, &proc, &fault, &helper, FAULT_QUOTA);
	vt_proc_end(&proc);
	fault_discard(&fault);
	fault_helper_end(&helper);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0)
				 : chance_seed("VITALS_FAULTS_SEED");
	enum condition condition;
	int failed = 0;

	n_runs = (uint32_t)(argc > 1 ? strtoull(argv[1], NULL, 0)
				     : number_from("VITALS_FAULTS", 100));
	if (!n_runs || n_runs > RUNS_MAX / 4)
		n_runs = 100;
	chance.state = seed;
	printf("faults: %u runs each, seed %llu\n", n_runs, (unsigned long long)seed);
	printf("%-15s %-8s %6s %6s %6s %6s %6s %7s %7s %7s us\n", "", "", "right",
	       "wrong", "named", "unjust", "busy", "p50", "p99", "max");
	fflush(stdout);
	for (condition = 0; condition < CONDITIONS; condition++) {
		int status = 0;
		pid_t pid;

		if (geteuid() && (condition == AS_NOBODY || condition == NOT_DUMPABLE)) {
			printf("%s: only the superuser can\n",
			       condition_names[condition]);
			continue;
		}
		pid = fork();
		if (pid == 0)
			_exit(run_condition(condition));
		if (waitpid(pid, &status, 0) != pid || status != 0)
			failed++;
	}
	printf("faults: %s\n", failed ? "failed" : "as they should be");
	return failed != 0;
}
