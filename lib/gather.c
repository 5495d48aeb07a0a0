/* SPDX-License-Identifier: MIT */

#include "gather.h"

#include <string.h>

/* So many are looked at again before it is told that they are still silent. */
#define LOOKS_MAX 1024u

static bool quiet(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static enum vt_batch_kind kind_of(const struct vitals_event *event)
{
	switch (event->to) {
	case VITALS_SILENT:
		return VT_BATCH_SILENT;
	case VITALS_STUCK:
		return VT_BATCH_STUCK;
	case VITALS_DEAD:
		return VT_BATCH_DEAD;
	default:
		return quiet(event->from) ? VT_BATCH_BACK : VT_BATCH_NONE;
	}
}

static void name_add(struct vt_news *news, const char *name)
{
	if (news->n_names < VT_NEWS_NAMES)
		memcpy(news->names[news->n_names++], name, VITALS_SHOWN_MAX);
}

static bool critical(const struct vitals_event *event)
{
	return !(event->flags & VITALS_INFORMATIVE);
}

/* What is of several threads at once to begin with, or of none. */
static void tell_alone(struct vt_gather *gather, const struct vitals_event *event,
		       uint64_t now_ns)
{
	struct vt_news news = { .reports = 1, .threads = event->threads };

	news.kind = event->kind == VITALS_EVENT_PAUSE ? VT_NEWS_PAUSE : VT_NEWS_FINDING;
	news.bad = news.kind == VT_NEWS_FINDING;
	news.event = *event;
	gather->to.tell(gather->to.user, &news, now_ns);
}

static void news_begin(const struct vt_batch *batch, const struct vt_change_seen *seen,
		       struct vt_news *news)
{
	memset(news, 0, sizeof(*news));
	news->kind = batch->kind == VT_BATCH_BACK ? VT_NEWS_BACK : VT_NEWS_STALL;
	news->event = seen->event;
	news->timeout_ns = seen->timeout_ns;
	news->bad = batch->kind != VT_BATCH_BACK && critical(&seen->event);
	news->threads = 1;
	news->reports = 1;
	name_add(news, seen->event.name);
}

static void told(const struct vt_batch *batch, struct vt_episode *episode,
		 uint64_t timeout_ns, uint64_t now_ns)
{
	if (batch->kind == VT_BATCH_SILENT || batch->kind == VT_BATCH_STUCK)
		vt_episode_told(episode, timeout_ns, batch->kind == VT_BATCH_STUCK,
				now_ns);
}

/* One by one: then each lasts on its own, too. */
static void batch_tell_each(struct vt_gather *gather, struct vt_batch *batch,
			    uint64_t now_ns)
{
	struct vt_episodes *episodes = &gather->episodes;
	struct vt_news news;
	uint32_t i;

	for (i = 0; i < batch->n; i++) {
		const struct vt_change_seen *seen = &batch->first[i];
		struct vt_trace *trace =
			vt_trace_find(episodes, seen->index, seen->event.heartbeat_id);

		if (i && batch->episode &&
		    vt_episode_of(episodes, trace) == batch->episode)
			vt_episode_join(episodes, vt_episode_for(episodes, 0), trace);
		news_begin(batch, seen, &news);
		gather->to.tell(gather->to.user, &news, now_ns);
		told(batch, vt_episode_of(episodes, trace), seen->timeout_ns, now_ns);
	}
}

static void batch_tell_as_one(struct vt_gather *gather, struct vt_batch *batch,
			      uint64_t now_ns)
{
	const struct vt_change_seen *seen = &batch->first[0];
	struct vt_trace *trace =
		vt_trace_find(&gather->episodes, seen->index, seen->event.heartbeat_id);
	struct vt_news news;
	uint32_t i;

	news_begin(batch, seen, &news);
	for (i = 1; i < batch->n && i < VT_NEWS_NAMES; i++)
		name_add(&news, batch->first[i].event.name);
	news.threads = batch->n;
	news.reports = batch->n;
	news.bad = batch->bad && batch->kind != VT_BATCH_BACK;
	news.event.silence_ns = batch->longest_ns;
	gather->to.tell(gather->to.user, &news, now_ns);
	told(batch, vt_episode_of(&gather->episodes, trace), seen->timeout_ns, now_ns);
}

static void batch_flush(struct vt_gather *gather, struct vt_batch *batch, uint64_t now_ns)
{
	if (batch->n > VT_BATCH_ALONE || (batch->n > 1 && batch->lock))
		batch_tell_as_one(gather, batch, now_ns);
	else
		batch_tell_each(gather, batch, now_ns);
	batch->kind = VT_BATCH_NONE;
}

/* The one that has waited longest; NULL: there is none. */
static struct vt_batch *batch_first(struct vt_gather *gather)
{
	struct vt_batch *first = NULL;
	uint32_t i;

	for (i = 0; i < VT_BATCHES; i++) {
		struct vt_batch *batch = &gather->batches[i];

		if (batch->kind && (!first || batch->until_ns < first->until_ns))
			first = batch;
	}
	return first;
}

/* The one that gathers these; a new one, if there is none. */
static struct vt_batch *batch_for(struct vt_gather *gather, enum vt_batch_kind kind,
				  uint64_t key, uint64_t now_ns)
{
	struct vt_batch *unused = NULL;
	uint32_t i;

	for (i = 0; i < VT_BATCHES; i++) {
		struct vt_batch *batch = &gather->batches[i];

		if (batch->kind == kind && batch->key == key)
			return batch;
		if (!batch->kind)
			unused = batch;
	}
	if (!unused) {
		unused = batch_first(gather);
		batch_flush(gather, unused, now_ns);
	}
	unused->kind = kind;
	unused->key = key;
	unused->n = 0;
	unused->lock = 0;
	unused->longest_ns = 0;
	unused->bad = false;
	unused->episode = NULL;
	unused->until_ns = now_ns + gather->gather_ns;
	return unused;
}

static void batch_add(struct vt_batch *batch, const struct vt_change_seen *seen)
{
	if (batch->n < VT_BATCH_ALONE)
		batch->first[batch->n] = *seen;
	batch->n++;
	batch->bad |= critical(&seen->event);
	if (seen->event.silence_ns > batch->longest_ns)
		batch->longest_ns = seen->event.silence_ns;
}

/* It is over. Return: whether nobody was told that it had begun. */
static bool stall_ends(struct vt_gather *gather, struct vt_trace *trace)
{
	bool muted = trace && trace->muted;

	vt_episode_join(&gather->episodes, NULL, trace);
	return muted;
}

/* Nobody is told yet: only if it lasts. */
static void stall_mute(struct vt_gather *gather, const struct vt_change_seen *seen,
		       struct vt_trace *trace)
{
	struct vt_episode *episode = vt_episode_for(&gather->episodes, seen->lock);

	if (episode && !episode->members)
		episode->next_ns = trace->quiet_ns;
	vt_episode_join(&gather->episodes, episode, trace);
	trace->muted = 1;
}

static void stall_note(struct vt_gather *gather, enum vt_batch_kind kind,
		       const struct vt_change_seen *seen, struct vt_trace *trace,
		       uint64_t now_ns)
{
	struct vt_episode *episode = vt_episode_of(&gather->episodes, trace);
	bool began = !episode && kind != VT_BATCH_DEAD;
	/* When it is stuck the lock may no longer be known: those of one stay together. */
	uint64_t lock = !seen->lock && episode ? episode->lock : seen->lock;
	struct vt_batch *batch;

	if (began && trace && vt_trace_damp(trace, now_ns)) {
		stall_mute(gather, seen, trace);
		gather->to.suppress(gather->to.user, 1);
		return;
	}
	if (kind != VT_BATCH_DEAD && episode && trace->muted) {
		gather->to.suppress(gather->to.user, 1);
		return;
	}
	batch = batch_for(gather, kind, lock ? lock : seen->event.thread_class, now_ns);
	batch->lock = lock;
	batch_add(batch, seen);
	if (!began) {
		if (kind == VT_BATCH_DEAD)
			vt_episode_join(&gather->episodes, NULL, trace);
		return;
	}
	if (!batch->episode || !batch->episode->members)
		batch->episode = vt_episode_for(&gather->episodes, seen->lock);
	vt_episode_join(&gather->episodes, batch->episode, trace);
}

unsigned vt_gather_note(struct vt_gather *gather, const struct vt_change_seen *seen,
			uint64_t now_ns)
{
	enum vt_batch_kind kind;
	struct vt_batch *batch;
	struct vt_trace *trace;
	uint64_t key;

	if (seen->event.kind != VITALS_EVENT_HEARTBEAT) {
		tell_alone(gather, &seen->event, now_ns);
		return 1;
	}
	kind = kind_of(&seen->event);
	if (!kind)
		return 0;
	trace = vt_trace_of(&gather->episodes, seen->index, seen->event.heartbeat_id);
	if (kind != VT_BATCH_BACK) {
		stall_note(gather, kind, seen, trace, now_ns);
		return 1;
	}
	key = trace ? trace->episode : 0;
	if (stall_ends(gather, trace)) {
		gather->to.suppress(gather->to.user, 1);
		return 1;
	}
	batch = batch_for(gather, kind, key, now_ns);
	/* Those who were told of together have something in common. */
	batch->lock = key;
	batch_add(batch, seen);
	return 1;
}

/* What one that lasts looks like now. */
static void still_add(struct vt_news *news, const struct vitals_heartbeat_info *info)
{
	uint64_t silence_ns = info->scope_budget_ns ? info->scope_age_ns
						    : info->silence_ns;
	struct vitals_event *event = &news->event;

	if (!news->threads++) {
		event->to = (int32_t)info->state;
		event->tid = info->tid;
		event->thread_class = info->thread_class;
		news->timeout_ns = info->scope_budget_ns ? info->scope_budget_ns
							 : info->timeout_ns;
		memcpy(event->group, info->group_name, sizeof(event->group));
		memcpy(event->scope, info->scope, sizeof(event->scope));
		memcpy(event->doing, info->doing, sizeof(event->doing));
	}
	/* One that is stuck makes it worse for all. */
	if (info->state == VITALS_STUCK)
		event->to = VITALS_STUCK;
	if (silence_ns > event->silence_ns)
		event->silence_ns = silence_ns;
	news->bad |= !(info->flags & VITALS_INFORMATIVE);
	name_add(news, info->name);
}

/* Who is still in it, by what they are now: whoever was closed has left without an event. */
static void still_see(struct vt_gather *gather, struct vt_episode *episode,
		      uint64_t now_ns, struct vt_news *news)
{
	struct vt_episodes *episodes = &gather->episodes;
	struct vitals_heartbeat_info info;
	uint32_t i;

	memset(news, 0, sizeof(*news));
	news->kind = VT_NEWS_STILL;
	news->reports = 1;
	for (i = 0; i < episodes->traced && episode->members > news->threads; i++) {
		struct vt_trace *trace = &episodes->traces[i];

		if (vt_episode_of(episodes, trace) != episode)
			continue;
		trace->muted = 0;
		if (news->threads >= LOOKS_MAX)
			news->threads++;
		else if (gather->to.row(gather->to.user, i, now_ns, &info) &&
			 info.id == trace->id && quiet((int)info.state))
			still_add(news, &info);
		else
			vt_episode_join(episodes, NULL, trace);
	}
}

uint64_t vt_gather_turn(struct vt_gather *gather, uint64_t now_ns)
{
	struct vt_batch *batch;
	struct vt_news news;
	uint64_t found = 0;
	uint32_t i;

	while ((batch = batch_first(gather)) && batch->until_ns <= now_ns)
		batch_flush(gather, batch, now_ns);
	for (i = 0; i < VT_EPISODES; i++) {
		struct vt_episode *episode = &gather->episodes.all[i];

		if (!episode->members || episode->next_ns > now_ns)
			continue;
		still_see(gather, episode, now_ns, &news);
		if (!news.threads)
			continue;
		found++;
		gather->to.tell(gather->to.user, &news, now_ns);
		vt_episode_told(episode, news.timeout_ns, true, now_ns);
	}
	return found;
}

void vt_gather_flush(struct vt_gather *gather, uint64_t now_ns)
{
	struct vt_batch *batch;

	while ((batch = batch_first(gather)))
		batch_flush(gather, batch, now_ns);
}

uint64_t vt_gather_next(const struct vt_gather *gather)
{
	uint64_t next_ns = vt_episodes_next(&gather->episodes);
	uint32_t i;

	for (i = 0; i < VT_BATCHES; i++)
		if (gather->batches[i].kind && gather->batches[i].until_ns < next_ns)
			next_ns = gather->batches[i].until_ns;
	return next_ns;
}

void vt_gather_clear(struct vt_gather *gather)
{
	uint32_t i;

	for (i = 0; i < VT_BATCHES; i++)
		gather->batches[i].kind = VT_BATCH_NONE;
	vt_episodes_clear(&gather->episodes);
}
