/* SPDX-License-Identifier: MIT */

/*
 * A hundred thousand heartbeats that one thread keeps alive: what the monitor costs, beside a loop
 * that sleeps to the same ticks and reads the clock; and how soon it finds those that stop.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N 100000u
#define VICTIMS 200u
#define SHORTEST_NS VITALS_MS(10)
#define LONGEST_NS VITALS_S(60)
#define CORE_SHARE 0.01
#define TICKS 2.0
#define SCHEDULING_NS 5e6
#define PAUSES 2.0
#define PAUSES_SHARE 0.02
#define PARTS 6
#define PREFIX "watch-"
/* Pauses of the machine prolong silences. */
#define PATIENCE_NS VITALS_S(10)

/* The beater's wheel: a slot a millisecond, more of them than the longest wait. */
#define SLOT_NS VITALS_MS(1)
#define SLOTS 16384u
#define BEATS_PER_TIMEOUT 4u
#define NONE UINT32_MAX

struct beat {
	vitals_heartbeat *heartbeat;
	uint64_t timeout_ns;
	_Atomic uint64_t last_ns; /* before its last beat */
	uint32_t next;            /* in its slot */
};

/* The first of them stop, each after its first beat from stop_ns on. */
struct victim {
	uint64_t stop_ns;
	_Atomic uint64_t last_ns; /* its last beat; 0: it still beats */
	_Atomic uint64_t found_ns;
	uint64_t told_ns;
	uint64_t paused_ns;      /* by the monitor's account, at its last beat … */
	uint64_t told_paused_ns; /* … and when told */
};

static struct beat beats[N];
static struct victim victims[VICTIMS];
static uint32_t wheel[SLOTS];
static atomic_bool over;
static vitals_registry *registry;

/* Of the beater and the reader, for who joins them. */
static uint64_t late_max_ns;
static unsigned kept_alive_silent; /* the beater itself was late */
static unsigned kept_alive_early;  /* it was not */

static struct vitals_process_info process_look(void)
{
	struct vitals_process_info info;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	must(vitals_snapshot_take(registry, &snapshot) == 0);
	must(vitals_snapshot_process(snapshot, &info) == 0);
	vitals_snapshot_free(snapshot);
	return info;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec ts = vt_clock_timespec(at_ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		continue;
}

static void wheel_add(uint32_t i, uint64_t slot)
{
	beats[i].next = wheel[slot % SLOTS];
	wheel[slot % SLOTS] = i;
}

/* Touches and pulses in turn; a last beat is a pulse, which says when it was. */
static bool beat(uint32_t i, uint64_t now_ns)
{
	if (i < VICTIMS && now_ns >= victims[i].stop_ns) {
		victims[i].paused_ns = process_look().paused_ns;
		victims[i].last_ns = vt_clock_now();
		(void)vitals_heartbeat_pulse(beats[i].heartbeat);
		return false;
	}
	atomic_store_explicit(&beats[i].last_ns, now_ns, memory_order_relaxed);
	if (i % 2)
		(void)vitals_heartbeat_pulse(beats[i].heartbeat);
	else
		vitals_heartbeat_touch(beats[i].heartbeat);
	return true;
}

static void slot_turn(uint64_t slot, uint64_t now_ns)
{
	uint32_t i = wheel[slot % SLOTS], next;

	wheel[slot % SLOTS] = NONE;
	for (; i != NONE; i = next) {
		next = beats[i].next;
		if (beat(i, now_ns))
			wheel_add(i, slot + beats[i].timeout_ns / BEATS_PER_TIMEOUT /
						     SLOT_NS);
	}
}

static void *beater_run(void *arg)
{
	uint64_t slot = vt_clock_now() / SLOT_NS;

	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		uint64_t now_ns = vt_clock_now(), late_ns = now_ns - slot * SLOT_NS;

		if (late_ns > late_max_ns)
			late_max_ns = late_ns;
		slot_turn(slot++, now_ns);
		sleep_until(slot * SLOT_NS);
	}
	return NULL;
}

static bool victim_found(const struct victim *victim)
{
	return victim->last_ns && victim->found_ns > victim->last_ns;
}

static bool all_found(void)
{
	uint32_t i;

	for (i = 0; i < VICTIMS && victim_found(&victims[i]); i++)
		continue;
	return i == VICTIMS;
}

