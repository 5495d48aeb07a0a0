/* SPDX-License-Identifier: MIT */

/*
 * What a service asks to have told, and where.
 */

#include "beacon.h"
#include "clock.h"
#include "log.h"
#include "notifier.h"
#include "options.h"
#include "supervisor.h"
#include "witness.h"

#include <errno.h>
#include <string.h>

#define JOURNAL "/run/systemd/journal/socket"
#define LINES_PER_MINUTE 60u

/* The lock that the evidence names, where there is any. */
static uint64_t lock_of(vitals_registry *registry, uint32_t index, uint32_t gen)
{
	struct vitals_evidence evidence;

	if (!vt_witness_heartbeat(&registry->view, index, gen, &evidence))
		return 0;
	return evidence.thread_class == VITALS_ON_LOCK ? evidence.lock : 0;
}

/* Options of another size, and what follows from none. */
static int terms_fill(const struct vitals_log_options *options,
		      struct vt_log_terms *terms)
{
	struct vitals_log_options mine;
	int r = vt_options_load(&mine, sizeof(mine), options);

	if (r < 0)
		return r;
	memset(terms, 0, sizeof(*terms));
	terms->lines_per_minute = mine.lines_per_minute ? mine.lines_per_minute
							: LINES_PER_MINUTE;
	terms->gather_ns = mine.gather_ns;
	terms->wake = vt_notifier_wake;
	terms->lock_of = lock_of;
	return 0;
}

static int log_in(vitals_registry *registry, enum vt_log_form form, bool on,
		  const struct vt_log_terms *terms)
{
	int r = vt_registry_get(registry, &registry);

	if (r < 0)
		return r;
	if (!on && !vt_log_asked(registry))
		return 0;
	r = vt_log_ask(registry, form, on, terms);
	return r < 0 || !on ? r : vt_threads_start(registry);
}

int vitals_log(vitals_registry *registry, int fd,
	       const struct vitals_log_options *options)
{
	struct vt_log_terms terms;
	int r = terms_fill(options, &terms);

	if (r < 0)
		return r;
	terms.fd = fd;
	terms.file = vt_file_of(fd);
	if (fd >= 0 && !terms.file.inode)
		return -EBADF;
	return log_in(registry, VT_LOG_LINES, fd >= 0, &terms);
}

int vitals_log_journal(vitals_registry *registry, int on)
{
	struct vt_log_terms terms;
	int r = terms_fill(NULL, &terms);

	if (r == 0)
		r = vt_address_parse(JOURNAL, &terms.journal);
	return r < 0 ? r : log_in(registry, VT_LOG_JOURNAL, on, &terms);
}

int vitals_heartbeat_file(vitals_registry *registry, const char *path, uint64_t every_ns)
{
	struct vt_beacon_terms terms = { path, every_ns ? every_ns : VITALS_S(1),
					 vt_notifier_wake };
	int r;

	if (path && path[0] != '/')
		return -EINVAL;
	if (path && strnlen(path, VT_BEACON_PATH) == VT_BEACON_PATH)
		return -ENAMETOOLONG;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	if (!path && !vt_beacon_asked(registry))
		return 0;
	r = vt_beacon_ask(registry, &terms, vt_clock_now());
	return r < 0 || !path ? r : vt_threads_start(registry);
}
