/* SPDX-License-Identifier: MIT */

#include "buffer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static const char pairs[] = "00010203040506070809"
			    "10111213141516171819"
			    "20212223242526272829"
			    "30313233343536373839"
			    "40414243444546474849"
			    "50515253545556575859"
			    "60616263646566676869"
			    "70717273747576777879"
			    "80818283848586878889"
			    "90919293949596979899";

/*
 * How many bytes of text are one printable character; 0 if the first is none: part of no
 * UTF-8 sequence (RFC 3629: shortest form, no surrogates), or a control character, C1
 * included, which a terminal would obey.
 */
static size_t text_character(const unsigned char *text)
{
	unsigned lead = text[0];
	unsigned low = 0x80, high = 0xbf;
	size_t n, i;

	if (lead < 0x80)
		return lead >= 0x20 && lead != 0x7f;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (lead == 0xc2 || lead == 0xe0)
		low = 0xa0; /* C1; longer than need be */
	else if (lead == 0xed)
		high = 0x9f; /* surrogates */
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (i = 2; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void text_append(struct vx_buffer *buffer, const char *text, bool quoted)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = (const unsigned char *)text;
	size_t run = 0, n;

	for (;;) {
		n = text_character(at + run);
		if (n && (!quoted || (at[run] != '"' && at[run] != '\\'))) {
			run += n;
			continue;
		}
		vx_buffer_bytes(buffer, (const char *)at, run);
		at += run;
		run = 0;
		if (*at == '\0')
			return;
		if (n) {
			char escaped[] = { '\\', (char)*at };

			vx_buffer_bytes(buffer, escaped, sizeof(escaped));
		} else {
			char hex[] = { '\\', '\\', 'x', digits[*at >> 4],
				       digits[*at & 15] };

			vx_buffer_bytes(buffer, quoted ? hex : hex + 1, quoted ? 5 : 4);
		}
		at++;
	}
}

size_t vx_number_u64(char *text, uint64_t value)
{
	char digits[VX_NUMBER_MAX];
	size_t at = sizeof(digits);

	while (value >= 100) {
		at -= 2;
		memcpy(digits + at, pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10) {
		at -= 2;
		memcpy(digits + at, pairs + 2 * value, 2);
	} else {
		digits[--at] = (char)('0' + value);
	}
	memcpy(text, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

size_t vx_number_seconds(char *text, uint64_t ns)
{
	size_t n = vx_number_u64(text, ns / 1000000000u);
	uint64_t fraction = ns % 1000000000u;
	size_t i;

	if (fraction == 0)
		return n;
	text[n++] = '.';
	for (i = 9; i-- > 0; fraction /= 10)
		text[n + i] = (char)('0' + fraction % 10);
	n += 9;
	while (text[n - 1] == '0')
		n--;
	return n;
}

void vx_buffer_empty(struct vx_buffer *buffer)
{
	buffer->length = 0;
	buffer->error = 0;
}

void vx_buffer_free(struct vx_buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

int vx_buffer_reserve(struct vx_buffer *buffer, size_t n)
{
	size_t size = buffer->size ? buffer->size : 4096;
	char *data;

	if (buffer->error)
		return buffer->error;
	if (n <= buffer->size - buffer->length)
		return 0;
	if (n > SIZE_MAX / 4 - buffer->length) {
		buffer->error = -ENOMEM;
		return buffer->error;
	}
	while (size < buffer->length + n)
		size *= 2;
	data = realloc(buffer->data, size);
	if (!data) {
		buffer->error = -ENOMEM;
		return buffer->error;
	}
	buffer->data = data;
	buffer->size = size;
	return 0;
}

void vx_buffer_bytes(struct vx_buffer *buffer, const char *data, size_t n)
{
	if (n == 0 || vx_buffer_reserve(buffer, n))
		return;
	memcpy(buffer->data + buffer->length, data, n);
	buffer->length += n;
}

void vx_buffer_u64(struct vx_buffer *buffer, uint64_t value)
{
	if (!vx_buffer_reserve(buffer, VX_NUMBER_MAX))
		buffer->length += vx_number_u64(buffer->data + buffer->length, value);
}

void vx_buffer_seconds(struct vx_buffer *buffer, uint64_t ns)
{
	if (!vx_buffer_reserve(buffer, VX_NUMBER_MAX))
		buffer->length += vx_number_seconds(buffer->data + buffer->length, ns);
}

void vx_buffer_text(struct vx_buffer *buffer, const char *text)
{
	text_append(buffer, text, false);
}

void vx_buffer_text_cut(struct vx_buffer *buffer, const char *text, size_t room)
{
	static const char more[] = "\xe2\x80\xa6";
	size_t at = buffer->length, keep = at, used = 0;

	vx_buffer_text(buffer, text);
	if (buffer->error)
		return;
	for (; at < buffer->length && used <= room; at++) {
		/* Between characters, and with room for what says that there is more. */
		if ((buffer->data[at] & 0xc0) != 0x80 && used + sizeof(more) - 1 <= room)
			keep = at;
		used += buffer->data[at] == '"' || buffer->data[at] == '\\' ? 2 : 1;
	}
	if (used <= room)
		return;
	buffer->length = keep;
	vx_buffer_bytes(buffer, more, sizeof(more) - 1);
}

void vx_buffer_label(struct vx_buffer *buffer, const char *text)
{
	vx_buffer_bytes(buffer, "\"", 1);
	text_append(buffer, text, true);
	vx_buffer_bytes(buffer, "\"", 1);
}
