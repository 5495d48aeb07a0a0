/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "outside.h"

#include "clock.h"
#include "heartbeat.h"
#include "quitter.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define T VITALS_MS(200)
#define CROWD 150
#define THREADS 3

static vitals_registry *registry;
static vitals_quitter *main_quitter, *http, *pool;
static vitals_heartbeat *crowd[CROWD];
static uint64_t now;

/* All rows of a snapshot. */
#define HEARTBEATS 200
#define GROUPS 8
#define FEW 16

struct rows {
	struct vitals_process_info process;
	uint32_t n[6];
	struct vitals_heartbeat_info heartbeats[HEARTBEATS];
	int schemas[HEARTBEATS];
	uint64_t buckets[HEARTBEATS][VITALS_BUCKETS_FINE];
	uint64_t coarse[HEARTBEATS][VITALS_BUCKETS_COARSE];
	struct vitals_heartbeat_info worst[VT_WORST];
	struct vitals_group_info groups[GROUPS];
	uint64_t group_buckets[GROUPS][2][VITALS_BUCKETS_COARSE];
	struct vitals_part_info parts[FEW];
	struct vitals_quitter_info quitters[FEW];
	struct vitals_thread_info threads[FEW];
};

/* Of all kinds, in all states, over more than one segment. */
static void crowd_make(void)
{
	struct vitals_heartbeat_options options;
	char group[8];
	int i, k;

	for (i = 0; i < CROWD; i++) {
		VITALS_INIT(&options);
		options.flags = (uint32_t)i % 5;
		options.flags &= options.flags == 3 ? 0u : ~0u;
		(void)snprintf(group, sizeof(group), "g%d", i % 4);
		options.group = group;
		ck_assert_int_eq(vt_heartbeat_new_at(registry,
						     i % 3 ? "worker"
							   : "w\xc3\xa4"
							     "chter",
						     i % 7 ? T : VITALS_S(3600), &options,
						     now, &crowd[i]),
				 0);
		for (k = 0; k < i % 6; k++)
			(void)vt_heartbeat_pulse_at(
				crowd[i], now + (uint64_t)(i + 1) * 1000u * (uint64_t)k);
		if (i % 9 == 1)
			(void)vt_heartbeat_idle_at(crowd[i], now);
		if (i % 5 == 3) {
			ck_assert_int_eq(vitals_heartbeat_own(crowd[i]), 0);
			(void)vt_heartbeat_enter_at(crowd[i], "w\xc3\xa4rme",
						    VITALS_MS(i % 2 ? 100 : 0), 0, now);
			(void)vt_heartbeat_enter_at(crowd[i], "fsync", VITALS_MS(1), 0,
						    now);
			vt_heartbeat_leave_at(crowd[i], 2, now + VITALS_MS(i % 3));
		}
		if (i % 11 == 2)
			vitals_heartbeat_close(crowd[i]);
	}
}