static void event_note(const struct vitals_event *event)
{
	size_t prefix = strlen(PREFIX);
	unsigned long i;

	if (event->to != VITALS_SILENT || strncmp(event->name, PREFIX, prefix) != 0)
		return;
	i = strtoul(event->name + prefix, NULL, 10);
	if (i >= VICTIMS) {
		if (event->at_ns < beats[i].last_ns + beats[i].timeout_ns)
			kept_alive_early++;
		else
			kept_alive_silent++;
		return;
	}
	victims[i].told_ns = vt_clock_now();
	victims[i].told_paused_ns = process_look().paused_ns;
	victims[i].found_ns = event->at_ns;
}

static void *reader_run(void *arg)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		if (vitals_events_next(arg, VITALS_MS(100), &event) == 0)
			event_note(&event);
	return NULL;
}

/* What the monitor would do if there were nothing to watch. */
struct bare {
	uint64_t tick_ns;
	_Atomic int tid;
	_Atomic uint64_t turns;
	uint64_t paused_ns;
	struct samples late;
};

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;

	must(clock_gettime(clock, &ts) == 0);
	return (uint64_t)ts.tv_sec * VITALS_S(1) + (uint64_t)ts.tv_nsec;
}

static void *bare_run(void *arg)
{
	struct bare *bare = arg;
	uint64_t at_ns = vt_clock_now();

	atomic_store(&bare->tid, (int)syscall(SYS_gettid));
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		uint64_t now_ns;

		at_ns += bare->tick_ns;
		sleep_until(at_ns);
		atomic_fetch_add_explicit(&bare->turns, 1, memory_order_relaxed);
		now_ns = vt_clock_now();
		samples_add(&bare->late, now_ns - at_ns);
		/* As the monitor, which calls that a pause, it looks forward. */
		if (now_ns > at_ns + bare->tick_ns) {
			bare->paused_ns += now_ns - at_ns + bare->tick_ns;
			at_ns = now_ns;
		}
	}
	return NULL;
}

/* The CPU clock of another thread of ours, as the kernel encodes it. */
static clockid_t clock_of(int tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6u);
}

/* The thread of ours with this name. */
static int tid_of(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], comm[32];
	int tid = 0;

	must(dir != NULL);
	while (!tid && (entry = readdir(dir))) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			       entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    strncmp(comm, name, strlen(name)) == 0)
			tid = atoi(entry->d_name);
		fclose(file);
	}
	closedir(dir);
	must(tid > 0);
	return tid;
}

static uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high)
{
	return low + random_next(state) % (high - low);
}

static void beats_make(const struct effort *effort, uint64_t victims_longest_ns)
{
	struct vitals_heartbeat_options options;
	uint64_t state = effort->seed;
	char name[VITALS_NAME_MAX];
	uint32_t i;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	/* Never: a reader that is late sees the newest event only. */
	options.stuck_ns = VITALS_S(86400);
	for (i = 0; i < N; i++) {
		beats[i].timeout_ns =
			random_between(&state, SHORTEST_NS,
				       i < VICTIMS ? victims_longest_ns : LONGEST_NS);
		(void)snprintf(name, sizeof(name), PREFIX "%u", i);
		must(vitals_heartbeat_new(registry, name, beats[i].timeout_ns, &options,
					  &beats[i].heartbeat) == 0);
	}
}

/* Each first beats within a millisecond or two, and is then due at a time of its own. */
static void beats_begin(void)
{
	uint64_t slot = vt_clock_now() / SLOT_NS;
	uint32_t i;

	for (i = 0; i < SLOTS; i++)
		wheel[i] = NONE;
	for (i = 0; i < N; i++) {
		(void)vitals_heartbeat_pulse(beats[i].heartbeat);
		wheel_add(i,
			  slot + i % (beats[i].timeout_ns / BEATS_PER_TIMEOUT / SLOT_NS +
				      1));
	}
}

/* CPU time that the monitor and the bare loop take of a part of the window. */
struct cost {
	uint64_t monitor_ns;
	uint64_t bare_ns;
	uint64_t wall_ns;
	uint64_t turns; /* of the bare loop */
};

