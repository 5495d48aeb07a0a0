/* SPDX-License-Identifier: MIT */

#include "quitter.h"

#include "cause.h"
#include "names.h"
#include "text.h"
#include "wakefd.h"

#include <errno.h>
#include <limits.h>

static struct vt_quitter_slot *slot_at(const vitals_registry *registry, uint32_t index)
{
	return (struct vt_quitter_slot *)vt_slot(registry, VT_KIND_QUITTER, index - 1);
}

bool vt_quitter_told(const vitals_quitter *quitter)
{
	return vitals_quitter_must_quit_inline(quitter) != 0;
}

#undef vitals_quitter_must_quit
int vitals_quitter_must_quit(const vitals_quitter *quitter)
{
	/* In a forked child its words are pages of zeros, which answer 0. */
	return vitals_quitter_must_quit_inline(quitter);
}

/*
 * In a forked child: a quit here is not to be seen by those who poll in the parent, nor the other
 * way round.
 */
static void tree_carried(vitals_registry *registry)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_QUITTER);

	/* Relaxed, all: the child has one thread. */
	vt_wakefd_renew(
		atomic_load_explicit(&registry->tree->wake_fd, memory_order_relaxed));
	for (i = 0; i < n; i++) {
		const struct vt_quitter_slot *slot = slot_at(registry, i + 1);
		const vitals_quitter *quitter = vt_quitter_at(registry, i);
		int fd;

		if (!(atomic_load_explicit(&slot->gen, memory_order_relaxed) & 1u))
			continue;
		fd = vt_quitter_descriptor(quitter);
		vt_wakefd_renew(fd);
		if (vt_quitter_told(quitter))
			vt_wakefd_set(fd);
	}
}

static void tree_ended(vitals_registry *registry)
{
	/* Relaxed: nobody else has it any more. */
	vt_wakefd_close(
		atomic_load_explicit(&registry->tree->wake_fd, memory_order_relaxed));
}

static const struct vt_hooks tree_hooks = { tree_carried, tree_ended };

int vt_tree_get(vitals_registry *registry)
{
	struct vt_tree *tree;

	if (registry->tree)
		return 0;
	tree = (struct vt_tree *)vt_registry_room(registry, sizeof(*tree));
	if (!tree)
		return -ENOMEM;
	/* Relaxed: nobody else has it yet. */
	atomic_store_explicit(&tree->wake_fd, -1, memory_order_relaxed);
	tree->deadline_ns = UINT64_MAX;
	registry->tree = tree;
	vt_registry_hook(registry, &tree_hooks);
	return 0;
}

void vt_tree_ask(struct vt_tree *tree, uint64_t now_ns)
{
	uint64_t never = 0;

	/* Release: with the time it counts from, what has asked. */
	(void)atomic_compare_exchange_strong_explicit(&tree->asked_ns, &never, now_ns,
						      memory_order_release,
						      memory_order_relaxed);
}

void vt_tree_news(struct vt_tree *tree)
{
	/*
	 * Release: whoever sees the news sees what it is about. Pairs with finish's
	 * acquire.
	 */
	atomic_fetch_add_explicit(&tree->news, 1, memory_order_release);
	vt_wakefd_set(atomic_load_explicit(&tree->wake_fd, memory_order_relaxed));
	vt_futex_wake(&tree->news, INT_MAX);
}

void vt_told_drop(vitals_registry *registry, struct vt_told *told)
{
	uint32_t refs = told->registry_refs;

	told->registry_refs = 0;
	while (refs--)
		(void)vt_registry_unref(registry);
}

void vt_tree_unlock(vitals_registry *registry, struct vt_told *told)
{
	vt_unlock(&registry->lock);
	vt_told_drop(registry, told);
}

void vt_told_wake(struct vt_told *told)
{
	uint32_t i;

	for (i = 0; i < told->n_words; i++)
		vt_futex_wake(told->words[i], INT_MAX);
	told->n_words = 0;
}

void vt_told_word(struct vt_told *told, _Atomic uint32_t *word)
{
	/* More than fit, as in a deep chain: these few are woken at once. */
	if (told->n_words == VT_TOLD_WORDS)
		vt_told_wake(told);
	told->words[told->n_words++] = word;
}

