/* SPDX-License-Identifier: MIT */

#include "exposition.h"

#include <vitals.h>

#include <assert.h>

static_assert(VITALS_BUCKETS_COARSE == 2 * (VX_BUCKETS - 1), "every second bucket");

/*
 * 4^n seconds, exact, in the form that Go prints: Prometheus 3 rewrites le in that form
 * at ingestion, so any other would give the series another name there than in
 * Prometheus 2.
 */
static const char *const bounds[VX_BUCKETS] = {
	"9.5367431640625e-07",
	"3.814697265625e-06",
	"1.52587890625e-05",
	"6.103515625e-05",
	"0.000244140625",
	"0.0009765625",
	"0.00390625",
	"0.015625",
	"0.0625",
	"0.25",
	"1.0",
	"4.0",
	"16.0",
	"64.0",
	"256.0",
	"1024.0",
	"4096.0",
	"+Inf",
};

static const struct vx_labels no_labels = { "", 0 };

/* What follows the name, and the label that comes last; NULL: none. */
struct addition {
	const char *suffix;
	const char *label;
	const char *text;
};

static const struct addition no_addition = { "", NULL, NULL };

static char *put(char *at, const char *text, size_t n)
{
	memcpy(at, text, n);
	return at + n;
}

static char *put_string(char *at, const char *text)
{
	return put(at, text, strlen(text));
}

static char *labels_put(char *at, struct vx_labels labels, const struct addition *added)
{
	if (!labels.length && !added->label)
		return at;
	*at++ = '{';
	at = put(at, labels.text, labels.length);
	if (added->label) {
		if (labels.length)
			*at++ = ',';
		at = put_string(at, added->label);
		at = put(at, "=\"", 2);
		at = put_string(at, added->text);
		*at++ = '"';
	}
	*at++ = '}';
	return at;
}

/* There may be a million of these: room is made once a line. */
static void sample_write(struct vx_exposition *to, const char *name,
			 struct vx_labels labels, const struct addition *added,
			 enum vx_unit unit, uint64_t value)
{
	size_t most = strlen(name) + strlen(added->suffix) + labels.length +
		      VX_NUMBER_MAX + sizeof("{,=\"\"} \n");
	char *at;

	if (added->label)
		most += strlen(added->label) + strlen(added->text);
	if (vx_buffer_reserve(to->out, most))
		return;
	at = to->out->data + to->out->length;
	at = put_string(at, name);
	at = put_string(at, added->suffix);
	at = labels_put(at, labels, added);
	*at++ = ' ';
	at += unit == VX_UNIT_SECONDS ? vx_number_seconds(at, value)
				      : vx_number_u64(at, value);
	*at++ = '\n';
	to->out->length = (size_t)(at - to->out->data);
	to->series++;
}

void vx_exposition_head(struct vx_exposition *to, const struct vx_family *family)
{
	vx_buffer_string(to->out, "# HELP ");
	vx_buffer_string(to->out, family->name);
	vx_buffer_bytes(to->out, " ", 1);
	vx_buffer_string(to->out, family->help);
	vx_buffer_string(to->out, "\n# TYPE ");
	vx_buffer_string(to->out, family->name);
	vx_buffer_bytes(to->out, " ", 1);
	vx_buffer_string(to->out, family->type);
	vx_buffer_bytes(to->out, "\n", 1);
}

void vx_exposition_sample(struct vx_exposition *to, const struct vx_family *family,
			  struct vx_labels labels, uint64_t value)
{
	sample_write(to, family->name, labels, &no_addition, family->unit, value);
}

void vx_exposition_sample_with(struct vx_exposition *to, const struct vx_family *family,
			       struct vx_labels labels, const char *label,
			       const char *text, uint64_t value)
{
	const struct addition added = { "", label, text };

	sample_write(to, family->name, labels, &added, family->unit, value);
}

void vx_exposition_one(struct vx_exposition *to, const struct vx_family *family,
		       uint64_t value)
{
	vx_exposition_head(to, family);
	vx_exposition_sample(to, family, no_labels, value);
}

void vx_exposition_histogram(struct vx_exposition *to, const struct vx_family *family,
			     struct vx_labels labels, const uint64_t *counts,
			     uint64_t sum_ns)
{
	static const struct addition sum = { "_sum", NULL, NULL };
	static const struct addition count = { "_count", NULL, NULL };
	struct addition bucket = { "_bucket", "le", NULL };
	uint64_t so_far = counts[0];
	unsigned i;

	for (i = 0; i < VX_BUCKETS; i++) {
		if (i > 0)
			so_far += counts[2 * i - 1];
		if (i > 0 && i < VX_BUCKETS - 1)
			so_far += counts[2 * i];
		bucket.text = bounds[i];
		sample_write(to, family->name, labels, &bucket, VX_UNIT_NUMBER, so_far);
	}
	sample_write(to, family->name, labels, &sum, VX_UNIT_SECONDS, sum_ns);
	sample_write(to, family->name, labels, &count, VX_UNIT_NUMBER, so_far);
}
