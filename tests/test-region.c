/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define T VITALS_MS(200)
#define CROWD 1000

static vitals_registry *registry;
static vitals_heartbeat *crowd[CROWD];

/* In tests and in their children alike: a failure ends either. */
static void crowd_in(void)
{
	struct vitals_heartbeat_options options;
	int i;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	for (i = 0; i < CROWD; i++)
		child_check(vt_heartbeat_new_at(registry, "crowd", T, &options,
						VITALS_S(100), &crowd[i]) == 0);
	/* 64, as many again, twice as many again … */
	child_check(registry->n_segments == 5);
}

static void crowd_out(void)
{
	int i;

	for (i = 0; i < CROWD; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
}

/* A registry that grows, is judged, read and freed: it works. */
static void registry_works(bool shared)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	uint32_t i;

	child_check(vitals_registry_new(0, &registry) == 0);
	crowd_in();
	for (i = 0; i < registry->n_segments; i++)
		child_check((registry->segments[i].fd >= 0) == shared);
	child_check(vt_heartbeat_pulse_at(crowd[CROWD - 1], VITALS_S(100)) == 0);
	child_check(vitals_step(registry, VITALS_S(100)) == 0);
	child_check(vt_snapshot_take_at(&registry->view, registry, VITALS_S(100),
					&snapshot) == 0);
	VITALS_INIT(&info);
	child_check(vitals_snapshot_heartbeat(snapshot, CROWD - 1, &info) == 0);
	child_check(info.state == VITALS_HEALTHY);
	snapshot = vitals_snapshot_free(snapshot);
	crowd_out();
	registry = vitals_registry_free(registry);
}

static size_t first_segment_size(void)
{
	size_t size;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	size = registry->segments[0].size;
	registry = vitals_registry_free(registry);
	return size;
}

