/* SPDX-License-Identifier: MIT */

#include "region.h"

#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define PAGE 4096u
#define HEAD_BYTES PAGE

_Static_assert(sizeof(struct vt_segment) <= HEAD_BYTES, "the head fits its page");

static size_t rounded(size_t size, size_t to)
{
	return (size + to - 1) / to * to;
}

size_t vt_segment_size(const struct vt_array_spec *specs, unsigned n_specs)
{
	size_t size = HEAD_BYTES;
	unsigned i;

	for (i = 0; i < n_specs; i++)
		size = rounded(size, 128) + (size_t)specs[i].stride * specs[i].count;
	return rounded(size, PAGE);
}

void vt_segment_begin(const struct vt_mapping *mapping, uint64_t registry_id,
		      uint32_t number, uint32_t pid, const struct vt_array_spec *specs,
		      unsigned n_specs)
{
	struct vt_segment *segment = mapping->segment;
	size_t at = HEAD_BYTES;
	unsigned i;

	segment->version = VT_LAYOUT_VERSION;
	segment->number = number;
	segment->registry_id = registry_id;
	segment->size = vt_segment_size(specs, n_specs);
	segment->pid = pid;
	segment->n_arrays = n_specs;
	for (i = 0; i < n_specs; i++) {
		at = rounded(at, 128);
		segment->arrays[i] = (struct vt_array){ .kind = specs[i].kind,
							.stride = specs[i].stride,
							.first = specs[i].first,
							.count = specs[i].count,
							.offset = at };
		at += (size_t)specs[i].stride * specs[i].count;
	}
	segment->magic = VT_MAGIC;
}

/* ftruncate past this limit would kill the host by SIGXFSZ. */
static bool file_size_allowed(size_t size)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size);
}

static void *memfd_map(int fd, size_t size)
{
	void *at;

	if (ftruncate(fd, (off_t)size) < 0)
		return MAP_FAILED;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return at;
	/* From here on nobody can cut it under us, nor write to it but through this mapping. */
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		(void)munmap(at, size);
		return MAP_FAILED;
	}
	return at;
}

static void *shared_new(struct vt_mapping *mapping, size_t size)
{
	struct stat st;
	void *at;
	int fd;

	if (!file_size_allowed(size))
		return MAP_FAILED;
	fd = vt_fd_above_stdio(memfd_create("vitals", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (fd < 0)
		return MAP_FAILED;
	at = fstat(fd, &st) < 0 ? MAP_FAILED : memfd_map(fd, size);
	if (at == MAP_FAILED) {
		(void)close(fd);
		return at;
	}
	mapping->fd = fd;
	mapping->device = st.st_dev;
	mapping->inode = st.st_ino;
	return at;
}

int vt_segment_map(struct vt_mapping *mapping, size_t size, bool shared)
{
	int saved = errno;
	void *at = MAP_FAILED;

	mapping->fd = -1;
	if (shared)
		at = shared_new(mapping, size);
	if (at == MAP_FAILED)
		at = vt_pages_new(size);
	errno = saved;
	if (!at)
		return -ENOMEM;
	mapping->segment = at;
	mapping->size = size;
	return 0;
}

int vt_segment_new(struct vt_mapping *mapping, uint64_t registry_id, uint32_t number,
		   const struct vt_array_spec *specs, unsigned n_specs)
{
	int r = vt_segment_map(mapping, vt_segment_size(specs, n_specs), true);

	if (r == 0)
		vt_segment_begin(mapping, registry_id, number, (uint32_t)getpid(), specs,
				 n_specs);
	return r;
}

/* Is the number still the file that was opened under it? */
static bool descriptor_ours(const struct vt_mapping *mapping)
{
	struct stat st;

	return mapping->fd >= 0 && fstat(mapping->fd, &st) == 0 &&
	       st.st_dev == mapping->device && st.st_ino == mapping->inode;
}

void vt_segment_free(struct vt_mapping *mapping)
{
	int saved = errno;

	if (mapping->segment)
		(void)munmap(mapping->segment, mapping->size);
	if (descriptor_ours(mapping))
		(void)close(mapping->fd);
	errno = saved;
	memset(mapping, 0, sizeof(*mapping));
	mapping->fd = -1;
}

void vt_segment_forget(struct vt_mapping *mapping)
{
	/* Over what is there: the address is never free for anybody else to take. */
	(void)mmap(mapping->segment, mapping->size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (descriptor_ours(mapping))
		(void)close(mapping->fd);
	mapping->fd = -1;
}

/* Large, mostly never touched, and about threads that the child does not have. */
static bool left_behind(const struct vt_array *array)
{
	return array->kind == VT_KIND_EVIDENCE || array->kind == VT_KIND_LATE;
}

/* Acquire: other threads go on beating meanwhile, and each word is a fact of its own. */
static void words_copy(const struct vt_segment *segment, void *saved, size_t from,
		       size_t until)
{
	const _Atomic uint64_t *words = (const _Atomic uint64_t *)(const void *)segment;
	uint64_t *to = saved;
	size_t i;

	for (i = from / sizeof(*to); i < until / sizeof(*to); i++)
		to[i] = atomic_load_explicit(&words[i], memory_order_acquire);
}

int vt_segment_save(struct vt_mapping *mapping)
{
	const struct vt_segment *segment = mapping->segment;
	size_t from = 0;
	uint32_t i;

	/* Private memory is copied by fork itself. */
	if (mapping->fd < 0)
		return 0;
	mapping->saved = vt_pages_new(mapping->size);
	if (!mapping->saved)
		return -ENOMEM;
	/* Arrays lie one behind the other. */
	for (i = 0; i < segment->n_arrays; i++) {
		const struct vt_array *array = &segment->arrays[i];

		if (!left_behind(array))
			continue;
		words_copy(segment, mapping->saved, from, array->offset);
		from = array->offset + (size_t)array->stride * array->count;
	}
	words_copy(segment, mapping->saved, from, mapping->size);
	return 0;
}

void vt_segment_unsave(struct vt_mapping *mapping)
{
	vt_pages_free(mapping->saved, mapping->size);
	mapping->saved = NULL;
}

int vt_segment_keep(struct vt_mapping *mapping)
{
	if (mapping->fd >= 0) {
		if (!mapping->saved ||
		    mremap(mapping->saved, mapping->size, mapping->size,
			   MREMAP_MAYMOVE | MREMAP_FIXED, mapping->segment) == MAP_FAILED)
			return -ENOMEM;
		mapping->saved = NULL;
		if (descriptor_ours(mapping))
			(void)close(mapping->fd);
		mapping->fd = -1;
	}
	mapping->segment->pid = (uint32_t)getpid();
	return 0;
}

bool vt_region_shared(void)
{
	struct vt_array_spec none = { VT_KIND_CHECK, 8, 0, 1 };
	struct vt_mapping mapping;
	bool shared;

	if (vt_segment_new(&mapping, 0, 0, &none, 1) < 0)
		return false;
	shared = mapping.fd >= 0;
	vt_segment_free(&mapping);
	return shared;
}

void *vt_pages_new(size_t size)
{
	int saved = errno;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	errno = saved;
	return at == MAP_FAILED ? NULL : at;
}

void vt_pages_free(void *pages, size_t size)
{
	if (pages)
		(void)munmap(pages, size);
}
