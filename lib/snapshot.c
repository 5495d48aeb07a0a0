/* SPDX-License-Identifier: MIT */

#include "snapshot.h"

#include "clock.h"
#include "index.h"
#include "options.h"
#include "rows.h"
#include "witness.h"

#include <errno.h>
#include <string.h>

struct vitals_snapshot {
	const struct vt_view *view;
	vitals_registry *registry; /* holds a reference; NULL: another process's view */
	struct vt_moment moment;
	struct vitals_process_info process;
	uint64_t newest_ns;

	struct vt_index heartbeats;
	struct vt_index quitters;
	struct vt_index threads;
	struct vt_index worst;
	uint32_t n_groups;
	bool groups_built;

	struct vitals_thread_info *late; /* NULL: an ordinary snapshot */
	uint32_t n_late;
	uint32_t late_room;

	struct vt_group_row groups[VT_GROUPS];
};

static void snapshot_reset(vitals_snapshot *snapshot)
{
	snapshot->heartbeats.built = false;
	snapshot->quitters.built = false;
	snapshot->threads.built = false;
	snapshot->worst.built = false;
	snapshot->groups_built = false;
	vt_pages_free(snapshot->late, snapshot->late_room * sizeof(*snapshot->late));
	snapshot->late = NULL;
	snapshot->n_late = 0;
	snapshot->late_room = 0;
}

int vt_snapshot_take_at(const struct vt_view *view, vitals_registry *registry,
			uint64_t now_ns, vitals_snapshot **snapshot)
{
	vitals_snapshot *s = *snapshot;
	const struct vt_root *root = vt_view_root(view);

	if (!root)
		return -EINVAL;
	if (!s)
		s = vt_pages_new(sizeof(*s));
	if (!s)
		return -ENOMEM;
	if (registry)
		(void)vt_registry_ref(registry);
	(void)vt_registry_unref(s->registry);
	snapshot_reset(s);
	s->registry = registry;
	s->view = view;
	vt_tick_load(&root->tick, &s->moment.tick);
	/* A tick between the caller's look at the clock and now is no time in the future. */
	s->moment.now_ns = now_ns > s->moment.tick.at_ns ? now_ns : s->moment.tick.at_ns;
	s->newest_ns = s->moment.now_ns;
	vt_row_process(view, &s->moment, &s->process);
	s->process.from_ns = s->moment.now_ns;
	*snapshot = s;
	return 0;
}

int vitals_snapshot_take(vitals_registry *registry, vitals_snapshot **snapshot)
{
	int r;

	if (!snapshot)
		return -EINVAL;
	r = vt_registry_get(registry, &registry);
	if (r == -ECANCELED)
		return -ECHILD;
	if (r < 0)
		return r;
	return vt_snapshot_take_at(&registry->view, registry, vt_clock_now(), snapshot);
}

int vt_snapshot_late_new(vitals_registry *registry, uint32_t room, uint64_t now_ns,
			 vitals_snapshot **ret)
{
	vitals_snapshot *s = NULL;
	int r;

	*ret = NULL;
	r = vt_snapshot_take_at(&registry->view, registry, now_ns, &s);
	if (r < 0)
		return r;
	room = room ? room : 1;
	s->late = vt_pages_new(room * sizeof(*s->late));
	if (!s->late) {
		(void)vitals_snapshot_free(s);
		return -ENOMEM;
	}
	s->late_room = room;
	*ret = s;
	return 0;
}

bool vt_snapshot_late_add(vitals_snapshot *snapshot, uint32_t member, uint32_t gen)
{
	struct vitals_thread_info *row = &snapshot->late[snapshot->n_late];

	if (snapshot->n_late == snapshot->late_room ||
	    vt_index_gen(snapshot->view, VT_KIND_MEMBER, member) != gen ||
	    !vt_row_thread(snapshot->view, &snapshot->moment, member, row) ||
	    vt_index_gen(snapshot->view, VT_KIND_MEMBER, member) != gen)
		return false;
	row->late = 1;
	snapshot->n_late++;
	return true;
}

bool vt_snapshot_is_late(const vitals_snapshot *snapshot)
{
	return snapshot->late;
}