static void file_size_limited(void *arg)
{
	struct rlimit limit;
	int fds = fd_count();

	child_check(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = *(const size_t *)arg;
	/* SIGXFSZ has its default action: it would end this process. */
	child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	registry_works(false);
	child_check(vitals_has("memfd") == (limit.rlim_cur > 8191));
	child_check(fd_count() == fds);
}

START_TEST(a_file_size_limit_makes_the_memory_private_and_kills_nobody)
{
	size_t limits[] = { 0, 1, 4096, 8192 };

	child_run(file_size_limited, &limits[_i]);
}
END_TEST

static void file_size_just_enough(void *arg)
{
	const size_t size = *(const size_t *)arg;
	struct rlimit limit;

	child_check(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = size;
	child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(registry->segments[0].fd >= 0);
	registry = vitals_registry_free(registry);
	limit.rlim_cur = size - 1;
	child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(registry->segments[0].fd < 0);
	registry = vitals_registry_free(registry);
}

START_TEST(a_file_size_limit_of_exactly_a_segment_is_enough)
{
	size_t size = first_segment_size();

	child_run(file_size_just_enough, &size);
}
END_TEST

/* The one system call, with this second argument if it is not 0, answers @error from now on. */
static void syscall_refuse(unsigned number, unsigned second, unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, second ? 1 : 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(filter), filter };

	child_check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static const struct {
	unsigned number;
	unsigned second;
	unsigned error;
} refused[] = {
	{ SYS_memfd_create, 0, EPERM },
	{ SYS_memfd_create, 0, ENOSYS },
	{ SYS_memfd_create, 0, EMFILE },
	{ SYS_ftruncate, 0, ENOSPC },
	/* A kernel that does not know all the seals. */
	{ SYS_fcntl, F_ADD_SEALS, EINVAL },
};

static void shared_memory_refused(void *arg)
{
	const int i = *(const int *)arg;
	int fds = fd_count();

	syscall_refuse(refused[i].number, refused[i].second, refused[i].error);
	errno = 77;
	registry_works(false);
	child_check(errno == 77);
	child_check(!vitals_has("memfd"));
	child_check(fd_count() == fds);
}

START_TEST(without_a_sealed_memfd_the_memory_is_private)
{
	child_run(shared_memory_refused, &_i);
}
END_TEST

static void descriptors_used_up(void *arg)
{
	struct rlimit limit;

	(void)arg;
	child_check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 0;
	child_check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	registry_works(false);
	child_check(vitals_registry_new(0, &registry) == 0);
	crowd_in();
	child_check(vitals_heartbeat_due_fd(crowd[0]) == -EMFILE);
}

START_TEST(without_descriptors_the_memory_is_private)
{
	child_run(descriptors_used_up, NULL);
}
END_TEST

/* The host's own files, one on every number up to HOST_FDS that closefrom(3) freed. */
#define HOST_FDS 64
#define HOST_TEXT "the host's own text\n"

static struct stat host_files[HOST_FDS];

static void host_open(const char *dir)
{
	char path[TEMP_PATH_MAX + 16];
	int i, fd;

	for (i = 3; i < HOST_FDS; i++) {
		(void)snprintf(path, sizeof(path), "%s/%d", dir, i);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		child_check(fd == i);
		child_check(write(fd, HOST_TEXT, strlen(HOST_TEXT)) ==
			    (ssize_t)strlen(HOST_TEXT));
		child_check(lseek(fd, 4, SEEK_SET) == 4);
		child_check(fstat(fd, &host_files[i]) == 0);
	}
}

static void host_untouched(void)
{
	char text[64];
	struct stat st;
	int fd;

	for (fd = 3; fd < HOST_FDS; fd++) {
		child_check(fstat(fd, &st) == 0);
		child_check(st.st_ino == host_files[fd].st_ino);
		child_check(st.st_dev == host_files[fd].st_dev);
		child_check(st.st_size == (off_t)strlen(HOST_TEXT));
		child_check(st.st_mtim.tv_nsec == host_files[fd].st_mtim.tv_nsec);
		child_check(lseek(fd, 0, SEEK_CUR) == 4);
		child_check(fcntl(fd, F_GETFD) == 0);
		child_check(pread(fd, text, sizeof(text), 0) ==
			    (ssize_t)strlen(HOST_TEXT));
		child_check(memcmp(text, HOST_TEXT, strlen(HOST_TEXT)) == 0);
	}
}

static void descriptors_closed_by_the_host(void *arg)
{
	vitals_heartbeat *heartbeat;
	struct vitals_event event;
	vitals_events *events;

	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(vitals_events_open(registry, NULL, &events) == 0);
	child_check(vitals_events_fd(events) >= 3);
	child_check(vitals_heartbeat_due_fd(heartbeat) >= 3);
	child_check(vitals_start(registry) == 0);

	closefrom(3);
	host_open(arg);

	crowd_in();
	child_check(vitals_heartbeat_due(heartbeat) == 1);
	child_check(vitals_heartbeat_pulse(heartbeat) == 0);
	VITALS_INIT(&event);
	child_check(vitals_events_next(events, VITALS_S(10), &event) == 0);
	/* Whoever asks anew gets descriptors that work, rather than the host's. */
	child_check(vitals_events_fd(events) >= HOST_FDS);
	child_check(vitals_heartbeat_due_fd(heartbeat) >= HOST_FDS);
	host_untouched();
	child_check(vitals_stop(registry) == 0);
	events = vitals_events_close(events);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	crowd_out();
	registry = vitals_registry_free(registry);
	host_untouched();
}

START_TEST(after_closefrom_the_hosts_files_on_the_same_numbers_stay_as_they_are)
{
	char dir[TEMP_PATH_MAX];

	temp_dir_make(dir);
	child_run(descriptors_closed_by_the_host, dir);
	temp_dir_remove(dir);
}
END_TEST

/* The host's timers have the numbers of ours, and the same period. */
static void timers_closed_by_the_host(void *arg)
{
	struct itimerspec period = { .it_interval = { .tv_nsec = (long)T / 2 },
				     .it_value = { .tv_sec = 1000 } };
	vitals_heartbeat *heartbeat;
	struct itimerspec is;
	int ours, fd, other;

	(void)arg;
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	ours = vitals_heartbeat_due_fd(heartbeat);
	child_check(ours >= 3);
	closefrom(3);
	do {
		fd = timerfd_create(CLOCK_MONOTONIC, 0);
		child_check(fd >= 0 && timerfd_settime(fd, 0, &period, NULL) == 0);
	} while (fd < ours);

	child_check(vitals_heartbeat_due(heartbeat) == 1);
	child_check(timerfd_gettime(ours, &is) == 0);
	child_check(is.it_value.tv_sec > 900);
	/* Whoever asks anew gets one that works, rather than the host's. */
	other = vitals_heartbeat_due_fd(heartbeat);
	child_check(other > fd);
	child_check(timerfd_gettime(other, &is) == 0);
	child_check(is.it_value.tv_sec == 0);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
	child_check(timerfd_gettime(ours, &is) == 0);
	child_check(is.it_value.tv_sec > 900);
	child_check(fcntl(other, F_GETFD) == -1);
}

START_TEST(after_closefrom_the_hosts_timers_on_the_same_numbers_stay_as_they_are)
{
	child_run(timers_closed_by_the_host, NULL);
}
END_TEST

/* Tries everything on the descriptor that another process can. */
static void segment_attack(void *arg)
{
	const uint32_t number = *(const uint32_t *)arg;
	size_t size;
	char path[64];
	struct stat st;
	void *at;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int)getppid(), number);
	fd = open(path, O_RDWR);
	child_check(fd >= 0);
	child_check(fstat(fd, &st) == 0);
	size = (size_t)st.st_size;
	child_check(ftruncate(fd, 0) == -1 && errno == EPERM);
	child_check(ftruncate(fd, 4096) == -1 && errno == EPERM);
	child_check(ftruncate(fd, 2 * (off_t)size) == -1 && errno == EPERM);
	child_check(pwrite(fd, "harm", 4, 4096) == -1 && errno == EPERM);
	child_check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) ==
			    -1 &&
		    errno == EPERM);
	child_check(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
		    MAP_FAILED);
	child_check(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1);
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	child_check(at != MAP_FAILED);
	child_check(mprotect(at, size, PROT_READ | PROT_WRITE) == -1);
	child_check(open(path, O_RDWR | O_TRUNC) == -1);
	child_check(fstat(fd, &st) == 0 && (size_t)st.st_size == size);
}

