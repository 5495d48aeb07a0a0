/* SPDX-License-Identifier: MIT */

/*
 * Rounds of SIGSTOP and SIGCONT: nobody is called silent because the process stood still, and a
 * thread that really hangs in the same rounds is found each time.
 *
 * usage: pauses [ROUNDS [SEED]]; or VITALS_PAUSES_ROUNDS, VITALS_PAUSES_SEED
 *
 * The child runs the threads and the monitor, and writes down what it is told. The parent, which
 * is never stopped, knows when the child was, and judges: all in time that the child ran.
 */

#include "chance.h"

#include "vitals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 64
#define PULSE_NS VITALS_MS(10)
#define T VITALS_MS(100)
#define TICK (T / 8)
#define STOP_NS VITALS_S(1)
#define RUN_MIN_NS VITALS_MS(100)
#define RUN_MAX_NS VITALS_MS(600)
#define STEP_NS VITALS_MS(1)
/*
 * However busy the machine: after so many steps nothing will come any more. Steps, for a machine that
 * stands still for a minute does so for us, too.
 */
#define NEVER_STEPS 20000
/* What a monitor may be late without calling it a pause. */
#define LATE_NS (2 * TICK)
#define STARVED_MANY 5

#define EVENTS_MAX 65536
#define GAPS_MAX 64
#define ROUNDS_MAX 10000

struct span {
	uint64_t from_ns;
	uint64_t to_ns;
};

struct told {
	struct vitals_event event;
	uint64_t tick_at_ns; /* the tick line when it was read */
	uint64_t pauses;
	uint64_t paused_ns;
};

/* A thread's own record of when it did not pulse. */
struct record {
	_Atomic uint64_t beat_ns; /* the last */
	_Atomic uint32_t n_gaps;
	struct span gaps[GAPS_MAX];
};

/* Written by the child, but for hang; read by both. */
struct shared {
	_Atomic uint32_t ready;
	_Atomic uint32_t hang;  /* 1: the victim is to hang */
	_Atomic uint32_t hangs; /* 1: it does */
	_Atomic uint64_t victim_beat_ns;
	_Atomic uint64_t victim_pauses; /* the tick line's, before that beat */
	_Atomic uint64_t victim_paused_ns;
	_Atomic uint32_t n_told;
	struct told told[EVENTS_MAX];
	struct record records[THREADS + 1]; /* the last is the victim's */
};

/* When the child stood still: at least, and at most. */
struct stop {
	struct span surely;
	struct span perhaps;
};

static struct shared *shared;
static struct stop stops[ROUNDS_MAX];
static unsigned n_stops;

static struct {
	unsigned alarms;
	unsigned starved;
	unsigned found;
	unsigned missed;
	unsigned wrong; /* early, late, or a recovery that cannot be */
	uint64_t first_ns;
	uint64_t last_ns;
} sum = { .first_ns = UINT64_MAX };

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void sleep_for(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / VITALS_S(1)),
				 .tv_nsec = (long)(ns % VITALS_S(1)) };

	while (nanosleep(&left, &left) < 0)
		continue;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* The child */

static void gap_note(struct record *record, uint64_t before_ns, uint64_t now_ns)
{
	uint32_t n = atomic_load(&record->n_gaps);

	if (!before_ns || now_ns - before_ns <= T / 2)
		return;
	record->gaps[n % GAPS_MAX] = (struct span){ before_ns, now_ns };
	atomic_store(&record->n_gaps, n + 1);
}

/* The beat last: whoever sees it finds the gap before it written down. */
static void beat_note(struct record *record, uint64_t before_ns, uint64_t now_ns)
{
	gap_note(record, before_ns, now_ns);
	atomic_store(&record->beat_ns, now_ns);
}

static void *pulser_run(void *arg)
{
	struct record *record = arg;
	char name[VITALS_NAME_MAX];
	vitals_heartbeat *mine;
	uint64_t before = 0, now;

	(void)snprintf(name, sizeof(name), "pulser-%d", (int)(record - shared->records));
	if (vitals_heartbeat_new(NULL, name, T, NULL, &mine) < 0)
		_exit(2);
	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		now = clock_now();
		if (vitals_heartbeat_pulse(mine) < 0)
			_exit(2);
		beat_note(record, before, now);
		before = now;
		sleep_for(PULSE_NS);
	}
	return NULL;
}

static void process_read(vitals_snapshot **snapshot, struct vitals_process_info *process)
{
	VITALS_INIT(process);
	if (vitals_snapshot_take(NULL, snapshot) < 0 ||
	    vitals_snapshot_process(*snapshot, process) < 0)
		_exit(2);
}

