/* SPDX-License-Identifier: MIT */

#include "events.h"

#include "clock.h"
#include "heartbeat.h"
#include "options.h"
#include "text.h"
#include "wakefd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* How long the monitor waits for a reader that copies an event. */
#define READER_WAIT_NS 1000000u
/* The code of the pause; heartbeats are index + 1. */
#define PAUSE_CODE UINT32_MAX

/* The newest change of one heartbeat. */
struct change {
	uint64_t number; /* 0: not in the list */
	uint64_t at_ns;
	uint64_t lasted_ns;
	uint64_t silence_ns;
	uint64_t worst_ns; /* the longest silence while it lasts; the monitor's own */
	uint32_t gen;      /* of the heartbeat's slot */
	uint32_t prev; /* codes */
	uint32_t next;
	int8_t from;
	int8_t to; /* what readers were told last */
};

struct vt_changes {
	_Atomic uint32_t word;
	/* guarded by events_lock */
	uint64_t number;
	uint32_t first;
	uint32_t last;
	bool stopped;
	struct change pause;
	struct vitals_events readers[VT_READERS]; /* the last is the notifier's */
	/* Written by turns only: those of a span of heartbeats, made when first needed. */
	struct change *changes[VT_SPANS];
};

int vt_changes_make(vitals_registry *registry)
{
	if (!registry->changes)
		registry->changes = vt_registry_room(registry, sizeof(struct vt_changes));
	return registry->changes ? 0 : -ENOMEM;
}

_Atomic uint32_t *vt_changes_word(vitals_registry *registry)
{
	return &registry->changes->word;
}

/* The change of the heartbeat at @index; NULL if there is no memory for it yet. */
static struct change *change_at(const vitals_registry *registry, uint32_t index)
{
	const struct vt_view *view = &registry->view;
	uint32_t n = atomic_load_explicit(&view->n_spans[VT_KIND_HOT], memory_order_acquire);

	while (n-- && index < view->spans[VT_KIND_HOT][n].first)
		continue;
	return registry->changes->changes[n] ?
		       &registry->changes->changes[n][index -
						      view->spans[VT_KIND_HOT][n].first] :
		       NULL;
}

static struct change *change_of(const vitals_registry *registry, uint32_t code)
{
	return code == PAUSE_CODE ? &registry->changes->pause : change_at(registry, code - 1);
}

/* In a turn: makes what change_at() found missing. */
static struct change *change_make(vitals_registry *registry, uint32_t index)
{
	const struct vt_view *view = &registry->view;
	uint32_t n = atomic_load_explicit(&view->n_spans[VT_KIND_HOT], memory_order_acquire);
	size_t size;

	while (n-- && index < view->spans[VT_KIND_HOT][n].first)
		continue;
	if (!registry->changes->changes[n]) {
		size = view->spans[VT_KIND_HOT][n].count * sizeof(struct change);
		registry->changes->changes[n] = vt_pages_new(size);
	}
	return change_at(registry, index);
}

static void change_unlink(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	struct change *change = change_of(registry, code);
	unsigned i;

	if (!change->number)
		return;
	for (i = 0; i < VT_READERS; i++) {
		struct vitals_events *reader = &changes->readers[i];

		if (!reader->registry)
			continue;
		if (reader->cursor == code)
			reader->cursor = change->prev;
		else if (change->number > reader->position)
			reader->lost += !reader->only || reader->only == code;
	}
	if (change->prev)
		change_of(registry, change->prev)->next = change->next;
	else
		changes->first = change->next;
	if (change->next)
		change_of(registry, change->next)->prev = change->prev;
	else
		changes->last = change->prev;
	change->number = 0;
}

/* Every number is higher than all before, so the end is its place. */
static void change_append(vitals_registry *registry, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	struct change *change = change_of(registry, code);
	unsigned i;

	change->number = ++changes->number;
	change->prev = changes->last;
	change->next = 0;
	if (changes->last)
		change_of(registry, changes->last)->next = code;
	else
		changes->first = code;
	changes->last = code;
	/* Relaxed: a number for readers of the region, who look at nothing by it. */
	atomic_store_explicit(&registry->root->changes, change->number, memory_order_relaxed);
	for (i = 0; i < VT_READERS; i++) {
		struct vitals_events *reader = &changes->readers[i];

		if (reader->registry && (!reader->only || reader->only == code))
			vt_wakefd_set(atomic_load_explicit(&reader->fd,
							   memory_order_relaxed));
	}
}

