/* SPDX-License-Identifier: MIT */

/*
 * News in journald's native protocol: KEY=value lines, and for a value with an end of line in it the
 * key alone, its length in eight bytes, and the value.
 */

#include "news.h"

#include <string.h>

/* So that what has happened can be searched for: journalctl MESSAGE_ID=. */
static const char *const message_ids[VT_NEWS_KINDS] = {
	[VT_NEWS_STALL] = "d88e566203b24c8ea2b2a83ed2bf09cf",
	[VT_NEWS_STILL] = "5d5b1de6689549068337beeab0bd37d6",
	[VT_NEWS_BACK] = "7c77797a8435447faa972518fdef5de0",
	[VT_NEWS_FINDING] = "6c1563cf40ca4e618d2b2ae9ea2d8fcd",
	[VT_NEWS_PAUSE] = "bd1f8cf529df45b6a7be587e6dcb630f",
	[VT_NEWS_DROPPED] = "cf660d97cbb34369a983eed0d1875188",
	[VT_NEWS_ABORT] = "442e99c3f5834f64b603272f46f58116",
};

#define VALUE_MAX 1100u

struct message {
	char *at;
	size_t length;
};

static void put(struct message *message, const void *bytes, size_t n)
{
	memcpy(message->at + message->length, bytes, n);
	message->length += n;
}

/* A field that does not fit is left out whole: half a message would be refused. */
static void put_field(struct message *message, const char *key, const char *value)
{
	size_t n = strlen(value), i;
	unsigned char length[8];

	if (message->length + strlen(key) + n + 10 > VT_NEWS_MESSAGE)
		return;
	put(message, key, strlen(key));
	if (strchr(value, '\n')) {
		for (i = 0; i < 8; i++)
			length[i] = (unsigned char)((uint64_t)n >> 8 * i);
		put(message, "\n", 1);
		put(message, length, 8);
	} else {
		put(message, "=", 1);
	}
	put(message, value, n);
	put(message, "\n", 1);
}

static void message_begin(const struct vt_news *news, struct vt_text *text)
{
	vt_news_say(news, text);
	if (news->kind == VT_NEWS_STALL || news->kind == VT_NEWS_STILL) {
		vt_text_add(text, news->threads == 1 ? " for " : ", for ");
		vt_text_add_duration(text, news->event.silence_ns);
	}
	if (news->kind == VT_NEWS_BACK || news->kind == VT_NEWS_PAUSE) {
		vt_text_add(text, news->kind == VT_NEWS_BACK ? " after " : " for ");
		vt_text_add_duration(text, news->event.lasted_ns);
	}
	if (news->kind != VT_NEWS_BACK && news->event.doing[0]) {
		vt_text_add(text,
			    news->threads == 1 || !news->n_names ? ": " : ": each ");
		vt_text_add(text, news->event.doing);
	}
}

/*
 * What people read: the sentence, too, for journalctl shows nothing else. That all are asleep is one
 * that says all.
 */
static void message_say(const struct vt_news *news, struct vt_text *text)
{
	if (news->kind == VT_NEWS_FINDING && news->event.kind == VITALS_EVENT_ASLEEP &&
	    news->event.doing[0])
		vt_text_add(text, news->event.doing);
	else
		message_begin(news, text);
	if (news->suppressed) {
		vt_text_add(text, " (");
		vt_text_add_u64(text, news->suppressed);
		vt_text_add(text, " suppressed)");
	}
}

static void put_number(struct message *message, const char *key, uint64_t number)
{
	char value[24];
	struct vt_text text;

	vt_text_init(&text, value, sizeof(value));
	vt_text_add_u64(&text, number);
	put_field(message, key, value);
}

size_t vt_news_journal(const struct vt_news *news, char *buffer)
{
	struct message message = { buffer, 0 };
	char value[VALUE_MAX];
	struct vt_text text;
	unsigned i;

	vt_text_init(&text, value, sizeof(value));
	message_say(news, &text);
	put_field(&message, "MESSAGE", value);
	put_number(&message, "PRIORITY", vt_news_priority(news));
	if (message_ids[news->kind])
		put_field(&message, "MESSAGE_ID", message_ids[news->kind]);
	for (i = 0; i < vt_news_n_fields; i++) {
		vt_text_init(&text, value, sizeof(value));
		if (vt_news_fields[i].write(news, true, &text))
			put_field(&message, vt_news_fields[i].field, value);
	}
	put_number(&message, "VITALS_SUPPRESSED", news->suppressed);
	return message.length;
}
