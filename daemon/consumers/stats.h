/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - what consumers counted, by listener and by rule */
#ifndef DAEMON_CONSUMERS_STATS_H
#define DAEMON_CONSUMERS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct berth_counts;
struct consumer_count;
struct consumers;
struct listener;
struct ruleset;
struct stats;
struct stats_part;
struct stats_result;

/**
 * struct stats_waiter - a request for the counts
 * @done:	called once from the loop, never from within stats_collect();
 *		@result is NULL when memory is short, else borrowed
 */
struct stats_waiter {
	void (*done)(struct stats_result *result, void *user_data);
	void *user_data;
	struct stats_waiter *prev, *next;
	bool waits_for_next;
};

/**
 * stats_new() - nothing counted, no rules
 * @consumers:	are asked; must outlive the stats
 * Return: 0 or -ENOMEM.
 */
int stats_new(struct loop *loop, struct consumers *consumers,
	      struct stats **ret_stats);

/** stats_free() - to be called without waiters, and when nobody has a result
 * any more. Returns NULL; NULL is fine. */
struct stats *stats_free(struct stats *stats);

/**
 * stats_set_rules() - another ruleset is in force
 *
 * Rules that are in both keep their totals; those of the others are only in
 * the sum over all from now on.
 * Return: 0, or -ENOMEM: the earlier ruleset stays, try again.
 */
int stats_set_rules(struct stats *stats, struct ruleset *ruleset);

/**
 * stats_keep() - goes on with the totals of an earlier berthd
 * @path:	of the file that has them; it is written from now on, a moment
 *		after each change, and by stats_free()
 *
 * To be called once, with the rules in force. A file that cannot be read is
 * logged, and the totals begin with 0.
 * Return: 0 or -ENOMEM.
 */
int stats_keep(struct stats *stats, const char *path);

/**
 * stats_collect() - asks all consumers
 * @waiter:	the caller's, until it is done or cancelled
 *
 * The result has what consumers had counted at this call, or more. The
 * collection ends when all consumers have answered or time is up, whichever is
 * first.
 */
void stats_collect(struct stats *stats, struct stats_waiter *waiter);

/** stats_cancel() - @waiter, which waits, is not called any more */
void stats_cancel(struct stats *stats, struct stats_waiter *waiter);

/* From the consumers; see struct consumers_ops. */

/** stats_counted() - from the consumers, see @counted of struct consumers_ops
 * Return: 0; -ENOMEM: it is not known what was said. */
int stats_counted(struct stats *stats, const struct consumer_count *count);

/** stats_consumers_changed() - from the consumers: when none of those that were
 * asked is waited for any more, the waiters are told, from the loop */
void stats_consumers_changed(struct stats *stats);

/** stats_connection_ended() - a consumer's connection is over: what it said
 * last is what it counted */
void stats_connection_ended(struct stats *stats, uint64_t connection);

/* The outcome. */

/** stats_result_ref() - takes one more reference; returns @result */
struct stats_result *stats_result_ref(struct stats_result *result);

/** stats_result_unref() - gives one reference back; the last one frees it. NULL
 * is fine. Returns NULL. */
struct stats_result *stats_result_unref(struct stats_result *result);

/** stats_result_silent() - a consumer that did not answer. Return: its name,
 * or NULL when there is no more. */
const char *stats_result_silent(const struct stats_result *result,
				size_t index);

/**
 * stats_result_listener() - what its consumer counted for @listener
 * @ret_counts:	maybe all 0; maybe newer than the result
 * Return: true; false: nobody knows, because no consumer has it, or its
 * consumer does not answer.
 */
bool stats_result_listener(const struct stats_result *result,
			   const struct listener *listener,
			   struct berth_counts *ret_counts);

/** stats_result_draining() - as stats_result_listener(), for a listener that
 * the consumer still holds */
bool stats_result_draining(const struct stats_result *result, uint64_t id,
			   const char *consumer,
			   struct berth_counts *ret_counts);

/** stats_result_ruleset() - the rules that it was made for, borrowed */
struct ruleset *stats_result_ruleset(const struct stats_result *result);

/** stats_result_rule() - all of a rule, what has gone included; the index is
 * that of the ruleset */
const struct berth_counts *stats_result_rule(const struct stats_result *result,
					     size_t index);

/** stats_result_parts() - of the same, by protocol: a list, borrowed, maybe
 * empty */
const struct stats_part *stats_result_parts(const struct stats_result *result,
					    size_t index);

/** stats_result_total() - over all rules, also those that are gone */
const struct berth_counts *
stats_result_total(const struct stats_result *result);

#endif
