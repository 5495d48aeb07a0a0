/* SPDX-License-Identifier: MIT */

/*
 * Text
 *
 * Names that come in, and lines that go out: without heap, stdio or locale, so that a report can
 * be written while another thread holds any of them.
 */

#ifndef VT_TEXT_H
#define VT_TEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 sequence at @at; 0 if it is not good, or a control character. */
size_t vt_text_utf8(const char *at);

/* 1 to 63 bytes of UTF-8 without control characters, '/' or '#'. */
bool vt_name_good(const char *name);

/* Between a C string of at most 63 bytes and the eight words it has in a slot. */
void vt_name_store(_Atomic uint64_t *words, const char *name);
void vt_name_load(const _Atomic uint64_t *words, char *name);
bool vt_name_equals(const _Atomic uint64_t *words, const char *name);

/*
 * A good name as words, of which the last has its 0. Return: how many; 0 if it is not good. Cheap
 * for short ones in ASCII.
 */
unsigned vt_name_pack(const char *name, uint64_t *words);

/* As vt_name_load(), of as many words as it has: what follows is left over from others. */
void vt_name_unpack(const _Atomic uint64_t *words, char *name);

/* Copies what of @text is good UTF-8 without control characters, at most 63 bytes. */
void vt_text_clean(char *to, const char *text);

/* A line under construction; what does not fit is counted, not written. */
struct vt_text {
	char *at;
	size_t size;
	size_t length; /* of all, also of what did not fit */
};

void vt_text_init(struct vt_text *text, char *buffer, size_t size);
void vt_text_add(struct vt_text *text, const char *string);
/* The same on one line, whatever it is: '?' for what is no good UTF-8, or a control character. */
void vt_text_add_clean(struct vt_text *text, const char *string);
void vt_text_add_u64(struct vt_text *text, uint64_t value);
/* "1.234s", "12.3ms": three digits that matter, rounded down. */
void vt_text_add_duration(struct vt_text *text, uint64_t ns);
/* Blanks up to @column, at least one. */
void vt_text_pad(struct vt_text *text, size_t column);

/* "name" or "name#2". */
void vt_text_add_shown(struct vt_text *text, const char *name, uint32_t number);

/* The same from a slot's words, at most VITALS_SHOWN_MAX bytes. */
void vt_shown_load(char *to, const _Atomic uint64_t *words, uint32_t number);

/* @path += '/' + shown name; cut in the middle to stay under @size. */
void vt_path_append(char *path, size_t size, const char *shown);

#endif
