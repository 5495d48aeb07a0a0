/* SPDX-License-Identifier: MIT */

/*
 * Buffer
 *
 * Bytes that grow, used again from one body to the next. Numbers are written by integer
 * code, so no locale can turn a point into a comma. The first failure sticks: appenders
 * do nothing after it, and who renders asks once, at the end.
 */

#ifndef VX_BUFFER_H
#define VX_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct vx_buffer {
	char *data;
	size_t length;
	size_t size;
	int error; /* 0 or -ENOMEM; then what is in it is not whole */
};

/* Room for the longest number: 20 digits, or 11 digits, a point and 9. */
#define VX_NUMBER_MAX 24

size_t vx_number_u64(char *text, uint64_t value);
size_t vx_number_seconds(char *text, uint64_t ns);

void vx_buffer_empty(struct vx_buffer *buffer);
void vx_buffer_free(struct vx_buffer *buffer);
int vx_buffer_reserve(struct vx_buffer *buffer, size_t n);
void vx_buffer_bytes(struct vx_buffer *buffer, const char *data, size_t n);
void vx_buffer_u64(struct vx_buffer *buffer, uint64_t value);

/* Nanoseconds as exact decimal seconds: 1, 0.25, 1766000000.000000001. */
void vx_buffer_seconds(struct vx_buffer *buffer, uint64_t ns);

/* Text for people: what is not UTF-8, and every control character, becomes \xNN. */
void vx_buffer_text(struct vx_buffer *buffer, const char *text);

/* So much of it as takes at most @room bytes in JSON, and an ellipsis where that is not all. */
void vx_buffer_text_cut(struct vx_buffer *buffer, const char *text, size_t room);

/* The same for a label's value, with its quotes: "text". */
void vx_buffer_label(struct vx_buffer *buffer, const char *text);

static inline void vx_buffer_string(struct vx_buffer *buffer, const char *text)
{
	vx_buffer_bytes(buffer, text, strlen(text));
}

#endif