static struct cost cost_look(clockid_t monitor, struct bare *bare)
{
	return (struct cost){ cpu_ns(monitor), cpu_ns(clock_of(atomic_load(&bare->tid))),
			      vt_clock_now(), atomic_load(&bare->turns) };
}

static double share_of(uint64_t ns, const struct cost *cost)
{
	return (double)ns / (double)cost->wall_ns;
}

/* What it takes above the bare loop. */
static double cost_above(const struct cost *cost)
{
	return share_of(cost->monitor_ns, cost) - share_of(cost->bare_ns, cost);
}

/* The best of the parts: on a shared machine the rest is the others'. */
static void cost_row(const struct cost *best, const struct bare *bare)
{
	struct row *row = table_row("monitor, 100 000 heartbeats");

	if (!best->wall_ns) {
		row_skip(row, "the machine stood still");
		return;
	}
	cell(row, MEASURED, "%.2f %% of a core", 100 * share_of(best->monitor_ns, best));
	cell(row, BASELINE, "%.2f %% bare loop, tick %.2f ms",
	     100 * share_of(best->bare_ns, best), (double)bare->tick_ns / 1e6);
	cell(row, RATIO, "%.2f", (double)best->monitor_ns / (double)best->bare_ns);
	cell(row, BOUND, "<= %g %% above it", 100 * CORE_SHARE);
	row_judge(row, cost_above(best) <= CORE_SHARE);
}

static void found_row(const char *what, double fraction, const struct samples *found,
		      const struct bare *bare, bool bounded)
{
	double tick = (double)bare->tick_ns,
	       ns = (double)samples_quantile(found, fraction),
	       late_ns = (double)samples_quantile(&bare->late, fraction);
	struct row *row;
	char figure[64];

	(void)snprintf(figure, sizeof(figure), "silence told so late, %s", what);
	row = table_row(figure);
	cell(row, MEASURED, "%.2f ticks, %.2f ms", ns / tick, ns / 1e6);
	cell(row, BASELINE, "%.2f ms bare loop late", late_ns / 1e6);
	if (!bounded)
		return;
	cell(row, BOUND, "<= %g ticks + %g ms or as late", TICKS, SCHEDULING_NS / 1e6);
	row_judge(row, ns <= TICKS * tick + (late_ns > SCHEDULING_NS ? late_ns
								     : SCHEDULING_NS));
}

static void victims_rows(const struct bare *bare)
{
	struct samples found;
	unsigned early = 0;
	struct row *row;
	uint32_t i;

	samples_make(&found, VICTIMS);
	for (i = 0; i < VICTIMS; i++) {
		const struct victim *victim = &victims[i];
		uint64_t end_ns = victim->last_ns + beats[i].timeout_ns;

		if (!victim_found(victim))
			continue;
		early += victim->found_ns <= end_ns;
		/* Time in which the process did not run is nobody's silence. */
		end_ns += victim->told_paused_ns - victim->paused_ns;
		samples_add(&found,
			    victim->told_ns > end_ns ? victim->told_ns - end_ns : 0);
	}
	samples_sort(&found);
	row = table_row("silences, found / early");
	cell(row, MEASURED, "%zu / %u", found.n, early);
	cell(row, BASELINE, "%u stopped", VICTIMS);
	cell(row, BOUND, "all / none");
	row_judge(row, found.n == VICTIMS && !early);
	found_row("min", 0, &found, bare, false);
	found_row("p50", 0.5, &found, bare, true);
	found_row("p99", 0.99, &found, bare, true);
	found_row("max", 1, &found, bare, false);
	samples_free(&found);
	row = table_row("kept alive, yet told to be silent");
	cell(row, MEASURED, "%u", kept_alive_early);
	cell(row, BASELINE, "%u told by right, beats up to %.1f ms late",
	     kept_alive_silent, (double)late_max_ns / 1e6);
	cell(row, BOUND, "none");
	row_judge(row, !kept_alive_early);
}

