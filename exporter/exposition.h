/* SPDX-License-Identifier: MIT */

/*
 * Exposition
 *
 * The lines of the Prometheus text format 0.0.4: a family's head, its samples, and what a
 * histogram is made of. Counts the samples as it writes them.
 */

#ifndef VX_EXPOSITION_H
#define VX_EXPOSITION_H

#include "buffer.h"

enum vx_unit {
	VX_UNIT_NUMBER,
	VX_UNIT_SECONDS, /* the value is in nanoseconds */
};

/* A metric family. Counters have their _total in the name: this is 0.0.4. */
struct vx_family {
	const char *name;
	const char *type;
	const char *help; /* without backslash and newline */
	enum vx_unit unit;
};

struct vx_exposition {
	struct vx_buffer *out;
	uint64_t series;
};

/* Labels as they stand between the braces, escaped; may be empty. */
struct vx_labels {
	const char *text;
	size_t length;
};

/* Buckets 0, 2, ... 32 of the coarse ones are 4^-10 to 4^6 seconds; the last is +Inf. */
#define VX_BUCKETS 18u

void vx_exposition_head(struct vx_exposition *to, const struct vx_family *family);

void vx_exposition_sample(struct vx_exposition *to, const struct vx_family *family,
			  struct vx_labels labels, uint64_t value);

/* One sample of a family that has one more label, such as state or le. */
void vx_exposition_sample_with(struct vx_exposition *to, const struct vx_family *family,
			       struct vx_labels labels, const char *label,
			       const char *text, uint64_t value);

/* A family of one sample without labels. */
void vx_exposition_one(struct vx_exposition *to, const struct vx_family *family,
		       uint64_t value);

/* From VITALS_BUCKETS_COARSE counts, not cumulative: they are what _count is made of. */
void vx_exposition_histogram(struct vx_exposition *to, const struct vx_family *family,
			     struct vx_labels labels, const uint64_t *counts,
			     uint64_t sum_ns);

#endif