static void *victim_run(void *arg)
{
	struct vitals_process_info process;
	vitals_snapshot *snapshot = NULL;
	vitals_heartbeat *mine;
	uint64_t before = 0, now;

	if (vitals_heartbeat_new(NULL, "victim", T, NULL, &mine) < 0)
		_exit(2);
	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		process_read(&snapshot, &process);
		atomic_store(&shared->victim_pauses, process.pauses);
		atomic_store(&shared->victim_paused_ns, process.paused_ns);
		now = clock_now();
		atomic_store(&shared->victim_beat_ns, now);
		if (vitals_heartbeat_pulse(mine) < 0)
			_exit(2);
		beat_note(arg, before, now);
		before = now;
		sleep_for(PULSE_NS);
		while (atomic_load(&shared->hang)) {
			atomic_store(&shared->hangs, 1);
			sleep_for(STEP_NS);
			before = 0;
		}
		atomic_store(&shared->hangs, 0);
	}
	return NULL;
}

static void event_note(const struct vitals_event *event, vitals_snapshot **snapshot)
{
	uint32_t n = atomic_load(&shared->n_told);
	struct told *told = &shared->told[n % EVENTS_MAX];
	struct vitals_process_info process;

	process_read(snapshot, &process);
	*told = (struct told){ *event, process.tick_at_ns, process.pauses,
			       process.paused_ns };
	atomic_store(&shared->n_told, n + 1);
}

static void child_run(void)
{
	vitals_snapshot *snapshot = NULL;
	struct vitals_event event;
	vitals_events *events;
	pthread_t thread;
	int i;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (vitals_events_open(NULL, NULL, &events) < 0 || vitals_start(NULL) < 0)
		_exit(2);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, pulser_run, &shared->records[i]))
			_exit(2);
	if (pthread_create(&thread, NULL, victim_run, &shared->records[THREADS]))
		_exit(2);
	VITALS_INIT(&event);
	while (vitals_events_next(events, VITALS_FOREVER, &event) == 0)
		event_note(&event, &snapshot);
	_exit(2);
}

/* The parent: how much of a span the child ran, at least (@surely false) or at most. */
static uint64_t ran_ns(struct span span, bool surely)
{
	uint64_t ns = span.to_ns > span.from_ns ? span.to_ns - span.from_ns : 0;
	unsigned i;

	for (i = n_stops; i--;) {
		const struct span *stop = surely ? &stops[i].surely : &stops[i].perhaps;
		uint64_t from, to;

		if (stop->to_ns <= span.from_ns)
			break;
		from = stop->from_ns > span.from_ns ? stop->from_ns : span.from_ns;
		to = stop->to_ns < span.to_ns ? stop->to_ns : span.to_ns;
		ns -= to > from && to - from < ns ? to - from : to > from ? ns : 0;
	}
	return ns;
}

static void child_stop(pid_t pid, bool hang)
{
	struct stop *stop = &stops[n_stops];
	int status;

	stop->perhaps.from_ns = clock_now();
	if (kill(pid, SIGSTOP) < 0 || waitpid(pid, &status, WUNTRACED) != pid ||
	    !WIFSTOPPED(status)) {
		printf("the child is gone\n");
		exit(1);
	}
	stop->surely.from_ns = clock_now();
	if (hang)
		atomic_store(&shared->hang, 1);
	sleep_for(STOP_NS);
	stop->surely.to_ns = clock_now();
	(void)kill(pid, SIGCONT);
	stop->perhaps.to_ns = clock_now();
	n_stops++;
}

/* The first event from @*next on that tells of the victim; NULL: not yet. */
static const struct told *victim_told(uint32_t *next)
{
	while (*next != atomic_load(&shared->n_told)) {
		const struct told *told = &shared->told[(*next)++ % EVENTS_MAX];

		if (told->event.kind == VITALS_EVENT_HEARTBEAT &&
		    strcmp(told->event.name, "victim") == 0)
			return told;
	}
	return NULL;
}

/* What the monitor took for pauses beyond the stops: then the machine was busy. */
static uint64_t spared_ns(const struct told *told, struct span silence)
{
	uint64_t ns = told->paused_ns - atomic_load(&shared->victim_paused_ns);
	uint64_t stopped = silence.to_ns - silence.from_ns - ran_ns(silence, true);

	/* After each, everybody has a tick to beat. */
	ns += (told->pauses - atomic_load(&shared->victim_pauses)) * TICK;
	return ns > stopped ? ns - stopped : 0;
}

static void wrong(unsigned round, const char *what, const struct vitals_event *event,
		  uint64_t ns)
{
	char text[256];

	(void)vitals_event_text(event, text, sizeof(text));
	printf("round %u: %s, %.3f ms: %s\n", round, what, ms(ns), text);
	sum.wrong++;
}