/* Pauses are the machine's, and the bare loop has seen as many: else the monitor is slow. */
static void pauses_row(uint64_t paused_ns, const struct bare *bare, uint64_t wall_ns)
{
	struct row *row = table_row("monitor, time it took for pauses");

	cell(row, MEASURED, "%.1f ms", (double)paused_ns / 1e6);
	cell(row, BASELINE, "%.1f ms bare loop", (double)bare->paused_ns / 1e6);
	cell(row, BOUND, "<= %g x + %g %% of the time", PAUSES, 100 * PAUSES_SHARE);
	row_judge(row, (double)paused_ns <= PAUSES * (double)bare->paused_ns +
						    PAUSES_SHARE * (double)wall_ns);
}

static struct cost cost_best(uint64_t window_ns, clockid_t monitor, struct bare *bare)
{
	struct cost best = { 0 };
	unsigned i;

	for (i = 0; i < PARTS; i++) {
		struct cost from = cost_look(monitor, bare), cost;

		sleep_until(from.wall_ns + window_ns / PARTS);
		cost = cost_look(monitor, bare);
		cost.monitor_ns -= from.monitor_ns;
		cost.bare_ns -= from.bare_ns;
		cost.wall_ns -= from.wall_ns;
		cost.turns -= from.turns;
		/* Not one in which next to nothing ran. */
		if (cost.turns * bare->tick_ns < cost.wall_ns / 10 * 8)
			continue;
		if (!best.wall_ns || cost_above(&cost) < cost_above(&best))
			best = cost;
	}
	return best;
}

/* While all of it runs. */
static void window(uint64_t window_ns, struct bare *bare)
{
	uint64_t began_ns, paused_ns = process_look().paused_ns;
	struct cost best;
	pthread_t thread;

	must(pthread_create(&thread, NULL, bare_run, bare) == 0);
	while (!atomic_load(&bare->tid))
		sleep_until(vt_clock_now() + VITALS_MS(1));
	began_ns = vt_clock_now();
	best = cost_best(window_ns, clock_of(tid_of("vitals-monitor")), bare);
	while (!all_found() && vt_clock_now() < began_ns + window_ns + PATIENCE_NS)
		sleep_until(vt_clock_now() + VITALS_MS(100));
	paused_ns = process_look().paused_ns - paused_ns;
	began_ns = vt_clock_now() - began_ns;
	atomic_store(&over, true);
	must(pthread_join(thread, NULL) == 0);
	cost_row(&best, bare);
	pauses_row(paused_ns, bare, began_ns);
}

/* As nobody has left it: it may be asked for again. */
static void all_reset(void)
{
	memset(beats, 0, sizeof(beats));
	memset(victims, 0, sizeof(victims));
	atomic_store(&over, false);
	late_max_ns = 0;
	kept_alive_silent = kept_alive_early = 0;
}

void watch_bench(const struct effort *effort)
{
	uint64_t window_ns = effort->brief ? VITALS_S(15) : VITALS_S(60);
	uint64_t state = effort->seed, settled_ns;
	struct bare bare = { 0 };
	vitals_events *events;
	pthread_t beater, reader;
	uint32_t i;

	all_reset();
	must(vitals_registry_new(0, &registry) == 0);
	beats_make(effort, window_ns / 3);
	settled_ns = vt_clock_now() + VITALS_S(2);
	for (i = 0; i < VICTIMS; i++)
		victims[i].stop_ns =
			settled_ns + random_between(&state, 0, window_ns / 2);
	beats_begin();
	must(pthread_create(&beater, NULL, beater_run, NULL) == 0);
	must(vitals_start(registry) == 0);
	/* The first beats are events too. */
	sleep_until(settled_ns - VITALS_MS(500));
	must(vitals_events_open(registry, NULL, &events) == 0);
	must(pthread_create(&reader, NULL, reader_run, events) == 0);
	bare.tick_ns = process_look().tick_ns;
	samples_make(&bare.late, window_ns / bare.tick_ns + 1);
	sleep_until(settled_ns);
	progress("watch: %u s", (unsigned)(window_ns / VITALS_S(1)));
	window(window_ns, &bare);
	must(pthread_join(beater, NULL) == 0);
	must(pthread_join(reader, NULL) == 0);
	samples_sort(&bare.late);
	victims_rows(&bare);
	samples_free(&bare.late);
	vitals_events_close(events);
	for (i = 0; i < N; i++)
		vitals_heartbeat_unref(beats[i].heartbeat);
	vitals_registry_free(registry);
}
