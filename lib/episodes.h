/* SPDX-License-Identifier: MIT */

/*
 * Episodes
 *
 * Which stalls last, who is in each, and when it is to be told of again: at intervals that double. A
 * heartbeat that stalls again and again is told of less and less often.
 */

#ifndef VT_EPISODES_H
#define VT_EPISODES_H

#include <stdbool.h>
#include <stdint.h>

/* Heartbeats beyond, by index, are told of once, and not again. */
#define VT_TRACES 131072u
/* As many last at once; what is in none is not told again either. */
#define VT_EPISODES 128u

/* What is remembered of a heartbeat; pages nobody writes to take no memory. */
struct vt_trace {
	uint64_t id;       /* of the heartbeat; another's is nobody's */
	uint64_t quiet_ns; /* a stall that begins before is not told */
	uint16_t level;    /* how often it was told of shortly after the time before */
	uint16_t muted;    /* that it is in one was not told */
	uint32_t episode;  /* + 1; 0: it is in none */
};

struct vt_episode {
	uint32_t members; /* 0: not in use */
	uint64_t lock;    /* that all wait for; 0: none */
	uint64_t wait_ns; /* the interval, which doubles */
	uint64_t next_ns;
};

struct vt_episodes {
	uint32_t traced; /* no trace from here on was written to */
	struct vt_episode all[VT_EPISODES];
	struct vt_trace traces[VT_TRACES];
};

/* Forgets everything. */
void vt_episodes_clear(struct vt_episodes *episodes);

/* A heartbeat's, begun if there is none; NULL: none is kept. */
struct vt_trace *vt_trace_of(struct vt_episodes *episodes, uint32_t index, uint64_t id);
/* NULL: there is none. */
struct vt_trace *vt_trace_find(struct vt_episodes *episodes, uint32_t index, uint64_t id);

/* A stall begins: is it to be kept quiet? */
bool vt_trace_damp(struct vt_trace *trace, uint64_t now_ns);

/* That it is in; NULL: none. */
struct vt_episode *vt_episode_of(struct vt_episodes *episodes,
				 const struct vt_trace *trace);

/* One of those who wait for @lock, or a new one; NULL: there are too many. */
struct vt_episode *vt_episode_for(struct vt_episodes *episodes, uint64_t lock);

/* It is in that one from now on, and in no other. NULL: in none. */
void vt_episode_join(struct vt_episodes *episodes, struct vt_episode *episode,
		     struct vt_trace *trace);

/* It was told that it began, or has become worse: when to tell of it again. */
void vt_episode_told(struct vt_episode *episode, uint64_t least_ns, bool worse,
		     uint64_t now_ns);

/* The next that is to be told of; UINT64_MAX: none. */
uint64_t vt_episodes_next(const struct vt_episodes *episodes);

#endif
