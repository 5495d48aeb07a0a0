/* SPDX-License-Identifier: MIT */

/*
 * Leaving the process, with who is late on stderr: no heap, no stdio, for any of those threads may
 * hold their locks.
 */

#include "quitter.h"
#include "snapshot.h"
#include "text.h"

#include <stdlib.h>
#include <unistd.h>

/* Rows take memory; what there was none for is at least counted. */
static void not_named_write(uint32_t n)
{
	char line[80];
	struct vt_text text;

	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, "vitals: late: ");
	vt_text_add_u64(&text, n);
	vt_text_add(&text, " not named, for want of memory\n");
	/* Nobody is left to be told that it failed. */
	(void)!write(STDERR_FILENO, line, text.length);
}

void vitals_exit(vitals_quitter *main_quitter)
{
	struct vitals_result result;
	vitals_snapshot *late = NULL;
	uint32_t named = 0;
	int status;

	if (!main_quitter)
		_exit(1);
	if (vt_quitter_current(main_quitter))
		(void)vitals_start(vt_quitter_registry(main_quitter));
	VITALS_INIT(&result);
	status = vitals_quitter_finish(main_quitter, &result, &late);
	if (status < 0)
		_exit(1); /* from inside the tree, or a forked child: others run on */
	if (late) {
		(void)vt_print_threads(late, STDERR_FILENO, "vitals: ");
		named = vt_snapshot_late_count(late);
	}
	if (named < result.late)
		not_named_write(result.late - named);
	late = vitals_snapshot_free(late);
	if (result.late)
		_exit(status);
	exit(status);
}
