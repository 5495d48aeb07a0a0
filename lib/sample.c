/* SPDX-License-Identifier: MIT */

#include "sample.h"

#include <errno.h>
#include <string.h>

static const char *number(const char *s, unsigned base, uint64_t *ret)
{
	*ret = 0;
	while (*s == ' ')
		s++;
	if (s[0] == '0' && s[1] == 'x')
		s += 2;
	for (;; s++) {
		unsigned digit = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
				 : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a' + 10)
							  : 99;

		if (digit >= base)
			return s;
		*ret = *ret * base + digit;
	}
}

static void take_call(const char *s, struct vt_sample *sample)
{
	uint64_t value;
	unsigned i;

	sample->has |= VT_SAMPLE_CALL;
	sample->call = VT_CALL_NONE;
	if (*s < '0' || *s > '9')
		return;
	s = number(s, 10, &value);
	sample->call = (int32_t)value;
	for (i = 0; i < 6; i++)
		s = number(s, 16, &sample->args[i]);
	s = number(s, 16, &sample->sp);
	(void)number(s, 16, &sample->pc);
}

void vt_sample_take(struct vt_proc *proc, uint32_t tid, unsigned what, uint64_t now_ns,
		    struct vt_sample *sample)
{
	char text[512];
	const char *s;

	memset(sample, 0, sizeof(*sample));
	sample->at_ns = now_ns;
	sample->tid = tid;
	sample->call = VT_CALL_UNKNOWN;
	if ((what & VT_SAMPLE_STATE) &&
	    vt_proc_read(proc, tid, "stat", text, sizeof(text)) > 0) {
		s = strrchr(text, ')');
		sample->state = s && s[1] ? s[2] : 0;
		sample->has |= VT_SAMPLE_STATE;
	}
	if ((what & VT_SAMPLE_DELAY) &&
	    vt_proc_read(proc, tid, "schedstat", text, sizeof(text)) > 0) {
		uint64_t unused;

		s = number(text, 10, &unused);
		s = number(s, 10, &sample->run_delay_ns);
		(void)number(s, 10, &sample->runs);
		sample->has |= VT_SAMPLE_DELAY;
	}
	if ((what & VT_SAMPLE_CALL) &&
	    vt_proc_read(proc, tid, "syscall", text, sizeof(text)) > 0)
		take_call(text, sample);
}
