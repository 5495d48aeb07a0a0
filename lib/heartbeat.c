/* SPDX-License-Identifier: MIT */

#include "heartbeat.h"

#include "clock.h"
#include "frames.h"
#include "group.h"
#include "histogram.h"
#include "names.h"
#include "options.h"
#include "text.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_MIN VITALS_MS(1)
#define TIMEOUT_MAX VITALS_S(315360000) /* ten years */
#define SCALED_MAX (UINT64_MAX / 8)
#define FLAGS (VITALS_INFORMATIVE | VITALS_NO_HISTOGRAM | VITALS_COARSE_HISTOGRAM)
#define DEFAULT_GROUP "default"

_Static_assert(sizeof(struct vitals_heartbeat) <= VT_RECORD_HEARTBEAT, "fits its record");
_Static_assert(sizeof(struct vt_heartbeat_seldom) == VT_SELDOM_HEARTBEAT, "fits beside");
_Static_assert(offsetof(struct vt_hot, beat) == 0, "a head's beat is its hot part");

bool vt_heartbeat_time_good(uint64_t ns)
{
	return ns >= TIMEOUT_MIN && ns <= TIMEOUT_MAX;
}

static int options_check(uint64_t timeout_ns, struct vitals_heartbeat_options *o)
{
	if (!vt_heartbeat_time_good(timeout_ns) || (o->flags & ~FLAGS))
		return -EINVAL;
	if (!o->interval_ns)
		o->interval_ns = timeout_ns / 2;
	if (!o->start_ns)
		o->start_ns = timeout_ns;
	if (!o->stuck_ns)
		o->stuck_ns = 4 * timeout_ns;
	if (!o->group)
		o->group = DEFAULT_GROUP;
	if (o->interval_ns > timeout_ns || o->stuck_ns <= timeout_ns ||
	    o->stuck_ns > 4 * TIMEOUT_MAX || o->start_ns > TIMEOUT_MAX ||
	    !vt_name_good(o->group))
		return -EINVAL;
	return 0;
}

uint64_t vt_heartbeat_scaled(const vitals_registry *registry, uint64_t ns)
{
	uint32_t scale = atomic_load_explicit(&registry->root->timeout_scale,
					      memory_order_relaxed);

	if (scale == 1000)
		return ns;
	return ns / 1000 > SCALED_MAX / scale ? SCALED_MAX : ns / 1000 * scale;
}

/* Release, here and below: see layout.h and vt_slot_take(). */
static void hot_fill(vitals_registry *registry, struct vt_hot *hot, const char *name,
		     uint64_t timeout_ns, const struct vitals_heartbeat_options *o,
		     uint32_t group, uint64_t now_ns)
{
#define SET(field, value) atomic_store_explicit(&hot->field, value, memory_order_release)
	SET(beat, VT_BEAT_NS(now_ns) | VT_BEAT_STARTING);
	SET(pulse, 0);
	SET(flags, o->flags | group << VT_HB_GROUP_SHIFT);
	SET(id, vt_registry_id(registry));
	SET(timeout_ns, vt_heartbeat_scaled(registry, timeout_ns));
	SET(stuck_ns, vt_heartbeat_scaled(registry, o->stuck_ns));
	SET(start_ns, vt_heartbeat_scaled(registry, o->start_ns));
	SET(interval_ns, o->interval_ns);
#undef SET
	vt_name_store(hot->name, name);
}

/* What the monitor remembers is its own: it sees by gen that it is about another. */
static void cold_fill(struct vt_cold *cold, uint32_t histogram)
{
	atomic_store_explicit(&cold->owner, 0, memory_order_release);
	atomic_store_explicit(&cold->histogram, histogram, memory_order_release);
}

static enum vt_pool histogram_pool(uint32_t flags)
{
	return flags & VITALS_COARSE_HISTOGRAM ? VT_POOL_COARSE : VT_POOL_FINE;
}

static struct vt_intervals *histogram_at(const vitals_registry *registry, uint32_t flags,
					 uint32_t index)
{
	/* Both kinds begin with it. */
	return vt_slot(registry,
		       flags & VITALS_COARSE_HISTOGRAM ? VT_KIND_COARSE : VT_KIND_FINE,
		       index);
}

/* Return: index + 1 of an empty histogram; 0 if none is wanted; -ENOMEM. */
static int histogram_take(vitals_registry *registry, uint32_t flags)
	VT_REQUIRES(registry->lock)
{
	struct vt_intervals *intervals;
	_Atomic uint64_t *word;
	uint32_t index;
	size_t i, words;
	int r;

	if (flags & VITALS_NO_HISTOGRAM)
		return 0;
	r = vt_slot_new(registry, histogram_pool(flags), &index);
	if (r < 0)
		return r;
	intervals = histogram_at(registry, flags, index);
	word = (_Atomic uint64_t *)(void *)intervals;
	words = sizeof(*intervals) / sizeof(*word) +
		(flags & VITALS_COARSE_HISTOGRAM ? VT_COARSE : VT_FINE);
	for (i = 0; i < words; i++)
		/* Release: a copy that has it sees that the slot changed hands. */
		atomic_store_explicit(&word[i], 0, memory_order_release);
	return (int)index + 1;
}

