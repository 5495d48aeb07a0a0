/* SPDX-License-Identifier: MIT */

#include "snapshot.h"

#include "clock.h"
#include "options.h"
#include "rows.h"

#include <errno.h>
#include <string.h>

/* Which slots are rows, in order; with the gen under which each was found. Not from the heap. */
struct index {
	uint64_t *entries; /* slot << 32 | gen */
	uint32_t n;
	uint32_t room;
	bool built;
};

struct vitals_snapshot {
	const struct vt_view *view;
	vitals_registry *registry; /* holds a reference; NULL: another process's view */
	struct vt_moment moment;
	struct vitals_process_info process;
	uint64_t newest_ns;

	struct index heartbeats;
	struct index quitters;
	struct index threads;
	struct index worst;
	uint32_t n_groups;
	bool groups_built;

	struct vitals_thread_info *late; /* NULL: an ordinary snapshot */
	uint32_t n_late;
	uint32_t late_room;

	struct vt_group_row groups[VT_GROUPS];
};

static uint64_t entry_of(uint32_t slot, uint32_t gen)
{
	return (uint64_t)slot << 32 | gen;
}

/* Room for all slots of a kind that were ever used. Return: 0; -ENOMEM. */
static int index_make_room(struct index *index, uint32_t most)
{
	index->n = 0;
	if (most <= index->room)
		return 0;
	vt_pages_free(index->entries, index->room * sizeof(*index->entries));
	index->room = 0;
	index->entries = vt_pages_new(most * sizeof(*index->entries));
	if (!index->entries)
		return -ENOMEM;
	index->room = most;
	return 0;
}

static void index_free(struct index *index)
{
	vt_pages_free(index->entries, index->room * sizeof(*index->entries));
}

/* The @at-th row is gone: those behind it move up. */
static void index_remove(struct index *index, uint32_t at)
{
	index->n--;
	memmove(&index->entries[at], &index->entries[at + 1],
		(index->n - at) * sizeof(*index->entries));
}

/* Return: the gen of a slot, where its kind has it; 0 for a heartbeat that is closed. */
static uint32_t gen_of(const struct vt_view *view, enum vt_kind kind, uint32_t slot)
{
	const void *at = vt_view_slot(view, kind, slot);
	const struct vt_hot *hot = at;
	const _Atomic uint32_t *gen;

	if (!at)
		return 0;
	if (kind == VT_KIND_HOT)
		gen = atomic_load_explicit(&hot->flags, memory_order_acquire) & VT_HB_CLOSED ?
			      NULL :
			      &hot->gen;
	else if (kind == VT_KIND_QUITTER)
		gen = &((const struct vt_quitter_slot *)at)->gen;
	else
		gen = &((const struct vt_member_slot *)at)->gen;
	return gen ? atomic_load_explicit(gen, memory_order_acquire) : 0;
}

/* All slots of a kind that are in use. */
static int index_build(const struct vt_view *view, enum vt_kind kind, struct index *index)
{
	uint32_t i, gen, used = vt_view_used(view, kind);
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, used);
	if (r < 0)
		return r;
	for (i = 0; i < used; i++) {
		gen = gen_of(view, kind, i);
		if (gen & 1u)
			index->entries[index->n++] = entry_of(i, gen);
	}
	index->built = true;
	return 0;
}

/* Where to go on in the tree from a quitter without (more) children. */
static uint32_t tree_next(const struct vt_view *view, uint32_t at, uint64_t *steps)
{
	uint32_t next;

	while (at && *steps) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, at - 1);

		if (!slot)
			return 0;
		--*steps;
		next = atomic_load_explicit(&slot->next, memory_order_acquire);
		if (next)
			return next;
		at = atomic_load_explicit(&slot->parent, memory_order_acquire);
	}
	return 0;
}

/* As a tree is printed. What the walk misses because it moved meanwhile, the next snapshot has. */
static int quitters_build(const struct vt_view *view, struct index *index)
{
	const struct vt_root *root = vt_view_root(view);
	uint32_t at, used = vt_view_used(view, VT_KIND_QUITTER);
	/* A tree that changes under the walk may lead round: each quitter once down, once up. */
	uint64_t steps = 2 * (uint64_t)used;
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, used);
	if (r < 0)
		return r;
	at = atomic_load_explicit(&root->main_quitter, memory_order_acquire);
	while (at && steps && index->n < used) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, at - 1);
		uint32_t gen, child;

		if (!slot)
			break;
		steps--;
		gen = atomic_load_explicit(&slot->gen, memory_order_acquire);
		if (gen & 1u)
			index->entries[index->n++] = entry_of(at - 1, gen);
		child = atomic_load_explicit(&slot->first_child, memory_order_acquire);
		at = child ? child : tree_next(view, at, &steps);
	}
	index->built = true;
	return 0;
}

