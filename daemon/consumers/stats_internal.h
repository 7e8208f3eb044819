/* SPDX-License-Identifier: Apache-2.0 */
/* stats_internal.h - what stats.c and stats_result.c share */
#ifndef DAEMON_CONSUMERS_STATS_INTERNAL_H
#define DAEMON_CONSUMERS_STATS_INTERNAL_H

#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_parts.h"
#include "daemon/consumers/stats_said.h"
#include "lib/berth.h"

/**
 * struct rule_total - of one rule
 * @name, @file: the ruleset's
 * @index:	in the ruleset
 */
struct rule_total {
	const char *name;
	const char *file;
	size_t index;
	struct stats_part *parts;
};

/**
 * struct stats_result - what is told
 * @totals:	as those of the stats, in the same order; copies
 * @by_index:	the total of each rule of @ruleset
 * @rules:	the sum of each total's parts, by index
 * @total:	of all rules, and of those that are not in force any more
 */
struct stats_result {
	struct stats *stats;
	unsigned int refs;
	struct ruleset *ruleset;
	struct rule_total *totals;
	size_t n_totals;
	struct rule_total **by_index;
	struct berth_counts *rules;
	struct berth_counts total;
	char **silent;
	size_t n_silent;
};

/**
 * struct stats - see the file's head
 * @totals:	of the rules in @ruleset, by name and file
 * @gone:	of rules that are not in force any more
 * @said:	what counts for the parts of both
 * @last_service, @last_protocol, @last_part: of what was said last, which is
 *		often of the same rule as the next; a reference, or NULL
 * @kept:	the file of the totals, or NULL
 * @keep_us:	how long after a change it is written
 * @keep_timer:	set while the totals are others than those in the file
 * @request:	of the last collection
 * @deadline_us: of the collection that runs; 0: none does
 * @failed:	there was no memory for what was said in it
 * @waiters:	for the collection that runs, and for the next
 */
struct stats {
	struct consumers *consumers;
	struct loop *loop;
	struct loop_timer *timer;
	struct ruleset *ruleset;
	struct rule_total *totals;
	size_t n_totals;
	struct stats_part gone;
	struct stats_said said;
	struct service *last_service;
	unsigned int last_protocol;
	struct stats_part *last_part;
	char *kept;
	uint64_t keep_us;
	struct loop_timer *keep_timer;
	uint64_t request;
	uint64_t deadline_us;
	bool failed;
	struct stats_waiter *waiters;
};

/* stats_result.c */

/** stats_total_compare() - the order of totals, for qsort(3) */
int stats_total_compare(const void *a, const void *b);

/** stats_total_find() - of a rule, among @n sorted ones; NULL: there is none */
struct rule_total *stats_total_find(const struct rule_total *totals, size_t n,
				    const char *name, const char *file);

/** stats_totals_free() - with their parts */
void stats_totals_free(struct rule_total *totals, size_t n);

/** stats_result_new() - what is known now; one reference. Return: NULL: no
 * memory. */
struct stats_result *stats_result_new(struct stats *stats);

#endif