/* The handle. @histogram: index + 1. */
static vitals_heartbeat *record_fill(vitals_registry *registry, uint32_t index,
				     struct vt_hot *hot, uint32_t histogram)
{
	vitals_heartbeat *heartbeat = vt_record(registry, VT_POOL_HEARTBEAT, index);
	uint32_t flags = atomic_load_explicit(&hot->flags, memory_order_relaxed);

	/* Not the lists it is in: they go by index, and are others' to change. */
	heartbeat->head.beat = (uint64_t *)(void *)hot;
	heartbeat->head.tick = (const uint64_t *)(uintptr_t)&registry->root->tick.beat;
	heartbeat->intervals = histogram ? histogram_at(registry, flags, histogram - 1)
					 : NULL;
	heartbeat->place =
		index - vt_span_with(registry, VT_POOL_HEARTBEAT, index)->first;
	/* Relaxed: nobody else has it yet. */
	atomic_store_explicit(&heartbeat->refs, 1, memory_order_relaxed);
	(void)vt_registry_ref(registry);
	return heartbeat;
}

static int heartbeat_new_locked(vitals_registry *registry, const char *name,
				uint64_t timeout_ns,
				const struct vitals_heartbeat_options *o, uint64_t now_ns,
				vitals_heartbeat **ret) VT_REQUIRES(registry->lock)
{
	struct vt_hot *hot;
	uint32_t index;
	int r, group, histogram;

	group = vt_group_find(registry, o->group);
	if (group < 0)
		return group;
	histogram = histogram_take(registry, o->flags);
	if (histogram < 0)
		return histogram;
	r = vt_slot_new(registry, VT_POOL_HEARTBEAT, &index);
	if (r < 0)
		goto fail;

	hot = vt_slot(registry, VT_KIND_HOT, index);
	vt_slot_take(&hot->gen);
	hot_fill(registry, hot, name, timeout_ns, o, (uint32_t)group, now_ns);
	cold_fill(vt_slot(registry, VT_KIND_COLD, index), (uint32_t)histogram);
	if (!vt_names_take(registry, (struct vt_named){ VT_POOL_HEARTBEAT, index })) {
		vt_slot_free(registry, VT_POOL_HEARTBEAT, index);
		r = -ENOMEM;
		goto fail;
	}

	*ret = record_fill(registry, index, hot, (uint32_t)histogram);
	vt_slot_open(&hot->gen);
	vt_heartbeat_look(*ret);
	return 0;

fail:
	if (histogram)
		vt_slot_free(registry, histogram_pool(o->flags), (uint32_t)histogram - 1);
	return r;
}

bool vt_heartbeat_needs_look(vitals_registry *registry, uint64_t timeout_ns)
{
	/*
	 * A read that is a write: a turn that begins after it sees the slot, and after one that was
	 * over before it the tick is as that turn left it.
	 */
	uint32_t turns =
		atomic_fetch_add_explicit(&registry->turns, 0, memory_order_acq_rel);
	uint64_t tick_ns =
		atomic_load_explicit(&registry->root->tick.tick_ns, memory_order_relaxed);
	uint64_t wants_ns = timeout_ns / VT_TICKS;

	wants_ns = wants_ns < VT_TICK_MIN_NS ? VT_TICK_MIN_NS : wants_ns;
	return wants_ns < (turns & 1u ? VT_TICK_MAX_NS : tick_ns);
}

int vt_heartbeat_new_at(vitals_registry *registry, const char *name, uint64_t timeout_ns,
			const struct vitals_heartbeat_options *options, uint64_t now_ns,
			vitals_heartbeat **ret)
{
	struct vitals_heartbeat_options o;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	r = vt_options_load(&o, sizeof(o), options);
	if (r < 0)
		return r;
	if (!vt_name_good(name))
		return -EINVAL;
	r = options_check(timeout_ns, &o);
	if (r < 0)
		return r;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;

	vt_lock(&registry->lock);
	r = heartbeat_new_locked(registry, name, timeout_ns, &o, now_ns, ret);
	vt_unlock(&registry->lock);
	if (r == 0 &&
	    vt_heartbeat_needs_look(registry, vt_heartbeat_scaled(registry, timeout_ns)))
		vt_registry_wake(registry);
	return r;
}

int vitals_heartbeat_new(vitals_registry *registry, const char *name, uint64_t timeout_ns,
			 const struct vitals_heartbeat_options *options,
			 vitals_heartbeat **ret)
{
	return vt_heartbeat_new_at(registry, name, timeout_ns, options, vt_clock_now(),
				   ret);
}

vitals_heartbeat *vitals_heartbeat_ref(vitals_heartbeat *heartbeat)
{
	/* Relaxed: the caller's own reference already orders everything. */
	if (heartbeat && vt_heartbeat_current(heartbeat))
		atomic_fetch_add_explicit(&heartbeat->refs, 1, memory_order_relaxed);
	return heartbeat;
}

