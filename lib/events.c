/* SPDX-License-Identifier: MIT */

#include "events.h"

#include "changes.h"
#include "clock.h"
#include "heartbeat.h"
#include "options.h"
#include "text.h"
#include "wakefd.h"
#include "witness.h"

#include <errno.h>
#include <string.h>

/* How long the log waits for a reader that copies an event. */
#define READER_WAIT_NS 1000000u

/* What its thread is doing, while that is what the event is about. */
static void evidence_fill(const vitals_registry *registry, uint32_t index,
			  const struct vt_change *change, struct vitals_event *event)
{
	struct vitals_evidence evidence;

	if (VITALS_STATE_IS_GOOD(change->to) || change->to == VITALS_STARTING ||
	    !vt_witness_heartbeat(&registry->view, index, change->gen, &evidence))
		return;
	event->thread_class = evidence.thread_class;
	memcpy(event->doing, evidence.doing, sizeof(event->doing));
}

static bool finding_fill(const vitals_registry *registry, uint32_t finding,
			 struct vitals_event *event)
{
	struct vitals_finding_info info;

	if (!vt_witness_finding(&registry->view, finding, &info))
		return false;
	event->kind = info.kind;
	event->threads = info.threads;
	memcpy(event->doing, info.doing, sizeof(event->doing));
	return true;
}

/* Fills the event from the change and its heartbeat's slot. Return: false if that is gone. */
static bool event_fill(vitals_registry *registry, uint32_t code,
		       struct vitals_event *event) VT_REQUIRES(registry->events_lock)
{
	struct vt_change change;
	struct vt_tick tick;

	memset(event, 0, sizeof(*event));
	vt_change_load(registry, code, &change);
	vt_tick_load(&registry->root->tick, &tick);
	event->number = change.number;
	event->at_ns = change.at_ns;
	event->real_ns = tick.real_ns - (tick.at_ns - change.at_ns);
	event->lasted_ns = change.lasted_ns;
	event->kind = VITALS_EVENT_PAUSE;
	if (code == VT_PAUSE_CODE)
		return true;
	if (VT_SPECIAL(code) < VT_SPECIALS)
		return finding_fill(registry, VT_SPECIAL(code) - 1, event);
	event->kind = VITALS_EVENT_HEARTBEAT;
	event->from = change.from;
	event->to = change.to;
	event->silence_ns = change.silence_ns;
	evidence_fill(registry, code - 1, &change, event);
	return change.gen && vt_heartbeat_describe(registry, code - 1, change.gen, event);
}

/* Is it about the one heartbeat that this reader wants to hear of? */
static bool reader_wants(const vitals_registry *registry,
			 const struct vitals_events *reader, uint32_t code)
	VT_REQUIRES(registry->events_lock)
{
	struct vt_change change;

	if (!reader->only)
		return true;
	if (reader->only != code)
		return false;
	vt_change_load(registry, code, &change);
	return change.gen == reader->only_gen;
}

