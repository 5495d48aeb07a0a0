/* SPDX-License-Identifier: MIT */

/*
 * What a service does with a quitter that is not the main one: make it, poll it.
 */

#include "clock.h"
#include "options.h"
#include "quitter.h"
#include "text.h"
#include "wakefd.h"

#include <errno.h>

/* Stages are for main's own children; theirs inherit. */
static int options_check(const vitals_quitter *parent,
			 const struct vitals_quitter_options *options)
{
	if (options->flags || options->reserved || options->ready_off_ns ||
	    options->stage >= VT_STAGES)
		return -EINVAL;
	/* Relaxed: a node's parent stands still while the node does. */
	if (options->stage &&
	    atomic_load_explicit(&vt_quitter_slot(parent)->parent, memory_order_relaxed))
		return -EINVAL;
	return 0;
}

int vitals_quitter_new(vitals_quitter *parent, const char *name,
		       const struct vitals_quitter_options *options, vitals_quitter **ret)
{
	struct vitals_quitter_options mine;
	const struct vt_quitter_slot *above;
	vitals_registry *registry;
	uint32_t stage;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	if (!parent || !vt_name_good(name))
		return -EINVAL;
	r = vt_options_load(&mine, sizeof(mine), options);
	if (r)
		return r;
	registry = parent->registry;
	if (!vt_registry_current(registry, parent->epoch))
		return -ECANCELED;
	r = options_check(parent, &mine);
	if (r)
		return r;
	above = vt_quitter_slot(parent);
	vt_lock(&registry->lock);
	stage = mine.stage ? mine.stage : vt_slot_get(&above->stage);
	/* Relaxed: it stands still while the node does. */
	r = vt_quitter_make(registry, parent, name, stage,
			    mine.timeout_ns ? mine.timeout_ns
					    : atomic_load_explicit(&above->timeout_ns,
								   memory_order_relaxed),
			    ret);
	vt_unlock(&registry->lock);
	return r;
}

/* Publishes a descriptor for @quitter, or finds that somebody was first. */
static int fd_publish(vitals_quitter *quitter, int old, int fd)
{
	/*
	 * Sequentially consistent: stored before the word is looked at, as tell_collect()
	 * stores the word before it looks here.
	 */
	if (!atomic_compare_exchange_strong_explicit(
		    &quitter->fd, &old, fd, memory_order_seq_cst, memory_order_seq_cst)) {
		vt_wakefd_close(fd);
		fd = old;
	}
	if ((atomic_load_explicit(&vt_quitter_slot(quitter)->word, memory_order_seq_cst) &
	     VT_QUIT) ||
	    vt_quitter_told(quitter))
		vt_wakefd_set(fd);
	return fd;
}

int vitals_quitter_fd(vitals_quitter *quitter)
{
	int old, fd;

	if (!quitter)
		return -EINVAL;
	/* Acquire pairs with fd_publish(). */
	old = atomic_load_explicit(&quitter->fd, memory_order_acquire);
	if (vt_wakefd_ours(old))
		return old;
	if (!vt_registry_current(quitter->registry, quitter->epoch))
		return -ECANCELED;
	/*
	 * None yet, or the host has closed it and its number may be something else by
	 * now.
	 */
	fd = vt_wakefd_new();
	if (fd < 0)
		return fd;
	return fd_publish(quitter, old, fd);
}
