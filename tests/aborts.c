/* SPDX-License-Identifier: MIT */

/*
 * A process whose event callback blocks for ever on the culprit's mutex: others are judged on time
 * meanwhile, and the configured abort comes when it is due. Each in a process of its own, with a real
 * clock; how soon it is gone is seen from outside.
 *
 * usage: aborts [ROUNDS [SEED]]; or VITALS_ABORTS, VITALS_ABORTS_SEED
 *
 * In turns: nothing in the way, the culprit blocks the signal, another thread holds the locks that a
 * service's threads may be stuck in. How late a bare loop wakes up in the same round says whether the
 * machine was idle: if it was not, how soon is only printed.
 */

#include "chance.h"

#include "registry.h"
#include "verdict.h"
#include "vitals-act.h"
#include "vitals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 100u
#define ROUNDS_MAX 100000u
#define T VITALS_MS(100)
#define STUCK_NS VITALS_MS(150)
#define BEAT_NS VITALS_MS(10)
#define GRACE_NS VITALS_MS(400)
#define BEATERS 4
/* That an abort may come later, and a verdict: a tick or two. */
#define ABORT_MAX_NS VITALS_MS(100)
#define VERDICT_MAX_NS VITALS_MS(60)
#define IDLE_NS VITALS_MS(10)
#define ALARM_S 20u

enum way {
	PLAIN,
	BLOCKED,
	LOCKS,
	WAYS
};

static const char *const way_names[WAYS] = { "plain", "blocked", "locks" };

/* What the process that ends leaves behind. */
static struct {
	_Atomic uint64_t stuck_ns;   /* when the culprit was called so */
	_Atomic uint64_t stopped_ns; /* the last beat of the one that stops meanwhile */
	_Atomic uint64_t silent_ns;  /* when that was seen */
	_Atomic uint64_t late_ns;    /* the bare loop's worst */
	_Atomic uint64_t lag_ns;     /* the monitor's */
	_Atomic uint32_t false_alarms;
	_Atomic uint32_t in_callback;
} * board;

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t hung = PTHREAD_MUTEX_INITIALIZER;
static uint64_t offset_ns;

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

	while (nanosleep(&left, &left) && errno == EINTR)
		continue;
}

static vitals_heartbeat *own_new(const char *name)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	VITALS_INIT(&options);
	options.stuck_ns = STUCK_NS;
	if (vitals_heartbeat_new(NULL, name, T, &options, &heartbeat) ||
	    vitals_heartbeat_own(heartbeat))
		_exit(2);
	(void)vitals_heartbeat_pulse(heartbeat);
	return heartbeat;
}

static void *beats(void *arg)
{
	vitals_heartbeat *heartbeat = own_new(arg);

	for (;;) {
		sleep_for(BEAT_NS);
		(void)vitals_heartbeat_pulse(heartbeat);
	}
	return NULL;
}

/* Well until the culprit is stuck, and the callback with it. */
static void *stops(void *arg)
{
	vitals_heartbeat *heartbeat = own_new(arg);

	while (!board->in_callback || !board->stuck_ns) {
		sleep_for(BEAT_NS);
		(void)vitals_heartbeat_pulse(heartbeat);
		board->stopped_ns = clock_now();
	}
	for (;;)
		(void)pause();
	return NULL;
}

static void *culprit(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	if (*(enum way *)arg == BLOCKED)
		(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	(void)own_new("culprit");
	sleep_for(offset_ns);
	(void)pthread_mutex_lock(&held);
	(void)pthread_mutex_lock(&hung);
	return NULL;
}

/* As a thread would that is stuck in the middle of a call of ours. */
static void *holds(void *arg) VT_UNCHECKED
{
	vitals_registry *registry = vt_registry_peek(NULL);

	(void)arg;
	/* What calls out needs one of them: it is to be in the callback first. */
	while (!board->stuck_ns || !board->in_callback)
		sleep_for(VITALS_MS(1));
	vt_lock(&registry->lock);
	vt_lock(&registry->notifier_lock);
	for (;;)
		(void)pause();
	return NULL;
}

static void *bare(void *arg)
{
	vitals_registry *registry = vt_registry_peek(NULL);
	uint64_t before, late;
	struct vt_tick tick;

	(void)arg;
	for (;;) {
		before = clock_now();
		sleep_for(VITALS_MS(2));
		late = clock_now() - before - VITALS_MS(2);
		if (late > board->late_ns)
			board->late_ns = late;
		/* Late by more, it takes that for a pause, and is right. */
		vt_tick_load(&registry->root->tick, &tick);
		board->lag_ns = tick.lag_max_ns;
	}
	return NULL;
}

static void callback(const struct vitals_event *event, void *user)
{
	(void)user;
	if (event->to != VITALS_STUCK)
		return;
	board->in_callback = 1;
	(void)pthread_mutex_lock(&held);
}

static void event_note(const struct vitals_event *event)
{
	bool bad = event->kind == VITALS_EVENT_HEARTBEAT &&
		   !VITALS_STATE_IS_GOOD(event->to) && event->to != VITALS_STARTING;

	if (!bad)
		return;
	if (event->name[0] == 'c') {
		if (event->to == VITALS_STUCK)
			board->stuck_ns = event->at_ns;
	} else if (event->name[0] == 's') {
		if (event->to == VITALS_SILENT)
			board->silent_ns = event->at_ns;
	} else {
		board->false_alarms++;
	}
}

static void started(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		_exit(2);
}

static void doomed(enum way way)
{
	static char names[BEATERS][8], stopping[] = "stops";
	struct vitals_abort_options options;
	struct rlimit none = { 0, 0 };
	struct vitals_event event;
	vitals_events *events;
	unsigned i;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)alarm(ALARM_S);
	VITALS_INIT(&options);
	options.after_ns = GRACE_NS;
	(void)pthread_mutex_lock(&hung);
	if (vitals_events_open(NULL, NULL, &events) || vitals_start(NULL) ||
	    vitals_on_event(NULL, callback, NULL) ||
	    vitals_abort_when_stuck(NULL, &options))
		_exit(2);
	for (i = 0; i < BEATERS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "beat-%u", i);
		started(beats, names[i]);
	}
	started(bare, NULL);
	started(stops, stopping);
	started(culprit, &way);
	if (way == LOCKS)
		started(holds, NULL);
	for (;;) {
		VITALS_INIT(&event);
		if (vitals_events_next(events, VITALS_FOREVER, &event) == 0)
			event_note(&event);
	}
}

