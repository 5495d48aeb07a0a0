/* SPDX-License-Identifier: MIT */

/*
 * The environment says what.
 */

#include "supervisor.h"

#include "clock.h"
#include "monitor.h"
#include "notifier.h"
#include "systemd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A whole number without anything around it. Return: 0; -EINVAL. */
static int number_parse(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || end == text || *end || text[0] < '0' || text[0] > '9' ? -EINVAL
									      : 0;
}

/* Pings, and how often; a WATCHDOG_PID that is another's means another. */
static int watchdog_read(uint64_t *ret_ns)
{
	const char *usec = secure_getenv("WATCHDOG_USEC");
	const char *pid = secure_getenv("WATCHDOG_PID");
	uint64_t us, whose = (uint64_t)getpid();

	*ret_ns = 0;
	if (!usec)
		return 0;
	if (number_parse(usec, &us) || !us || us > UINT64_MAX / VITALS_US(1) ||
	    (pid && number_parse(pid, &whose)))
		return -EINVAL;
	if (whose == (uint64_t)getpid())
		*ret_ns = us * VITALS_US(1);
	return 0;
}

/* Return: 1 if there is somebody to tell; 0; -EINVAL. */
static int terms_read(struct vt_systemd_terms *terms)
{
	const char *to = secure_getenv("NOTIFY_SOCKET");
	int r;

	if (!to || !to[0])
		return 0;
	r = vt_address_parse(to, &terms->to);
	if (r == 0)
		r = watchdog_read(&terms->watchdog_ns);
	terms->wake = vt_notifier_wake;
	return r < 0 ? r : 1;
}

int vt_threads_start(vitals_registry *registry)
{
	int r;

	/* Acquire pairs with the stores by monitor.c and watch.c. */
	if (atomic_load_explicit(&registry->run, memory_order_acquire) == VT_RUN_STEPPED)
		return 0;
	r = vitals_start(registry);
	return r == -EALREADY ? vt_notifier_resume(registry) : r;
}

int vitals_systemd(vitals_registry *registry, uint32_t flags)
{
	struct vt_systemd_terms terms;
	int r;

	if (flags)
		return -EINVAL;
	r = terms_read(&terms);
	if (r <= 0)
		return r;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	vt_lock(&registry->lock);
	r = vt_systemd_ask(registry, &terms);
	vt_unlock(&registry->lock);
	if (r < 0)
		return r;
	/* With VITALS=off there are no threads: then this, and set_ready, send. */
	vt_systemd_part(registry, false);
	return vt_threads_start(registry);
}

int vitals_reloading(vitals_registry *registry)
{
	int r = vt_registry_get(registry, &registry);

	if (r < 0)
		return r;
	vt_systemd_reload_at(registry, vt_clock_now());
	vt_registry_wake(registry);
	return 0;
}
