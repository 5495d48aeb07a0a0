/* SPDX-License-Identifier: MIT */

/*
 * Quitter
 *
 * The nodes of the tree: who is inside whom, the live word of each, what asked it to
 * quit. Knows neither members' threads nor heartbeats.
 *
 * Joining and being told are both decided under the registry's lock, and the answer is in
 * one word (live), so there is no third case. Asking and waiting take no lock: they read
 * words and sleep on their low halves.
 */

#ifndef VT_QUITTER_H
#define VT_QUITTER_H

#include "registry.h"
#include "vigil.h"

/* In waiters, beside how many are asleep on its live word: it has had a descriptor. */
#define VT_NODE_FD 0x80000000u

struct vitals_quitter {
	struct vitals_quitter_head
		head;             /* its own word, first in its slot, and its stage's */
	uint32_t place;           /* in its span */
	_Atomic uint32_t waiters; /* asleep on its live word; and VT_NODE_FD */
	/* guarded by the registry's lock */
	uint32_t refs : 30; /* its handle, its children, its members, and whoever looks */
	uint32_t is_main : 1;  /* the registry's root, until its handle is freed */
	uint32_t has_weak : 1; /* or had: somebody to tell when it is empty */
	uint32_t told_next;    /* index + 1: the next that the same request told */
};

/* Holds of one quitter that may be quick at once. */
#define VT_QUICK_HERE 2

/* What few quitters need; zero at first. */
struct vt_quitter_seldom {
	_Atomic int fd;      /* + 1; 0: none */
	uint32_t first_hold; /* index + 1; guarded by the registry's lock */
	/* Its quick holds; written under the registry's lock. */
	_Atomic(struct vt_member_slot *) quick[VT_QUICK_HERE];
};

_Static_assert(sizeof(struct vitals_quitter) <= VT_RECORD_QUITTER,
	       "a quitter's record fits");
_Static_assert(sizeof(struct vt_quitter_seldom) == VT_SELDOM_QUITTER,
	       "and what few need");

/* What the tree keeps in the registry. */
struct vt_tree {
	_Atomic uint32_t news; /* changes when finish should look again */
	_Atomic uint32_t
		joins; /* changes when a thread was joined, or a claim given up */
	_Atomic uint64_t asked_ns;   /* when main was first asked to quit; 0: not yet */
	_Atomic uint64_t expired_ns; /* when there was to be no more time; 0: there is */
	_Atomic uint64_t flush_ns;   /* when those who flush were told; 0: not yet */
	_Atomic uint32_t drains;     /* living children of main that drain */
	_Atomic uint32_t flushes;    /* and that flush */
	_Atomic int wake_fd;         /* what finish polls; -1: none */
	_Atomic uint32_t n_over;     /* threads that have ended and are not joined yet */
	/* guarded by the registry's lock */
	uint32_t watched;            /* somebody wants to know of every departure */
	uint32_t n_quick;            /* holds that count by themselves: see hold.c */
	uint32_t n_waits;            /* that want them not to */
	_Atomic uint32_t n_finishes; /* threads in finish */
	/* index + 1: ended and not joined; and dead ones, until they are put away */
	uint32_t over_first;
	uint32_t kick_first;    /* index + 1: told, but still in a condition wait */
	uint32_t call_first;    /* index + 1: told, callback to be run */
	uint64_t called_for_ns; /* since when there is one */
	uint32_t
		again_first; /* index + 1: it was, and is to be once more if it does not help */
	uint32_t mains;       /* so many there were, times VT_STAGE_MASK + 1 */
	uint32_t n_shutdowns; /* quitters that a wait has left its mark on */
	uint64_t deadline_ns; /* of main's shutdown; UINT64_MAX: it has not begun */
	/* Members that have ended since main was made, or since one was abandoned. */
	uint32_t departed;
	/* How a request to main begins; set by main, called with no lock held. */
	int (*begin)(vitals_registry *registry, const struct vitals_cause *cause);
	/* Starts what calls callbacks, the first time; the same. */
	void (*caller)(vitals_registry *registry);
	void (*poke)(vitals_registry *registry); /* and wakes it */
	_Atomic uint32_t called;                 /* it was started */
	_Atomic uint32_t
		calls; /* somebody wants it to be; set under the registry's lock */
	_Atomic uint64_t kicked_ns; /* when those in condition waits were kicked last */
	_Atomic uint32_t kicking;   /* so many are at it now */
	_Atomic uint32_t away; /* the notifier is in what may not return, but for that */
	struct vt_vigil vigil; /* main's shutdown; stragglers.c's */
	struct vt_vigil vigils[VT_VIGILS]; /* and waits */
};

