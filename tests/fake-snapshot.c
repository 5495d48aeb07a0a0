/* SPDX-License-Identifier: MIT */

#include "fake-snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_NS VITALS_S(5000)
#define REAL_NS (VITALS_S(1766000000) + 123456789)

struct fake fake;

/* Something to allocate and free, so that a snapshot that is lost is seen as a leak. */
struct vitals_snapshot {
	char nothing;
};

static void text_copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* As the real ones do: filled up to the smaller of the two sizes. */
static int row_copy(void *to, uint32_t size, const void *from, size_t whole)
{
	if (size < sizeof(size))
		return -EINVAL;
	memcpy(to, from, size < whole ? size : whole);
	memcpy(to, &size, sizeof(size));
	return 0;
}

void fake_empty(void)
{
	memset(&fake, 0, sizeof(fake));
	VITALS_INIT(&fake.process);
	fake.process.pid = 4711;
	fake.process.flags = VITALS_PROCESS_WATCHED | VITALS_PROCESS_STARTED_UP;
	fake.process.live = 1;
	fake.process.ready = 1;
	fake.process.timeout_scale = 1000;
	fake.process.from_ns = NOW_NS;
	fake.process.to_ns = NOW_NS + 1000;
	fake.process.real_ns = REAL_NS;
	fake.process.started_ns = VITALS_S(1000);
	fake.process.tick_at_ns = NOW_NS - VITALS_MS(40);
	fake.process.tick_ns = VITALS_MS(125);
	fake.process.lag_ns = 52000;
	fake.process.lag_max_ns = VITALS_MS(3);
	fake.process.turns = 32000;
}

struct vitals_heartbeat_info *fake_heartbeat(const char *name, unsigned state)
{
	struct vitals_heartbeat_info *row = &fake.heartbeats[fake.n_heartbeats++];

	VITALS_INIT(row);
	row->id = 100 + fake.n_heartbeats;
	row->thread_id = 200 + fake.n_heartbeats;
	row->tid = 4711 + fake.n_heartbeats;
	row->state = state;
	row->schema = 2;
	row->timeout_ns = VITALS_S(1);
	row->stuck_ns = VITALS_S(4);
	row->start_ns = VITALS_S(1);
	row->interval_ns = VITALS_MS(500);
	row->silence_ns = VITALS_MS(200);
	row->beat_ns = NOW_NS - row->silence_ns;
	row->pulses = 1234567;
	row->sum_ns = VITALS_S(246913) + 400000000u;
	row->max_ns = VITALS_MS(612);
	row->p50_ns = VITALS_MS(200);
	row->p90_ns = VITALS_MS(250);
	row->p99_ns = VITALS_MS(500);
	text_copy(row->name, sizeof(row->name), name);
	text_copy(row->group_name, sizeof(row->group_name), "default");
	return row;
}

struct vitals_scope_info *fake_scope(const char *name, uint64_t overruns,
				     uint64_t overrun_ns)
{
	struct vitals_scope_info *row = &fake.scopes[fake.process.scopes++];

	VITALS_INIT(row);
	row->overruns = overruns;
	row->overrun_ns = overrun_ns;
	text_copy(row->name, sizeof(row->name), name);
	return row;
}

struct vitals_quitter_info *fake_quitter(const char *path, int parent)
{
	struct vitals_quitter_info *row = &fake.quitters[fake.n_quitters];
	const char *name = strrchr(path, '/');

	VITALS_INIT(row);
	row->id = 300 + ++fake.n_quitters;
	row->parent_id = parent < 0 ? 0 : fake.quitters[parent].id;
	row->depth = parent < 0 ? 0 : fake.quitters[parent].depth + 1;
	if (parent >= 0)
		fake.quitters[parent].children++;
	row->timeout_ns = VITALS_S(10);
	row->cause_index = -1;
	text_copy(row->path, sizeof(row->path), path);
	text_copy(row->name, sizeof(row->name), name ? name + 1 : path);
	return row;
}

struct vitals_thread_info *fake_thread(const char *name, const char *quitter)
{
	struct vitals_thread_info *row = &fake.threads[fake.n_threads++];

	VITALS_INIT(row);
	row->id = 200 + fake.n_threads;
	row->heartbeat_id = 100 + fake.n_threads;
	row->tid = 4711 + fake.n_threads;
	row->state = VITALS_THREAD_RUNNING;
	row->count = 1;
	row->age_ns = VITALS_S(3999);
	text_copy(row->name, sizeof(row->name), name);
	text_copy(row->quitter_path, sizeof(row->quitter_path), quitter);
	snprintf(row->path, sizeof(row->path), "%.100s/%.100s", quitter, name);
	return row;
}