static void found_judge(unsigned round, uint64_t beat_ns, const struct told *told)
{
	const struct vitals_event *event = &told->event;
	struct span silence = { beat_ns, event->at_ns };
	uint64_t least_ns = ran_ns(silence, false), most_ns = ran_ns(silence, true);
	uint64_t spared = spared_ns(told, silence);

	sum.found++;
	sum.first_ns = most_ns < sum.first_ns ? most_ns : sum.first_ns;
	sum.last_ns = least_ns > sum.last_ns ? least_ns : sum.last_ns;
	if (event->to != VITALS_SILENT || event->from != VITALS_HEALTHY)
		wrong(round, "not from healthy to silent", event, least_ns);
	if (most_ns <= T || event->silence_ns <= T || event->silence_ns > most_ns)
		wrong(round, "early", event, most_ns);
	if (least_ns > T + 2 * TICK + LATE_NS + spared)
		wrong(round, "late", event, least_ns);
	else if (least_ns > T + 2 * TICK + LATE_NS)
		printf("round %u: after %.3f ms, %.3f ms of which the monitor did not "
		       "run\n",
		       round, ms(least_ns), ms(spared));
}

static void recovery_judge(unsigned round, uint64_t beat_ns,
			   const struct vitals_event *silent,
			   const struct vitals_event *back)
{
	uint64_t most_ns = ran_ns((struct span){ beat_ns, back->at_ns }, true);

	if (back->to != VITALS_HEALTHY || back->from == VITALS_HEALTHY)
		wrong(round, "no recovery", back, most_ns);
	if (back->from == silent->to && back->lasted_ns != back->at_ns - silent->at_ns)
		wrong(round, "lasted", back, back->lasted_ns);
	if (back->silence_ns < silent->silence_ns || back->silence_ns > most_ns)
		wrong(round, "silence", back, back->silence_ns);
}

/* Has the thread itself seen that it did not run? */
static bool was_starved(const struct told *told, struct span *ret_gap)
{
	const char *number = strchr(told->event.name, '-');
	const struct record *record =
		&shared->records[number ? atoi(number + 1) : THREADS];
	uint32_t i, steps = 0;

	/* One that does not run even now has not written it down yet; the victim has. */
	while (number && atomic_load(&record->beat_ns) <= told->event.at_ns &&
	       steps++ < NEVER_STEPS)
		sleep_for(STEP_NS);
	for (i = 0; i < GAPS_MAX && i < atomic_load(&record->n_gaps); i++) {
		*ret_gap = record->gaps[i];
		if (ret_gap->from_ns < told->event.at_ns &&
		    ret_gap->to_ns + 2 * TICK > told->event.at_ns &&
		    ran_ns(*ret_gap, true) > T)
			return true;
	}
	return false;
}

static void alarm_judge(unsigned round, const struct told *told)
{
	struct span gap;
	char text[256];

	(void)vitals_event_text(&told->event, text, sizeof(text));
	if (was_starved(told, &gap)) {
		sum.starved++;
		printf("round %u: starved, did not run for %.3f ms: %s\n", round,
		       ms(ran_ns(gap, true)), text);
		return;
	}
	sum.alarms++;
	printf("round %u: ALARM %s: silence %.3f ms at %.3f ms, ", round, text,
	       ms(told->event.silence_ns), ms(told->event.at_ns));
	printf("%.3f ms after the last stop; tick line at %.3f ms: %llu pauses, %.3f "
	       "ms\n",
	       n_stops ? ms(told->event.at_ns) - ms(stops[n_stops - 1].surely.to_ns) : 0,
	       ms(told->tick_at_ns), (unsigned long long)told->pauses,
	       ms(told->paused_ns));
}

/* All that was told of the others since the last time. */
static void alarms_judge(unsigned round)
{
	static uint32_t next;

	for (; next != atomic_load(&shared->n_told); next++) {
		const struct told *told = &shared->told[next % EVENTS_MAX];

		if (told->event.kind == VITALS_EVENT_HEARTBEAT &&
		    strcmp(told->event.name, "victim") != 0 &&
		    !VITALS_STATE_IS_GOOD(told->event.to))
			alarm_judge(round, told);
	}
}

/* One round's plan, from its beginning, and how far it is. */
struct round {
	unsigned number;
	uint64_t stop_ns;
	uint64_t hang_ns;
	uint64_t stay_ns; /* hung for so long after it was found */
	bool hang_in_stop;
	uint32_t next; /* event */
	uint64_t stopped_ns;
	uint64_t beat_ns;
	struct vitals_event found;
	struct vitals_event back;
};

static void round_plan(struct round *round, unsigned number, struct chance *chance)
{
	*round = (struct round){ .number = number };
	round->stop_ns = RUN_MIN_NS + chance_below(chance, RUN_MAX_NS - RUN_MIN_NS);
	round->stay_ns = chance_below(chance, VITALS_MS(350));
	round->next = atomic_load(&shared->n_told);
	switch (chance_below(chance, 3)) {
	case 0:
		round->hang_ns = chance_below(chance, round->stop_ns);
		break;
	case 1:
		round->hang_in_stop = true;
		round->hang_ns = UINT64_MAX;
		break;
	default:
		round->hang_ns =
			round->stop_ns + STOP_NS + chance_below(chance, VITALS_MS(200));
	}
}

