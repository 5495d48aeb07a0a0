/* SPDX-License-Identifier: MIT */

#include "news.h"

#include <string.h>

/* The longest value: a sentence of which every byte is quoted still fits a line. */
#define VALUE_MAX 1100u

unsigned vt_news_priority(const struct vt_news *news)
{
	if (news->bad)
		return 3;
	return news->kind == VT_NEWS_BACK ? 6 : 4;
}

static void add_names(const struct vt_news *news, struct vt_text *text)
{
	uint32_t i;

	for (i = 0; i < news->n_names; i++) {
		vt_text_add(text, i == 0 ? ": "
				  : i + 1 == news->n_names && i + 1 == news->threads
					  ? " and "
					  : ", ");
		vt_text_add(text, news->names[i]);
	}
	if (news->threads > news->n_names) {
		vt_text_add(text, " and ");
		vt_text_add_u64(text, news->threads - news->n_names);
		vt_text_add(text, " more");
	}
}

static void say_threads(const struct vt_news *news, struct vt_text *text)
{
	bool one = news->threads == 1;

	if (one) {
		vt_text_add(text, news->names[0]);
	} else {
		vt_text_add_u64(text, news->threads);
		vt_text_add(text, " threads");
	}
	if (news->kind == VT_NEWS_BACK) {
		vt_text_add(text, one ? " has recovered" : " have recovered");
	} else {
		vt_text_add(text, one ? " is " : " are ");
		vt_text_add(text, news->kind == VT_NEWS_STILL ? "still " : "");
		vt_text_add(text, vitals_state_name(news->event.to));
	}
	if (!one)
		add_names(news, text);
}

void vt_news_say(const struct vt_news *news, struct vt_text *text)
{
	switch (news->kind) {
	case VT_NEWS_PAUSE:
		vt_text_add(text, "the process did not run");
		return;
	case VT_NEWS_DROPPED:
		vt_text_add(text, "reports were suppressed");
		return;
	case VT_NEWS_ABORT:
		vt_text_add(text, "the process is aborted");
		return;
	case VT_NEWS_FINDING:
		if (news->event.kind == VITALS_EVENT_ASLEEP)
			vt_text_add(text, "all threads are asleep");
		else
			vt_text_add(text, "threads wait for each other in a circle");
		return;
	default:
		say_threads(news, text);
		return;
	}
}

static bool of_heartbeats(const struct vt_news *news)
{
	return news->kind <= VT_NEWS_BACK;
}

static bool add_string(const char *string, struct vt_text *text)
{
	vt_text_add(text, string);
	return string[0];
}

static bool add_number(uint64_t number, struct vt_text *text)
{
	vt_text_add_u64(text, number);
	return number;
}

/* People read "1.2s", programs read microseconds. */
static bool add_time(uint64_t ns, bool journal, struct vt_text *text)
{
	if (journal)
		vt_text_add_u64(text, ns / VITALS_US(1));
	else
		vt_text_add_duration(text, ns);
	return ns;
}

static bool write_heartbeat(const struct vt_news *news, bool journal,
			    struct vt_text *text)
{
	(void)journal;
	return of_heartbeats(news) && news->threads == 1 &&
	       add_string(news->names[0], text);
}

static bool write_threads(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return (news->threads > 1 || news->kind == VT_NEWS_FINDING) &&
	       add_number(news->threads, text);
}

static bool write_group(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return news->threads == 1 && strcmp(news->event.group, "default") != 0 &&
	       add_string(news->event.group, text);
}

static bool write_state(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return of_heartbeats(news) && add_string(vitals_state_name(news->event.to), text);
}

static bool write_scope(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return news->threads == 1 && add_string(news->event.scope, text);
}

static bool write_silence(const struct vt_news *news, bool journal, struct vt_text *text)
{
	return of_heartbeats(news) && add_time(news->event.silence_ns, journal, text);
}

static bool write_timeout(const struct vt_news *news, bool journal, struct vt_text *text)
{
	return of_heartbeats(news) && add_time(news->timeout_ns, journal, text);
}

static bool write_lasted(const struct vt_news *news, bool journal, struct vt_text *text)
{
	return (news->kind == VT_NEWS_BACK || news->kind == VT_NEWS_PAUSE) &&
	       add_time(news->event.lasted_ns, journal, text);
}

static bool write_class(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return news->kind <= VT_NEWS_STILL && news->event.thread_class &&
	       add_string(vitals_class_name((int)news->event.thread_class), text);
}

static bool write_doing(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return news->kind != VT_NEWS_BACK && add_string(news->event.doing, text);
}

