/* SPDX-License-Identifier: MIT */

#include "systemd.h"

#include "clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DUE_RELOADING 1u
#define DUE_READY 2u
#define DUE_STOPPING 4u
#define DUE_WATCHDOG 8u
#define DUE_STATUS 16u

/* A status is written anew so often, unless what the process does has changed. */
#define STATUS_NS VITALS_S(1)
/* How long the notifier has for what is due. */
#define PATIENCE_NS VITALS_MS(100)
/* Somebody else is at it. */
#define SOON_NS VITALS_MS(1)
/* Its queue is full; there is no such socket now. */
#define FULL_NS VITALS_MS(10)
#define GONE_NS VITALS_S(1)
/* More than a manager needs to see that we have ended. */
#define BEYOND_NS VITALS_S(1)
/* How often the last turn tries to be the one at it, a tenth of a millisecond apart. */
#define LAST_TRIES 100
#define MESSAGE_MAX (VT_STATUS_MAX + 256)

/* What a turn goes by. */
struct scene {
	vitals_registry *registry;
	struct vt_systemd *systemd;
	struct vt_status status;
	uint64_t now_ns;
	uint32_t reloads; /* the host's words, before its state was looked at */
	uint32_t readies;
	uint64_t extend_ns; /* 0: not now */
	bool last;
};

/* Nobody ever waits for it: whoever finds it taken has nothing to do. */
static bool claim(struct vt_systemd *systemd)
{
	/* Acquire and release: what the one before said already is known. */
	return !atomic_exchange_explicit(&systemd->busy, 1, memory_order_acquire);
}

static void unclaim(struct vt_systemd *systemd)
{
	atomic_store_explicit(&systemd->busy, 0, memory_order_release);
}

/* The reload that was told, and is over as far as the host is concerned. */
static bool reload_over(const struct scene *scene)
{
	const struct vt_systemd *systemd = scene->systemd;

	/* Relaxed: see vt_systemd_reload_at(); the reloads were loaded first. */
	return scene->reloads == systemd->reloads_told &&
	       scene->readies != atomic_load_explicit(&systemd->reload_readies,
						      memory_order_relaxed);
}

static void scene_begin(vitals_registry *registry, struct vt_systemd *systemd,
			uint64_t now_ns, struct scene *scene)
{
	scene->registry = registry;
	scene->systemd = systemd;
	scene->extend_ns = 0;
	/* Acquire, both, and in this order: see where they are counted. */
	scene->reloads = atomic_load_explicit(&systemd->reloads, memory_order_acquire);
	scene->readies = atomic_load_explicit(&systemd->readies, memory_order_acquire);
	scene->status.reloading = systemd->ready &&
				  (scene->reloads != systemd->reloads_told ||
				   (systemd->reloads_told != systemd->reloads_ended &&
				    !reload_over(scene)));
	scene->status.begun_ns = systemd->begun_ns;
	vt_status_see(&registry->view, now_ns, &scene->status);
	if (scene->status.act < VT_ACT_STOPPING)
		scene->status.begun_ns = systemd->extended_ns = 0;
	systemd->begun_ns = scene->status.begun_ns;
	scene->now_ns = scene->status.moment.now_ns;
}

/* The one change of state that is to be told now. */
static uint32_t due_state(const struct scene *scene)
{
	const struct vt_systemd *systemd = scene->systemd;
	const struct vitals_process_info *process = &scene->status.process;
	bool started = process->flags & VITALS_PROCESS_OFF
			       ? process->ready
			       : process->flags & VITALS_PROCESS_STARTED_UP;

	if (scene->status.act >= VT_ACT_QUITTING)
		return systemd->stopping ? 0 : DUE_STOPPING;
	if (scene->status.act >= VT_ACT_STOPPING)
		return 0;
	if (!systemd->ready)
		return started ? DUE_READY : 0;
	if (scene->reloads != systemd->reloads_told)
		return DUE_RELOADING;
	return systemd->reloads_told != systemd->reloads_ended && process->ready &&
			       reload_over(scene)
		       ? DUE_READY
		       : 0;
}

/* By the table of docs/systemd.md: also while the process quits. */
static bool pings(const struct scene *scene)
{
	return scene->systemd->terms.watchdog_ns && scene->status.process.live &&
	       !(scene->status.process.flags & VITALS_PROCESS_OFF);
}

static uint64_t ping_due_ns(const struct vt_systemd *systemd)
{
	return systemd->pinged_ns ? systemd->pinged_ns + systemd->terms.watchdog_ns / 2
				  : 0;
}