static void service_group(void)
{
	struct vitals_group_info *group = &fake.groups[fake.n_groups++];
	unsigned i;

	VITALS_INIT(group);
	text_copy(group->name, sizeof(group->name), "default");
	group->oldest_beat_ns = NOW_NS - VITALS_S(12) - 345678901;
	group->pulses = 4938268;
	group->sum_ns = VITALS_S(987653) + 600000000u;
	group->missed = 24;
	group->stalls = 3;
	group->late_pulses = 6;
	group->late_sum_ns = VITALS_MS(1234);
	for (i = 0; i < VITALS_BUCKETS_COARSE; i++)
		fake.buckets[0][VITALS_GROUP_INTERVALS][i] = i * i;
	fake.buckets[0][VITALS_GROUP_LATENESS][20] = 5;
	fake.buckets[0][VITALS_GROUP_LATENESS][33] = 1;
}

static void service_heartbeats(void)
{
	struct vitals_heartbeat_info *row;

	fake_heartbeat("walker", VITALS_HEALTHY)->thread_id = 201;
	fake_heartbeat("worker-1", VITALS_IDLE)->thread_id = 202;
	row = fake_heartbeat("worker-2", VITALS_STUCK);
	row->silence_ns = VITALS_S(12) + 345678901;
	row->beat_ns = NOW_NS - row->silence_ns;
	row->missed = 24;
	row->stalls = 3;
	row->stalled_ns = VITALS_MS(1500);
	row = fake_heartbeat("reporter", VITALS_UNBOUNDED);
	row->scope_depth = 1;
	row->scope_age_ns = VITALS_S(90);
	text_copy(row->scope, sizeof(row->scope), "compact");
	row->flags = VITALS_INFORMATIVE | VITALS_NO_HISTOGRAM;
	row->schema = -1;
}

struct vitals_evidence *fake_doing(struct vitals_heartbeat_info *row,
				   enum vitals_class thread_class, const char *doing)
{
	struct vitals_evidence *evidence = &fake.evidence[row - fake.heartbeats];

	row->thread_class = thread_class;
	text_copy(row->doing, sizeof(row->doing), doing);
	VITALS_INIT(evidence);
	evidence->thread_class = thread_class;
	evidence->tid = row->tid;
	evidence->at_ns = NOW_NS - VITALS_MS(345);
	evidence->window_ns = VITALS_MS(400);
	evidence->took_ns = 61500;
	evidence->looks = 5;
	evidence->state = 'S';
	evidence->call = -1;
	evidence->pressure_cpu = 1234;
	evidence->pressure_memory = UINT32_MAX;
	text_copy(evidence->comm, sizeof(evidence->comm), "worker");
	text_copy(evidence->doing, sizeof(evidence->doing), doing);
	return evidence;
}

struct vitals_finding_info *fake_finding(uint32_t kind, uint32_t threads,
					 const char *doing)
{
	struct vitals_finding_info *row = &fake.findings[fake.n_findings++];

	VITALS_INIT(row);
	row->kind = kind;
	row->number = 10 + fake.n_findings;
	row->at_ns = NOW_NS - VITALS_S(8);
	row->threads = threads;
	text_copy(row->doing, sizeof(row->doing), doing);
	fake.process.deadlocks += kind == VITALS_EVENT_DEADLOCK;
	return row;
}

/* As counted before, and as it is now. */
static void turn(struct vitals_heartbeat_info *row, unsigned state)
{
	fake.process.critical[row->state]--;
	fake.groups[row->group].states[row->state]--;
	row->state = state;
	fake.process.critical[state]++;
	fake.groups[row->group].states[state]++;
	row->silence_ns = VITALS_S(12) + 345678901;
	row->beat_ns = NOW_NS - row->silence_ns;
}

static void lock_waited_for(struct vitals_evidence *evidence, uint32_t holder_tid)
{
	evidence->call = 202;
	evidence->args[0] = evidence->lock = 0x7ffd00005581;
	evidence->args[1] = 0x80;
	evidence->args[2] = 2;
	evidence->lock_kind = VITALS_LOCK_MUTEX;
	evidence->holder_tid = holder_tid;
	evidence->hops = 2;
	evidence->deadlock = 1;
	evidence->voluntary = 1;
	text_copy(evidence->wchan, sizeof(evidence->wchan), "futex_wait_queue");
}

