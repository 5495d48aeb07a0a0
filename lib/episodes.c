/* SPDX-License-Identifier: MIT */

#include "episodes.h"

#include "vitals.h"

#include <string.h>

#define FIRST_NS VITALS_S(1)
#define LONGEST_NS VITALS_S(3600)
/* A heartbeat is told of after a second, two, four … at the latest after about a minute. */
#define LEVELS 6u
#define GAP_NS(level) (VITALS_S(1) << (level))
/* Quiet for as many gaps, it is as if nothing had been. */
#define GAPS 4u

void vt_episodes_clear(struct vt_episodes *episodes)
{
	memset(episodes->traces, 0, episodes->traced * sizeof(episodes->traces[0]));
	memset(episodes->all, 0, sizeof(episodes->all));
	episodes->traced = 0;
}

struct vt_trace *vt_trace_of(struct vt_episodes *episodes, uint32_t index, uint64_t id)
{
	struct vt_trace *trace;

	if (index >= VT_TRACES)
		return NULL;
	trace = &episodes->traces[index];
	if (index >= episodes->traced)
		episodes->traced = index + 1;
	if (trace->id != id) {
		vt_episode_join(episodes, NULL, trace);
		*trace = (struct vt_trace){ .id = id };
	}
	return trace;
}

struct vt_trace *vt_trace_find(struct vt_episodes *episodes, uint32_t index, uint64_t id)
{
	if (index >= episodes->traced || episodes->traces[index].id != id)
		return NULL;
	return &episodes->traces[index];
}

bool vt_trace_damp(struct vt_trace *trace, uint64_t now_ns)
{
	if (now_ns < trace->quiet_ns)
		return true;
	if (now_ns - trace->quiet_ns > GAPS * GAP_NS(trace->level))
		trace->level = 0;
	trace->quiet_ns = now_ns + GAP_NS(trace->level);
	if (trace->level < LEVELS)
		trace->level++;
	return false;
}

struct vt_episode *vt_episode_of(struct vt_episodes *episodes,
				 const struct vt_trace *trace)
{
	return trace && trace->episode ? &episodes->all[trace->episode - 1] : NULL;
}

struct vt_episode *vt_episode_for(struct vt_episodes *episodes, uint64_t lock)
{
	struct vt_episode *unused = NULL;
	uint32_t i;

	for (i = VT_EPISODES; i--;) {
		if (!episodes->all[i].members)
			unused = &episodes->all[i];
		else if (lock && episodes->all[i].lock == lock)
			return &episodes->all[i];
	}
	if (unused)
		*unused = (struct vt_episode){ .lock = lock, .next_ns = UINT64_MAX };
	return unused;
}

void vt_episode_join(struct vt_episodes *episodes, struct vt_episode *episode,
		     struct vt_trace *trace)
{
	struct vt_episode *before = vt_episode_of(episodes, trace);

	if (!trace || episode == before)
		return;
	if (before)
		before->members--;
	if (episode)
		episode->members++;
	trace->muted = 0;
	trace->episode = episode ? (uint32_t)(episode - episodes->all) + 1 : 0;
}

void vt_episode_told(struct vt_episode *episode, uint64_t least_ns, bool worse,
		     uint64_t now_ns)
{
	if (!episode || !episode->members || (episode->wait_ns && !worse))
		return;
	if (episode->wait_ns)
		episode->wait_ns *= 2;
	else
		episode->wait_ns = least_ns > FIRST_NS ? least_ns : FIRST_NS;
	if (episode->wait_ns > LONGEST_NS)
		episode->wait_ns = LONGEST_NS;
	episode->next_ns = now_ns + episode->wait_ns;
}

uint64_t vt_episodes_next(const struct vt_episodes *episodes)
{
	uint64_t next_ns = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < VT_EPISODES; i++)
		if (episodes->all[i].members && episodes->all[i].next_ns < next_ns)
			next_ns = episodes->all[i].next_ns;
	return next_ns;
}