/* Is there something new to say to people? */
static bool due_status(const struct scene *scene)
{
	struct vt_systemd *systemd = scene->systemd;
	char line[VT_STATUS_MAX];
	struct vt_text text;

	/* Where the pings end, whoever waits for them is to know why before he acts. */
	if (scene->status.act != systemd->act ||
	    (systemd->live && !scene->status.process.live && systemd->terms.watchdog_ns))
		return true;
	if (!scene->last && scene->now_ns < systemd->status_ns + STATUS_NS)
		return false;
	/* Time goes by, and it says how much. */
	if (scene->status.act >= VT_ACT_STOPPING)
		return true;
	vt_text_init(&text, line, sizeof(line));
	vt_status_write(&scene->status, &text);
	if (strcmp(line, systemd->status) != 0)
		return true;
	systemd->status_ns = scene->now_ns;
	return false;
}

static uint32_t due_of(const struct scene *scene)
{
	uint32_t due = due_state(scene);

	if (pings(scene) && scene->now_ns >= ping_due_ns(scene->systemd))
		due |= DUE_WATCHDOG;
	if (due & (DUE_RELOADING | DUE_READY | DUE_STOPPING) || due_status(scene))
		due |= DUE_STATUS;
	return due;
}

/* When a turn may be due that nothing else but the time brings about. */
static uint64_t next_of(const struct scene *scene)
{
	const struct vt_systemd *systemd = scene->systemd;
	uint64_t next_ns = UINT64_MAX, deadline_ns = scene->status.deadline_ns;

	if (pings(scene))
		next_ns = ping_due_ns(systemd);
	if (scene->status.act >= VT_ACT_STOPPING &&
	    systemd->status_ns + STATUS_NS < next_ns)
		next_ns = systemd->status_ns + STATUS_NS;
	if (scene->status.act == VT_ACT_QUITTING && deadline_ns && deadline_ns < next_ns)
		next_ns = deadline_ns;
	return next_ns;
}

/*
 * Asked for when the shutdown begins, for the manager's clock may run since then, when the quit stage
 * does, and at half of it after progress. No longer than we ourselves wait.
 */
static uint64_t extension(const struct scene *scene, uint32_t due)
{
	const struct vt_systemd *systemd = scene->systemd;
	uint64_t now_ns = scene->now_ns, last_ns;

	if (scene->status.act < VT_ACT_STOPPING || !scene->status.deadline_ns)
		return 0;
	last_ns = vt_clock_after(scene->status.deadline_ns, BEYOND_NS);
	if (now_ns >= last_ns)
		return 0;
	if (systemd->extended_ns && !(due & DUE_STOPPING) &&
	    (!systemd->left || systemd->extended_until_ns >= last_ns ||
	     now_ns < systemd->extended_ns + VT_EXTEND_NS / 2))
		return 0;
	return last_ns - now_ns < VT_EXTEND_NS ? last_ns - now_ns : VT_EXTEND_NS;
}

/* Who is missing, and whether that is fewer than before, or another stage has begun. */
static void count(struct scene *scene)
{
	struct vt_systemd *systemd = scene->systemd;

	vt_status_count(&scene->status);
	systemd->left |=
		scene->status.missing < systemd->missing ||
		(scene->status.act != systemd->act && scene->status.act != VT_ACT_LATE);
	systemd->missing = scene->status.missing;
}

static void add_line(struct vt_text *text, const char *line)
{
	vt_text_add(text, text->length ? "\n" : "");
	vt_text_add(text, line);
}

static void add_us(struct vt_text *text, const char *line, uint64_t ns)
{
	add_line(text, line);
	vt_text_add_u64(text, ns / VITALS_US(1));
}

/* Every line of one message is taken together. */
static void message_write(const struct scene *scene, uint32_t due, struct vt_text *text)
{
	const struct vt_systemd *systemd = scene->systemd;

	if (due & DUE_RELOADING) {
		add_line(text, "RELOADING=1");
		add_us(text, "MONOTONIC_USEC=",
		       atomic_load_explicit(&systemd->reload_ns, memory_order_relaxed));
	}
	if (due & DUE_READY)
		add_line(text, "READY=1");
	/* Nobody looks, so nobody pings: as if all were well. */
	if (due & DUE_READY && scene->status.process.flags & VITALS_PROCESS_OFF &&
	    systemd->terms.watchdog_ns)
		add_line(text, "WATCHDOG_USEC=0");
	if (due & DUE_STOPPING)
		add_line(text, "STOPPING=1");
	if (scene->extend_ns)
		add_us(text, "EXTEND_TIMEOUT_USEC=", scene->extend_ns);
	if (due & DUE_WATCHDOG)
		add_line(text, "WATCHDOG=1");
	if (due & DUE_STATUS) {
		add_line(text, "STATUS=");
		vt_text_add(text, systemd->status);
	}
}