void fake_evidence(void)
{
	static const char both[] = "worker-1 waits for mutex journal (0x7ffd00005581) "
				   "held by worker-2 waits "
				   "for mutex 0x7ffd000055a8 held by worker-1";
	struct vitals_evidence *evidence;

	fake_service();
	turn(&fake.heartbeats[0], VITALS_SILENT);
	turn(&fake.heartbeats[1], VITALS_STUCK);
	evidence = fake_doing(&fake.heartbeats[0], VITALS_SPINNING,
			      "runs all the time: 99.8 % of the last 0.4 s");
	evidence->state = 'R';
	evidence->cpu_ns = VITALS_MS(399) + 200000;
	evidence->user_ns = VITALS_MS(390);
	evidence->involuntary = 17;
	lock_waited_for(
		fake_doing(&fake.heartbeats[1], VITALS_ON_LOCK,
			   "waits for mutex journal (0x7ffd00005581), held by worker-2 "
			   "(tid 4714)"),
		4714);
	evidence = fake_doing(&fake.heartbeats[2], VITALS_UNKNOWN, "");
	fake.heartbeats[2].reason = evidence->reason = VITALS_REASON_NOT_DUMPABLE;
	evidence->state = 0;
	evidence->call = -2;
	evidence->window_ns = 0;
	fake.threads[1].thread_class = VITALS_ON_LOCK;
	text_copy(fake.threads[1].doing, sizeof(fake.threads[1].doing),
		  fake.heartbeats[1].doing);
	fake_finding(VITALS_EVENT_DEADLOCK, 2, both);
	fake_finding(VITALS_EVENT_DEADLOCK, 2, both)->over = 1;
}

void fake_service(void)
{
	struct vitals_part_info *part;

	fake_empty();
	service_group();
	service_heartbeats();
	fake_quitter("main", -1)->shutdowns = 0;
	fake_quitter("main/walker", 0)->threads = 1;
	fake_quitter("main/pool", 0)->threads = 2;
	fake_quitter("main/reporter", 0)->threads = 1;
	fake_thread("walker", "main/walker");
	fake_thread("worker-1", "main/pool");
	fake_thread("worker-2", "main/pool");
	fake_thread("reporter", "main/reporter");
	part = &fake.parts[fake.n_parts++];
	VITALS_INIT(part);
	part->ready = 1;
	text_copy(part->name, sizeof(part->name), "database");
	fake_scope("fsync", 3, VITALS_MS(1250));
	fake_scope("request", 0, 0);
	fake_count();
	fake.process.health = VITALS_FAIL;
	fake.process.live = 0;
	fake.process.ready = 0;
	fake.process.pauses = 1;
	fake.process.paused_ns = VITALS_MS(2500);
	fake.process.changes = 7;
}

static void worker_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	*ret = fake.heartbeats[0];
	ret->id = 1000 + index;
	snprintf(ret->name, sizeof(ret->name), "worker-%u", index);
}

void fake_workers(uint32_t n)
{
	fake_empty();
	service_group();
	fake_heartbeat("worker-0", VITALS_HEALTHY);
	fake.n_heartbeats = n;
	fake.heartbeat = worker_make;
	fake.process.groups = 1;
	fake.process.critical[VITALS_HEALTHY] = n;
	fake.groups[0].states[VITALS_HEALTHY] = n;
}

void fake_count(void)
{
	const struct vitals_heartbeat_info *row;
	uint32_t i;

	for (i = 0; i < fake.n_heartbeats; i++) {
		row = &fake.heartbeats[i];
		if (row->flags & VITALS_INFORMATIVE)
			fake.process.informative[row->state]++;
		else
			fake.process.critical[row->state]++;
		fake.groups[row->group].states[row->state]++;
	}
	fake.process.groups = fake.n_groups;
	fake.process.quitters = fake.n_quitters;
	fake.process.threads = fake.n_threads;
	fake.process.parts = fake.n_parts;
	for (i = 0; i < fake.n_parts; i++)
		fake.process.parts_ready += fake.parts[i].ready;
}

/* What the core would answer. */

const char *vitals_version(void)
{
	return "0.1.0";
}

const char *vitals_state_name(int state)
{
	static const char *const names[] = {
		"starting", "healthy", "idle",   "silent",
		"stuck",    "dead",    "closed", "unbounded"
	};

	return state >= 0 && state < VITALS_STATES ? names[state] : "unknown";
}

const char *vitals_class_name(int thread_class)
{
	static const char *const names[VITALS_CLASSES] = {
		"unknown", "running", "spinning", "starved", "lock", "io",
		"sleep",   "child",   "blocked",  "stopped", "gone"
	};

	return thread_class >= 0 && thread_class < VITALS_CLASSES ? names[thread_class]
								  : "unknown";
}

const char *vitals_reason_text(int reason)
{
	return reason == VITALS_REASON_NOT_DUMPABLE
		       ? "not dumpable since a setuid: User=, or prctl(PR_SET_DUMPABLE, "
			 "1)"
		       : "";
}

int vitals_thread_looks_on(void)
{
	return 0;
}

int vitals_start(vitals_registry *registry)
{
	(void)registry;
	fake.starts++;
	return fake.start_result;
}

int vitals_stop(vitals_registry *registry)
{
	(void)registry;
	fake.stops++;
	return 0;
}

