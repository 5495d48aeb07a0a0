/* SPDX-License-Identifier: MIT */

/*
 * Member
 *
 * Who is in a quitter: threads and holds, as records linked in it. How they join it, are
 * no longer counted, and go. What runs in a thread is thread.c's.
 */

#ifndef VT_MEMBER_H
#define VT_MEMBER_H

#include "quitter.h"

/* Bits of a member, guarded by the registry's lock. */
#define VT_MEMBER_COUNTED 1u   /* its quitter waits for it */
#define VT_MEMBER_NAMED 2u     /* has a number of its own, not its heartbeat's */
#define VT_MEMBER_TOLD 4u      /* some request has seen to what it waits in */
#define VT_MEMBER_CLAIMED 8u   /* somebody is trying to join it */
#define VT_MEMBER_JOINED 16u   /* the thread is really gone */
#define VT_MEMBER_DEAD 32u     /* it did not end well: listed until it is put away */
#define VT_MEMBER_CALL 64u     /* pinned for a call of its callback, or being called */
#define VT_MEMBER_AGAIN 128u   /* it was called: the next is the last */
#define VT_MEMBER_WAITING 256u /* until half its time is gone */

/* What a member waits in that a word alone does not end. */
#define VT_ARMED_COND 1u
#define VT_ARMED_POLL 2u
#define VT_ARMED_CALL 4u

struct vitals_thread {
	vitals_quitter *quitter;
	vitals_heartbeat *heartbeat; /* cleared under the lock, by whoever puts it away */
	struct vt_member_slot *slot;
	vitals_thread_fn fn;
	void *arg;
	pthread_t pthread; /* set by the thread itself, before it says that it runs */
	uint32_t place;    /* in its span */
	_Atomic uint32_t armed; /* VT_ARMED_... */
	_Atomic int poll_fd;    /* -1: none */
	struct vt_lock wait;    /* of what it waits in; a leaf */

	/* guarded by the registry's lock */
	uint32_t refs; /* being listed, and whoever looks */
	uint32_t bits;
	uint32_t told_next; /* these: index + 1 */
	uint32_t over_next; /* a hold's: the next hold */
};

/* What only those that wait in something need; zero at first. */
struct vt_member_seldom {
	/* guarded by wait */
	pthread_cond_t *cond;
	void (*unblock)(void *user);
	void *user;
	_Atomic uint32_t calling; /* the tid that runs unblock, 0: nobody; waited on */
	/* guarded by the registry's lock */
	uint32_t kick_next; /* these: index + 1 */
	uint32_t call_next;
	uint32_t call_prev;
	uint64_t again_ns; /* when half its time is gone */
	uint32_t calls;    /* so far; guarded by wait */
	uint32_t reserved;
};

_Static_assert(sizeof(struct vitals_thread) <= VT_RECORD_MEMBER,
	       "a member's record fits");
_Static_assert(sizeof(struct vt_member_seldom) == VT_SELDOM_MEMBER, "and what few need");

static inline vitals_thread *vt_member_at(const vitals_registry *registry, uint32_t index)
{
	return (vitals_thread *)vt_record(registry, VT_POOL_MEMBER, index);
}

static inline struct vt_span_head *vt_member_span(const vitals_thread *member)
{
	return vt_span_of(member, member->place, VT_RECORD_MEMBER);
}

static inline struct vt_member_seldom *vt_member_seldom(const vitals_thread *member)
{
	return vt_span_seldom(vt_member_span(member), member->place, VT_RECORD_MEMBER,
			      VT_SELDOM_MEMBER);
}

static inline vitals_registry *vt_member_registry(const vitals_thread *member)
{
	return vt_member_span(member)->registry;
}

static inline uint32_t vt_member_index(const vitals_thread *member)
{
	return vt_member_span(member)->first + member->place;
}

/* Does its handle speak for this process, rather than for the parent it was forked from? */
static inline bool vt_member_current(const vitals_thread *member)
{
	const struct vt_span_head *span = vt_member_span(member);

	return vt_registry_current(span->registry, span->epoch);
}

/* No longer waited for, by somebody's choice. */
static inline bool vt_member_abandoned(const vitals_thread *member)
{
	return vt_slot_get(&member->slot->flags) & VT_MEMBER_ABANDONED;
}

/* Its own word, its quitter's, or its stage's. */
bool vt_member_told(const vitals_thread *member);

/* The same, after the caller has said in armed what it is going to wait in. */
bool vt_member_told_armed(const vitals_thread *member);

/* What a member is made of. */
struct vt_member_spec {
	const char *name;
	vitals_heartbeat *heartbeat; /* consumed on success; NULL: none */
	uint32_t heartbeat_slot;     /* index + 1 */
	uint32_t number;             /* its heartbeat's; 0: takes one */
	uint32_t flags;
	uint32_t state;
	uint64_t now_ns;
};

/* Return: 0; -ECANCELED if the quitter was told; -ENOMEM. */
int vt_member_join(vitals_registry *registry, vitals_quitter *quitter,
		   const struct vt_member_spec *spec, vitals_thread **ret)
	VT_REQUIRES(registry->lock);

/* Its quitter no longer waits for it; weak members of what is empty now are told. */
void vt_member_uncount(vitals_registry *registry, vitals_thread *member, uint64_t now_ns,
		       struct vt_told *told) VT_REQUIRES(registry->lock);

/* The same in a forked child that does not have its thread: nobody is told, nobody woken. */
void vt_member_lose(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock);

/* This one is told, on its own; of a thread. */
void vt_member_tell(vitals_registry *registry, vitals_thread *member, uint64_t now_ns,
		    struct vt_told *told) VT_REQUIRES(registry->lock);

/* If it waits in something, remembers it as one to be got out. */
void vt_member_note(vitals_registry *registry, vitals_thread *member,
		    struct vt_told *told) VT_REQUIRES(registry->lock);

/* Gives its number up, if it is its own. */
void vt_member_unname(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock);

/*
 * Takes it off the list: no longer counted, joined if it was a thread, without heartbeat.
 */
void vt_member_remove(vitals_registry *registry, vitals_thread *member,
		      struct vt_told *told) VT_REQUIRES(registry->lock);

static inline void vt_member_ref(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	(void)registry; /* whose lock it is */
	member->refs++;
}

void vt_member_unref(vitals_registry *registry, vitals_thread *member,
		     struct vt_told *told) VT_REQUIRES(registry->lock);

/*
 * Holds that count by themselves no longer do: whoever looks whether anybody is left, or tells
 * somebody, looks after this, under the same lock.
 */
void vt_holds_settle(vitals_registry *registry) VT_REQUIRES(registry->lock);

/* The living member with @id, inside @quitter; NULL: none. */
vitals_thread *vt_member_find(vitals_registry *registry, const vitals_quitter *quitter,
			      uint64_t id) VT_REQUIRES(registry->lock);

#endif
