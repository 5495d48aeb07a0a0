/* SPDX-License-Identifier: MIT */

#include "text.h"

#include "layout.h"

#include <string.h>

#define NAME_BYTES (VT_NAME_WORDS * sizeof(uint64_t))
#define SHOWN_BYTES 80 /* VITALS_SHOWN_MAX */

/* Length of the UTF-8 sequence at @s, 0 if it is not good or a control character. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = s[0] < 0x80   ? 1
			: s[0] < 0xc2 ? 0
			: s[0] < 0xe0 ? 2
			: s[0] < 0xf0 ? 3
				      : 4;
	uint32_t code;
	size_t i;

	if (length == 1)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (!length || s[0] > 0xf4)
		return 0;
	code = s[0] & (0xffu >> (length + 1));
	for (i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	/* Too long a form, surrogates, past the end, and the C1 controls. */
	if (code < least[length] || (code >= 0xd800 && code < 0xe000) ||
	    code > 0x10ffff || code < 0xa0)
		return 0;
	/* Line and paragraph separators end a line; bidi controls turn a terminal's text round. */
	if ((code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
		return 0;
	return length;
}

size_t vt_text_utf8(const char *at)
{
	return utf8_length((const unsigned char *)at);
}

bool vt_name_good(const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t total = 0;

	if (!name || !*name)
		return false;
	while (*s) {
		size_t length = utf8_length(s);

		if (!length || *s == '/' || *s == '#')
			return false;
		s += length;
		total += length;
		if (total >= NAME_BYTES)
			return false;
	}
	return true;
}

void vt_text_clean(char *to, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t total = 0;

	while (s && *s) {
		size_t length = utf8_length(s);

		if (total + (length ? length : 1) >= NAME_BYTES)
			break;
		if (length)
			memcpy(to + total, s, length);
		else
			to[total] = '?';
		total += length ? length : 1;
		s += length ? length : 1;
	}
	to[total] = 0;
}

void vt_name_store(_Atomic uint64_t *words, const char *name)
{
	uint64_t copy[VT_NAME_WORDS] = { 0 };
	size_t i;

	memcpy(copy, name, strnlen(name, NAME_BYTES - 1));
	/* Release pairs with the acquire in vt_name_load(): see layout.h. */
	for (i = 0; i < VT_NAME_WORDS; i++)
		atomic_store_explicit(&words[i], copy[i], memory_order_release);
}

void vt_name_load(const _Atomic uint64_t *words, char *name)
{
	uint64_t copy[VT_NAME_WORDS];
	size_t i;

	for (i = 0; i < VT_NAME_WORDS; i++)
		copy[i] = atomic_load_explicit(&words[i], memory_order_acquire);
	memcpy(name, copy, NAME_BYTES);
	name[NAME_BYTES - 1] = 0;
}

/* Where in a word its i-th byte in memory is; its last n bytes in front, and 0 behind them. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_AT(i) (8 * (i))
#define KEEP_LAST(word, n) ((word) >> (64 - 8 * (n)))
#else
#define BYTE_AT(i) (56 - 8 * (i))
#define KEEP_LAST(word, n) ((word) << (64 - 8 * (n)))
#endif

/* Good without a look at what is around it. */
static bool byte_plain(unsigned char c)
{
	return (unsigned char)(c - 0x20) < 0x5f && c != '/' && c != '#';
}

#define BYTES(c) (0x0101010101010101u * (c))
#define ANY_0(word) (((word)-BYTES(1)) & ~(word)&BYTES(0x80))

/* As byte_plain() of eight; a 0 is none. */
static bool word_plain(uint64_t word)
{
	return !((word & BYTES(0x80)) | ((word - BYTES(0x20)) & ~word & BYTES(0x80)) |
		 ANY_0(word ^ BYTES('/')) | ANY_0(word ^ BYTES('#')) |
		 ANY_0(word ^ BYTES(0x7f)));
}

/* What is no plain ASCII, or no name. */
static unsigned name_pack_slowly(const char *name, uint64_t *words)
{
	if (!vt_name_good(name))
		return 0;
	memset(words, 0, NAME_BYTES);
	memcpy(words, name, strlen(name));
	return (unsigned)(strlen(name) / 8 + 1);
}

/* From the second word on: of a longer name, a word at a time. */
static unsigned name_pack_rest(const char *name, uint64_t *words)
{
	size_t length = 8 + strnlen(name + 8, NAME_BYTES - 8), i;
	uint64_t word;

	for (i = 1; i < length / 8; i++) {
		memcpy(&words[i], name + 8 * i, 8);
		if (!word_plain(words[i]))
			return name_pack_slowly(name, words);
	}
	if (length == NAME_BYTES)
		return 0;
	/* Its last eight bytes, of which some are in the word before: these go. */
	memcpy(&word, name + length - 8, 8);
	if (!word_plain(word))
		return name_pack_slowly(name, words);
	words[i] = length % 8 ? KEEP_LAST(word, length % 8) : 0;
	return (unsigned)i + 1;
}

unsigned vt_name_pack(const char *name, uint64_t *words)
{
	uint64_t word = 0;
	unsigned i;

	if (!name || !*name)
		return 0;
	for (i = 0; i < 8 && byte_plain((unsigned char)name[i]); i++)
		word |= (uint64_t)(unsigned char)name[i] << BYTE_AT(i);
	words[0] = word;
	if (i == 8)
		return name_pack_rest(name, words);
	return name[i] ? name_pack_slowly(name, words) : 1;
}

void vt_name_unpack(const _Atomic uint64_t *words, char *name)
{
	uint64_t copy[VT_NAME_WORDS] = { 0 }, word;
	size_t i;

	for (i = 0; i < VT_NAME_WORDS; i++) {
		word = atomic_load_explicit(&words[i], memory_order_acquire);
		copy[i] = word;
		if (ANY_0(word))
			break;
	}
	memcpy(name, copy, NAME_BYTES);
	name[NAME_BYTES - 1] = 0;
}

bool vt_name_equals(const _Atomic uint64_t *words, const char *name)
{
	char mine[NAME_BYTES];

	vt_name_load(words, mine);
	return strcmp(mine, name) == 0;
}

void vt_text_init(struct vt_text *text, char *buffer, size_t size)
{
	text->at = buffer;
	text->size = size;
	text->length = 0;
	if (size)
		buffer[0] = 0;
}

static void text_add_bytes(struct vt_text *text, const char *bytes, size_t n)
{
	size_t room = text->length < text->size ? text->size - text->length - 1 : 0;
	size_t fits = n < room ? n : room;

	if (fits) {
		memcpy(text->at + text->length, bytes, fits);
		text->at[text->length + fits] = 0;
	}
	text->length += n;
}

void vt_text_add(struct vt_text *text, const char *string)
{
	text_add_bytes(text, string, strlen(string));
}

void vt_text_add_clean(struct vt_text *text, const char *string)
{
	size_t length;

	for (; *string; string += length ? length : 1) {
		length = vt_text_utf8(string);
		text_add_bytes(text, length ? string : "?", length ? length : 1);
	}
}

void vt_text_add_u64(struct vt_text *text, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add_bytes(text, digits + i, sizeof(digits) - i);
}

void vt_text_add_duration(struct vt_text *text, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {
		{ 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" }, { 1, "ns" }
	};
	uint64_t thousandths;
	size_t i = 0;

	while (i < 3 && ns < units[i].ns)
		i++;
	vt_text_add_u64(text, ns / units[i].ns);
	thousandths = units[i].ns == 1 ? 0 : ns % units[i].ns / (units[i].ns / 1000);
	if (thousandths && ns < 1000 * units[i].ns) {
		char rest[5] = { '.', (char)('0' + thousandths / 100),
				 (char)('0' + thousandths / 10 % 10),
				 (char)('0' + thousandths % 10), 0 };

		text_add_bytes(text, rest, 4);
	}
	vt_text_add(text, units[i].name);
}

void vt_text_pad(struct vt_text *text, size_t column)
{
	do
		text_add_bytes(text, " ", 1);
	while (text->length < column);
}

void vt_text_add_shown(struct vt_text *text, const char *name, uint32_t number)
{
	vt_text_add(text, name);
	if (number > 1) {
		vt_text_add(text, "#");
		vt_text_add_u64(text, number);
	}
}

void vt_shown_load(char *to, const _Atomic uint64_t *words, uint32_t number)
{
	char name[NAME_BYTES];
	struct vt_text text;

	vt_name_load(words, name);
	vt_text_init(&text, to, SHOWN_BYTES);
	vt_text_add_shown(&text, name, number);
}

void vt_path_append(char *path, size_t size, const char *shown)
{
	static const char cut[] = "...";
	size_t old = strlen(path), more = strlen(shown);
	struct vt_text text;
	size_t keep;

	vt_text_init(&text, path + old, size - old);
	if (old + 1 + more < size) {
		if (old)
			vt_text_add(&text, "/");
		vt_text_add(&text, shown);
		return;
	}
	/* Both ends say most: the root, and what it is about. */
	keep = size - 1 - more - 1 - (sizeof(cut) - 1);
	keep = keep > old ? old : keep;
	while (keep && ((unsigned char)path[keep] & 0xc0) == 0x80)
		keep--;
	vt_text_init(&text, path + keep, size - keep);
	vt_text_add(&text, cut);
	vt_text_add(&text, "/");
	vt_text_add(&text, shown);
}