/* It hangs, and something is told of it. */
static void victim_found(struct round *round, const struct told *told)
{
	struct span gap;

	if (VITALS_STATE_IS_GOOD(told->event.to))
		return;
	/* Of before it hung. */
	if (told->event.at_ns <= round->beat_ns || was_starved(told, &gap)) {
		alarm_judge(round->number, told);
	} else {
		round->found = told->event;
		/* While it hangs: what it wrote down stands. */
		found_judge(round->number, round->beat_ns, told);
	}
}

/* A step of the victim's: hangs, is found, comes back. Return: whether it is back. */
static bool victim_step(struct round *round, uint64_t since_ns)
{
	const struct told *told;

	if (since_ns >= round->hang_ns && !round->found.size)
		atomic_store(&shared->hang, 1);
	if (!round->beat_ns) {
		if (atomic_load(&shared->hangs))
			round->beat_ns = atomic_load(&shared->victim_beat_ns);
		return false;
	}
	if (round->found.size && ran_ns((struct span){ round->found.at_ns, clock_now() },
					true) >= round->stay_ns)
		atomic_store(&shared->hang, 0);
	told = victim_told(&round->next);
	if (!told)
		return false;
	if (!round->found.size) {
		victim_found(round, told);
	} else if (told->event.to != VITALS_STUCK) {
		round->back = told->event;
		return true;
	}
	return false;
}

static void round_run(struct round *round, pid_t pid)
{
	uint64_t began_ns = clock_now(), now_ns;
	bool back = false, stopped = false;
	unsigned steps = 0;

	while (!back || !stopped) {
		now_ns = clock_now();
		if (!stopped && now_ns - began_ns >= round->stop_ns) {
			child_stop(pid, round->hang_in_stop);
			stopped = true;
		}
		back = back || victim_step(round, now_ns - began_ns);
		if (stopped && ++steps > NEVER_STEPS)
			break;
		sleep_for(STEP_NS);
	}
	if (!round->found.size) {
		printf("round %u: MISSED: the victim hangs since %.3f ms\n",
		       round->number, ms(round->beat_ns));
		sum.missed++;
	} else if (back) {
		recovery_judge(round->number, round->beat_ns, &round->found,
			       &round->back);
	} else {
		wrong(round->number, "never came back", &round->found, 0);
	}
	atomic_store(&shared->hang, 0);
	alarms_judge(round->number);
}

static void rounds_run(unsigned rounds, struct chance *chance, pid_t pid)
{
	struct round round;
	unsigned i;

	while (atomic_load(&shared->ready) < THREADS + 1)
		sleep_for(STEP_NS);
	/* Everybody has beaten, and that was told. */
	sleep_for(2 * T);
	for (i = 1; i <= rounds; i++) {
		round_plan(&round, i, chance);
		round_run(&round, pid);
		if (i % 20 == 0 || i == rounds)
			printf("round %u: %u alarms, %u starved, %u found, %u missed, %u "
			       "wrong\n",
			       i, sum.alarms, sum.starved, sum.found, sum.missed,
			       sum.wrong);
	}
}

int main(int argc, char **argv)
{
	uint64_t rounds = number_from("VITALS_PAUSES_ROUNDS", 1000);
	struct chance chance = { chance_seed("VITALS_PAUSES_SEED") };
	pid_t pid;

	if (argc > 1)
		rounds = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		chance.state = strtoull(argv[2], NULL, 0);
	if (rounds < 1 || rounds > ROUNDS_MAX) {
		printf("1 to %d rounds\n", ROUNDS_MAX);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("pauses: %llu rounds, seed %llu\n", (unsigned long long)rounds,
	       (unsigned long long)chance.state);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	pid = fork();
	if (pid == 0)
		child_run();
	if (pid < 0)
		return 2;
	rounds_run((unsigned)rounds, &chance, pid);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);

	printf("pauses: %llu rounds, %u alarms; of %u hangs found %u, after %.1f … %.1f "
	       "ms of running",
	       (unsigned long long)rounds, sum.alarms, sum.found + sum.missed, sum.found,
	       sum.found ? ms(sum.first_ns) : 0, ms(sum.last_ns));
	printf(" (allowed %.1f … %.1f); %u wrong, %u starved%s\n", ms(T),
	       ms(T + 2 * TICK), sum.wrong, sum.starved,
	       sum.starved > STARVED_MANY ? ": this machine was too busy to say much"
					  : "");
	return sum.alarms || sum.missed || sum.wrong;
}