static void changes_wake(vitals_registry *registry)
{
	/* Release: a waiter that sees the word sees the list through events_lock anyway. */
	atomic_fetch_add_explicit(&registry->changes->word, 1, memory_order_release);
	vt_futex_wake(&registry->changes->word, INT_MAX);
}

static bool changes_lock(vitals_registry *registry) VT_TRY_ACQUIRE(registry->events_lock)
{
	return vt_lock_until(&registry->events_lock,
			     vt_clock_after(vt_clock_now(), READER_WAIT_NS));
}

/* The monitor's memory of the heartbeat, for readers of the region. */
static void cold_note(struct vt_cold *cold, const struct change *change)
{
	/* Release, all: see layout.h; partner of the row's copy. */
	uint32_t sequence = atomic_load_explicit(&cold->sequence, memory_order_relaxed);

	atomic_store_explicit(&cold->sequence, sequence + 1, memory_order_release);
	atomic_store_explicit(&cold->changed_ns, change->at_ns, memory_order_release);
	atomic_store_explicit(&cold->change, change->number, memory_order_release);
	atomic_store_explicit(&cold->sequence, sequence + 2, memory_order_release);
}

static bool quiet(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static void change_publish(vitals_registry *registry, uint32_t index, struct change *change,
			   const struct vt_verdict *verdict, const struct vt_tick *tick)
{
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	uint64_t since = atomic_load_explicit(&cold->changed_ns, memory_order_relaxed);

	if (!changes_lock(registry))
		return;
	change_unlink(registry, index + 1);
	/* A recovery tells the longest silence there was. */
	change->silence_ns = quiet(change->to) && !quiet((int)verdict->state) ?
				     change->worst_ns :
				     verdict->silence_ns;
	change->from = change->to;
	change->to = (int8_t)verdict->state;
	change->at_ns = tick->at_ns;
	change->lasted_ns = tick->at_ns > since ? tick->at_ns - since : 0;
	change_append(registry, index + 1);
	vt_unlock(&registry->events_lock);
	cold_note(cold, change);
	changes_wake(registry);
}

void vt_changes_note(vitals_registry *registry, uint32_t index, uint32_t gen,
		     const struct vt_verdict *verdict, const struct vt_tick *tick)
{
	struct change *change = change_at(registry, index);

	if (!change && verdict->state == VITALS_STARTING)
		return;
	if (!change) {
		change = change_make(registry, index);
		if (!change)
			return;
	}
	if (change->gen != gen) {
		/* The slot is another heartbeat's now. */
		if (change->number) {
			if (!changes_lock(registry))
				return;
			change_unlink(registry, index + 1);
			vt_unlock(&registry->events_lock);
		}
		/* In no list, so no reader looks at it. */
		memset(change, 0, sizeof(*change));
		change->gen = gen;
		change->to = -1;
	}
	if (!quiet(change->to) || change->worst_ns < verdict->silence_ns)
		change->worst_ns = verdict->silence_ns;
	if (change->to == (int8_t)verdict->state ||
	    (change->to == -1 && verdict->state == VITALS_STARTING))
		return;
	change_publish(registry, index, change, verdict, tick);
}

void vt_changes_note_pause(vitals_registry *registry, const struct vt_tick *tick, uint64_t ns)
{
	struct change *pause = &registry->changes->pause;

	if (!changes_lock(registry))
		return;
	change_unlink(registry, PAUSE_CODE);
	pause->at_ns = tick->at_ns;
	pause->lasted_ns = ns;
	change_append(registry, PAUSE_CODE);
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
}

void vt_changes_stop(vitals_registry *registry, bool stopped)
{
	struct vt_changes *changes = registry->changes;
	unsigned i;

	vt_lock(&registry->events_lock);
	changes->stopped = stopped;
	for (i = 0; stopped && i < VT_READERS; i++)
		if (changes->readers[i].registry)
			vt_wakefd_set(atomic_load_explicit(&changes->readers[i].fd,
							   memory_order_relaxed));
	vt_unlock(&registry->events_lock);
	changes_wake(registry);
}

/* Fills the event from the change and its heartbeat's slot. Return: false if that is gone. */
static bool event_fill(vitals_registry *registry, uint32_t code, struct vitals_event *event)
	VT_REQUIRES(registry->events_lock)
{
	const struct change *change = change_of(registry, code);
	struct vt_tick tick;

	memset(event, 0, sizeof(*event));
	vt_tick_load(&registry->root->tick, &tick);
	event->number = change->number;
	event->at_ns = change->at_ns;
	event->real_ns = tick.real_ns - (tick.at_ns - change->at_ns);
	event->lasted_ns = change->lasted_ns;
	event->kind = VITALS_EVENT_PAUSE;
	if (code == PAUSE_CODE)
		return true;
	event->kind = VITALS_EVENT_HEARTBEAT;
	event->from = change->from;
	event->to = change->to;
	event->silence_ns = change->silence_ns;
	return vt_heartbeat_describe(registry, code - 1, change->gen, event);
}

/* Return: 0; -EAGAIN; -ECANCELED. */
static int reader_next_locked(vitals_registry *registry, struct vitals_events *reader,
			      struct vitals_event *event) VT_REQUIRES(registry->events_lock)
{
	struct vt_changes *changes = registry->changes;
	uint32_t code;

	for (;;) {
		code = reader->cursor ? change_of(registry, reader->cursor)->next :
					changes->first;
		if (!code)
			break;
		reader->cursor = code;
		/* A cursor that was moved back stands before what was read already. */
		if (change_of(registry, code)->number <= reader->position)
			continue;
		reader->position = change_of(registry, code)->number;
		if (reader->only && (reader->only != code ||
				     reader->only_gen != change_of(registry, code)->gen))
			continue;
		if (!event_fill(registry, code, event))
			continue;
		event->lost = reader->lost;
		reader->lost = 0;
		return 0;
	}
	if (changes->stopped)
		return -ECANCELED;
	vt_wakefd_clear(atomic_load_explicit(&reader->fd, memory_order_relaxed));
	return -EAGAIN;
}

static int reader_next(vitals_registry *registry, struct vitals_events *reader,
		       struct vitals_event *event)
{
	int r;

	vt_lock(&registry->events_lock);
	r = reader_next_locked(registry, reader, event);
	vt_unlock(&registry->events_lock);
	return r;
}

static void reader_begin(vitals_registry *registry, struct vitals_events *reader)
	VT_REQUIRES(registry->events_lock)
{
	memset(reader, 0, sizeof(*reader));
	reader->registry = registry;
	reader->epoch = atomic_load_explicit(&registry->epoch, memory_order_relaxed);
	reader->cursor = registry->changes->last;
	reader->position = registry->changes->number;
	atomic_store_explicit(&reader->fd, -1, memory_order_relaxed);
}

void vt_changes_notify_from_now(vitals_registry *registry)
{
	vt_lock(&registry->events_lock);
	reader_begin(registry, &registry->changes->readers[VT_READERS - 1]);
	vt_unlock(&registry->events_lock);
}

int vt_changes_notify(vitals_registry *registry, struct vitals_event *event)
{
	return reader_next(registry, &registry->changes->readers[VT_READERS - 1], event);
}

int vitals_events_open(vitals_registry *registry, vitals_heartbeat *heartbeat,
		       vitals_events **ret)
{
	struct vitals_events *reader = NULL;
	unsigned i;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	if (heartbeat &&
	    (heartbeat->registry != registry || !vt_heartbeat_current(heartbeat)))
		return -EINVAL;
	vt_lock(&registry->lock);
	r = vt_changes_make(registry);
	vt_unlock(&registry->lock);
	if (r < 0)
		return r;

	vt_lock(&registry->events_lock);
	for (i = 0; i + 1 < VT_READERS && !reader; i++)
		if (!registry->changes->readers[i].registry)
			reader = &registry->changes->readers[i];
	if (reader)
		reader_begin(registry, reader);
	if (reader && heartbeat) {
		reader->only = heartbeat->index + 1;
		reader->only_gen = atomic_load_explicit(&vt_heartbeat_hot(heartbeat)->gen,
							memory_order_relaxed);
	}
	vt_unlock(&registry->events_lock);
	if (!reader)
		return -ENOSPC;
	(void)vt_registry_ref(registry);
	*ret = reader;
	return 0;
}

int vitals_events_fd(vitals_events *events)
{
	vitals_registry *registry;
	int fd;

	if (!events || !vt_registry_current(events->registry, events->epoch))
		return -EINVAL;
	registry = events->registry;
	vt_lock(&registry->events_lock);
	fd = atomic_load_explicit(&events->fd, memory_order_relaxed);
	if (fd < 0) {
		fd = vt_wakefd_new();
		if (fd >= 0) {
			atomic_store_explicit(&events->fd, fd, memory_order_relaxed);
			if (registry->changes->stopped ||
			    registry->changes->number > events->position)
				vt_wakefd_set(fd);
		}
	}
	vt_unlock(&registry->events_lock);
	return fd;
}

int vitals_events_next(vitals_events *events, uint64_t timeout_ns, struct vitals_event *event)
{
	struct vitals_event full;
	uint64_t deadline_ns;
	uint32_t word;
	int r;

	if (!events || !event || event->size < sizeof(uint32_t))
		return -EINVAL;
	deadline_ns = timeout_ns ? vt_clock_after(vt_clock_now(), timeout_ns) : 0;
	for (;;) {
		if (!vt_registry_current(events->registry, events->epoch))
			return -ECANCELED;
		/* Acquire: a change after this look changes the word. */
		word = atomic_load_explicit(&events->registry->changes->word,
					    memory_order_acquire);
		r = reader_next(events->registry, events, &full);
		if (r != -EAGAIN)
			break;
		if (!timeout_ns || (deadline_ns != UINT64_MAX &&
				    vt_clock_now() >= deadline_ns))
			return -ETIMEDOUT;
		(void)vt_futex_wait(&events->registry->changes->word, word, deadline_ns);
	}
	return r < 0 ? r : vt_record_store(event, &full, sizeof(full));
}

vitals_events *vitals_events_close(vitals_events *events)
{
	vitals_registry *registry;

	if (!events || !vt_registry_current(events->registry, events->epoch))
		return NULL;
	registry = events->registry;
	vt_lock(&registry->events_lock);
	vt_wakefd_close(atomic_load_explicit(&events->fd, memory_order_relaxed));
	events->registry = NULL;
	vt_unlock(&registry->events_lock);
	(void)vt_registry_unref(registry);
	return NULL;
}

int vitals_event_text(const struct vitals_event *event, char *buffer, size_t size)
{
	struct vt_text text;

	if (!event || (!buffer && size))
		return -EINVAL;
	vt_text_init(&text, buffer, size);
	if (event->kind == VITALS_EVENT_PAUSE) {
		vt_text_add(&text, "the process did not run for ");
		vt_text_add_duration(&text, event->lasted_ns);
		return (int)text.length;
	}
	vt_text_add(&text, "heartbeat ");
	vt_text_add(&text, event->name);
	vt_text_add(&text, " is ");
	vt_text_add(&text, vitals_state_name(event->to));
	if (event->to == VITALS_SILENT || event->to == VITALS_STUCK) {
		vt_text_add(&text, " for ");
		vt_text_add_duration(&text, event->silence_ns);
	} else if (event->from >= 0) {
		vt_text_add(&text, " after ");
		vt_text_add_duration(&text, event->lasted_ns);
		vt_text_add(&text, " ");
		vt_text_add(&text, vitals_state_name(event->from));
	}
	if (event->tid) {
		vt_text_add(&text, ", tid ");
		vt_text_add_u64(&text, event->tid);
	}
	return (int)text.length;
}