int vitals_snapshot_take(vitals_registry *registry, vitals_snapshot **snapshot)
{
	(void)registry;
	if (fake.take_result)
		return fake.take_result;
	if (!*snapshot)
		*snapshot = malloc(sizeof(**snapshot));
	return *snapshot ? 0 : -ENOMEM;
}

vitals_snapshot *vitals_snapshot_free(vitals_snapshot *snapshot)
{
	free(snapshot);
	return NULL;
}

int vitals_snapshot_process(vitals_snapshot *snapshot, struct vitals_process_info *info)
{
	(void)snapshot;
	return row_copy(info, info->size, &fake.process, sizeof(fake.process));
}

int vitals_snapshot_heartbeat(vitals_snapshot *snapshot, uint32_t index,
			      struct vitals_heartbeat_info *info)
{
	struct vitals_heartbeat_info row;

	(void)snapshot;
	if (index >= fake.n_heartbeats)
		return -ENOENT;
	if (fake.heartbeat)
		fake.heartbeat(index, &row);
	else
		row = fake.heartbeats[index];
	return row_copy(info, info->size, &row, sizeof(row));
}

static unsigned worst_rank(unsigned state)
{
	static const unsigned ranks[VITALS_STATES] = { 1, 0, 0, 2, 3, 4, 0, 0 };

	return ranks[state];
}

/* The worst come first by state alone: what is longest silent is the rows' own order
 * here. */
int vitals_snapshot_worst(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_heartbeat_info *info)
{
	struct vitals_heartbeat_info row;
	uint32_t i, seen = 0;
	unsigned rank;

	VITALS_INIT(&row);
	if (index >= FAKE_WORST)
		return -ENOENT;
	for (rank = 4; rank > 0; rank--)
		for (i = 0; !vitals_snapshot_heartbeat(snapshot, i, &row); i++)
			if (worst_rank(row.state) == rank && seen++ == index)
				return row_copy(info, info->size, &row, sizeof(row));
	return -ENOENT;
}

int vitals_snapshot_group(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_group_info *info)
{
	(void)snapshot;
	if (index >= fake.n_groups)
		return -ENOENT;
	return row_copy(info, info->size, &fake.groups[index], sizeof(fake.groups[0]));
}

int vitals_snapshot_quitter(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_quitter_info *info)
{
	struct vitals_quitter_info row;

	(void)snapshot;
	if (index >= fake.n_quitters)
		return -ENOENT;
	if (fake.quitter)
		fake.quitter(index, &row);
	else
		row = fake.quitters[index];
	return row_copy(info, info->size, &row, sizeof(row));
}

int vitals_snapshot_thread(vitals_snapshot *snapshot, uint32_t index,
			   struct vitals_thread_info *info)
{
	(void)snapshot;
	if (index >= fake.n_threads)
		return -ENOENT;
	return row_copy(info, info->size, &fake.threads[index], sizeof(fake.threads[0]));
}

int vitals_snapshot_part(vitals_snapshot *snapshot, uint32_t index,
			 struct vitals_part_info *info)
{
	(void)snapshot;
	if (index >= fake.n_parts)
		return -ENOENT;
	return row_copy(info, info->size, &fake.parts[index], sizeof(fake.parts[0]));
}

int vitals_snapshot_scope(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_scope_info *info)
{
	(void)snapshot;
	if (index >= fake.process.scopes)
		return -ENOENT;
	return row_copy(info, info->size, &fake.scopes[index], sizeof(fake.scopes[0]));
}

int vitals_snapshot_shutdown_buckets(vitals_snapshot *snapshot, uint64_t *counts)
{
	(void)snapshot;
	memset(counts, 0, VITALS_BUCKETS_COARSE * sizeof(*counts));
	counts[22] = fake.process.shutdowns;
	return 0;
}

int vitals_snapshot_group_buckets(vitals_snapshot *snapshot, uint32_t index,
				  uint32_t which, uint64_t *counts)
{
	(void)snapshot;
	if (index >= fake.n_groups)
		return -ENOENT;
	memcpy(counts, fake.buckets[index][which], sizeof(fake.buckets[index][which]));
	return 0;
}

int vitals_snapshot_evidence(vitals_snapshot *snapshot, uint32_t index,
			     struct vitals_evidence *evidence)
{
	(void)snapshot;
	if (index >= fake.n_heartbeats)
		return -ENOENT;
	if (index >= FAKE_ROWS || !fake.evidence[index].size)
		return -ENODATA;
	return row_copy(evidence, evidence->size, &fake.evidence[index],
			sizeof(fake.evidence[0]));
}

int vitals_snapshot_finding(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_finding_info *info)
{
	(void)snapshot;
	if (index >= fake.n_findings)
		return -ENOENT;
	return row_copy(info, info->size, &fake.findings[index],
			sizeof(fake.findings[0]));
}
