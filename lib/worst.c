/* SPDX-License-Identifier: MIT */

#include "worst.h"

#include "vitals.h"

#include <string.h>

/* How bad, then since when. 0: not bad. */
static uint64_t rank_of(const struct vt_verdict *verdict)
{
	static const uint64_t ranks[VT_STATES] = { [VITALS_STARTING] = 1,
						   [VITALS_SILENT] = 2,
						   [VITALS_STUCK] = 3,
						   [VITALS_DEAD] = 4 };

	return ranks[verdict->state] ? ranks[verdict->state] << 60 |
					       (~verdict->beat_ns & (UINT64_MAX >> 4))
				     : 0;
}

bool vt_worst_bad(uint32_t state)
{
	return state == VITALS_STARTING || state == VITALS_SILENT ||
	       state == VITALS_STUCK || state == VITALS_DEAD;
}

/* Return: where in the list it is; n if it is not. */
static uint32_t worst_find(const struct vt_worst_list *list, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < list->n && list->entries[i].index != index; i++)
		continue;
	return i;
}

/* Keeps the list sorted, and at most VT_WORST long. */
static bool worst_insert(struct vt_worst_list *list, struct vt_worse worse)
{
	uint32_t i = list->n;

	if (i == VT_WORST && list->entries[i - 1].rank >= worse.rank)
		return false;
	if (i == VT_WORST)
		i--;
	else
		list->n++;
	for (; i > 0 && list->entries[i - 1].rank < worse.rank; i--)
		list->entries[i] = list->entries[i - 1];
	list->entries[i] = worse;
	return true;
}

bool vt_worst_remove(struct vt_worst_list *list, uint32_t index)
{
	uint32_t i = worst_find(list, index);

	if (i == list->n)
		return false;
	list->n--;
	memmove(&list->entries[i], &list->entries[i + 1],
		(list->n - i) * sizeof(*list->entries));
	return true;
}

bool vt_worst_note(struct vt_worst_list *list, uint32_t index, uint32_t gen,
		   const struct vt_verdict *verdict)
{
	struct vt_worse worse = { rank_of(verdict), index, gen };
	uint32_t i = worst_find(list, index);
	bool changed;

	if (i < list->n && list->entries[i].rank == worse.rank &&
	    list->entries[i].gen == gen)
		return false;
	changed = vt_worst_remove(list, index);
	if (worse.rank)
		changed |= worst_insert(list, worse);
	return changed;
}
