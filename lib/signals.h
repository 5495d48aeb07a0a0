/* SPDX-License-Identifier: MIT */

/*
 * Signals
 *
 * The handler: it counts and records what came, stores the quit itself where nothing has
 * to happen before, and leaves by itself at the third, so that it needs no thread of ours
 * nor of the host's to be well. One registry owns a signal at a time.
 */

#ifndef VT_SIGNALS_H
#define VT_SIGNALS_H

#include "quitter.h"

#define VT_EVENTS 64

/* Two of one kind closer than this are one: terminals and runners send doubles. */
#define VT_SAME_REQUEST_NS 500000000u

/* In a sender's who, beside its pid, which has 31 bits: there is one. */
#define VT_SENDER_CAME (UINT64_C(1) << 63)

/*
 * Who sent the first signal of an event; written by the handler before it sets pending, once.
 */
struct vt_sender {
	_Atomic uint64_t who;   /* VT_SENDER_CAME | pid << 32 | uid; 0: none came */
	_Atomic uint64_t at_ns; /* 0: not yet known */
};

/* What the handler leaves for whoever looks next. */
struct vt_requests {
	vitals_registry *registry;
	_Atomic uint64_t pending;  /* bits of events that came and were not looked at */
	_Atomic uint32_t count;    /* requests by signal since main was made */
	_Atomic uint32_t leave_at; /* the one that leaves from the handler */
	_Atomic uint32_t delayed; /* readiness goes some time before anybody is told … */
	_Atomic uint32_t hurried; /* … but somebody sits there and waits */
	struct vt_sender senders[VT_EVENTS];
};

/*
 * From now on @signo is @event of @requests. Return: 0, also if it is ignored and stays
 * so; -EEXIST if somebody has asked for it; -EINVAL if it cannot be caught.
 */
int vt_signals_add(struct vt_requests *requests, int signo, unsigned event);

/*
 * Puts back what was there before, for all signals of @requests, and waits for the
 * handler.
 */
void vt_signals_remove(struct vt_requests *requests);

/* What came, from whom. */
struct vt_signal {
	int signo;
	bool terminal; /* somebody has typed it */
	uint32_t pid;
	uint32_t uid;
};

/*
 * What the handler does, but for leaving. Return: the number of the request, 0: of one
 * before.
 */
uint32_t vt_signals_note_at(struct vt_requests *requests, unsigned event,
			    const struct vt_signal *came, uint64_t now_ns);

/*
 * Of the signals that the process catches, bit signo - 1 each: are all handlers ours alone, with
 * nobody's below or above? @ret_armed: whether some ask a main quitter to quit. Waits for no lock.
 */
bool vt_signals_only_ours(uint64_t caught, bool *ret_armed);

/* "SIGTERM"; NULL if it has no name. */
const char *vt_signals_name(int signo);

#endif
