/* SPDX-License-Identifier: MIT */

#include "json.h"

#include <cjson/cJSON.h>
#include <errno.h>

/* More than any object prints to: three paths at eight bytes a byte, and its numbers. */
#define OBJECT_MAX 16384

static void item_check(struct vx_json *json, const cJSON *item)
{
	if (!item)
		json->out->error = -ENOMEM;
}

void vx_json_free(struct vx_json *json)
{
	vx_buffer_free(&json->text);
	cJSON_Delete(json->object);
	json->object = NULL;
}

void vx_json_begin(struct vx_json *json)
{
	json->object = cJSON_CreateObject();
	item_check(json, json->object);
}

void vx_json_text(struct vx_json *json, const char *name, const char *text)
{
	vx_json_text_cut(json, name, text, SIZE_MAX);
}

void vx_json_text_cut(struct vx_json *json, const char *name, const char *text,
		      size_t room)
{
	vx_buffer_empty(&json->text);
	vx_buffer_text_cut(&json->text, text, room);
	vx_buffer_bytes(&json->text, "", 1);
	if (json->text.error)
		json->out->error = json->text.error;
	else
		item_check(json,
			   cJSON_AddStringToObject(json->object, name, json->text.data));
}

void vx_json_raw(struct vx_json *json, const char *name, const char *text)
{
	item_check(json, cJSON_AddRawToObject(json->object, name, text));
}

void vx_json_flag(struct vx_json *json, const char *name, bool value)
{
	item_check(json, cJSON_AddBoolToObject(json->object, name, value));
}

/* Numbers are raw, because cJSON's own are doubles, printed with 15 digits. */
void vx_json_u64(struct vx_json *json, const char *name, uint64_t value)
{
	char text[VX_NUMBER_MAX + 1];

	text[vx_number_u64(text, value)] = '\0';
	item_check(json, cJSON_AddRawToObject(json->object, name, text));
}

void vx_json_seconds(struct vx_json *json, const char *name, uint64_t ns)
{
	char text[VX_NUMBER_MAX + 1];

	text[vx_number_seconds(text, ns)] = '\0';
	item_check(json, cJSON_AddRawToObject(json->object, name, text));
}

void vx_json_null(struct vx_json *json, const char *name)
{
	item_check(json, cJSON_AddNullToObject(json->object, name));
}

void vx_json_members(struct vx_json *json, const void *row,
		     const struct vx_member *members, size_t n)
{
	const struct vx_member *member;
	uint64_t large = 0;
	uint32_t small = 0;

	for (member = members; member < members + n; member++) {
		const char *at = (const char *)row + member->at;

		if (member->kind == VX_U32 || member->kind == VX_FLAG)
			memcpy(&small, at, sizeof(small));
		else if (member->kind != VX_TEXT)
			memcpy(&large, at, sizeof(large));
		if (member->kind == VX_TEXT)
			vx_json_text(json, member->name, at);
		else if (member->kind == VX_FLAG)
			vx_json_flag(json, member->name, small != 0);
		else if (member->kind == VX_U32)
			vx_json_u64(json, member->name, small);
		else if (member->kind == VX_U64)
			vx_json_u64(json, member->name, large);
		else
			vx_json_seconds(json, member->name, large);
	}
}

void vx_json_end(struct vx_json *json)
{
	struct vx_buffer *out = json->out;

	/* An object that lacks a member is freed unprinted. */
	if (!vx_buffer_reserve(out, OBJECT_MAX)) {
		if (cJSON_PrintPreallocated(json->object, out->data + out->length,
					    OBJECT_MAX, 0))
			out->length += strlen(out->data + out->length);
		else
			out->error = -ENOMEM;
	}
	cJSON_Delete(json->object);
	json->object = NULL;
}
