/* SPDX-License-Identifier: MIT */

/*
 * With the allocator's lock held for ever, and more: the process is gone soon after the deadline,
 * has said who was late, and those who flush were told.
 */

#include "ends-host.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define TIMEOUT_NS VITALS_MS(150)
#define LATE_NS VITALS_MS(20)
#define AFTER_NS VITALS_MS(5)

static const struct host hosts[] = {
	{ "exit", HANG_MALLOC, .main = MAIN_EXITS, .first = true },
	{ "exit, then it hangs", HANG_MALLOC, .main = MAIN_EXITS },
	{ "main in malloc", HANG_MALLOC, .main = MAIN_ALLOCATES,
	  .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "main in malloc, abort", HANG_MALLOC, .main = MAIN_ALLOCATES,
	  .at_deadline = VITALS_ABORT_AT_DEADLINE },
	{ "main away", HANG_MALLOC, .main = MAIN_IS_AWAY,
	  .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "finish, abort", HANG_MALLOC, .main = MAIN_FINISHES,
	  .at_deadline = VITALS_ABORT_AT_DEADLINE },
	{ "stderr is full", HANG_MALLOC, .main = MAIN_EXITS, .output = OUTPUT_FULL },
	{ "stderr is full, main in malloc", HANG_MALLOC, .main = MAIN_ALLOCATES,
	  .at_deadline = VITALS_EXIT_AT_DEADLINE, .output = OUTPUT_FULL },
	{ "stderr is closed", HANG_MALLOC, .main = MAIN_EXITS, .output = OUTPUT_CLOSED },
	{ "stdio", HANG_MALLOC | HANG_STDIO, .main = MAIN_EXITS },
	{ "registry's lock", HANG_MALLOC | HANG_REGISTRY, .main = MAIN_EXITS },
	{ "registry's lock first", HANG_MALLOC | HANG_REGISTRY, .main = MAIN_EXITS,
	  .first = true },
	{ "registry's lock, main in malloc", HANG_MALLOC | HANG_REGISTRY,
	  .main = MAIN_ALLOCATES, .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "judge", HANG_MALLOC | HANG_JUDGE, .main = MAIN_EXITS },
	{ "judge, main in malloc", HANG_MALLOC | HANG_JUDGE, .main = MAIN_ALLOCATES,
	  .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "events_lock", HANG_MALLOC | HANG_EVENTS, .main = MAIN_EXITS },
	{ "monitor_control", HANG_MALLOC | HANG_MONITOR, .main = MAIN_EXITS },
	{ "notifier_control first", HANG_MALLOC | HANG_NOTIFIER | HANG_CALLBACK,
	  .main = MAIN_EXITS, .first = true },
	{ "notifier_lock", HANG_MALLOC | HANG_CALLS, .main = MAIN_EXITS },
	{ "all locks", HANG_MALLOC | HANG_STDIO | HANG_LOCKS, .main = MAIN_EXITS },
	{ "all locks, main in malloc", HANG_MALLOC | HANG_STDIO | HANG_LOCKS,
	  MAIN_ALLOCATES, .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "a callback", HANG_MALLOC | HANG_CALLBACK, .main = MAIN_EXITS },
	{ "a condition", HANG_MALLOC | HANG_COND, .main = MAIN_EXITS },
	{ "a condition, main in malloc", HANG_MALLOC | HANG_COND, .main = MAIN_ALLOCATES,
	  .at_deadline = VITALS_EXIT_AT_DEADLINE },
	{ "on the way out", HANG_MALLOC | HANG_WAY_OUT, .main = MAIN_EXITS },
	{ "on the way out, no more", HANG_WAY_OUT, .main = MAIN_EXITS },
	{ "drain", HANG_MALLOC | HANG_DRAIN, .main = MAIN_EXITS },
	{ "all of it",
	  HANG_MALLOC | HANG_STDIO | HANG_LOCKS | HANG_CALLBACK | HANG_COND |
		  HANG_WAY_OUT | HANG_DRAIN,
	  .main = MAIN_EXITS },
};

static const char *wrong_of(const struct host *host, const struct end *end)
{
	bool aborts = host->at_deadline == VITALS_ABORT_AT_DEADLINE;

	if (aborts && (!WIFSIGNALED(end->status) || WTERMSIG(end->status) != SIGABRT))
		return "no SIGABRT";
	if (!aborts && !ends_exited(end, HOST_LATE))
		return "not the right status";
	if (end->over_ns < atomic_load(&board->asked_ns) + host->timeout_ns)
		return "before the deadline";
	if (host->output == OUTPUT_READ && !ends_idle() && ends_host_starved(end->text))
		return NULL;
	if (!atomic_load(&board->flushed))
		return "who flushes was not told";
	if (host->output == OUTPUT_READ && !ends_host_named(host, end->text))
		return "not the right names";
	return NULL;
}