/* What was said is not said again. */
static void message_sent(const struct scene *scene, uint32_t due)
{
	struct vt_systemd *systemd = scene->systemd;

	if (due & DUE_RELOADING)
		systemd->reloads_told = scene->reloads;
	if (due & DUE_READY) {
		systemd->reloads_told = systemd->reloads_ended = scene->reloads;
		systemd->ready = true;
	}
	if (due & DUE_STOPPING)
		systemd->stopping = true;
	if (due & DUE_WATCHDOG)
		systemd->pinged_ns = scene->now_ns;
	if (due & DUE_STATUS) {
		systemd->act = scene->status.act;
		systemd->live = scene->status.process.live;
		systemd->status_ns = scene->now_ns;
	}
	if (scene->extend_ns) {
		systemd->extended_ns = scene->now_ns;
		systemd->extended_until_ns = scene->now_ns + scene->extend_ns;
		systemd->left = false;
	}
}

/* Return: 0; a negative errno, and nothing was said. */
static int send_due(struct scene *scene, uint32_t due)
{
	struct vt_systemd *systemd = scene->systemd;
	char message[MESSAGE_MAX];
	struct vt_text text;
	int r;

	if (due & DUE_STATUS) {
		if (scene->status.act >= VT_ACT_DRAINING)
			count(scene);
		scene->extend_ns = extension(scene, due);
		vt_text_init(&text, systemd->status, sizeof(systemd->status));
		vt_status_write(&scene->status, &text);
	}
	vt_text_init(&text, message, sizeof(message));
	message_write(scene, due, &text);
	r = vt_datagram_send(&systemd->terms.to, message, strlen(message));
	if (r == 0)
		message_sent(scene, due);
	return r;
}

/* Whoever has claimed it sends all that is due. */
static void turn_claimed(vitals_registry *registry, struct vt_systemd *systemd,
			 uint64_t now_ns, bool last)
{
	struct scene scene = { .last = last };
	uint32_t due;
	int r = 0;

	while (r == 0) {
		scene_begin(registry, systemd, now_ns, &scene);
		due = due_of(&scene);
		if (!due)
			break;
		r = send_due(&scene, due);
		scene.last = false;
	}
	systemd->due_ns = 0;
	systemd->retry_ns = 0;
	if (r < 0)
		systemd->retry_ns = scene.now_ns + (r == -EAGAIN ? FULL_NS : GONE_NS);
}

void vt_systemd_turn_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_systemd *systemd = vt_systemd_of(registry);

	if (!systemd || !claim(systemd))
		return;
	if (now_ns >= systemd->retry_ns)
		turn_claimed(registry, systemd, now_ns, false);
	unclaim(systemd);
}

static uint64_t patience(const struct vt_systemd *systemd)
{
	uint64_t watchdog_ns = systemd->terms.watchdog_ns;

	/* A late ping must still come in time. */
	return watchdog_ns && watchdog_ns / 8 < PATIENCE_NS ? watchdog_ns / 8
							    : PATIENCE_NS;
}

/* Return: when to look again. */
static uint64_t look_claimed(vitals_registry *registry, struct vt_systemd *systemd,
			     uint64_t now_ns, bool *ret_wakes)
{
	struct scene scene = { .last = false };
	/* Acquire pairs with the start; where turns are made by hand they send, too. */
	bool threads = atomic_load_explicit(&registry->run, memory_order_acquire) ==
		       VT_RUN_RUNNING;

	scene_begin(registry, systemd, now_ns, &scene);
	if (!due_of(&scene)) {
		systemd->due_ns = 0;
		return next_of(&scene);
	}
	now_ns = scene.now_ns;
	if (now_ns < systemd->retry_ns)
		return systemd->retry_ns;
	if (!systemd->due_ns)
		systemd->due_ns = now_ns;
	if (threads && systemd->terms.wake &&
	    now_ns < systemd->due_ns + patience(systemd)) {
		*ret_wakes = true;
		return systemd->due_ns + patience(systemd);
	}
	turn_claimed(registry, systemd, now_ns, false);
	scene_begin(registry, systemd, now_ns, &scene);
	return systemd->retry_ns ? systemd->retry_ns : next_of(&scene);
}

uint64_t vt_systemd_look_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_systemd *systemd = vt_systemd_of(registry);
	bool wakes = false;
	uint64_t next_ns;

	if (!systemd)
		return UINT64_MAX;
	if (!claim(systemd))
		return now_ns + SOON_NS;
	next_ns = look_claimed(registry, systemd, now_ns, &wakes);
	unclaim(systemd);
	if (wakes)
		systemd->terms.wake(registry);
	return next_ns;
}

void vt_systemd_last_at(vitals_registry *registry, uint64_t now_ns)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct vt_systemd *systemd = vt_systemd_of(registry);
	unsigned tries = 0;

	if (!systemd)
		return;
	/* Who is at it is just sending. But it may have been stopped at that. */
	while (!claim(systemd)) {
		if (++tries == LAST_TRIES)
			return;
		(void)nanosleep(&moment, NULL);
	}
	turn_claimed(registry, systemd, now_ns, true);
	unclaim(systemd);
}