static void node_link(vitals_registry *registry, vitals_quitter *quitter,
		      vitals_quitter *parent) VT_REQUIRES(registry->lock)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter), *above;
	uint32_t first;

	vt_slot_put(&slot->parent, parent ? vt_quitter_index(parent) + 1 : 0);
	if (!parent)
		return;
	above = vt_quitter_slot(parent);
	first = vt_slot_get(&above->first_child);
	vt_slot_put(&slot->next, first);
	if (first)
		vt_slot_put(&slot_at(registry, first)->prev,
			    vt_quitter_index(quitter) + 1);
	vt_slot_put(&above->first_child, vt_quitter_index(quitter) + 1);
	vt_quitter_ref(registry, parent);
}

static void node_unlink(vitals_registry *registry, const vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
	uint32_t next = vt_slot_get(&slot->next);
	uint32_t prev = vt_slot_get(&slot->prev);
	uint32_t parent = vt_slot_get(&slot->parent);

	if (next)
		vt_slot_put(&slot_at(registry, next)->prev, prev);
	if (prev)
		vt_slot_put(&slot_at(registry, prev)->next, next);
	else if (parent)
		vt_slot_put(&slot_at(registry, parent)->first_child, next);
}

static void slot_clear(struct vt_quitter_slot *slot, uint64_t id, uint32_t stage)
{
	_Atomic uint32_t *const zero[] = { &slot->parent,       &slot->first_child,
					   &slot->next,         &slot->prev,
					   &slot->first_member, &slot->cause,
					   &slot->shutdown,     &slot->threads,
					   &slot->abandoned };
	size_t i;

	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		vt_slot_put(zero[i], 0);
	vt_slot_put(&slot->stage, stage);
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&slot->word, 0, memory_order_release);
	atomic_store_explicit(&slot->live, 0, memory_order_release);
	atomic_store_explicit(&slot->id, id, memory_order_release);
	atomic_store_explicit(&slot->told_ns, 0, memory_order_release);
}

static void record_clear(vitals_quitter *quitter, vitals_registry *registry,
			 uint32_t index, struct vt_quitter_slot *slot, uint32_t stage)
{
	struct vt_quitter_seldom *seldom;

	memset(quitter, 0, sizeof(*quitter));
	quitter->place = index - vt_span_with(registry, VT_POOL_QUITTER, index)->first;
	seldom = vt_quitter_seldom(quitter);
	/* A page that was never written to stays that way. Relaxed: nobody else's yet. */
	if (atomic_load_explicit(&seldom->fd, memory_order_relaxed) || seldom->first_hold)
		memset(seldom, 0, sizeof(*seldom));
	quitter->head.word = (const uint64_t *)(uintptr_t)&slot->word;
	quitter->head.stage = (const uint64_t *)(uintptr_t)&registry->root->stages[stage];
	quitter->refs = 1;
}

/* Main's own children of some stages are counted. */
static void staged_add(vitals_registry *registry, const vitals_quitter *quitter,
		       uint32_t n) VT_REQUIRES(registry->lock)
{
	const struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
	uint32_t parent = vt_slot_get(&slot->parent), stage = vt_quitter_stage(slot);

	if (!parent || vt_slot_get(&slot_at(registry, parent)->parent))
		return;
	if (stage == VITALS_STAGE_DRAIN)
		vt_slot_add(&registry->tree->drains, n);
	if (stage == VITALS_STAGE_FLUSH)
		vt_slot_add(&registry->tree->flushes, n);
}

/* Its own time, if it has one, and its number among its like. Return: the number; 0 without memory. */
static uint32_t node_dress(vitals_registry *registry, vitals_quitter *quitter,
			   uint64_t timeout_ns) VT_REQUIRES(registry->lock)
{
	struct vt_shutdown_slot *own;

	if (timeout_ns) {
		own = vt_quitter_shutdown(registry, quitter, true);
		if (!own)
			return 0;
		/* Release, as vt_slot_put(). */
		atomic_store_explicit(&own->timeout_ns, timeout_ns, memory_order_release);
	}
	return vt_names_take(registry, (struct vt_named){ VT_POOL_QUITTER,
							  vt_quitter_index(quitter) });
}

