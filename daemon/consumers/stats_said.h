/* SPDX-License-Identifier: Apache-2.0 */
/* stats_said.h - what each connection of a consumer said last of each listener
 *
 * Consumers say only what has changed, so berthd has to remember the rest. A
 * listener of which nothing was counted takes no room.
 */
#ifndef DAEMON_CONSUMERS_STATS_SAID_H
#define DAEMON_CONSUMERS_STATS_SAID_H

#include <stdbool.h>
#include <stdint.h>

struct berth_counts;
struct said;
struct stats_part;

/** struct stats_said - zero-initialize
 * @last:	of which something was said last, or NULL
 */
struct stats_said {
	struct said *by_id;
	struct said *last;
};

/**
 * stats_said_count() - @connection counted @counts of listener @id so far
 * @part:	which it counts for from now on; what was counted before stays
 *		where it is
 *
 * Return: 0, or -ENOMEM: nothing has changed.
 */
int stats_said_count(struct stats_said *said, uint64_t id, uint64_t connection,
		     struct stats_part *part,
		     const struct berth_counts *counts);

/** stats_said_final() - as stats_said_count(), and no more will come: nothing
 * is remembered. It cannot fail. */
void stats_said_final(struct stats_said *said, uint64_t id, uint64_t connection,
		      struct stats_part *part,
		      const struct berth_counts *counts);

/** stats_said_lost() - the connection is over: what it said last is what it
 * counted */
void stats_said_lost(struct stats_said *said, uint64_t connection);

/** stats_said_redirect() - what counts for a part that is retired counts for
 * @part from now on */
void stats_said_redirect(struct stats_said *said, struct stats_part *part);

/**
 * stats_said_find() - the sum of what all connections said of a listener
 * Return: true; false: nothing was said, *@ret_counts is 0.
 */
bool stats_said_find(const struct stats_said *said, uint64_t id,
		     struct berth_counts *ret_counts);

/** stats_said_doubt() - adds to @unsure of each part what is active of it, of
 * the connections that @is_silent says so of */
void stats_said_doubt(struct stats_said *said,
		      bool (*is_silent)(uint64_t connection, void *user_data),
		      void *user_data);

/** stats_said_clear() - forgets all, whatever part it counts for */
void stats_said_clear(struct stats_said *said);

#endif
