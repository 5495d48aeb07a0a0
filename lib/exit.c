/* SPDX-License-Identifier: MIT */

/*
 * Leaving the process. That somebody is late is said, and left upon, by the ladder: no heap, no
 * stdio, for any of those threads may hold their locks.
 */

#include "clock.h"
#include "main.h"

#include <stdlib.h>
#include <unistd.h>

void vitals_exit(vitals_quitter *main_quitter)
{
	vitals_registry *registry;
	int status;

	if (!main_quitter)
		_exit(1);
	registry = vt_quitter_registry(main_quitter);
	if (vt_quitter_current(main_quitter) && registry->main) {
		vt_ladder_insist(&registry->main->ladder);
		/* It watches over this thread, too; if it runs, there is nothing to wait for. */
		if (atomic_load_explicit(&registry->run, memory_order_relaxed) !=
		    VT_RUN_RUNNING)
			(void)vitals_start(registry);
	}
	status = vitals_quitter_finish(main_quitter, NULL, NULL);
	if (status < 0)
		_exit(1); /* from inside the tree, or a forked child: others run on */
	vt_ladder_exits(registry, &registry->main->ladder, vt_clock_now());
	exit(status);
}
