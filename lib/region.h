/* SPDX-License-Identifier: MIT */

/*
 * Region
 *
 * Makes segments: memory that other processes and core files can read. A segment is one memfd,
 * made, sized, mapped and sealed in one go and never grown; its descriptor stays open for readers
 * and is used by no call of ours again, for after a host's closefrom its number may be the host's
 * file. Where there is no memfd, or RLIMIT_FSIZE is smaller than the segment (ftruncate would raise
 * SIGXFSZ), it is private memory, read from outside through the process's memory.
 */

#ifndef VT_REGION_H
#define VT_REGION_H

#include "layout.h"

#include <stdbool.h>
#include <stddef.h>

/* One array of slots to put into a segment. */
struct vt_array_spec {
	enum vt_kind kind;
	uint32_t stride;
	uint32_t first;
	uint32_t count;
};

struct vt_mapping {
	struct vt_segment *segment;
	size_t size;
	int fd;      /* -1: private memory */
	void *saved; /* while the process forks: what it held just before */
	uint64_t inode;
	uint64_t device;
};

/* Return: 0; -ENOMEM. All zero but for its head. */
int vt_segment_new(struct vt_mapping *mapping, uint64_t registry_id, uint32_t number,
		   const struct vt_array_spec *specs, unsigned n_specs);

/*
 * The same in two: memory for one, no page of it touched, private if not to be @shared; and its head,
 * which makes it a segment. Only the latter is plain stores. Return: 0; -ENOMEM.
 */
size_t vt_segment_size(const struct vt_array_spec *specs, unsigned n_specs);
int vt_segment_map(struct vt_mapping *mapping, size_t size, bool shared);
void vt_segment_begin(const struct vt_mapping *mapping, uint64_t registry_id,
		      uint32_t number, uint32_t pid, const struct vt_array_spec *specs,
		      unsigned n_specs);

/* Unmaps it, and closes its descriptor if that is still the segment. */
void vt_segment_free(struct vt_mapping *mapping);

/*
 * Before a fork: a copy for the child, who would find what the parent's threads have written since.
 * In the parent it goes again. Return: 0; -ENOMEM.
 */
int vt_segment_save(struct vt_mapping *mapping);
void vt_segment_unsave(struct vt_mapping *mapping);

/*
 * In a forked child: the same addresses, but no longer the parent's memory. Forgotten ones read as
 * zero and take stray writes; kept ones, which were saved, hold what they held.
 */
void vt_segment_forget(struct vt_mapping *mapping);
int vt_segment_keep(struct vt_mapping *mapping);

/* Can this system make a memfd that is shared and sealed? */
bool vt_region_shared(void);

/* Zero pages of private memory, not from the heap. Return: NULL if there is none. */
void *vt_pages_new(size_t size);
void vt_pages_free(void *pages, size_t size);

#endif
