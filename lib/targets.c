/* SPDX-License-Identifier: MIT */

#include "targets.h"

#include "memory.h"
#include "vitals.h"

#include <poll.h>
#include <string.h>

/* What the links of descriptors say of what is no file. */
static const struct {
	const char *link;
	const char *words;
} targets[] = {
	{ "socket:", "a socket" },
	{ "pipe:", "a pipe" },
	{ "anon_inode:[eventpoll]", "an epoll" },
	{ "anon_inode:[eventfd]", "an eventfd" },
	{ "anon_inode:[timerfd]", "a timerfd" },
	{ "anon_inode:[signalfd]", "a signalfd" },
	{ "anon_inode:inotify", "an inotify" },
	{ "anon_inode:[io_uring]", "an io_uring" },
	{ "anon_inode:[pidfd]", "a process" },
	{ "anon_inode:[userfaultfd]", "a userfaultfd" },
	{ "pidfd:", "a process" },
	{ "net:", "a network" },
	{ "/memfd:", "a memory file" },
};

static void add_target(struct vt_text *text, const char *link)
{
	char clean[VITALS_TEXT_MAX];
	size_t i, length = strlen(link);

	vt_text_add(text, ", ");
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (strncmp(link, targets[i].link, strlen(targets[i].link)) == 0) {
			vt_text_add(text, targets[i].words);
			return;
		}
	/* The end of a path says more than its beginning. */
	if (length > 60) {
		vt_text_add(text, "…");
		link += length - 60;
	}
	vt_text_clean(clean, link);
	vt_text_add(text, clean);
}

void vt_target_add(struct vt_proc *proc, int32_t fd, struct vt_text *text)
{
	char file[24], link[256];
	struct vt_text to;

	if (fd < 0) {
		vt_text_add(text, "no descriptor");
		return;
	}
	vt_text_add(text, "descriptor ");
	vt_text_add_u64(text, (uint64_t)fd);
	vt_text_init(&to, file, sizeof(file));
	vt_text_add(&to, "fd/");
	vt_text_add_u64(&to, (uint64_t)fd);
	if (vt_proc_link(proc, file, link, sizeof(link)) > 0)
		add_target(text, link);
}

/* So many are named one by one. */
#define POLLED_SHOWN 2

void vt_target_add_polled(struct vt_proc *proc, uint64_t address, uint32_t n,
			  struct vt_text *text)
{
	struct pollfd entries[POLLED_SHOWN];
	uint32_t shown = n < POLLED_SHOWN ? n : POLLED_SHOWN;
	uint32_t i;

	if (vt_memory_read(proc->pid, address, entries, shown * sizeof(entries[0])) != 0)
		shown = 0;
	if (n != 1 || !shown) {
		vt_text_add_u64(text, n);
		vt_text_add(text, n == 1 ? " descriptor" : " descriptors");
	}
	for (i = 0; i < shown; i++) {
		vt_text_add(text, n == 1 ? "" : i ? "; " : ": ");
		vt_target_add(proc, entries[i].fd, text);
	}
	if (n > shown && shown)
		vt_text_add(text, "; …");
}

static uint32_t bits_of(uint64_t word)
{
	return (uint32_t)__builtin_popcountll(word);
}

/* Of sets of up to 1024. */
void vt_target_add_selected(struct vt_proc *proc, const uint64_t sets[3], uint32_t below,
			    struct vt_text *text)
{
	uint64_t words[16], bits[16] = { 0 };
	uint32_t n_words = below / 64 + (below % 64 != 0), n = 0, set, i;
	int32_t fd = -1;

	for (set = 0; n_words && n_words <= 16 && set < 3; set++) {
		if (!sets[set] ||
		    vt_memory_read(proc->pid, sets[set], words, n_words * 8) != 0)
			continue;
		for (i = 0; i < n_words; i++)
			bits[i] |= words[i];
	}
	if (below % 64 && n_words && n_words <= 16)
		bits[n_words - 1] &= ((uint64_t)1 << below % 64) - 1;
	for (i = 0; i < 16; i++) {
		if (bits[i] && fd < 0)
			fd = (int32_t)(i * 64 + (uint32_t)__builtin_ctzll(bits[i]));
		n += bits_of(bits[i]);
	}
	if (n == 1) {
		vt_target_add(proc, fd, text);
	} else if (n) {
		vt_text_add_u64(text, n);
		vt_text_add(text, " descriptors: ");
		vt_target_add(proc, fd, text);
		vt_text_add(text, "; …");
	} else {
		vt_text_add(text, "descriptors below ");
		vt_text_add_u64(text, below);
	}
}
