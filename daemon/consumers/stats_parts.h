/* SPDX-License-Identifier: Apache-2.0 */
/* stats_parts.h - what was counted for one rule, by protocol
 *
 * A part only grows: each answer of a consumer adds what it says more than
 * before. So what was told once is never told smaller, whether the consumer
 * answers again, says less, or is gone.
 */
#ifndef DAEMON_CONSUMERS_STATS_PARTS_H
#define DAEMON_CONSUMERS_STATS_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/berth.h"

/**
 * struct stats_part - of one protocol; zero-initialize
 * @protocol:	enum protocol; or PROTOCOL_COUNT: it is not known
 * @counts:	all that was ever counted, and what is active now
 * @live:	of @counts, what was said of listeners that are not released:
 *		the next berthd is told that once more
 * @unsure:	how much of @counts.active may have ended meanwhile, because its
 *		consumer does not answer
 * @retired:	its rule is gone
 */
struct stats_part {
	unsigned int protocol;
	struct berth_counts counts;
	struct berth_counts live;
	uint64_t unsure;
	bool retired;
	struct stats_part *next;
};

/** stats_parts_get() - the part of @protocol, made when it is missing. Return:
 * NULL: no memory. */
struct stats_part *stats_parts_get(struct stats_part **parts,
				   unsigned int protocol);

/** stats_parts_free() - the list is empty then */
void stats_parts_free(struct stats_part **parts);

/** stats_part_absorb() - adds @from to @to, whatever its protocol */
void stats_part_absorb(struct stats_part *to, const struct stats_part *from);

/**
 * stats_part_count() - a listener of which @before was counted has @now
 *
 * A count that is less than before is as before, but for those that are active.
 */
void stats_part_count(struct stats_part *part,
		      const struct berth_counts *before,
		      const struct berth_counts *now);

/** stats_part_take_over() - a listener of which @before was counted for another
 * part counts for this one from now on */
void stats_part_take_over(struct stats_part *part,
			  const struct berth_counts *before);

/** stats_part_settle() - of a listener of which @last was counted no more will
 * be: it stays in @counts, and none of it is active */
void stats_part_settle(struct stats_part *part,
		       const struct berth_counts *last);

/** stats_part_told() - what is told: without what may not be active any more */
struct berth_counts stats_part_told(const struct stats_part *part);

/** stats_part_settled() - what the next berthd is to begin with. Return: the
 * counts of listeners that were released. */
struct berth_counts stats_part_settled(const struct stats_part *part);

#endif
