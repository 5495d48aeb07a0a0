/* SPDX-License-Identifier: MIT */

#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void report_open(struct report *report)
{
	memset(report, 0, sizeof(*report));
	pthread_mutex_init(&report->mutex, NULL);
	pthread_cond_init(&report->changed, NULL);
}

void report_close(struct report *report)
{
	pthread_cond_destroy(&report->changed);
	pthread_mutex_destroy(&report->mutex);
}

/* The mutex is the caller's. */
static void end_pass_locked(struct report *report)
{
	report->done = report->now;
	report->now.pass = 0;
	pthread_cond_broadcast(&report->changed);
}

void report_begin(struct report *report, unsigned long pass)
{
	pthread_mutex_lock(&report->mutex);
	if (report->now.pass)
		end_pass_locked(report);
	memset(&report->now, 0, sizeof(report->now));
	report->now.pass = pass;
	pthread_mutex_unlock(&report->mutex);
}

void report_walked(struct report *report, unsigned long expected,
		   unsigned long unreadable)
{
	pthread_mutex_lock(&report->mutex);
	report->now.walked = 1;
	report->now.expected = expected;
	report->now.unreadable += unreadable;
	if (report->now.files == expected)
		end_pass_locked(report);
	pthread_mutex_unlock(&report->mutex);
}

void report_add(struct report *report, unsigned long pass, int readable, uint64_t bytes,
		uint64_t hash)
{
	struct tally *now = &report->now;

	pthread_mutex_lock(&report->mutex);
	if (now->pass == pass) {
		now->files++;
		now->unreadable += !readable;
		now->bytes += bytes;
		now->digest += hash;
		if (now->walked && now->files == now->expected)
			end_pass_locked(report);
	}
	pthread_mutex_unlock(&report->mutex);
}

static void print_tally(const struct tally *tally)
{
	printf("pass %lu: %lu files, %" PRIu64 " bytes, digest %016" PRIx64, tally->pass,
	       tally->files, tally->bytes, tally->digest);
	if (tally->unreadable)
		printf(", %lu unreadable", tally->unreadable);
	if (tally->files < tally->expected)
		printf(", %lu not finished", tally->expected - tally->files);
	putchar('\n');
}

int report_run(vitals_thread *self, void *arg)
{
	struct report *report = arg;
	struct tally tally, last = { 0 };
	int r = 0;

	while (vitals_thread_go_on(self)) {
		pthread_mutex_lock(&report->mutex);
		while (report->done.pass == 0 && r == 0)
			r = vitals_thread_cond_wait(self, &report->changed,
						    &report->mutex, VITALS_FOREVER);
		tally = report->done;
		report->done.pass = 0;
		pthread_mutex_unlock(&report->mutex);

		if (tally.pass == 0)
			continue;
		if (last.pass == 0 || tally.digest != last.digest ||
		    tally.unreadable != last.unreadable)
			print_tally(&tally);
		last = tally;
		vitals_set_ready(NULL, "index", 1);
	}
	return 0;
}