/* The monitor's list, copied while it holds still. */
static int worst_build(const struct vt_view *view, struct index *index)
{
	const struct vt_summary *summary = &vt_view_root(view)->summary;
	unsigned tries;
	uint32_t i, n;
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, VT_WORST);
	if (r < 0)
		return r;
	for (tries = 0; tries < 8; tries++) {
		uint64_t sequence =
			atomic_load_explicit(&summary->sequence, memory_order_acquire);

		n = atomic_load_explicit(&summary->n_worst, memory_order_acquire);
		n = n < VT_WORST ? n : VT_WORST;
		for (i = 0; i < n; i++)
			index->entries[i] = entry_of(
				atomic_load_explicit(&summary->worst[i].index,
						     memory_order_acquire),
				atomic_load_explicit(&summary->worst[i].gen,
						     memory_order_acquire));
		index->n = n;
		if (!(sequence & 1u) &&
		    atomic_load_explicit(&summary->sequence, memory_order_acquire) == sequence)
			break;
	}
	index->built = true;
	return 0;
}

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

int vt_snapshot_take_at(const struct vt_view *view, vitals_registry *registry, uint64_t now_ns,
			vitals_snapshot **snapshot)
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
	    gen_of(snapshot->view, VT_KIND_MEMBER, member) != gen ||
	    !vt_row_thread(snapshot->view, &snapshot->moment, member, row) ||
	    gen_of(snapshot->view, VT_KIND_MEMBER, member) != gen)
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
	index_free(&snapshot->heartbeats);
	index_free(&snapshot->quitters);
	index_free(&snapshot->threads);
	index_free(&snapshot->worst);
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
	return row->state == VITALS_HEALTHY || row->state == VITALS_IDLE;
}

/* Looks the @at-th heartbeat of an index up; those that do not belong in it are dropped. */
static int heartbeat_at(vitals_snapshot *snapshot, struct index *index, uint32_t at,
			struct vitals_heartbeat_info *info)
{
	struct vitals_heartbeat_info row;

	while (at < index->n) {
		uint32_t slot = (uint32_t)(index->entries[at] >> 32);

		if (gen_of(snapshot->view, VT_KIND_HOT, slot) ==
			    (uint32_t)index->entries[at] &&
		    vt_row_heartbeat(snapshot->view, &snapshot->moment, slot, &row) &&
		    (index != &snapshot->worst || !well(&row))) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		index_remove(index, at);
	}
	return -ENOENT;
}

int vitals_snapshot_heartbeat(vitals_snapshot *snapshot, uint32_t index,
			      struct vitals_heartbeat_info *info)
{
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	r = index_build(snapshot->view, VT_KIND_HOT, &snapshot->heartbeats);
	return r < 0 ? r : heartbeat_at(snapshot, &snapshot->heartbeats, index, info);
}

int vitals_snapshot_worst(vitals_snapshot *snapshot, uint32_t index,
			  struct vitals_heartbeat_info *info)
{
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	r = worst_build(snapshot->view, &snapshot->worst);
	return r < 0 ? r : heartbeat_at(snapshot, &snapshot->worst, index, info);
}

int vitals_snapshot_quitter(vitals_snapshot *snapshot, uint32_t index,
			    struct vitals_quitter_info *info)
{
	struct vitals_quitter_info row;
	struct index *quitters;
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	quitters = &snapshot->quitters;
	r = quitters_build(snapshot->view, quitters);
	if (r < 0)
		return r;
	while (index < quitters->n) {
		uint32_t slot = (uint32_t)(quitters->entries[index] >> 32);

		if (vt_row_quitter(snapshot->view, slot, &row)) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		index_remove(quitters, index);
	}
	return -ENOENT;
}

int vitals_snapshot_thread(vitals_snapshot *snapshot, uint32_t index,
			   struct vitals_thread_info *info)
{
	struct vitals_thread_info row;
	struct index *threads;
	int r;

	if (!record_good(snapshot, info))
		return -EINVAL;
	if (snapshot->late)
		return index < snapshot->n_late ?
			       vt_record_store(info, &snapshot->late[index], sizeof(row)) :
			       -ENOENT;
	threads = &snapshot->threads;
	r = index_build(snapshot->view, VT_KIND_MEMBER, threads);
	if (r < 0)
		return r;
	while (index < threads->n) {
		uint32_t slot = (uint32_t)(threads->entries[index] >> 32);

		if (vt_row_thread(snapshot->view, &snapshot->moment, slot, &row)) {
			snapshot->newest_ns = vt_clock_now();
			return vt_record_store(info, &row, sizeof(row));
		}
		index_remove(threads, index);
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

int vitals_snapshot_buckets(vitals_snapshot *snapshot, uint32_t index, uint64_t *counts,
			    uint32_t n)
{
	int r;

	if (!snapshot || !counts || (n != VITALS_BUCKETS_COARSE && n != VITALS_BUCKETS_FINE))
		return -EINVAL;
	r = index_build(snapshot->view, VT_KIND_HOT, &snapshot->heartbeats);
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

int vitals_snapshot_group_buckets(vitals_snapshot *snapshot, uint32_t index, uint32_t which,
				  uint64_t *counts)
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
