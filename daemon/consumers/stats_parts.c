// SPDX-License-Identifier: Apache-2.0
/* stats_parts.c - what was counted for one rule, by protocol */
#include "daemon/consumers/stats_parts.h"

#include <stdlib.h>
#include <utlist.h>

#include "daemon/consumers/stats_counts.h"

struct stats_part *stats_parts_get(struct stats_part **parts,
				   unsigned int protocol)
{
	struct stats_part *part;

	LL_FOREACH (*parts, part) {
		if (part->protocol == protocol)
			return part;
	}
	part = calloc(1, sizeof(*part));
	if (!part)
		return NULL;
	part->protocol = protocol;
	LL_APPEND(*parts, part);
	return part;
}

void stats_parts_free(struct stats_part **parts)
{
	struct stats_part *part;

	while ((part = *parts)) {
		LL_DELETE(*parts, part);
		free(part);
	}
}

void stats_part_absorb(struct stats_part *to, const struct stats_part *from)
{
	stats_counts_add(&to->counts, &from->counts);
	stats_counts_add(&to->live, &from->live);
}

static void subtract_active(struct stats_part *part, uint64_t active)
{
	uint64_t *sum = &part->counts.active;

	*sum = *sum > active ? *sum - active : 0;
}

void stats_part_count(struct stats_part *part,
		      const struct berth_counts *before,
		      const struct berth_counts *now)
{
	struct berth_counts was = *before;

	was.active = 0;
	subtract_active(part, before->active);
	stats_counts_add_more(&part->counts, &was, now);
	stats_counts_add_more(&part->live, &was, now);
}

void stats_part_take_over(struct stats_part *part,
			  const struct berth_counts *before)
{
	stats_counts_add(&part->live, before);
}

void stats_part_settle(struct stats_part *part, const struct berth_counts *last)
{
	subtract_active(part, last->active);
	stats_counts_subtract(&part->live, last);
}

struct berth_counts stats_part_told(const struct stats_part *part)
{
	struct berth_counts told = part->counts;

	told.active -= told.active > part->unsure ? part->unsure : told.active;
	return told;
}

struct berth_counts stats_part_settled(const struct stats_part *part)
{
	struct berth_counts settled = part->counts;

	stats_counts_subtract(&settled, &part->live);
	settled.active = 0; /* of a listener that is there */
	return settled;
}
