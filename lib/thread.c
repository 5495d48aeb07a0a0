/* SPDX-License-Identifier: MIT */

#include "thread.h"

#include "cause.h"
#include "clock.h"
#include "heartbeat.h"
#include "options.h"
#include "task.h"
#include "tell.h"
#include "text.h"
#include "unblock.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PUBLIC_FLAGS                                                                     \
	(VITALS_THREAD_WEAK | VITALS_THREAD_QUIT_WHEN_IT_ENDS |                          \
	 VITALS_THREAD_QUIT_WHEN_IT_FAILS)

static int options_take(struct vitals_thread_options *mine,
			const struct vitals_thread_options *options)
{
	int r = vt_options_load(mine, sizeof(*mine), options);

	if (r)
		return r;
	return (mine->flags & ~PUBLIC_FLAGS) || mine->reserved ? -EINVAL : 0;
}

static int heartbeat_make(vitals_registry *registry, const char *name,
			  uint64_t timeout_ns,
			  const struct vitals_thread_options *options,
			  vitals_heartbeat **ret)
{
	struct vitals_heartbeat_options wanted;

	*ret = NULL;
	if (!timeout_ns)
		return 0;
	VITALS_INIT(&wanted);
	wanted.flags = options->heartbeat_flags;
	wanted.interval_ns = options->interval_ns;
	wanted.start_ns = options->start_ns;
	wanted.stuck_ns = options->stuck_ns;
	wanted.group = options->group;
	return vitals_heartbeat_new(registry, name, timeout_ns, &wanted, ret);
}

/* A member with, or without, a heartbeat of its own. */
static int member_make(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
		       const struct vitals_thread_options *options, uint32_t flags,
		       uint32_t state, vitals_thread **ret)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct vt_member_spec spec = { .name = name,
				       .flags = options->flags | flags,
				       .state = state };
	int r;

	/* Before its heartbeat has taken a name, and again, for good, when it joins. */
	if (vt_quitter_told(quitter))
		return -ECANCELED;
	r = heartbeat_make(registry, name, timeout_ns, options, &spec.heartbeat);
	if (r)
		return r;
	if (spec.heartbeat) {
		spec.heartbeat_slot = vt_heartbeat_index(spec.heartbeat) + 1;
		spec.number = vt_heartbeat_number(spec.heartbeat);
	}
	spec.now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	vt_registry_hook(registry, &vt_heir_hooks);
	r = vt_member_join(registry, quitter, &spec, ret);
	vt_unlock(&registry->lock);
	if (r)
		(void)vitals_heartbeat_unref(spec.heartbeat);
	else if (spec.heartbeat)
		vt_heartbeat_belong(spec.heartbeat, 0, vt_member_index(*ret) + 1);
	return r;
}

/* It never ran: nothing is left behind. */
static void member_undo(vitals_thread *member)
{
	vitals_registry *registry = vt_member_registry(member);
	vitals_heartbeat *heartbeat = member->heartbeat;
	struct vt_told told = { 0 };

	vitals_heartbeat_close(heartbeat);
	(void)vitals_heartbeat_unref(heartbeat);
	vt_lock(&registry->lock);
	vt_member_uncount(registry, member, vt_clock_now(), &told);
	vt_member_remove(registry, member, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
}

/* In the thread that is whose life this is. */
static int member_begin(vitals_thread *self)
{
	uint32_t tid = vt_task_self();
	int r;

	r = vt_self_set(self);
	vt_slot_put(&self->slot->tid, tid);
	vt_slot_put(&self->slot->state, VITALS_THREAD_RUNNING);
	if (self->heartbeat)
		vt_heartbeat_belong(self->heartbeat, tid, vt_member_index(self) + 1);
	return r;
}

/* The kernel takes 15 bytes; not half a character. */
static void kernel_name(const vitals_thread *self)
{
	char name[VITALS_NAME_MAX];
	size_t n;

	vt_name_load(self->slot->name, name);
	n = strlen(name);
	if (n > 15)
		for (n = 15; n && ((unsigned char)name[n] & 0xc0) == 0x80;)
			n--;
	name[n] = 0;
	(void)prctl(PR_SET_NAME, (unsigned long)(uintptr_t)name, 0, 0, 0);
}

static void thread_canceled(void *arg)
{
	/* pthread_exit, or somebody's pthread_cancel. */
	vt_thread_over((vitals_thread *)arg, false, 1);
}

static void *thread_main(void *arg)
{
	vitals_thread *self = (vitals_thread *)arg;
	int status;

	self->pthread = pthread_self();
	(void)member_begin(self);
	kernel_name(self);
	pthread_cleanup_push(thread_canceled, self);
	status = self->fn(self, self->arg);
	pthread_cleanup_pop(0);
	vt_thread_over(self, true, status);
	return NULL;
}

static int thread_create(vitals_thread *member, const pthread_attr_t *attr)
{
	pthread_attr_t joinable;
	pthread_t pthread;

	if (attr) {
		/*
		 * A copy for the call only: the host's stays as it is, and owns what it
		 * points to.
		 */
		joinable = *attr;
		(void)pthread_attr_setdetachstate(&joinable, PTHREAD_CREATE_JOINABLE);
	}
	return -pthread_create(&pthread, attr ? &joinable : NULL, thread_main, member);
}

int vitals_thread_fork(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
		       vitals_thread_fn fn, void *arg,
		       const struct vitals_thread_options *options)
{
	struct vitals_thread_options mine;
	vitals_registry *registry;
	vitals_thread *member;
	int r;

	if (!quitter || !fn || !vt_name_good(name))
		return -EINVAL;
	r = options_take(&mine, options);
	if (r)
		return r;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	r = vt_self_ready();
	if (r)
		return r;
	vt_reap(registry);
	/*
	 * A thread that nobody watches is better than none: its quitter waits for it all
	 * the same.
	 */
	if (atomic_load_explicit(&registry->run, memory_order_relaxed) != VT_RUN_STEPPED)
		(void)vitals_start(registry);
	r = member_make(quitter, name, timeout_ns, &mine, 0, VITALS_THREAD_NOT_STARTED,
			&member);
	if (r)
		return r;
	member->fn = fn;
	member->arg = arg;
	r = thread_create(member, mine.attr);
	if (r)
		member_undo(member);
	return r;
}

int vitals_thread_adopt(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
			const struct vitals_thread_options *options, vitals_thread **ret)
{
	struct vitals_thread_options mine;
	const vitals_thread *self;
	vitals_thread *member;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	if (!quitter || !vt_name_good(name))
		return -EINVAL;
	r = options_take(&mine, options);
	if (r)
		return r;
	if (mine.attr)
		return -EINVAL;
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	self = vitals_thread_self();
	if (self && vt_member_current(self))
		return -EBUSY;
	r = member_make(quitter, name, timeout_ns, &mine, VT_MEMBER_ADOPTED,
			VITALS_THREAD_RUNNING, &member);
	if (r)
		return r;
	if (member_begin(member)) {
		member_undo(member);
		return -EAGAIN;
	}
	*ret = member;
	return 0;
}

void vitals_thread_leave(vitals_thread *self, int status)
{
	if (!self || !vt_member_current(self) ||
	    !(vt_slot_get(&self->slot->flags) & VT_MEMBER_ADOPTED))
		return;
	(void)vt_self_set(NULL);
	vt_thread_over(self, true, status);
}