vitals_snapshot *vitals_snapshot_free(vitals_snapshot *snapshot)
{
	if (!snapshot)
		return NULL;
	snapshot_reset(snapshot);
	vt_index_free(&snapshot->heartbeats);
	vt_index_free(&snapshot->quitters);
	vt_index_free(&snapshot->threads);
	vt_index_free(&snapshot->worst);
	(void)vt_registry_unref(snapshot->registry);
	vt_pages_free(snapshot, sizeof(*snapshot));
	return NULL;
}

static bool record_good(const vitals_snapshot *snapshot, const void *record)
{
	uint32_t size = 0;

	if (record)
		memcpy(&size, record, sizeof(size));
	return snapshot && size >= sizeof(size);
}

int vitals_snapshot_process(vitals_snapshot *snapshot, struct vitals_process_info *info)
{
	if (!record_good(snapshot, info))
		return -EINVAL;
	snapshot->process.to_ns = snapshot->newest_ns;
	return vt_record_store(info, &snapshot->process, sizeof(snapshot->process));
}

/* Is it well again since the monitor made its list of the worst? */
static bool well(const struct vitals_heartbeat_info *row)
{
	return VITALS_STATE_IS_GOOD(row->state);
}

/* Looks the @at-th heartbeat of an index up; those that do not belong in it are dropped. */
static int heartbeat_at(vitals_snapshot *snapshot, struct vt_index *index, uint32_t at,
			struct vitals_heartbeat_info *info)
{
	struct vitals_heartbeat_info row;

	while (at < index->n) {
		uint32_t slot = (uint32_t)(index->entries[at] >> 32);

		if (vt_index_gen(snapshot->view, VT_KIND_HOT, slot) ==
			    (uint32_t)index->entries[at] &&
		    vt_row_heartbeat(snapshot->view, &snapshot->moment, slot, &row) &&
		    (index != &snapshot->worst || !well(&row))) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		vt_index_remove(index, at);
	}
	return -ENOENT;
}

int vitals_snapshot_heartbeat(vitals_snapshot *snapshot, uint32_t index,
			      struct vitals_heartbeat_info *info)
{
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	r = vt_index_build(snapshot->view, VT_KIND_HOT, &snapshot->heartbeats);
	return r < 0 ? r : heartbeat_at(snapshot, &snapshot->heartbeats, index, info);
}

int vitals_snapshot_worst(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_heartbeat_info *info)
{
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	r = vt_index_worst(snapshot->view, &snapshot->worst);
	return r < 0 ? r : heartbeat_at(snapshot, &snapshot->worst, index, info);
}

int vitals_snapshot_quitter(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_quitter_info *info)
{
	struct vitals_quitter_info row;
	struct vt_index *quitters;
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	quitters = &snapshot->quitters;
	r = vt_index_quitters(snapshot->view, quitters);
	if (r < 0)
		return r;
	while (index < quitters->n) {
		uint32_t slot = (uint32_t)(quitters->entries[index] >> 32);

		if (vt_row_quitter(snapshot->view, slot, &row)) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		vt_index_remove(quitters, index);
	}
	return -ENOENT;
}

int vitals_snapshot_thread(vitals_snapshot *snapshot, uint32_t index,
			   struct vitals_thread_info *info)
{
	struct vitals_thread_info row;
	struct vt_index *threads;
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	if (snapshot->late)
		return index < snapshot->n_late
			       ? vt_record_store(info, &snapshot->late[index],
						 sizeof(row))
			       : -ENOENT;
	threads = &snapshot->threads;
	r = vt_index_build(snapshot->view, VT_KIND_MEMBER, threads);
	if (r < 0)
		return r;
	while (index < threads->n) {
		uint32_t slot = (uint32_t)(threads->entries[index] >> 32);

		if (vt_row_thread(snapshot->view, &snapshot->moment, slot, &row)) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		vt_index_remove(threads, index);
	}
	return -ENOENT;
}

int vitals_snapshot_part(vitals_snapshot *snapshot, uint32_t index,
			 struct vitals_part_info *info)
{
	struct vitals_part_info row;

