/* SPDX-License-Identifier: MIT */

#include "buffer.h"
#include "harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct vx_buffer buffer;

static void teardown(void)
{
	vx_buffer_free(&buffer);
}

static const char *text(void)
{
	vx_buffer_bytes(&buffer, "", 1);
	ck_assert_int_eq(buffer.error, 0);
	return buffer.data;
}

static const struct {
	uint64_t ns;
	const char *seconds;
} seconds[] = {
	{ 0, "0" },
	{ 1, "0.000000001" },
	{ 10, "0.00000001" },
	{ 999999999, "0.999999999" },
	{ 1000000000, "1" },
	{ 1500000000, "1.5" },
	{ 1000000001, "1.000000001" },
	{ 1766000000123456789u, "1766000000.123456789" },
	{ UINT64_MAX, "18446744073.709551615" },
};

START_TEST(writes_seconds_exactly)
{
	vx_buffer_seconds(&buffer, seconds[_i].ns);
	ck_assert_str_eq(text(), seconds[_i].seconds);
}
END_TEST

static const uint64_t integers[] = {
	0,          9,           10,          99,
	100,        101,         999,         1000,
	65535,      4294967295u, 4294967296u, 9007199254740993u,
	1 << 30,    9999999999,  10000000000, UINT64_MAX - 1,
	UINT64_MAX,
};

START_TEST(writes_integers_exactly)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "%" PRIu64, integers[_i]);
	vx_buffer_u64(&buffer, integers[_i]);
	ck_assert_str_eq(text(), expected);
}
END_TEST

static const struct {
	const char *from;
	const char *shown;
	const char *label;
} texts[] = {
	{ "", "", "\"\"" },
	{ "worker#2", "worker#2", "\"worker#2\"" },
	{ "a\"b\\c", "a\"b\\c", "\"a\\\"b\\\\c\"" },
	{ "a\nb\tc", "a\\x0ab\\x09c", "\"a\\\\x0ab\\\\x09c\"" },
	{ "\x1b[31m\x7f", "\\x1b[31m\\x7f", "\"\\\\x1b[31m\\\\x7f\"" },
	/* two, three and four bytes, and the first and last of each */
	{ "\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf", "\"\xc2\xa0\xdf\xbf\"" },
	{ "\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf",
	  "\"\xe0\xa0\x80\xef\xbf\xbf\"" },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	  "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
	/* C1 controls, which a terminal obeys */
	{ "\xc2\x9b", "\\xc2\\x9b", "\"\\\\xc2\\\\x9b\"" },
	/* longer than need be, a surrogate, past the last, a lone continuation, cut off
	 */
	{ "\xc0\xaf", "\\xc0\\xaf", "\"\\\\xc0\\\\xaf\"" },
	{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", "\"\\\\xe0\\\\x9f\\\\xbf\"" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\"\\\\xed\\\\xa0\\\\x80\"" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
	  "\"\\\\xf4\\\\x90\\\\x80\\\\x80\"" },
	{ "\x80", "\\x80", "\"\\\\x80\"" },
	{ "a\xe2\x82", "a\\xe2\\x82", "\"a\\\\xe2\\\\x82\"" },
};

START_TEST(makes_text_printable)
{
	vx_buffer_text(&buffer, texts[_i].from);
	ck_assert_str_eq(text(), texts[_i].shown);
}
END_TEST

START_TEST(makes_labels_of_any_text)
{
	vx_buffer_label(&buffer, texts[_i].from);
	ck_assert_str_eq(text(), texts[_i].label);
}
END_TEST

static const struct {
	const char *text;
	size_t room;
	const char *cut;
} cuts[] = {
	{ "waits", SIZE_MAX, "waits" },
	{ "waits", 5, "waits" },
	{ "waits", 4, "w\u2026" },
	{ "waits", 3, "\u2026" },
	{ "", 0, "" },
	{ "\u00e4\u00f6\u00fc\u00df", 8, "\u00e4\u00f6\u00fc\u00df" },
	{ "\u00e4\u00f6\u00fc\u00df", 7, "\u00e4\u00f6\u2026" },
	{ "\u00e4\u00f6\u00fc\u00df", 6, "\u00e4\u2026" },
	/* Twice as long in JSON. */
	{ "\"\"\"\"", 8, "\"\"\"\"" },
	{ "\"\"\"\"", 7, "\"\"\u2026" },
	{ "\"\"\"\"", 6, "\"\u2026" },
};

START_TEST(cuts_text_between_characters)
{
	vx_buffer_string(&buffer, "x");
	vx_buffer_text_cut(&buffer, cuts[_i].text, cuts[_i].room);
	ck_assert_str_eq(text() + 1, cuts[_i].cut);
}
END_TEST

START_TEST(keeps_its_room)
{
	char *data;
	size_t size;
	int i;

	for (i = 0; i < 10000; i++)
		vx_buffer_string(&buffer, "0123456789");
	ck_assert_uint_eq(buffer.length, 100000);
	data = buffer.data;
	size = buffer.size;
	vx_buffer_empty(&buffer);
	for (i = 0; i < 10000; i++)
		vx_buffer_string(&buffer, "0123456789");
	ck_assert_ptr_eq(buffer.data, data);
	ck_assert_uint_eq(buffer.size, size);
}
END_TEST

START_TEST(remembers_its_first_failure)
{
	vx_buffer_string(&buffer, "whole");
	ck_assert_int_eq(vx_buffer_reserve(&buffer, SIZE_MAX / 2), -ENOMEM);
	vx_buffer_string(&buffer, " or not at all");
	vx_buffer_u64(&buffer, 1);
	vx_buffer_seconds(&buffer, 1);
	vx_buffer_label(&buffer, "x");
	ck_assert_int_eq(buffer.error, -ENOMEM);
	ck_assert_uint_eq(buffer.length, strlen("whole"));
	vx_buffer_empty(&buffer);
	vx_buffer_string(&buffer, "again");
	ck_assert_str_eq(text(), "again");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buffer");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, writes_seconds_exactly, 0,
			    sizeof(seconds) / sizeof(seconds[0]));
	tcase_add_loop_test(tc, writes_integers_exactly, 0,
			    sizeof(integers) / sizeof(integers[0]));
	tcase_add_loop_test(tc, makes_text_printable, 0,
			    sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tc, makes_labels_of_any_text, 0,
			    sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tc, cuts_text_between_characters, 0,
			    sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(tc, keeps_its_room);
	tcase_add_test(tc, remembers_its_first_failure);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