START_TEST(nobody_outside_can_cut_a_segment_or_write_to_it)
{
	uint32_t i, number;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	crowd_in();
	for (i = 0; i < registry->n_segments; i++) {
		void *copy = malloc(registry->segments[i].size);

		memcpy(copy, registry->segments[i].segment, registry->segments[i].size);
		number = (uint32_t)registry->segments[i].fd;
		child_run(segment_attack, &number);
		ck_assert_mem_eq(copy, registry->segments[i].segment,
				 registry->segments[i].size);
		free(copy);
	}
	ck_assert_int_eq(vt_heartbeat_pulse_at(crowd[0], VITALS_S(100)), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(crowd[CROWD - 1], VITALS_S(100)), 0);
	crowd_out();
	registry = vitals_registry_free(registry);
}
END_TEST

/* Everything of ours that can hold a descriptor. */
static void all_descriptors(void *arg)
{
	vitals_heartbeat *heartbeat;
	vitals_events *events;
	int fd, n = 0;

	(void)arg;
	closefrom(3);
	child_check(vitals_registry_new(0, &registry) == 0);
	crowd_in();
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(vitals_events_open(registry, NULL, &events) == 0);
	child_check(vitals_events_fd(events) >= 3);
	child_check(vitals_heartbeat_due_fd(heartbeat) >= 3);
	child_check(vitals_start(registry) == 0);
	for (fd = 3; fd < 100; fd++) {
		int flags = fcntl(fd, F_GETFD);

		child_check(flags < 0 || flags & FD_CLOEXEC);
		n += flags >= 0;
	}
	child_check(n >= 7);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	events = vitals_events_close(events);
	crowd_out();
	registry = vitals_registry_free(registry);
	for (fd = 3; fd < 100; fd++)
		child_check(fcntl(fd, F_GETFD) == -1);
}

static void starts_without_stdio(void *arg)
{
	vitals_heartbeat *heartbeat;
	vitals_registry *own;
	vitals_events *events;
	int fd;

	(void)arg;
	for (fd = 0; fd < 3; fd++)
		close(fd);
	child_check(vitals_registry_new(0, &own) == 0);
	child_check(vitals_heartbeat_new(own, "a", VITALS_S(1), NULL, &heartbeat) == 0);
	child_check(vitals_heartbeat_due_fd(heartbeat) > 2);
	child_check(vitals_events_open(own, NULL, &events) == 0);
	child_check(vitals_events_fd(events) > 2);
	child_check(vitals_start(own) == 0);
	/* What the host writes to its standard output goes nowhere, as before. */
	for (fd = 0; fd < 3; fd++)
		child_check(fcntl(fd, F_GETFD) < 0);
	child_check(vitals_stop(own) == 0);
}

START_TEST(no_descriptor_is_where_the_host_writes_its_output)
{
	child_run(starts_without_stdio, NULL);
}
END_TEST

START_TEST(every_descriptor_is_closed_on_exec_and_at_the_end)
{
	child_run(all_descriptors, NULL);
}
END_TEST