	if (!record_good(snapshot, info))
		return -EINVAL;
	if (!vt_row_part(snapshot->view, index, &row))
		return -ENOENT;
	return vt_record_store(info, &row, sizeof(row));
}

int vitals_snapshot_scope(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_scope_info *info)
{
	struct vitals_scope_info row;

	if (!record_good(snapshot, info))
		return -EINVAL;
	if (!vt_row_scope(snapshot->view, index, &row))
		return -ENOENT;
	return vt_record_store(info, &row, sizeof(row));
}

int vitals_snapshot_buckets(vitals_snapshot *snapshot, uint32_t index, uint64_t *counts,
			    uint32_t n)
{
	int r;

	if (!snapshot || !counts ||
	    (n != VITALS_BUCKETS_COARSE && n != VITALS_BUCKETS_FINE))
		return -EINVAL;
	r = vt_index_build(snapshot->view, VT_KIND_HOT, &snapshot->heartbeats);
	if (r < 0)
		return r;
	if (index >= snapshot->heartbeats.n)
		return -ENOENT;
	return vt_row_buckets(snapshot->view,
			      (uint32_t)(snapshot->heartbeats.entries[index] >> 32),
			      (uint32_t)snapshot->heartbeats.entries[index], counts, n);
}

static const struct vt_group_row *group_at(vitals_snapshot *snapshot, uint32_t index)
{
	if (!snapshot->groups_built) {
		snapshot->n_groups = vt_rows_groups(snapshot->view, &snapshot->moment,
						    snapshot->groups);
		snapshot->groups_built = true;
		snapshot->newest_ns = vt_clock_now();
	}
	return index < snapshot->n_groups ? &snapshot->groups[index] : NULL;
}

int vitals_snapshot_group(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_group_info *info)
{
	const struct vt_group_row *row;

	if (!record_good(snapshot, info))
		return -EINVAL;
	row = group_at(snapshot, index);
	return row ? vt_record_store(info, &row->info, sizeof(row->info)) : -ENOENT;
}

int vitals_snapshot_group_buckets(vitals_snapshot *snapshot, uint32_t index,
				  uint32_t which, uint64_t *counts)
{
	const struct vt_group_row *row;

	if (!snapshot || !counts || which > VITALS_GROUP_LATENESS)
		return -EINVAL;
	row = group_at(snapshot, index);
	if (!row)
		return -ENOENT;
	memcpy(counts, which == VITALS_GROUP_LATENESS ? row->lateness : row->intervals,
	       sizeof(row->intervals));
	return 0;
}

int vitals_snapshot_shutdown_buckets(vitals_snapshot *snapshot, uint64_t *counts)
{
	const struct vt_tally *took;
	unsigned i;

	if (!snapshot || !counts)
		return -EINVAL;
	took = &vt_view_root(snapshot->view)->totals.took;
	/* Acquire: after the process row, so the counts are not behind its sum by much. */
	for (i = 0; i < VT_COARSE; i++)
		counts[i] = atomic_load_explicit(&took->counts[i], memory_order_acquire);
	return 0;
}

int vitals_snapshot_evidence(vitals_snapshot *snapshot, uint32_t index,
			     struct vitals_evidence *evidence)
{
	struct vt_index *heartbeats;
	struct vitals_evidence row;
	int r;

	if (!record_good(snapshot, evidence))
		return -EINVAL;
	heartbeats = &snapshot->heartbeats;
	r = vt_index_build(snapshot->view, VT_KIND_HOT, heartbeats);
	if (r < 0)
		return r;
	if (index >= heartbeats->n)
		return -ENOENT;
	if (!vt_witness_heartbeat(snapshot->view, vt_index_slot(heartbeats, index),
				  (uint32_t)heartbeats->entries[index], &row))
		return -ENODATA;
	return vt_record_store(evidence, &row, sizeof(row));
}

int vitals_snapshot_finding(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_finding_info *info)
{
	struct vitals_finding_info row;

	if (!record_good(snapshot, info))
		return -EINVAL;
	if (!vt_row_finding(snapshot->view, index, &row))
		return -ENOENT;
	return vt_record_store(info, &row, sizeof(row));
}
