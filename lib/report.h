/* SPDX-License-Identifier: MIT */

/*
 * Report
 *
 * Waiting for a quitter, and who did not leave: from the records of its members, never by
 * name. The records are copied in one short pass under the lock, the rows are made after
 * it.
 */

#ifndef VT_REPORT_H
#define VT_REPORT_H

#include "quitter.h"

/*
 * Whether all inside @quitter have left by now, joined, or until @deadline_ns. Return: 0;
 * -ETIMEDOUT.
 */
int vt_report_wait(vitals_quitter *quitter, uint64_t deadline_ns);

/*
 * Who is late: a snapshot of just those, NULL if nobody wants it or there is no memory.
 * Notes in the quitters how the wait has ended, if they were told and @counts. Return:
 * how many.
 */
uint32_t vt_report_late(vitals_quitter *quitter, bool counts, uint64_t now_ns,
			vitals_snapshot **late);

/* The same from the region alone, and nothing is noted: the lock is not to be had. */
uint32_t vt_report_blind(vitals_quitter *quitter, uint64_t now_ns,
			 vitals_snapshot **late);

/* Notes in the quitters that a wait found nobody late. */
void vt_report_done(vitals_quitter *quitter, uint64_t now_ns);

#endif