START_TEST(a_freed_registry_gives_back_its_descriptors_and_its_memory)
{
	vitals_snapshot *snapshot = NULL;
	int fds = fd_count(), round;
	size_t pages = 0;

	for (round = 0; round < 20; round++) {
		/* What libc and a sanitizer keep for themselves, they have by then. */
		if (round == 5)
			pages = mapped_pages();
		ck_assert_int_eq(vitals_registry_new(_i ? 10000 : 0, &registry), 0);
		if (!_i)
			crowd_in();
		ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
		if (!_i)
			crowd_out();
		ck_assert_int_eq(vitals_step(registry, VITALS_S(100)), 0);
		snapshot = vitals_snapshot_free(snapshot);
		registry = vitals_registry_free(registry);
		ck_assert_int_eq(fd_count(), fds);
	}
	ck_assert_uint_eq(mapped_pages(), pages);
}
END_TEST

/* What a reader of a core has: memory, and what to look for. */
#define FOUND_MAX 8
#define MAPPING_MAX (64u << 20)

static struct vt_segment found[FOUND_MAX];
static uintptr_t found_at[FOUND_MAX];
static uint32_t n_found;

static void page_look(int mem, uintptr_t at)
{
	struct vt_segment head;

	if (pread(mem, &head, sizeof(head), (off_t)at) != (ssize_t)sizeof(head) ||
	    head.magic != VT_MAGIC || head.version != VT_LAYOUT_VERSION ||
	    head.registry_id != registry->id || head.n_arrays > VT_KINDS)
		return;
	child_check(n_found < FOUND_MAX);
	found[n_found] = head;
	found_at[n_found++] = at;
}

static void segments_find(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uintptr_t from, to;
	char line[512];

	child_check(maps);
	child_check(mem >= 0);
	n_found = 0;
	while (fgets(line, sizeof(line), maps)) {
		child_check(sscanf(line, "%lx-%lx", &from, &to) == 2);
		/* Larger ones are a sanitizer's. */
		for (; strstr(line, " rw") && to - from < MAPPING_MAX && from < to;
		     from += 4096)
			page_look(mem, from);
	}
	fclose(maps);
	close(mem);
}

static void segment_expect(const struct vt_segment *head, uintptr_t at)
{
	const struct vt_mapping *mapping = &registry->segments[head->number];
	uint64_t end = 4096;
	uint32_t i;

	child_check(head->number < registry->n_segments);
	child_check(at == (uintptr_t)mapping->segment);
	child_check(head->size == mapping->size);
	child_check(head->pid == (uint32_t)getpid());
	for (i = 0; i < head->n_arrays; i++) {
		const struct vt_array *array = &head->arrays[i];

		/* Nothing overlaps, all on lines of their own. */
		child_check(array->offset >= end);
		child_check(array->offset % 128 == 0);
		end = array->offset + (uint64_t)array->stride * array->count;
		child_check(end <= head->size);
		child_check(vt_slot(registry, (enum vt_kind)array->kind, array->first) ==
			    (void *)(at + array->offset));
	}
}

static void segments_say_what_they_are(void *arg)
{
	struct rlimit limit = { 0, RLIM_INFINITY };
	uint32_t i, numbers = 0;

	if (*(const int *)arg)
		child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	child_check(vitals_registry_new(0, &registry) == 0);
	crowd_in();
	segments_find();
	child_check(n_found == registry->n_segments);
	for (i = 0; i < n_found; i++) {
		segment_expect(&found[i], found_at[i]);
		numbers |= 1u << found[i].number;
	}
	child_check(numbers == (1u << registry->n_segments) - 1);
	crowd_out();
	registry = vitals_registry_free(registry);
}

START_TEST(segments_are_found_by_their_magic_and_say_what_they_are)
{
	child_run(segments_say_what_they_are, &_i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("region");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(
		tc, a_file_size_limit_makes_the_memory_private_and_kills_nobody, 0, 4);
	tcase_add_test(tc, a_file_size_limit_of_exactly_a_segment_is_enough);
	tcase_add_loop_test(tc, without_a_sealed_memfd_the_memory_is_private, 0,
			    COUNT(refused));
	tcase_add_test(tc, without_descriptors_the_memory_is_private);
	tcase_add_test(
		tc, after_closefrom_the_hosts_files_on_the_same_numbers_stay_as_they_are);
	tcase_add_test(
		tc,
		after_closefrom_the_hosts_timers_on_the_same_numbers_stay_as_they_are);
	tcase_add_test(tc, nobody_outside_can_cut_a_segment_or_write_to_it);
	tcase_add_test(tc, no_descriptor_is_where_the_host_writes_its_output);
	tcase_add_test(tc, every_descriptor_is_closed_on_exec_and_at_the_end);
	tcase_add_loop_test(
		tc, a_freed_registry_gives_back_its_descriptors_and_its_memory, 0, 2);
	tcase_add_loop_test(tc, segments_are_found_by_their_magic_and_say_what_they_are,
			    0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
