/* SPDX-License-Identifier: MIT */

/*
 * Systemd
 *
 * What the service manager is told, and when: a function of the region, of what was said already
 * and of the time. The notifier sends; where it is held up in a callback of the host's, the monitor
 * does, for to send never waits.
 */

#ifndef VT_SYSTEMD_H
#define VT_SYSTEMD_H

#include "datagram.h"
#include "registry.h"
#include "status.h"

#include <unistd.h>

/* So much time a shutdown asks for, and again at half of it. */
#define VT_EXTEND_NS VITALS_S(30)

/* What is said, and to whom. */
struct vt_systemd_terms {
	struct vt_address to;
	uint64_t watchdog_ns; /* 0: no pings are wanted */
	/* Starts a turn in the thread that calls out. */
	void (*wake)(vitals_registry *registry);
};

struct vt_systemd {
	struct vt_systemd_terms terms; /* stands still once pid is set */
	_Atomic int32_t pid; /* of the process that asked: no child of it speaks */
	_Atomic uint32_t busy;

	/* The host's. */
	_Atomic uint32_t readies; /* how often a part was said to be ready */
	_Atomic uint32_t reloads;
	_Atomic uint32_t reload_readies; /* readies, when the newest began */
	_Atomic uint64_t reload_ns;

	/* guarded by busy */
	bool ready;
	bool stopping;
	bool left; /* somebody, or another stage has begun, since the time was extended last */
	uint32_t reloads_told;  /* as said when they began … */
	uint32_t reloads_ended; /* … and when all was ready again */
	uint32_t missing;       /* when it was counted last */
	enum vt_act act;        /* of the status that was sent last */
	bool live;              /* so was it then */
	uint64_t status_ns;     /* when it was sent last, or found to be the same */
	uint64_t pinged_ns;
	uint64_t begun_ns;
	uint64_t extended_ns;
	uint64_t extended_until_ns;
	uint64_t due_ns;   /* since when something waits for the notifier; 0: nothing */
	uint64_t retry_ns; /* not before: sending has failed */
	char status[VT_STATUS_MAX];
};

/* NULL: nobody in this process has asked. */
static inline struct vt_systemd *vt_systemd_of(vitals_registry *registry)
{
	/* Acquire pairs with the release in vt_systemd_ask(), both. */
	struct vt_systemd *systemd =
		atomic_load_explicit(&registry->systemd, memory_order_acquire);

	if (!systemd ||
	    atomic_load_explicit(&systemd->pid, memory_order_acquire) != getpid())
		return NULL;
	return systemd;
}

/*
 * From now on messages are sent. Return: 0, also if they are already; -ENOMEM.
 */
int vt_systemd_ask(vitals_registry *registry, const struct vt_systemd_terms *terms)
	VT_REQUIRES(registry->lock);

/* Does this process send any? */
bool vt_systemd_asked(vitals_registry *registry);

/* A part was said to be ready, or not. */
void vt_systemd_part(vitals_registry *registry, bool ready);

/* A reload has begun. */
void vt_systemd_reload_at(vitals_registry *registry, uint64_t now_ns);

/*
 * In each turn of the monitor: sees to it that what is due is sent. Return: when to look again at
 * the latest, UINT64_MAX: any time.
 */
uint64_t vt_systemd_look_at(vitals_registry *registry, uint64_t now_ns);

/* Sends what is due. */
void vt_systemd_turn_at(vitals_registry *registry, uint64_t now_ns);

/* The same before the process ends; with the last word on who has left and who has not. */
void vt_systemd_last_at(vitals_registry *registry, uint64_t now_ns);

#endif
