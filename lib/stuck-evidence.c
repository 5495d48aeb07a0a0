/* SPDX-License-Identifier: MIT */

#include "stuck.h"

/* Until there is any. */
__attribute__((weak)) bool vt_evidence_of_heartbeat(vitals_registry *registry,
						    uint32_t index, uint32_t gen,
						    struct vitals_evidence *evidence)
{
	(void)registry;
	(void)index;
	(void)gen;
	(void)evidence;
	return false;
}