static bool write_tid(const struct vt_news *news, bool journal, struct vt_text *text)
{
	(void)journal;
	return of_heartbeats(news) && news->threads == 1 &&
	       add_number(news->event.tid, text);
}

const struct vt_news_field vt_news_fields[] = {
	{ "heartbeat", "VITALS_HEARTBEAT", write_heartbeat },
	{ "threads", "VITALS_THREADS", write_threads },
	{ "group", "VITALS_GROUP", write_group },
	{ "state", "VITALS_STATE", write_state },
	{ "scope", "VITALS_SCOPE", write_scope },
	{ "silence", "VITALS_SILENCE_USEC", write_silence },
	{ "timeout", "VITALS_TIMEOUT_USEC", write_timeout },
	{ "lasted", "VITALS_LASTED_USEC", write_lasted },
	{ "class", "VITALS_CLASS", write_class },
	{ "doing", "VITALS_DOING", write_doing },
	{ "tid", "VITALS_TID", write_tid },
};
const unsigned vt_news_n_fields = sizeof(vt_news_fields) / sizeof(vt_news_fields[0]);

/* A value that needs no quotes. */
static bool plain(const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '=' || *s == '\\')
			return false;
	return value[0];
}

/* What is no good UTF-8, or a control character, comes out as '?'. */
static void add_quoted(const char *value, struct vt_text *text)
{
	size_t end = text->length + VALUE_MAX, n;
	char bytes[5] = { 0 };

	vt_text_add(text, "\"");
	for (; *value; value += n) {
		n = vt_text_utf8(value);
		memcpy(bytes, n ? value : "?", n ? n : 1);
		bytes[n ? n : 1] = 0;
		n = n ? n : 1;
		if (text->length + 8 > end) {
			vt_text_add(text, "...");
			break;
		}
		if (bytes[0] == '"' || bytes[0] == '\\')
			vt_text_add(text, "\\");
		vt_text_add(text, bytes);
	}
	vt_text_add(text, "\"");
}

static void add_pair(const char *name, const char *value, struct vt_text *text)
{
	vt_text_add(text, text->length ? " " : "");
	vt_text_add(text, name);
	vt_text_add(text, "=");
	if (plain(value) && strlen(value) < VALUE_MAX)
		vt_text_add(text, value);
	else
		add_quoted(value, text);
}

static void add_digits(struct vt_text *text, uint64_t value, uint64_t least,
		       const char *behind)
{
	for (; least > 1 && value < least; least /= 10)
		vt_text_add(text, "0");
	vt_text_add_u64(text, value);
	vt_text_add(text, behind);
}

/* "2026-11-22T11:16:32.123Z". Not by the C library, which takes a lock for the time zone. */
static void add_moment(uint64_t real_ns, struct vt_text *text)
{
	uint64_t ms = real_ns / VITALS_MS(1), s = ms / 1000;
	/* Days since 1 March of the year 0; 400 years have 146097, four 1461. */
	uint64_t days = s / 86400 + 719468, of_era = days % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t day = of_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * day + 2) / 153;

	day = day - (153 * month + 2) / 5 + 1;
	year += days / 146097 * 400 + (month >= 10);
	vt_text_add(text, "time=");
	add_digits(text, year, 1000, "-");
	add_digits(text, month < 10 ? month + 3 : month - 9, 10, "-");
	add_digits(text, day, 10, "T");
	add_digits(text, s / 3600 % 24, 10, ":");
	add_digits(text, s / 60 % 60, 10, ":");
	add_digits(text, s % 60, 10, ".");
	add_digits(text, ms % 1000, 100, "Z");
}

static const char *level(const struct vt_news *news)
{
	unsigned priority = vt_news_priority(news);

	return priority == 3 ? "error" : priority == 4 ? "warning" : "info";
}

void vt_news_line(const struct vt_news *news, uint64_t real_ns, struct vt_text *text)
{
	char value[VALUE_MAX];
	struct vt_text written;
	unsigned i;

	add_moment(real_ns, text);
	add_pair("level", level(news), text);
	vt_text_init(&written, value, sizeof(value));
	vt_news_say(news, &written);
	add_pair("msg", value, text);
	for (i = 0; i < vt_news_n_fields; i++) {
		vt_text_init(&written, value, sizeof(value));
		if (vt_news_fields[i].write(news, false, &written))
			add_pair(vt_news_fields[i].name, value, text);
	}
	vt_text_init(&written, value, sizeof(value));
	vt_text_add_u64(&written, news->suppressed);
	add_pair("suppressed", value, text);
}