static void heartbeat_close_locked(vitals_heartbeat *heartbeat, vitals_registry *registry)
	VT_REQUIRES(registry->lock)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_group_slot *group = vt_heartbeat_group(heartbeat);

	if (atomic_load_explicit(&hot->flags, memory_order_relaxed) & VT_HB_CLOSED)
		return;
	vt_group_fold(group, hot, heartbeat->intervals, vt_heartbeat_buckets(hot));
	vt_names_give(registry, (struct vt_named){ VT_POOL_HEARTBEAT,
						   vt_heartbeat_index(heartbeat) });
	vt_heartbeat_look(heartbeat);
}

void vitals_heartbeat_close(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry;

	if (!heartbeat || !vt_heartbeat_current(heartbeat))
		return;
	registry = vt_heartbeat_registry(heartbeat);
	vt_lock(&registry->lock);
	heartbeat_close_locked(heartbeat, registry);
	vt_unlock(&registry->lock);
}

static void scopes_free(vitals_heartbeat *heartbeat, vitals_registry *registry)
	VT_REQUIRES(registry->lock)
{
	uint32_t scopes = atomic_load_explicit(&vt_heartbeat_rare(heartbeat)->scopes,
					       memory_order_relaxed);

	vt_heartbeat_seldom(heartbeat)->scopes = NULL;
	vt_slot_free(registry, VT_POOL_SCOPES, scopes - 1);
}

/* The last holder has gone: what is left of it goes too. */
static void heartbeat_end(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry = vt_heartbeat_registry(heartbeat);
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	uint32_t flags, histogram;

	vt_heartbeat_due_fd_close(heartbeat);
	vt_lock(&registry->lock);
	heartbeat_close_locked(heartbeat, registry);
	flags = atomic_load_explicit(&hot->flags, memory_order_relaxed);
	histogram = atomic_load_explicit(&vt_heartbeat_cold(heartbeat)->histogram,
					 memory_order_relaxed);
	vt_slot_close(&hot->gen);
	if (flags & VT_HB_SCOPES)
		scopes_free(heartbeat, registry);
	if (histogram)
		vt_slot_free(registry, histogram_pool(flags), histogram - 1);
	vt_slot_free(registry, VT_POOL_HEARTBEAT, vt_heartbeat_index(heartbeat));
	vt_unlock(&registry->lock);
	(void)vt_registry_unref(registry);
}

vitals_heartbeat *vitals_heartbeat_unref(vitals_heartbeat *heartbeat)
{
	uint32_t refs, mine;

	if (!heartbeat || !vt_heartbeat_current(heartbeat))
		return NULL;
	refs = atomic_load_explicit(&heartbeat->refs, memory_order_relaxed);
	do {
		mine = 1;
		/* An owner keeps the slot, not the heartbeat; closed before it is let go of. */
		if ((refs & VT_HEARTBEAT_HOLDERS) == 1 && refs != 1) {
			vitals_heartbeat_close(heartbeat);
			mine += vt_heartbeat_forsaken(heartbeat) * VT_HEARTBEAT_OWNER;
		}
		/*
		 * Release publishes this holder's writes; acquire, by the last, sees them all
		 * before the slot is somebody else's.
		 */
	} while (!atomic_compare_exchange_weak_explicit(&heartbeat->refs, &refs,
							refs - mine, memory_order_acq_rel,
							memory_order_relaxed));
	if (refs == mine)
		heartbeat_end(heartbeat);
	return NULL;
}

void vt_heartbeat_disown(vitals_heartbeat *heartbeat)
{
	/* As in vitals_heartbeat_unref(). */
	if (vt_heartbeat_current(heartbeat) &&
	    atomic_fetch_sub_explicit(&heartbeat->refs, VT_HEARTBEAT_OWNER,
				      memory_order_acq_rel) == VT_HEARTBEAT_OWNER)
		heartbeat_end(heartbeat);
}

bool vt_heartbeat_describe(const vitals_registry *registry, uint32_t index, uint32_t gen,
			   struct vitals_event *event)
{
	const struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	const struct vt_group_slot *group;
	char name[VITALS_NAME_MAX];
	struct vt_text text;
	uint32_t flags, now;

	event->heartbeat_id = atomic_load_explicit(&hot->id, memory_order_acquire);
	flags = atomic_load_explicit(&hot->flags, memory_order_acquire);
	event->flags = flags & VT_HB_PUBLIC;
	vt_owner_load(&registry->view, cold, &event->tid, &event->thread_id);
	vt_name_load(hot->name, name);
	vt_text_init(&text, event->name, sizeof(event->name));
	vt_text_add_shown(&text, name,
			  atomic_load_explicit(&cold->number, memory_order_acquire));
	group = vt_slot(registry, VT_KIND_GROUP, VT_HB_GROUP(flags));
	if (group)
		vt_name_load(group->name, event->group);
	vt_frames_blamed(&registry->view, index, event->scope);
	/* One that has been closed since is still itself until its slot is taken again. */
	gen |= 1u;
	now = atomic_load_explicit(&hot->gen, memory_order_acquire);
	return now == gen || now == gen + 1;
}