static void crowd_free(void)
{
	int i;

	for (i = 0; i < CROWD; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
}

static int thread_run(vitals_thread *self, void *arg)
{
	(void)arg;
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	return 0;
}

/* Forking starts the monitor; it is stopped again, so that the two looks see the same. */
static void tree_make(void)
{
	struct vitals_quitter_options options;
	vitals_quitter *gone;
	int i;

	VITALS_INIT(&options);
	ck_assert_int_eq(
		vitals_quitter_new_main(registry, VITALS_S(5), NULL, &main_quitter), 0);
	ck_assert_int_eq(vitals_quitter_new(main_quitter, "http", &options, &http), 0);
	ck_assert_int_eq(vitals_quitter_new(http, "pool", &options, &pool), 0);
	ck_assert_int_eq(vitals_quitter_new(http, "gone", &options, &gone), 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(vitals_thread_fork(i ? pool : main_quitter, "worker",
						    i == 1 ? 0 : VITALS_S(3600),
						    thread_run, NULL, NULL),
				 0);
	ck_assert_int_eq(vitals_quitter_hold(pool, "request"), 0);
	ck_assert_int_eq(vitals_quitter_hold(pool, "request"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(gone, 3, "enough"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(gone, 0, NULL), 0);
	ck_assert_int_eq(vitals_set_ready(registry, "cache", 1), 0);
	ck_assert_int_eq(vitals_set_ready(registry,
					  "d\xc3\xbc"
					  "rr",
					  0),
			 0);
	(void)gone;
}

static uint32_t running_threads(void)
{
	struct vitals_thread_info info;
	vitals_snapshot *snapshot = NULL;
	uint32_t i, n = 0;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	for (i = 0; vitals_snapshot_thread(snapshot, i, &info) == 0; i++)
		n += info.state == VITALS_THREAD_RUNNING && info.tid;
	snapshot = vitals_snapshot_free(snapshot);
	return n;
}

/* Until every thread of the tree waits, nothing holds still. */
static void settle(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	uint32_t i, idle;

	do {
		(void)nanosleep(&moment, NULL);
		idle = 0;
		VITALS_INIT(&info);
		ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
		for (i = 0; vitals_snapshot_heartbeat(snapshot, i, &info) == 0; i++)
			idle += info.thread_id && info.state == VITALS_IDLE;
	} while (running_threads() < THREADS || idle < THREADS - 1);
	snapshot = vitals_snapshot_free(snapshot);
	ck_assert_int_eq(vitals_stop(registry), 0);
}

/* What grows once the monitor has been stopped is in no file. */
static void grow(void)
{
	int i;

	now = vt_clock_now();
	crowd_make();
	for (i = 0; i < CROWD; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
}

static void setup(void)
{
	uint64_t until;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	grow();
	tree_make();
	settle();
	now = vt_clock_now();
	crowd_make();
	/* Some are silent by then, some stuck. */
	for (until = now + 5 * T; now < until; now += VITALS_MS(20))
		ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(crowd[5], now), 0);
}

static void teardown(void)
{
	crowd_free();
	ck_assert_int_eq(vitals_quitter_release(pool, "request"), 0);
	ck_assert_int_eq(vitals_quitter_release(pool, "request"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(main_quitter, 0, "test"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(main_quitter, VITALS_S(20), NULL), 0);
	pool = vitals_quitter_free(pool);
	http = vitals_quitter_free(http);
	main_quitter = vitals_quitter_free(main_quitter);
	registry = vitals_registry_free(registry);
}

#define ROWS(which, verb, array, room)                                                   \
	for (i = 0; i < (room); i++) {                                                   \
		VITALS_INIT(&rows->array[i]);                                            \
		if (vitals_snapshot_##verb(snapshot, i, &rows->array[i]) < 0)            \
			break;                                                           \
		rows->n[which]++;                                                        \
	}

/* Child-safe, as all that the other process does. */
static void rows_take(const struct vt_view *view, vitals_registry *from,
		      struct rows *rows)
{
	vitals_snapshot *snapshot = NULL;
	uint32_t i, k;

	memset(rows, 0, sizeof(*rows));
	child_check(vt_snapshot_take_at(view, from, now, &snapshot) == 0);
	VITALS_INIT(&rows->process);
	child_check(vitals_snapshot_process(snapshot, &rows->process) == 0);
	rows->process.to_ns = 0;
	ROWS(0, heartbeat, heartbeats, HEARTBEATS)
	ROWS(1, worst, worst, VT_WORST)
	ROWS(2, group, groups, GROUPS)
	ROWS(3, part, parts, FEW)
	ROWS(4, quitter, quitters, FEW)
	ROWS(5, thread, threads, FEW)
	for (i = 0; i < rows->n[0]; i++) {
		rows->schemas[i] = vitals_snapshot_buckets(snapshot, i, rows->buckets[i],
							   VITALS_BUCKETS_FINE);
		(void)vitals_snapshot_buckets(snapshot, i, rows->coarse[i],
					      VITALS_BUCKETS_COARSE);
	}
	for (i = 0; i < rows->n[2]; i++)
		for (k = 0; k < 2; k++)
			child_check(vitals_snapshot_group_buckets(
					    snapshot, i, k, rows->group_buckets[i][k]) ==
				    0);
	snapshot = vitals_snapshot_free(snapshot);
}

static void rows_from_outside(void *arg)
{
	static struct vt_view view;

	child_check(outside_map((int)getppid(), registry->id, &view) > 1);
	rows_take(&view, NULL, arg);
}

/* Which of them, so that a difference says where it is. */
static void rows_expect(const struct rows *inside, const struct rows *outside)
{
	uint32_t i;

	ck_assert_mem_eq(&inside->process, &outside->process, sizeof(inside->process));
	ck_assert_mem_eq(inside->n, outside->n, sizeof(inside->n));
	for (i = 0; i < inside->n[0]; i++)
		ck_assert_mem_eq(&inside->heartbeats[i], &outside->heartbeats[i],
				 sizeof(inside->heartbeats[i]));
	for (i = 0; i < inside->n[4]; i++)
		ck_assert_mem_eq(&inside->quitters[i], &outside->quitters[i],
				 sizeof(inside->quitters[i]));
	for (i = 0; i < inside->n[5]; i++)
		ck_assert_mem_eq(&inside->threads[i], &outside->threads[i],
				 sizeof(inside->threads[i]));
	ck_assert_mem_eq(inside, outside, sizeof(*inside));
}

START_TEST(another_process_sees_the_same_rows_byte_for_byte)
{
	struct rows *inside = malloc(sizeof(*inside));
	struct rows *outside = mmap(NULL, sizeof(*outside), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(inside && outside != MAP_FAILED);
	rows_take(&registry->view, registry, inside);
	/* That there is something to compare. */
	ck_assert_uint_eq(inside->n[0], CROWD - CROWD / 11 - 1 + THREADS - 1);
	ck_assert_uint_gt(inside->n[1], 10);
	ck_assert_uint_eq(inside->n[2], 5);
	ck_assert_uint_eq(inside->n[3], 2);
	ck_assert_uint_ge(inside->n[4], 3);
	ck_assert_uint_eq(inside->n[5], THREADS + 1);
	child_run(rows_from_outside, outside);
	rows_expect(inside, outside);
	munmap(outside, sizeof(*outside));
	free(inside);
}
END_TEST

/* A private copy of the first segment: what a hostile process would show. */
static struct vt_segment *copy;
static size_t copy_size;

static void copy_make(void)
{
	const _Atomic uint64_t *from;
	uint64_t *to;
	size_t i;

	copy_size = registry->segments[0].size;
	if (!copy)
		copy = vt_pages_new(copy_size);
	ck_assert_ptr_nonnull(copy);
	/* Word by word, as a reader does: threads that wait have just written theirs. */
	from = (const _Atomic uint64_t *)(const void *)registry->segments[0].segment;
	for (i = 0, to = (uint64_t *)(void *)copy; i < copy_size / 8; i++)
		to[i] = atomic_load_explicit(&from[i], memory_order_acquire);
}

static void copy_free(void)
{
	vt_pages_free(copy, copy_size);
	copy = NULL;
}

static struct vt_array *array_of(enum vt_kind kind)
{
	uint32_t i = 0;

	while (copy->arrays[i].kind != (uint32_t)kind)
		i++;
	return &copy->arrays[i];
}

static void lie_magic(void)
{
	copy->magic ^= 1;
}
static void lie_version(void)
{
	copy->version++;
}
static void lie_version_0(void)
{
	copy->version = 0;
}
static void lie_size(void)
{
	copy->size = copy_size + 1;
}
static void lie_size_most(void)
{
	copy->size = UINT64_MAX;
}
static void lie_arrays(void)
{
	copy->n_arrays = VT_KINDS + 1;
}
static void lie_arrays_most(void)
{
	copy->n_arrays = UINT32_MAX;
}
static void lie_kind(void)
{
	array_of(VT_KIND_HOT)->kind = VT_KINDS;
}
static void lie_kind_most(void)
{
	array_of(VT_KIND_HOT)->kind = UINT32_MAX;
}
static void lie_stride_0(void)
{
	array_of(VT_KIND_HOT)->stride = 0;
}
static void lie_stride_short(void)
{
	array_of(VT_KIND_FINE)->stride -= 64;
}
static void lie_stride_odd(void)
{
	array_of(VT_KIND_COLD)->stride += 4;
}
static void lie_stride_loose(void)
{
	array_of(VT_KIND_HOT)->stride += 8;
}
static void lie_stride_long(void)
{
	array_of(VT_KIND_FINE)->stride = 0x80000000u;
}
static void lie_offset(void)
{
	array_of(VT_KIND_HOT)->offset = copy_size + 128;
}
static void lie_offset_most(void)
{
	array_of(VT_KIND_HOT)->offset = UINT64_MAX - 127;
}
static void lie_offset_last(void)
{
	array_of(VT_KIND_HOT)->offset = copy_size - 128;
}
static void lie_offset_loose(void)
{
	array_of(VT_KIND_HOT)->offset -= 8;
}
static void lie_count_0(void)
{
	array_of(VT_KIND_HOT)->count = 0;
}
static void lie_count(void)
{
	array_of(VT_KIND_SCOPES)->count += 500;
}
static void lie_count_most(void)
{
	array_of(VT_KIND_HOT)->count = UINT32_MAX;
}
static void lie_first(void)
{
	array_of(VT_KIND_HOT)->first = 1;
}
static void lie_first_most(void)
{
	array_of(VT_KIND_HOT)->first = UINT32_MAX;
}
static void lie_twice(void)
{
	*array_of(VT_KIND_FINE) = *array_of(VT_KIND_COARSE);
}
static void lie_two_roots(void)
{
	array_of(VT_KIND_PART)->kind = VT_KIND_ROOT;
}
static void lie_roots(void)
{
	array_of(VT_KIND_ROOT)->count = 2;
}
static void lie_short(void)
{
	copy_size = sizeof(struct vt_segment) - 1;
}
static void lie_empty(void)
{
	copy_size = 0;
}
static void lie_cut(void)
{
	copy_size -= 4096;
}

static void (*const lies[])(void) = {
	lie_magic,        lie_version,      lie_version_0,    lie_size,
	lie_size_most,    lie_arrays,       lie_arrays_most,  lie_kind,
	lie_kind_most,    lie_stride_0,     lie_stride_short, lie_stride_odd,
	lie_stride_loose, lie_stride_long,  lie_offset,       lie_offset_most,
	lie_offset_last,  lie_offset_loose, lie_count_0,      lie_count,
	lie_count_most,   lie_first,        lie_first_most,   lie_twice,
	lie_two_roots,    lie_roots,        lie_short,        lie_empty,
	lie_cut,
};

START_TEST(a_segment_that_lies_about_itself_is_refused_whole)
{
	static struct vt_view view, untouched;
	size_t size;

	copy_make();
	size = copy_size;
	lies[_i]();
	ck_assert_int_eq(vt_view_add(&view, copy, copy_size), -EINVAL);
	ck_assert_mem_eq(&view, &untouched, sizeof(view));
	copy_size = size;
	copy_free();
}
END_TEST

START_TEST(a_segment_is_not_added_twice_nor_out_of_order)
{
	static struct vt_view view;

	copy_make();
	ck_assert_int_eq(vt_view_add(&view, registry->segments[1].segment,
				     registry->segments[1].size),
			 -EINVAL);
	ck_assert_int_eq(vt_view_add(&view, copy, copy_size), 0);
	ck_assert_int_eq(vt_view_add(&view, copy, copy_size), -EINVAL);
	copy_free();
}
END_TEST

/* xorshift64*: the same numbers everywhere. */
static uint64_t seed;

static uint64_t random_next(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717u;
}

static uint64_t random_word(void)
{
	static const uint64_t edges[] = { 0,
					  1,
					  2,
					  3,
					  64,
					  0x7fffffffu,
					  0x80000000u,
					  0xffffffffu,
					  0x100000001u,
					  0x8000000080000000u,
					  0x7fffffffffffffffu,
					  0x8000000000000000u,
					  UINT64_MAX };
	uint64_t kind = random_next() % 4;

	if (kind == 0)
		return random_next();
	if (kind == 1)
		return edges[random_next() % (uint64_t)COUNT(edges)];
	/* Two halves, small: indices that lead somewhere. */
	return random_next() % 70 << 32 | random_next() % 70;
}

/* Some words, a slot array, or all of it but the head. */
static void copy_spoil(void)
{
	uint64_t *words = (uint64_t *)(void *)copy, n = copy_size / 8, from = 512, to = n,
		 times;
	const struct vt_array *array;

	switch (random_next() % 3) {
	case 0:
		for (times = 1 + random_next() % 2000; times; times--)
			words[from + random_next() % (n - from)] = random_word();
		return;
	case 1:
		array = &copy->arrays[random_next() % copy->n_arrays];
		from = array->offset / 8;
		to = from + (uint64_t)array->stride * array->count / 8;
		break;
	default:
		break;
	}
	for (; from < to; from++)
		words[from] = random_word();
}

static void text_expect(const char *text, size_t room)
{
	ck_assert_msg(memchr(text, 0, room) != NULL, "a text without an end, seed above");
}

#define EACH(verb, type, most)                                                           \
	VITALS_INIT(&type);                                                              \
	for (i = 0; vitals_snapshot_##verb(snapshot, i, &type) == 0; i++) {              \
		ck_assert_uint_lt(i, (most));                                            \
		text_expect(type.name, sizeof(type.name));

/* Whatever the bytes are: an end, texts that end, numbers that callers may index by. */
static void rows_expect_sane(const struct vt_view *view, int null)
{
	struct vitals_heartbeat_info heartbeat;
	struct vitals_group_info group;
	struct vitals_quitter_info quitter;
	struct vitals_thread_info thread;
	struct vitals_part_info part;
	struct vitals_scope_info scope;
	struct vitals_process_info process;
	uint64_t counts[VITALS_BUCKETS_FINE];
	vitals_snapshot *snapshot = NULL;
	uint32_t i;

	ck_assert_int_eq(vt_snapshot_take_at(view, NULL, random_word(), &snapshot), 0);
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &process), 0);
	ck_assert_uint_le(process.health, VITALS_FAIL);
	EACH(heartbeat, heartbeat, 64)
	ck_assert_uint_lt(heartbeat.state, VITALS_STATES);
	text_expect(heartbeat.scope, sizeof(heartbeat.scope));
	(void)vitals_snapshot_buckets(snapshot, i, counts, VITALS_BUCKETS_FINE);
	(void)vitals_snapshot_buckets(snapshot, i, counts, VITALS_BUCKETS_COARSE);
}
EACH(worst, heartbeat, VT_WORST)
ck_assert_uint_lt(heartbeat.state, VITALS_STATES);
}
EACH(group, group, VT_GROUPS)
ck_assert_int_eq(vitals_snapshot_group_buckets(snapshot, i, 0, counts), 0);
ck_assert_int_eq(vitals_snapshot_group_buckets(snapshot, i, 1, counts), 0);
}
EACH(quitter, quitter, 64)
ck_assert_uint_lt(quitter.stage, VT_STAGES);
text_expect(quitter.path, sizeof(quitter.path));
text_expect(quitter.cause_text, sizeof(quitter.cause_text));
}
EACH(thread, thread, 64)
ck_assert_uint_le(thread.state, VITALS_THREAD_DEAD);
text_expect(thread.path, sizeof(thread.path));
text_expect(thread.scope, sizeof(thread.scope));
text_expect(thread.quitter_path, sizeof(thread.quitter_path));
}
EACH(part, part, VT_PARTS)
}
EACH(scope, scope, VT_SCOPE_NAMES)
}
ck_assert_int_eq(vitals_snapshot_print(snapshot, null), 0);
snapshot = vitals_snapshot_free(snapshot);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

START_TEST(no_bytes_in_a_region_harm_its_reader)
{
	uint64_t rounds = number_from("VITALS_FUZZ_ROUNDS", THREAD_SANITIZED ? 50 : 300),
		 round;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	seed = number_from("VITALS_FUZZ_SEED", vt_clock_real() | 1);
	printf("VITALS_FUZZ_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (round = 0; round < rounds; round++) {
		struct vt_view view = { 0 };

		copy_make();
		ck_assert_int_eq(vt_view_add(&view, copy, copy_size), 0);
		copy_spoil();
		rows_expect_sane(&view, null);
	}
	copy_free();
	close(null);
}
END_TEST

/* Links that lead round in a circle, through quitters in use and not. */
START_TEST(a_tree_that_bites_its_tail_ends)
{
	struct vt_view view = { 0 };
	struct vt_quitter_slot *slot;
	struct vt_root *root;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	uint32_t i;

	copy_make();
	ck_assert_int_eq(vt_view_add(&view, copy, copy_size), 0);
	root = vt_view_root(&view);
	atomic_store(&root->used[VT_KIND_QUITTER], 64);
	atomic_store(&root->main_quitter, 1);
	for (i = 0; i < 64; i++) {
		slot = vt_view_slot(&view, VT_KIND_QUITTER, i);
		atomic_store(&slot->gen, _i & 1 ? i : 2 * i + (_i & 4 ? 0 : 1));
		atomic_store(&slot->parent, (i + 63) % 64 + 1);
		atomic_store(&slot->first_child, _i & 2 ? i + 1 : (i + 1) % 64 + 1);
		atomic_store(&slot->next, _i & 2 ? (i + 1) % 64 + 1 : i + 1);
	}
	rows_expect_sane(&view, null);
	copy_free();
	close(null);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, another_process_sees_the_same_rows_byte_for_byte);
	tcase_add_loop_test(tc, a_segment_that_lies_about_itself_is_refused_whole, 0,
			    COUNT(lies));
	tcase_add_test(tc, a_segment_is_not_added_twice_nor_out_of_order);
	tcase_add_test(tc, no_bytes_in_a_region_harm_its_reader);
	tcase_add_loop_test(tc, a_tree_that_bites_its_tail_ends, 0, 8);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
