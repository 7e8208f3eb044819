// SPDX-License-Identifier: Apache-2.0
/* stats_parts.c - what was counted for one rule, by protocol
 *
 * Theory of operation: of a connection that does not answer, or is lost, nobody
 * knows what it counted last, so what it said before stands for it. Listeners
 * that it released since are in the total with their last counts, which are no
 * less than what it had said of them: taking them off, down to 0, leaves at
 * most what it said of the others. So the sum never falls behind what was told,
 * and nothing is counted twice.
 *
 * While an answer is added up listeners are released that are in it. They are
 * not in the total that it begins with: what is told has them once, and from
 * what is remembered they are taken off.
 */
#include "daemon/consumers/stats_parts.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/consumers/stats_counts.h"

/**
 * struct stats_reported - what one connection said
 * @settled:	of what it released while an answer is being added up
 */
struct stats_reported {
	uint64_t connection;
	struct berth_counts counts;
	struct berth_counts settled;
	struct stats_reported *next;
};

static struct stats_reported *find_reported(const struct stats_part *part,
					    uint64_t connection)
{
	struct stats_reported *reported;

	LL_FOREACH (part->reported, reported) {
		if (reported->connection == connection)
			return reported;
	}
	return NULL;
}

static struct stats_reported *get_reported(struct stats_part *part,
					   uint64_t connection)
{
	struct stats_reported *reported = find_reported(part, connection);

	if (reported)
		return reported;
	reported = calloc(1, sizeof(*reported));
	if (!reported)
		return NULL;
	reported->connection = connection;
	LL_PREPEND(part->reported, reported);
	return reported;
}

static void forget_reported(struct stats_part *part,
			    struct stats_reported *reported)
{
	LL_DELETE(part->reported, reported);
	free(reported);
}

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

void stats_part_absorb(struct stats_part *to, struct stats_part *from)
{
	struct stats_reported *reported, *same;

	stats_counts_add(&to->counts, &from->counts);
	from->counts = (struct berth_counts){ .accepted = 0 };
	while ((reported = from->reported)) {
		LL_DELETE(from->reported, reported);
		same = find_reported(to, reported->connection);
		if (same) {
			stats_counts_add(&same->counts, &reported->counts);
			free(reported);
		} else {
			LL_PREPEND(to->reported, reported);
		}
	}
}

void stats_parts_move(struct stats_part **to, struct stats_part **from)
{
	struct stats_part *part, *same;

	while ((part = *from)) {
		LL_DELETE(*from, part);
		LL_FOREACH (*to, same) {
			if (same->protocol == part->protocol)
				break;
		}
		if (same) {
			stats_part_absorb(same, part);
			free(part);
		} else {
			LL_APPEND(*to, part);
		}
	}
}

void stats_parts_free(struct stats_part **parts)
{
	struct stats_part *part;

	while ((part = *parts)) {
		LL_DELETE(*parts, part);
		while (part->reported)
			forget_reported(part, part->reported);
		free(part);
	}
}

int stats_part_said(struct stats_part *answer, uint64_t connection,
		    const struct berth_counts *counts)
{
	struct stats_reported *reported = get_reported(answer, connection);

	if (!reported)
		return -ENOMEM;
	stats_counts_add(&reported->counts, counts);
	return 0;
}

void stats_part_released(struct stats_part *part, uint64_t connection,
			 const struct berth_counts *counts, bool adding)
{
	struct berth_counts final = *counts;
	struct stats_reported *reported =
		adding ? get_reported(part, connection)
		       : find_reported(part, connection);

	final.active = 0; /* whatever it says */
	stats_counts_add(&part->counts, &final);
	if (!reported)
		return;
	stats_counts_subtract(&reported->counts, &final);
	if (adding)
		stats_counts_add(&reported->settled, &final);
}

void stats_part_lost(struct stats_part *part, uint64_t connection)
{
	struct stats_reported *reported = find_reported(part, connection);

	if (!reported)
		return;
	stats_counts_add(&part->counts, &reported->counts);
	forget_reported(part, reported);
}

/* What was told of the connection before, without what is not so any more. */
static struct berth_counts told_before(const struct stats_reported *old)
{
	struct berth_counts counts = old->counts;

	stats_counts_add(&counts, &old->settled);
	return counts;
}

/* @said is of a connection of which @old is known. Return: what is told. */
static struct berth_counts said_again(struct stats_reported *said,
				      const struct stats_reported *old)
{
	struct berth_counts told = said->counts, before = told_before(old);

	stats_counts_raise(&told, &before);
	stats_counts_subtract(&said->counts, &old->settled);
	stats_counts_raise(&said->counts, &old->counts);
	return told;
}

/* Takes what @answer says of one connection into @part. */
static void take_said(struct stats_part *part, struct stats_part *answer,
		      struct stats_reported *said)
{
	struct stats_reported *old = find_reported(part, said->connection);
	struct berth_counts told = old ? said_again(said, old) : said->counts;

	if (old)
		forget_reported(part, old);
	stats_counts_add(&answer->counts, &told);
	said->counts.active = 0; /* that is so no longer than it is said */
}

void stats_part_answered(struct stats_part *part, struct stats_part *answer)
{
	struct stats_reported *said, *old;
	struct stats_reported *all = answer->reported;

	answer->reported = NULL;
	LL_FOREACH (all, said)
		take_said(part, answer, said);
	LL_FOREACH (part->reported, old) {
		struct berth_counts told = told_before(old);

		stats_counts_add(&answer->counts, &told);
		old->settled = (struct berth_counts){ .accepted = 0 };
	}
	LL_CONCAT(part->reported, all);
}

void stats_part_finish(struct stats_part *answer)
{
	while (answer->reported) {
		stats_counts_add(&answer->counts, &answer->reported->counts);
		forget_reported(answer, answer->reported);
	}
}
