/* SPDX-License-Identifier: MIT */

#include "beacon.h"

#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

/* No turn ever waits for it: a file system may keep whoever is at it. */
static bool claim(struct vt_beacon *beacon)
{
	/* Acquire and release: when it was touched is known. */
	return !atomic_exchange_explicit(&beacon->busy, 1, memory_order_acquire);
}

static void unclaim(struct vt_beacon *beacon)
{
	atomic_store_explicit(&beacon->busy, 0, memory_order_release);
}

/* By its path: so it needs no descriptor, and a new file takes the place of one that was removed. */
static int file_touch(const char *path)
{
	int fd, saved = errno, r = 0;

	if (utimensat(AT_FDCWD, path, NULL, 0) < 0)
		r = -errno;
	if (r == -ENOENT) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			  0644);
		r = fd < 0 ? -errno : 0;
		if (fd >= 0)
			(void)close(fd);
	}
	errno = saved;
	return r;
}

static bool file_in_memory(const char *path)
{
	struct statfs fs;
	int saved = errno;
	bool memory = statfs(path, &fs) == 0 &&
		      (fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC);

	errno = saved;
	return memory;
}

/* As /livez says: see docs/health.md. */
static bool live(vitals_registry *registry, uint64_t now_ns)
{
	const struct vt_view *view = &registry->view;
	struct vitals_process_info process;
	struct vt_moment moment;

	vt_tick_load(&vt_view_root(view)->tick, &moment.tick);
	/* The tick may be newer than the caller's look at the clock. */
	moment.now_ns = now_ns > moment.tick.at_ns ? now_ns : moment.tick.at_ns;
	vt_row_process(view, &moment, &process);
	return process.live && !(process.flags & VITALS_PROCESS_OFF);
}

static bool due(const struct vt_beacon *beacon, uint64_t now_ns)
{
	return beacon->every_ns && now_ns >= beacon->touched_ns &&
	       now_ns - beacon->touched_ns >= beacon->every_ns;
}

static void turn_claimed(vitals_registry *registry, struct vt_beacon *beacon,
			 uint64_t now_ns)
{
	if (!due(beacon, now_ns) || !live(registry, now_ns))
		return;
	/* If it cannot be touched now, that is what the file says: it grows old. */
	(void)file_touch(beacon->path);
	beacon->touched_ns = now_ns;
}

void vt_beacon_turn_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_beacon *beacon = vt_beacon_of(registry);

	if (!beacon || !claim(beacon))
		return;
	turn_claimed(registry, beacon, now_ns);
	unclaim(beacon);
}

/* Return: when to look again. */
static uint64_t look_claimed(vitals_registry *registry, struct vt_beacon *beacon,
			     uint64_t now_ns, bool *ret_wakes)
{
	/* Acquire pairs with the start; where turns are made by hand they touch, too. */
	bool threads = atomic_load_explicit(&registry->run, memory_order_acquire) ==
		       VT_RUN_RUNNING;
	uint64_t every_ns = beacon->every_ns;

	if (!every_ns)
		return UINT64_MAX;
	if (!due(beacon, now_ns))
		return beacon->touched_ns + every_ns;
	if (!live(registry, now_ns))
		return now_ns + every_ns;
	if (!threads || !beacon->wake ||
	    (beacon->in_memory &&
	     now_ns - beacon->touched_ns >= every_ns + every_ns / 2)) {
		turn_claimed(registry, beacon, now_ns);
		return now_ns + every_ns;
	}
	*ret_wakes = true;
	return now_ns + every_ns / 2 + 1;
}

uint64_t vt_beacon_look_at(vitals_registry *registry, uint64_t now_ns)
{
	struct vt_beacon *beacon = vt_beacon_of(registry);
	void (*wake)(vitals_registry * registry);
	bool wakes = false;
	uint64_t next_ns;

	if (!beacon)
		return UINT64_MAX;
	/* Who is at it may be kept: then there is nothing to do here for long. */
	if (!claim(beacon))
		return now_ns + VITALS_S(1);
	next_ns = look_claimed(registry, beacon, now_ns, &wakes);
	wake = beacon->wake;
	unclaim(beacon);
	if (wakes)
		wake(registry);
	return next_ns;
}

bool vt_beacon_asked(vitals_registry *registry)
{
	return vt_beacon_of(registry);
}

static struct vt_beacon *beacon_make(vitals_registry *registry)
	VT_REQUIRES(registry->lock)
{
	struct vt_beacon *beacon =
		atomic_load_explicit(&registry->beacon, memory_order_relaxed);

	if (vt_beacon_of(registry))
		return beacon;
	if (!beacon)
		beacon = vt_registry_room(registry, sizeof(*beacon));
	if (!beacon)
		return NULL;
	/* Another process's, if it was carried over into this one: nothing was asked for yet. */
	memset(beacon, 0, sizeof(*beacon));
	atomic_store_explicit(&beacon->pid, getpid(), memory_order_release);
	atomic_store_explicit(&registry->beacon, beacon, memory_order_release);
	return beacon;
}

int vt_beacon_ask(vitals_registry *registry, const struct vt_beacon_terms *terms,
		  uint64_t now_ns)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct vt_beacon *beacon;
	int r = 0;

	vt_lock(&registry->lock);
	beacon = beacon_make(registry);
	vt_unlock(&registry->lock);
	if (!beacon)
		return -ENOMEM;
	/* First, for the file system may keep us: but nobody else. */
	if (terms->path)
		r = file_touch(terms->path);
	if (r < 0)
		return r;
	while (!claim(beacon))
		(void)nanosleep(&moment, NULL);
	beacon->every_ns = 0;
	if (terms->path) {
		memcpy(beacon->path, terms->path, strlen(terms->path) + 1);
		beacon->in_memory = file_in_memory(beacon->path);
		beacon->wake = terms->wake;
		beacon->touched_ns = now_ns;
		beacon->every_ns = terms->every_ns;
	}
	unclaim(beacon);
	return 0;
}
