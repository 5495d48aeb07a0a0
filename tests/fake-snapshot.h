/* SPDX-License-Identifier: MIT */

/*
 * Fake snapshot
 *
 * Stands in for the core where the exporter is tested without it: vitals_snapshot_* over
 * rows that a test lays down, so that what is rendered is the same on every machine.
 */

#ifndef FAKE_SNAPSHOT_H
#define FAKE_SNAPSHOT_H

#include <vitals.h>

#define FAKE_ROWS 64
#define FAKE_WORST 100

struct fake {
	int take_result;
	int start_result;
	unsigned starts;
	unsigned stops;

	struct vitals_process_info process;
	struct vitals_group_info groups[VITALS_GROUPS_MAX];
	uint64_t buckets[VITALS_GROUPS_MAX][2][VITALS_BUCKETS_COARSE];
	struct vitals_heartbeat_info heartbeats[FAKE_ROWS];
	struct vitals_quitter_info quitters[FAKE_ROWS];
	struct vitals_thread_info threads[FAKE_ROWS];
	struct vitals_part_info parts[VITALS_PARTS_MAX];
	struct vitals_scope_info scopes[FAKE_ROWS]; /* as many as the process row says */
	struct vitals_finding_info findings[FAKE_ROWS];
	struct vitals_evidence evidence[FAKE_ROWS]; /* of size 0: was not looked at */
	uint32_t n_groups, n_heartbeats, n_quitters, n_threads, n_parts, n_findings;

	/* If not NULL, makes the heartbeats rather than the array. */
	void (*heartbeat)(uint32_t index, struct vitals_heartbeat_info *ret);
	void (*quitter)(uint32_t index, struct vitals_quitter_info *ret);
};

extern struct fake fake;

/* A process that is watched, live, ready and started, with nothing in it. */
void fake_empty(void);

/* A small service: walker, pool of two workers, reporter; worker-2 is stuck. */
void fake_service(void);

/* Healthy heartbeats "worker-0" and up, of one group. */
void fake_workers(uint32_t n);

/* Such a service with evidence: worker-1 and worker-2 in a deadlock, walker spins. */
void fake_evidence(void);

/* What the thread of a heartbeat is doing, with plausible figures. */
struct vitals_evidence *fake_doing(struct vitals_heartbeat_info *row,
				   enum vitals_class thread_class, const char *doing);
struct vitals_finding_info *fake_finding(uint32_t kind, uint32_t threads,
					 const char *doing);

/* Counts states by what the heartbeats say, and how many rows there are. */
void fake_count(void);

struct vitals_scope_info *fake_scope(const char *name, uint64_t overruns,
				     uint64_t overrun_ns);
struct vitals_heartbeat_info *fake_heartbeat(const char *name, unsigned state);
struct vitals_quitter_info *fake_quitter(const char *path, int parent);
struct vitals_thread_info *fake_thread(const char *name, const char *quitter);

#endif
