/* SPDX-License-Identifier: Apache-2.0 */
/* stats_parts.h - what was counted for one rule, by protocol
 *
 * Beside the total of what was released, each part remembers what every
 * connection said of its other listeners when it was last asked. That stands
 * for what it does not say, and if the connection ends without releasing them
 * it is added to the total: so what was told once is never told smaller.
 */
#ifndef DAEMON_CONSUMERS_STATS_PARTS_H
#define DAEMON_CONSUMERS_STATS_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/berth.h"

struct stats_reported;

/**
 * struct stats_part - of one protocol; zero-initialize
 * @protocol:	enum protocol; or PROTOCOL_COUNT: it is not known
 * @reported:	by connection
 */
struct stats_part {
	unsigned int protocol;
	struct berth_counts counts;
	struct stats_reported *reported;
	struct stats_part *next;
};

/** stats_parts_get() - the part of @protocol, made when it is missing. Return:
 * NULL: no memory. */
struct stats_part *stats_parts_get(struct stats_part **parts,
				   unsigned int protocol);

/** stats_parts_move() - adds all parts of @from to those of @to; @from is empty
 * then */
void stats_parts_move(struct stats_part **to, struct stats_part **from);

/** stats_parts_free() - the list is empty then */
void stats_parts_free(struct stats_part **parts);

/** stats_part_absorb() - adds @from to @to, whatever its protocol; @from has
 * nothing then */
void stats_part_absorb(struct stats_part *to, struct stats_part *from);

/** stats_part_said() - of an answer that is being added up: @connection says
 * @counts of one more listener. Return: 0 or -ENOMEM. */
int stats_part_said(struct stats_part *answer, uint64_t connection,
		    const struct berth_counts *counts);

/**
 * stats_part_released() - @connection has released a listener with @counts,
 * which are added to the total
 * @adding:	an answer in which it may be is being added up. Without memory
 *		it may be counted twice, if the connection is lost.
 */
void stats_part_released(struct stats_part *part, uint64_t connection,
			 const struct berth_counts *counts, bool adding);

/** stats_part_lost() - the connection is over, and nothing is being added up */
void stats_part_lost(struct stats_part *part, uint64_t connection);

/**
 * stats_part_answered() - an answer is added up
 * @answer:	has the total of before; its counts become what is to be told
 *
 * What @part remembers is that, for each connection, from now on.
 */
void stats_part_answered(struct stats_part *part, struct stats_part *answer);

/** stats_part_finish() - as stats_part_answered(), without anything that was
 * known before */
void stats_part_finish(struct stats_part *answer);

#endif