static bool host_ends(const struct host *template, uint32_t n)
{
	struct host host = *template;
	struct tally tally = ends_tally(host.what, n);
	struct end end;
	const char *wrong;
	uint32_t i;

	host.timeout_ns = TIMEOUT_NS;
	for (i = 0; i < n; i++) {
		pid_t pid = ends_begin(ends_host, &host, host.output);
		bool asked = ends_host_ask(pid);

		if (!asked)
			(void)kill(pid, SIGKILL);
		ends_wait(pid, &end);
		wrong = asked ? wrong_of(&host, &end) : "did not get as far";
		if (wrong) {
			tally.wrong++;
			ends_complain(host.what, &end, wrong);
		}
		ends_took(&tally,
			  end.over_ns - atomic_load(&board->asked_ns) - host.timeout_ns);
		ends_bare();
	}
	return ends_judge(&tally, LATE_NS);
}

bool ends_deadlines(uint32_t n)
{
	bool well = true;
	uint32_t i;

	printf("leaves, after the deadline:\n");
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		well &= host_ends(&hosts[i], n);
	return well;
}

/* Who flushes is told, by chance of all that may hang; and finish is back in time. */

static void chosen(struct host *host, struct chance *chance)
{
	static const uint32_t hangs[] = {
		HANG_MALLOC, HANG_STDIO,   HANG_REGISTRY, HANG_JUDGE,
		HANG_EVENTS, HANG_MONITOR, HANG_CALLS,    HANG_CALLBACK,
		HANG_COND,   HANG_DRAIN,   HANG_WAY_OUT,
	};
	uint32_t i, n = (uint32_t)chance_below(chance, 4);

	*host = (struct host){ .what = "by chance", .timeout_ns = VITALS_MS(200) };
	for (i = 0; i < n; i++)
		host->hangs |=
			hangs[chance_below(chance, sizeof(hangs) / sizeof(hangs[0]))];
	if (!host->hangs)
		host->hangs = HANG_WAY_OUT; /* somebody is late */
	host->main = (enum host_main)chance_below(chance, 4);
	host->waits = chance_below(chance, 8) == 0;
	if (host->waits) /* it looks by itself every 50 ms */
		host->timeout_ns = VITALS_S(1);
	host->first = chance_below(chance, 2);
	if (host->main == MAIN_ALLOCATES || chance_below(chance, 4) == 0)
		host->at_deadline = VITALS_EXIT_AT_DEADLINE;
	if (host->main == MAIN_ALLOCATES)
		host->hangs |= HANG_MALLOC;
}

/* What came of those that may hang by chance. */
struct flushes {
	struct tally back;
	struct tally gone;
	uint32_t told;
	uint32_t starved;
};

static void flush_complain(const struct host *host, const struct end *end, uint64_t seed)
{
	char why[128];

	(void)snprintf(why, sizeof(why),
		       "seed %llu, hangs %#x, main %d, %s%s, flushed %u",
		       (unsigned long long)seed, host->hangs, host->main,
		       host->first ? "first" : "later", host->waits ? ", waits" : "",
		       atomic_load(&board->flushed));
	ends_complain("flush", end, why);
}

static void flush_run(struct flushes *flushes, struct chance *chance)
{
	uint64_t seed = chance->state, deadline_ns;
	struct host host;
	struct end end;
	bool asked, told, starved, returns;
	pid_t pid;

	chosen(&host, chance);
	returns = host.at_deadline == VITALS_RETURN_AT_DEADLINE &&
		  host.main != MAIN_EXITS;
	pid = ends_begin(ends_host, &host, OUTPUT_READ);
	asked = ends_host_ask(pid);
	ends_wait(pid, &end);
	deadline_ns = atomic_load(&board->asked_ns) + host.timeout_ns;
	told = asked && atomic_load(&board->flushed) == 1;
	starved = asked && !told && ends_host_starved(end.text);
	flushes->told += told;
	flushes->starved += starved;
	if ((!told && !starved) || !ends_exited(&end, returns ? HOST_BACK : HOST_LATE)) {
		flush_complain(&host, &end, seed);
		flushes->gone.wrong++;
		return;
	}
	if (!returns)
		ends_took(&flushes->gone, end.over_ns - deadline_ns);
	else if (host.main == MAIN_FINISHES)
		ends_took(&flushes->back, atomic_load(&board->done_ns) - deadline_ns);
}

bool ends_flushes(uint32_t n, struct chance *chance)
{
	struct flushes flushes = {
		.back = ends_tally("finish is back, after the deadline", n),
		.gone = ends_tally("gone, after the deadline", n),
	};
	uint32_t i;
	bool well;

	printf("who flushes is told, whatever hangs:\n");
	for (i = 0; i < n; i++) {
		flush_run(&flushes, chance);
		ends_bare();
		if ((i + 1) % 500 == 0)
			printf("%u of %u\n", i + 1, n);
	}
	printf("%-36s %5u: %u flushed, %u were told and did not get to run\n",
	       "those who flush", n, flushes.told, flushes.starved);
	well = ends_judge(&flushes.back, AFTER_NS);
	well &= ends_judge(&flushes.gone, LATE_NS);
	return well && !(flushes.starved && ends_idle());
}