/* What all of one main quitter's tree have in common. */
static uint32_t kin_of(vitals_registry *registry, const vitals_quitter *parent)
	VT_REQUIRES(registry->lock)
{
	if (parent)
		return vt_slot_get(&vt_quitter_slot(parent)->stage) & ~VT_STAGE_MASK;
	registry->tree->mains += VT_STAGE_MASK + 1;
	return registry->tree->mains;
}

int vt_quitter_make(vitals_registry *registry, vitals_quitter *parent, const char *name,
		    uint32_t stage, uint64_t timeout_ns, vitals_quitter **ret)
{
	struct vt_quitter_slot *slot;
	vitals_quitter *quitter;
	uint32_t index, number;

	if (parent && vt_quitter_told(parent))
		return -ECANCELED;
	if (vt_slot_new(registry, VT_POOL_QUITTER, &index))
		return -ENOMEM;
	slot = slot_at(registry, index + 1);
	quitter = vt_quitter_at(registry, index);
	vt_slot_take(&slot->gen);
	slot_clear(slot, vt_registry_id(registry), stage | kin_of(registry, parent));
	record_clear(quitter, registry, index, slot, stage);
	vt_name_store(slot->name, name);
	node_link(registry, quitter, parent);
	number = node_dress(registry, quitter, timeout_ns);
	if (!number) {
		vt_quitter_shutdown_free(registry, quitter);
		node_unlink(registry, quitter);
		if (parent)
			parent->refs--; /* not the last: the caller has one */
		vt_slot_free(registry, VT_POOL_QUITTER, index);
		return -ENOMEM;
	}
	vt_slot_put(&slot->number, number);
	(void)vt_registry_ref(registry);
	vt_slot_add(&registry->root->totals.quitters, 1);
	staged_add(registry, quitter, 1);
	vt_slot_open(&slot->gen);
	*ret = quitter;
	return 0;
}

static void node_free(vitals_registry *registry, vitals_quitter *quitter,
		      struct vt_told *told) VT_REQUIRES(registry->lock)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);

	staged_add(registry, quitter, UINT32_MAX);
	vt_names_give(registry,
		      (struct vt_named){ VT_POOL_QUITTER, vt_quitter_index(quitter) });
	node_unlink(registry, quitter);
	vt_slot_close(&slot->gen);
	vt_cause_unref(registry, vt_slot_get(&slot->cause));
	vt_quitter_shutdown_free(registry, quitter);
	vt_wakefd_close(vt_quitter_descriptor(quitter));
	vt_slot_free(registry, VT_POOL_QUITTER, vt_quitter_index(quitter));
	vt_slot_add(&registry->root->totals.quitters, UINT32_MAX);
	told->registry_refs++;
}

void vt_quitter_unref(vitals_registry *registry, vitals_quitter *quitter,
		      struct vt_told *told)
{
	while (--quitter->refs == 0) {
		uint32_t parent = vt_slot_get(&vt_quitter_slot(quitter)->parent);

		node_free(registry, quitter, told);
		if (!parent)
			return;
		quitter = vt_quitter_at(registry, parent - 1);
	}
}

bool vt_quitter_inside(const vitals_registry *registry, const vitals_quitter *quitter,
		       const vitals_quitter *ancestor)
{
	uint32_t wanted = vt_quitter_index(ancestor) + 1,
		 at = vt_quitter_index(quitter) + 1;

	if (vt_quitter_registry(quitter) != registry ||
	    vt_quitter_registry(ancestor) != registry)
		return false;
	while (at && at != wanted)
		at = vt_slot_get(&slot_at(registry, at)->parent);
	return at == wanted;
}

uint32_t vt_quitter_next(const vitals_registry *registry, const vitals_quitter *root,
			 uint32_t index, bool deeper)
{
	const struct vt_quitter_slot *slot = slot_at(registry, index);
	uint32_t next = deeper ? vt_slot_get(&slot->first_child) : 0;
	uint32_t last = vt_quitter_index(root) + 1;

	while (!next && index != last) {
		next = vt_slot_get(&slot->next);
		if (next)
			break;
		index = vt_slot_get(&slot->parent);
		slot = slot_at(registry, index);
	}
	return next;
}