/* How many words are remembered to be woken after the lock is released. */
#define VT_TOLD_WORDS 16

/*
 * What is left to do once the lock is released: whom to wake, what to let go of. Nodes
 * and members in it are pinned until vt_told_settle().
 */
struct vt_told {
	uint32_t first_quitter; /* index + 1 */
	uint32_t first_member;
	uint32_t n_words;
	uint32_t registry_refs;
	_Atomic uint32_t *words[VT_TOLD_WORDS];
};

/* Words of slots: guarded by the registry's lock, read by snapshots at any time. */
static inline uint32_t vt_slot_get(const _Atomic uint32_t *word)
{
	/* Relaxed: whoever wrote it did so under the lock that the caller holds. */
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void vt_slot_put(_Atomic uint32_t *word, uint32_t value)
{
	/* Release pairs with the acquire loads of those who copy slots: see layout.h. */
	atomic_store_explicit(word, value, memory_order_release);
}

static inline void vt_slot_add(_Atomic uint32_t *word, uint32_t value)
{
	vt_slot_put(word, vt_slot_get(word) + value);
}

static inline struct vt_quitter_slot *vt_quitter_slot(const vitals_quitter *quitter)
{
	/* The word is the first of its slot. */
	return (struct vt_quitter_slot *)(uintptr_t)quitter->head.word;
}

static inline struct vt_span_head *vt_quitter_span(const vitals_quitter *quitter)
{
	return vt_span_of(quitter, quitter->place, VT_RECORD_QUITTER);
}

static inline struct vt_quitter_seldom *vt_quitter_seldom(const vitals_quitter *quitter)
{
	return vt_span_seldom(vt_quitter_span(quitter), quitter->place, VT_RECORD_QUITTER,
			      VT_SELDOM_QUITTER);
}

static inline vitals_registry *vt_quitter_registry(const vitals_quitter *quitter)
{
	return vt_quitter_span(quitter)->registry;
}

static inline uint32_t vt_quitter_index(const vitals_quitter *quitter)
{
	return vt_quitter_span(quitter)->first + quitter->place;
}

/* Does it speak for this process, rather than for the parent it was forked from? */
static inline bool vt_quitter_current(const vitals_quitter *quitter)
{
	const struct vt_span_head *span = vt_quitter_span(quitter);

	return vt_registry_current(span->registry, span->epoch);
}

/* Its descriptor, -1: none. Sequentially consistent, see vitals_quitter_fd(). */
static inline int vt_quitter_descriptor(const vitals_quitter *quitter)
{
	if (!(atomic_load_explicit(&quitter->waiters, memory_order_seq_cst) & VT_NODE_FD))
		return -1;
	return atomic_load_explicit(&vt_quitter_seldom(quitter)->fd,
				    memory_order_seq_cst) -
	       1;
}

static inline uint32_t vt_quitter_stage(const struct vt_quitter_slot *slot)
{
	return vt_slot_get(&slot->stage) & VT_STAGE_MASK;
}

/* Is it the root that stands for the registry now? */
static inline bool vt_quitter_is_main(const vitals_quitter *quitter)
{
	return vt_slot_get(&vt_quitter_registry(quitter)->root->main_quitter) ==
	       vt_quitter_index(quitter) + 1;
}

/* Of one tree? */
static inline bool vt_quitter_akin(const vitals_quitter *quitter,
				   const vitals_quitter *other)
{
	return !((vt_slot_get(&vt_quitter_slot(quitter)->stage) ^
		  vt_slot_get(&vt_quitter_slot(other)->stage)) &
		 ~VT_STAGE_MASK);
}

static inline vitals_quitter *vt_quitter_at(const vitals_registry *registry,
					    uint32_t index)
{
	return (vitals_quitter *)vt_record(registry, VT_POOL_QUITTER, index);
}

/* Its own word or its stage's. */
bool vt_quitter_told(const vitals_quitter *quitter);

/* The tree's state in the registry, made at first use. Return: 0; -ENOMEM. */
int vt_tree_get(vitals_registry *registry) VT_REQUIRES(registry->lock);

/*
 * A node under @parent, NULL: a root, with one reference for its handle. @stage: of a
 * root's child; @timeout_ns: 0: its parent's. Return: 0; -ECANCELED if @parent was told; -ENOMEM.
 */
int vt_quitter_make(vitals_registry *registry, vitals_quitter *parent, const char *name,
		    uint32_t stage, uint64_t timeout_ns, vitals_quitter **ret)
	VT_REQUIRES(registry->lock);

/*
 * What few of them have; @made: if need be, now. NULL: none, or no memory.
 */
struct vt_shutdown_slot *vt_quitter_shutdown(vitals_registry *registry,
					     vitals_quitter *quitter, bool made)
	VT_REQUIRES(registry->lock);

void vt_quitter_shutdown_free(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock);

static inline void vt_quitter_ref(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	(void)registry; /* whose lock it is */
	quitter->refs++;
}

/* One holder less; the last one unlinks it, and what it alone kept above it. */
void vt_quitter_unref(vitals_registry *registry, vitals_quitter *quitter,
		      struct vt_told *told) VT_REQUIRES(registry->lock);

/* When its time to leave is up: its own, or that of one around it; UINT64_MAX: it was not told. */
uint64_t vt_quitter_deadline(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock);

/* Its own time to leave, or the nearest around it that is one. */
uint64_t vt_quitter_timeout(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock);

/* Is @quitter @ancestor, or below it? */
bool vt_quitter_inside(const vitals_registry *registry, const vitals_quitter *quitter,
		       const vitals_quitter *ancestor) VT_REQUIRES(registry->lock);

/*
 * The next node of @root's subtree in pre-order, index + 1 in and out, 0: that was the
 * last. @deeper: also go into @index's children.
 */
uint32_t vt_quitter_next(const vitals_registry *registry, const vitals_quitter *root,
			 uint32_t index, bool deeper) VT_REQUIRES(registry->lock);

static inline uint64_t vt_quitter_live(const vitals_quitter *quitter)
{
	/*
	 * Acquire pairs with the release in live_set(): 0 means that what they did is
	 * seen.
	 */
	return atomic_load_explicit(&vt_quitter_slot(quitter)->live,
				    memory_order_acquire);
}

/* What it waits for comes to one more; the caller has seen that it was not told. */
void vt_quitter_enter(vitals_registry *registry, vitals_quitter *quitter)
	VT_REQUIRES(registry->lock);

/*
 * … and to one less. Return: the topmost node that is empty now, whose weak members,
 * and those of the nodes between, are to be told; NULL: none is.
 */
vitals_quitter *vt_quitter_exit(vitals_registry *registry, vitals_quitter *quitter,
				struct vt_told *told) VT_REQUIRES(registry->lock);

/* Marks one node told, by the cause in @cause (index + 1, 0: not known). */
void vt_quitter_mark(vitals_registry *registry, vitals_quitter *quitter, uint32_t cause,
		     uint64_t now_ns) VT_REQUIRES(registry->lock);

/* Whoever sleeps on the node's word has something to look at. */
void vt_quitter_bump(vitals_registry *registry, vitals_quitter *quitter,
		     struct vt_told *told) VT_REQUIRES(registry->lock);

/* Remembers a word to be woken. */
void vt_told_word(struct vt_told *told, _Atomic uint32_t *word);

/* Wakes what is remembered. */
void vt_told_wake(struct vt_told *told);

/* Main is asked to quit, unless it was before. Async-signal-safe. */
void vt_tree_ask(struct vt_tree *tree, uint64_t now_ns);

/* There is something for finish to look at. Async-signal-safe. */
void vt_tree_news(struct vt_tree *tree);

/* Lets go of what @told held of the registry: the last thing that touches it. */
void vt_told_drop(vitals_registry *registry, struct vt_told *told);

/* Unlocks, then the same. */
void vt_tree_unlock(vitals_registry *registry, struct vt_told *told)
	VT_RELEASE(registry->lock);

#endif
