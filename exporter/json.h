/* SPDX-License-Identifier: MIT */

/*
 * JSON
 *
 * Writes objects to a buffer, one at a time: begun, filled, then printed and freed. A
 * body of a hundred thousand rows costs no more heap beside itself than one row, and
 * nothing nests, so nothing recurses. Durations are seconds as exact decimals, integers
 * are whole, 64 bits wide. Text is made printable UTF-8 first.
 */

#ifndef VX_JSON_H
#define VX_JSON_H

#include "buffer.h"

#include <stdbool.h>

struct cJSON;

struct vx_json {
	struct vx_buffer *out; /* its error is the writer's: -ENOMEM sticks */
	struct vx_buffer text;
	struct cJSON *object;
};

enum vx_kind {
	VX_TEXT, /* an array of char */
	VX_FLAG, /* a uint32_t that is 0 or not */
	VX_U32,
	VX_U64,
	VX_SECONDS, /* a uint64_t of nanoseconds */
};

/* Which member of an object comes from where in a row. */
struct vx_member {
	const char *name;
	size_t at;
	enum vx_kind kind;
};

void vx_json_free(struct vx_json *json);

void vx_json_begin(struct vx_json *json);
void vx_json_text(struct vx_json *json, const char *name, const char *text);
/* At most @room bytes of it, as they are printed. */
void vx_json_text_cut(struct vx_json *json, const char *name, const char *text,
		      size_t room);

/* What is JSON already. */
void vx_json_raw(struct vx_json *json, const char *name, const char *text);
void vx_json_flag(struct vx_json *json, const char *name, bool value);
void vx_json_u64(struct vx_json *json, const char *name, uint64_t value);
void vx_json_seconds(struct vx_json *json, const char *name, uint64_t ns);
void vx_json_null(struct vx_json *json, const char *name);
void vx_json_members(struct vx_json *json, const void *row,
		     const struct vx_member *members, size_t n);

/* The object is printed, without newline, and gone. */
void vx_json_end(struct vx_json *json);

#endif