static struct {
	uint64_t least_ns;
	uint64_t most_ns;
	uint64_t verdict_ns;
	unsigned ended;
	unsigned wrong;
	unsigned busy;
	unsigned lagged; /* the monitor alone was late */
} sum = { .least_ns = UINT64_MAX };

static void max_note(uint64_t *most, uint64_t ns)
{
	if (ns > *most)
		*most = ns;
}

/* Return: whether it is as it should be. */
static bool result_note(int status, uint64_t gone_ns)
{
	uint64_t due_ns = board->stuck_ns + GRACE_NS, took_ns, verdict_ns;
	bool idle = board->late_ns < IDLE_NS && board->lag_ns < IDLE_NS;

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !board->stuck_ns ||
	    !board->in_callback || gone_ns < due_ns)
		return false;
	sum.ended++;
	took_ns = gone_ns - due_ns;
	/* Then who reads the events may not have been let run before the end. */
	if (!idle) {
		sum.busy++;
		sum.lagged += board->late_ns < IDLE_NS;
		return true;
	}
	if (!board->silent_ns || board->silent_ns < board->stopped_ns)
		return false;
	verdict_ns = board->silent_ns - board->stopped_ns - T;
	if (took_ns < sum.least_ns)
		sum.least_ns = took_ns;
	max_note(&sum.most_ns, took_ns);
	max_note(&sum.verdict_ns, verdict_ns);
	return took_ns <= ABORT_MAX_NS && verdict_ns <= VERDICT_MAX_NS &&
	       !board->false_alarms;
}

static void round_run(uint32_t number, struct chance *chance)
{
	enum way way = (enum way)(number % WAYS);
	uint64_t gone_ns;
	int status;
	pid_t pid;

	board->stuck_ns = board->stopped_ns = board->silent_ns = board->late_ns = 0;
	board->lag_ns = 0;
	board->false_alarms = board->in_callback = 0;
	offset_ns = chance_below(chance, VITALS_MS(50));
	pid = fork();
	if (pid == 0)
		doomed(way);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(2);
	gone_ns = clock_now();
	if (result_note(status, gone_ns))
		return;
	sum.wrong++;
	printf("round %u, %s: status %x, %.1f ms after it was due, silence told after "
	       "%.1f ms, %u false alarms, bare loop %.1f ms late, monitor %.1f\n",
	       number, way_names[way], (unsigned)status,
	       ((double)gone_ns - (double)(board->stuck_ns + GRACE_NS)) / 1e6,
	       ((double)board->silent_ns - (double)board->stopped_ns) / 1e6,
	       board->false_alarms, (double)board->late_ns / 1e6,
	       (double)board->lag_ns / 1e6);
}

int main(int argc, char **argv)
{
	uint64_t rounds = number_from("VITALS_ABORTS", ROUNDS);
	struct chance chance = { chance_seed("VITALS_ABORTS_SEED") };
	uint32_t i;

	if (argc > 1)
		rounds = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		chance.state = strtoull(argv[2], NULL, 0);
	if (rounds < 1 || rounds > ROUNDS_MAX) {
		printf("1 to %u rounds\n", ROUNDS_MAX);
		return 2;
	}
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("aborts: %u rounds, seed %llu\n", (uint32_t)rounds,
	       (unsigned long long)chance.state);
	for (i = 0; i < (uint32_t)rounds; i++) {
		round_run(i, &chance);
		if ((i + 1) % 25 == 0)
			printf("aborts: %u rounds done\n", i + 1);
	}
	printf("aborts: %u of %u ended by it; on an idle machine, %u rounds, %.1f to "
	       "%.1f "
	       "ms after it was due, allowed %.0f; silence of others told within %.1f ms "
	       "of their time\n",
	       sum.ended, (uint32_t)rounds, sum.ended - sum.busy,
	       sum.least_ns == UINT64_MAX ? 0 : (double)sum.least_ns / 1e6,
	       (double)sum.most_ns / 1e6, (double)ABORT_MAX_NS / 1e6,
	       (double)sum.verdict_ns / 1e6);
	printf("aborts: %u rounds on a busy machine, in %u of them only the monitor was "
	       "late\n",
	       sum.busy, sum.lagged);
	printf("aborts: %s\n", sum.wrong ? "FAILED" : "all is well");
	return sum.wrong != 0;
}