/* Return: 0; -EAGAIN; -ECANCELED. */
static int reader_next_locked(vitals_registry *registry, struct vitals_events *reader,
			      struct vitals_event *event)
	VT_REQUIRES(registry->events_lock)
{
	uint32_t code;

	while ((code = vt_change_next(registry, reader->cursor))) {
		uint64_t number = vt_change_number(registry, code);

		reader->cursor = code;
		/* A cursor that was moved back stands before what was read already. */
		if (number <= reader->position)
			continue;
		reader->position = number;
		if (!reader_wants(registry, reader, code))
			continue;
		if (!event_fill(registry, code, event)) {
			/* Its heartbeat has gone, and the monitor has not been there since. */
			reader->lost++;
			continue;
		}
		event->lost = reader->lost;
		reader->lost = 0;
		return 0;
	}
	if (registry->changes->stopped)
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

static void own_begin(vitals_registry *registry, unsigned own)
{
	vt_lock(&registry->events_lock);
	reader_begin(registry, &registry->changes->readers[own]);
	vt_unlock(&registry->events_lock);
}

void vt_changes_notify_from_now(vitals_registry *registry)
{
	own_begin(registry, VT_READER_NOTIFIER);
}

int vt_changes_notify(vitals_registry *registry, struct vitals_event *event)
{
	return reader_next(registry, &registry->changes->readers[VT_READER_NOTIFIER],
			   event);
}

void vt_changes_log_from_now(vitals_registry *registry)
{
	own_begin(registry, VT_READER_LOG);
}

int vt_changes_log(vitals_registry *registry, struct vitals_event *event,
		   uint32_t *ret_index, uint32_t *ret_gen)
{
	struct vitals_events *reader = &registry->changes->readers[VT_READER_LOG];
	struct vt_change change = { 0 };
	int r;

	/* A reader of the host's may be stopped in the middle of a copy. */
	if (!vt_lock_until(&registry->events_lock,
			   vt_clock_after(vt_clock_now(), READER_WAIT_NS)))
		return -EBUSY;
	r = reader_next_locked(registry, reader, event);
	if (r == 0 && event->kind == VITALS_EVENT_HEARTBEAT) {
		vt_change_load(registry, reader->cursor, &change);
		*ret_index = reader->cursor - 1;
		*ret_gen = change.gen;
	}
	vt_unlock(&registry->events_lock);
	return r;
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
	if (heartbeat && (vt_heartbeat_registry(heartbeat) != registry ||
			  !vt_heartbeat_current(heartbeat)))
		return -EINVAL;
	vt_lock(&registry->lock);
	r = vt_changes_make(registry);
	vt_unlock(&registry->lock);
	if (r < 0)
		return r;

	vt_lock(&registry->events_lock);
	for (i = 0; i < VT_READER_NOTIFIER && !reader; i++)
		if (!registry->changes->readers[i].registry)
			reader = &registry->changes->readers[i];
	if (reader)
		reader_begin(registry, reader);
	if (reader && heartbeat) {
		reader->only = vt_heartbeat_index(heartbeat) + 1;
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
	/* After a host's closefrom the number may be the host's: then a new one. */
	if (!vt_wakefd_ours(fd)) {
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

int vitals_events_next(vitals_events *events, uint64_t timeout_ns,
		       struct vitals_event *event)
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
		if (!timeout_ns ||
		    (deadline_ns != UINT64_MAX && vt_clock_now() >= deadline_ns))
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

/* What its thread is doing, or what was found of several; not in a record of an older size. */
static void add_doing(const struct vitals_event *event, struct vt_text *text)
{
	if (event->size < sizeof(*event))
		return;
	if (event->thread_class) {
		vt_text_add(text, ", ");
		vt_text_add(text, vitals_class_name((int)event->thread_class));
	}
	if (event->doing[0]) {
		vt_text_add(text, ": ");
		vt_text_add_clean(text, event->doing);
	}
}

/* Of several threads at once. That all are asleep is a whole sentence where there is one. */
static void add_finding(const struct vitals_event *event, struct vt_text *text)
{
	bool whole = event->size >= sizeof(*event);

	if (event->kind == VITALS_EVENT_ASLEEP && whole && event->doing[0]) {
		vt_text_add_clean(text, event->doing);
		return;
	}
	vt_text_add(text, event->kind == VITALS_EVENT_ASLEEP ? "all " : "deadlock of ");
	if (whole && event->threads) {
		vt_text_add_u64(text, event->threads);
		vt_text_add(text, " ");
	}
	vt_text_add(text, "threads");
	if (event->kind == VITALS_EVENT_ASLEEP)
		vt_text_add(text, " are asleep");
	add_doing(event, text);
}

static void add_heartbeat(const struct vitals_event *event, struct vt_text *text)
{
	vt_text_add(text, "heartbeat ");
	vt_text_add(text, event->name);
	vt_text_add(text, " is ");
	vt_text_add(text, vitals_state_name(event->to));
	if (event->scope[0]) {
		vt_text_add(text,
			    event->to == VITALS_UNBOUNDED ? " because of " : " in ");
		vt_text_add(text, event->scope);
	}
	if (event->to == VITALS_SILENT || event->to == VITALS_STUCK) {
		vt_text_add(text, " for ");
		vt_text_add_duration(text, event->silence_ns);
	} else if (event->from >= 0) {
		vt_text_add(text, " after ");
		vt_text_add_duration(text, event->lasted_ns);
		vt_text_add(text, " ");
		vt_text_add(text, vitals_state_name(event->from));
	}
	if (event->tid) {
		vt_text_add(text, ", tid ");
		vt_text_add_u64(text, event->tid);
	}
	add_doing(event, text);
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
	} else if (event->kind == VITALS_EVENT_HEARTBEAT) {
		add_heartbeat(event, &text);
	} else {
		add_finding(event, &text);
	}
	return (int)text.length;
}
