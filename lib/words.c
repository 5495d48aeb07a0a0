/* SPDX-License-Identifier: MIT */

/*
 * The words for what rows and events say in numbers: the same for whoever prints them.
 */

#include "vitals.h"

const char *vitals_state_name(int state)
{
	static const char *const names[VITALS_STATES] = {
		"starting", "healthy", "idle",   "silent",
		"stuck",    "dead",    "closed", "unbounded",
	};

	return state >= 0 && state < VITALS_STATES ? names[state] : "unknown";
}

const char *vitals_class_name(int thread_class)
{
	static const char *const names[VITALS_CLASSES] = {
		[VITALS_UNKNOWN] = "unknown",   [VITALS_RUNNING] = "running",
		[VITALS_SPINNING] = "spinning", [VITALS_STARVED] = "starved",
		[VITALS_ON_LOCK] = "lock",      [VITALS_ON_IO] = "io",
		[VITALS_SLEEPING] = "sleep",    [VITALS_ON_CHILD] = "child",
		[VITALS_BLOCKED] = "blocked",   [VITALS_HALTED] = "stopped",
		[VITALS_GONE] = "gone",
	};

	return thread_class >= 0 && thread_class < VITALS_CLASSES ? names[thread_class]
								  : names[0];
}

const char *vitals_reason_text(int reason)
{
	static const char *const texts[VITALS_REASONS] = {
		[VITALS_REASON_NONE] = "",
		[VITALS_REASON_NOT_DUMPABLE] =
			"more cannot be read since the process changed its user: let the "
			"service manager do that (User=), or call "
			"prctl(PR_SET_DUMPABLE, 1)",
		[VITALS_REASON_NO_PROC] =
			"more cannot be read: /proc is not mounted, or hides the process",
		[VITALS_REASON_NO_FILES] = "more cannot be read: no descriptor is left; "
					   "raise LimitNOFILE=, or close some",
		[VITALS_REASON_SECCOMP] =
			"not looked at: a seccomp filter was installed after start",
		[VITALS_REASON_OFF] = "not looked at: evidence is off",
		[VITALS_REASON_NO_TIME] = "not looked at: too many at once",
		[VITALS_REASON_REFUSED] =
			"more cannot be read: something refuses it, a security module "
			"say",
	};

	return reason >= 0 && reason < VITALS_REASONS ? texts[reason] : texts[0];
}
