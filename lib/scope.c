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
	    options->stage >= VT_STAGES || options->at_deadline || options->report_fd ||
	    options->leave_at || options->late_status)
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
	registry = vt_quitter_registry(parent);
	if (!vt_quitter_current(parent))
		return -ECANCELED;
	r = options_check(parent, &mine);
	if (r)
		return r;
	above = vt_quitter_slot(parent);
	vt_lock(&registry->lock);
	stage = mine.stage ? mine.stage : vt_quitter_stage(above);
	r = vt_quitter_make(registry, parent, name, stage, mine.timeout_ns, ret);
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
	old++;
	if (!atomic_compare_exchange_strong_explicit(&vt_quitter_seldom(quitter)->fd,
						     &old, fd + 1, memory_order_seq_cst,
						     memory_order_seq_cst)) {
		vt_wakefd_close(fd);
		fd = old - 1;
	}
	atomic_fetch_or_explicit(&quitter->waiters, VT_NODE_FD, memory_order_seq_cst);
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
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	old = vt_quitter_descriptor(quitter);
	if (vt_wakefd_ours(old))
		return old;
	/*
	 * None yet, or the host has closed it and its number may be something else by
	 * now.
	 */
	fd = vt_wakefd_new();
	if (fd < 0)
		return fd;
	return fd_publish(quitter, old, fd);
}
