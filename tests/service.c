/* SPDX-License-Identifier: MIT */

#include "service.h"

#include "harness.h"
#include "thread.h"

#include <string.h>
#include <time.h>

void nap(void)
{
	struct timespec ms = { .tv_nsec = 200000 };

	nanosleep(&ms, NULL);
}

uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void gate_open(struct gate *gate)
{
	atomic_store(&gate->open, 1);
}

void gate_pass(struct gate *gate)
{
	while (!atomic_load(&gate->open))
		nap();
}

bool word_reaches(_Atomic uint32_t *word, uint32_t value)
{
	unsigned i;

	for (i = 0; i < 50000 && atomic_load(word) < value; i++)
		nap();
	return atomic_load(word) >= value;
}

int obeys(vitals_thread *self, void *arg)
{
	(void)arg;
	while (vitals_thread_go_on(self))
		(void)vitals_thread_sleep(self, VITALS_FOREVER);
	return 0;
}

int refuses(vitals_thread *self, void *arg)
{
	(void)self;
	gate_pass(arg);
	return 0;
}

int returns(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 0;
}

void service_make(struct service *service)
{
	ck_assert_int_eq(vitals_registry_new(0, &service->registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(service->registry, VITALS_S(1), NULL,
						 &service->main),
			 0);
}

void service_free(struct service *service)
{
	service->main = vitals_quitter_free(service->main);
	service->registry = vitals_registry_free(service->registry);
}

vitals_quitter *child_of(vitals_quitter *parent, const char *name)
{
	vitals_quitter *child = NULL;

	ck_assert_int_eq(vitals_quitter_new(parent, name, NULL, &child), 0);
	ck_assert_ptr_nonnull(child);
	return child;
}

int fork_on(vitals_quitter *quitter, const char *name, vitals_thread_fn fn, void *arg)
{
	return vitals_thread_fork(quitter, name, 0, fn, arg, NULL);
}

int send_quit(vitals_quitter *quitter)
{
	return vitals_quitter_send_quit(quitter, 0, NULL);
}

unsigned late_rows(vitals_snapshot *late, const char *path)
{
	struct vitals_thread_info info;
	unsigned i, n = 0;

	VITALS_INIT(&info);
	for (i = 0; late && vitals_snapshot_thread(late, i, &info) == 0; i++)
		n += strcmp(info.path, path) == 0;
	return n;
}

unsigned late_count(vitals_snapshot *late)
{
	struct vitals_thread_info info;
	unsigned i = 0;

	VITALS_INIT(&info);
	while (late && vitals_snapshot_thread(late, i, &info) == 0)
		i++;
	return i;
}

unsigned thread_rows(vitals_registry *registry)
{
	vitals_snapshot *all = NULL;
	unsigned n;

	ck_assert_int_eq(vitals_snapshot_take(registry, &all), 0);
	n = late_count(all);
	vitals_snapshot_free(all);
	return n;
}

bool rows_reach(vitals_registry *registry, unsigned rows)
{
	unsigned i;

	for (i = 0; i < 50000 && thread_rows(registry) > rows; i++) {
		vt_reap(registry);
		nap();
	}
	return thread_rows(registry) <= rows;
}

unsigned quitter_rows(vitals_registry *registry)
{
	struct vitals_quitter_info info;
	vitals_snapshot *all = NULL;
	unsigned n = 0;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &all), 0);
	while (vitals_snapshot_quitter(all, n, &info) == 0)
		n++;
	vitals_snapshot_free(all);
	return n;
}

bool thread_row(vitals_registry *registry, const char *name,
		struct vitals_thread_info *info)
{
	vitals_snapshot *all = NULL;
	bool found = false;
	unsigned i;

	VITALS_INIT(info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &all), 0);
	for (i = 0; !found && vitals_snapshot_thread(all, i, info) == 0; i++)
		found = strcmp(info->name, name) == 0;
	vitals_snapshot_free(all);
	return found;
}

bool quitter_row(vitals_registry *registry, const char *path,
		 struct vitals_quitter_info *info)
{
	vitals_snapshot *all = NULL;
	bool found = false;
	unsigned i;

	VITALS_INIT(info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &all), 0);
	for (i = 0; !found && vitals_snapshot_quitter(all, i, info) == 0; i++)
		found = strcmp(info->path, path) == 0;
	vitals_snapshot_free(all);
	return found;
}
