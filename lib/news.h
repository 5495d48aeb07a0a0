/* SPDX-License-Identifier: MIT */

/*
 * News
 *
 * What a log is told, and how it is written: one line in logfmt, or a message in journald's native
 * protocol. Without heap, stdio or locale.
 */

#ifndef VT_NEWS_H
#define VT_NEWS_H

#include "text.h"
#include "vitals.h"

/* Threads that are named; the others are counted. */
#define VT_NEWS_NAMES 3
/* No line is longer, with its end: what a pipe takes whole, or not at all. */
#define VT_NEWS_LINE 4096
#define VT_NEWS_MESSAGE 4096

enum vt_news_kind {
	VT_NEWS_STALL,   /* a heartbeat, or several, turned silent, stuck or dead */
	VT_NEWS_STILL,   /* they still are */
	VT_NEWS_BACK,    /* they are no longer */
	VT_NEWS_FINDING, /* of several threads at once: the event says which */
	VT_NEWS_PAUSE,   /* the process did not run */
	VT_NEWS_DROPPED, /* how much was not told */
	VT_NEWS_ABORT, /* the process ends, or would: the event's sentence says for whom */
};
#define VT_NEWS_KINDS 7

struct vt_news {
	enum vt_news_kind kind;
	bool bad;            /* an error; else a warning, or merely good to know */
	uint32_t threads;    /* heartbeats that it is about */
	uint32_t n_names;    /* of them, so many are named here */
	uint64_t reports;    /* what was found that it tells of; 0: nothing new */
	uint64_t suppressed; /* … and was not told since the line before */
	uint64_t timeout_ns; /* of the first; 0: not known */
	char names[VT_NEWS_NAMES][VITALS_SHOWN_MAX];
	struct vitals_event event; /* the only one, or the first */
};

/* The line without its end. @real_ns: CLOCK_REALTIME. */
void vt_news_line(const struct vt_news *news, uint64_t real_ns, struct vt_text *text);

/* Return: the length of the message in @buffer, of VT_NEWS_MESSAGE bytes. */
size_t vt_news_journal(const struct vt_news *news, char *buffer);

/* "worker-2 is silent", "500 threads are silent: a, b, c and 497 more". */
void vt_news_say(const struct vt_news *news, struct vt_text *text);

/* As syslog counts: 3 an error, 4 a warning, 6 good to know. */
unsigned vt_news_priority(const struct vt_news *news);

/* "state", "silence" …: the fields that both forms have, in their order. */
struct vt_news_field {
	const char *name;  /* in logfmt */
	const char *field; /* in the journal */
	/* Writes the value. Return: whether there is one. */
	bool (*write)(const struct vt_news *news, bool journal, struct vt_text *text);
};
extern const struct vt_news_field vt_news_fields[];
extern const unsigned vt_news_n_fields;

#endif
