/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
	const char *name;
	bool good;
} names[] = {
	{ "worker", true },
	{ "a b", true },
	{ "Grüße", true },
	{ "\xf0\x9f\x92\x93", true },
	{ "\"quoted\" \\ {x=\"1\"} <b>", true },
	{ NULL, false },
	{ "", false },
	{ "a/b", false },
	{ "a#2", false },
	{ "a\tb", false },
	{ "a\x7f", false },
	{ "\x1b[31m", false },
	{ "\xc2\x85", false },         /* a C1 control */
	{ "\xc0\x80", false },         /* too long a form of 0 */
	{ "\xe0\x80\xaf", false },     /* of '/' */
	{ "\xed\xa0\x80", false },     /* a surrogate */
	{ "\xf4\x90\x80\x80", false }, /* past the end */
	{ "\xe2\x82", false },         /* cut off */
	{ "\x80", false },             /* a tail alone */
	{ "\xe2\x80\xa8", false },     /* line separator */
	{ "\xe2\x80\xae"
	  "txt.exe",
	  false }, /* right-to-left override */
};

START_TEST(tells_good_names_from_bad)
{
	ck_assert_int_eq(vt_name_good(names[_i].name), names[_i].good);
}
END_TEST

static void packs(const char *name)
{
	uint64_t packed[8];
	_Atomic uint64_t words[8];
	unsigned n = vt_name_pack(name, packed), i;
	char unpacked[64];

	ck_assert_int_eq(n != 0, vt_name_good(name));
	if (!n)
		return;
	ck_assert_uint_eq(n, strlen(name) / 8 + 1);
	/* What is behind it is left over from others. */
	for (i = 0; i < 8; i++)
		atomic_store(&words[i], i < n ? packed[i] : 0x7a7a7a7a7a7a7a7a);
	vt_name_unpack(words, unpacked);
	ck_assert_str_eq(unpacked, name);
	ck_assert(vt_name_equals(words, name));
}

/* Each byte at each place of names of each length, with nothing to read behind them. */
START_TEST(packs_the_same_names_it_finds_good)
{
	size_t length, at;
	unsigned byte;
	char *name;

	for (length = 1; length < 68; length++) {
		name = malloc(length + 1);
		ck_assert_ptr_nonnull(name);
		memset(name, 'n', length);
		name[length] = 0;
		for (at = 0; at < length; at++)
			for (byte = 0; byte < 256; byte++) {
				name[at] = (char)byte;
				packs(name);
				if (at + 1 < length && byte >= 0xc0) {
					name[at + 1] = (char)0xa0;
					packs(name);
					name[at + 1] = 'n';
				}
				name[at] = 'n';
			}
		free(name);
	}
}
END_TEST

START_TEST(stores_and_loads_names_whole)
{
	_Atomic uint64_t words[8];
	char name[64], longest[64];

	memset(longest, 'x', 63);
	longest[63] = 0;
	ck_assert(vt_name_good(longest));
	vt_name_store(words, longest);
	vt_name_load(words, name);
	ck_assert_str_eq(name, longest);
	ck_assert(vt_name_equals(words, longest));
	vt_name_store(words, "a");
	vt_name_load(words, name);
	ck_assert_str_eq(name, "a");
	ck_assert(!vt_name_equals(words, longest));
}
END_TEST

START_TEST(cleans_text_of_what_could_break_a_line)
{
	char clean[64], long_text[200];

	vt_text_clean(clean, "a\nb\x1b[1m\xff\xc3\xa4");
	ck_assert_str_eq(clean, "a?b?[1m?\xc3\xa4");
	vt_text_clean(clean, NULL);
	ck_assert_str_eq(clean, "");
	/* Cut between characters, not within one. */
	memset(long_text, 'x', 62);
	memcpy(long_text + 62, "\xc3\xa4\xc3\xa4", 5);
	vt_text_clean(clean, long_text);
	ck_assert_uint_eq(strlen(clean), 62);
}
END_TEST

static const struct {
	uint64_t ns;
	const char *text;
} durations[] = {
	{ 0, "0ns" },
	{ 999, "999ns" },
	{ 1000, "1us" },
	{ 1234567, "1.234ms" },
	{ 250000000, "250ms" },
	{ 1500000000, "1.500s" },
	{ 10000000000, "10s" },
	{ 3600000000000, "3600s" },
	{ UINT64_MAX, "18446744073s" },
};

START_TEST(writes_durations)
{
	char buffer[32];
	struct vt_text text;

	vt_text_init(&text, buffer, sizeof(buffer));
	vt_text_add_duration(&text, durations[_i].ns);
	ck_assert_str_eq(buffer, durations[_i].text);
}
END_TEST

START_TEST(counts_what_does_not_fit)
{
	char buffer[8];
	struct vt_text text;

	memset(buffer, 'z', sizeof(buffer));
	vt_text_init(&text, buffer, 6);
	vt_text_add(&text, "abc");
	vt_text_add_u64(&text, 18446744073709551615u);
	ck_assert_str_eq(buffer, "abc18");
	ck_assert_uint_eq(text.length, 23);
	ck_assert_int_eq(buffer[6], 'z');
	vt_text_init(&text, NULL, 0);
	vt_text_add(&text, "abc");
	ck_assert_uint_eq(text.length, 3);
}
END_TEST

START_TEST(joins_paths_and_cuts_them_in_the_middle)
{
	char path[256] = "", shown[80];
	int i;

	vt_path_append(path, sizeof(path), "main");
	vt_path_append(path, sizeof(path), "http#2");
	ck_assert_str_eq(path, "main/http#2");
	for (i = 0; i < 100; i++) {
		(void)snprintf(shown, sizeof(shown), "a-name-of-some-length-%d", i);
		vt_path_append(path, sizeof(path), shown);
		ck_assert_uint_lt(strlen(path), sizeof(path));
		ck_assert_int_eq(strncmp(path, "main/", 5), 0);
		ck_assert_str_eq(path + strlen(path) - strlen(shown), shown);
	}
	ck_assert_ptr_nonnull(strstr(path, ".../"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, tells_good_names_from_bad, 0, COUNT(names));
	tcase_add_test(tc, packs_the_same_names_it_finds_good);
	tcase_add_test(tc, stores_and_loads_names_whole);
	tcase_add_test(tc, cleans_text_of_what_could_break_a_line);
	tcase_add_loop_test(tc, writes_durations, 0, COUNT(durations));
	tcase_add_test(tc, counts_what_does_not_fit);
	tcase_add_test(tc, joins_paths_and_cuts_them_in_the_middle);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
