/* SPDX-License-Identifier: Apache-2.0 */
/* stats_internal.h - what stats.c and stats_result.c share */
#ifndef DAEMON_CONSUMERS_STATS_INTERNAL_H
#define DAEMON_CONSUMERS_STATS_INTERNAL_H

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/consumers/stats.h"
#include "daemon/consumers/stats_parts.h"
#include "lib/berth.h"

/**
 * struct rule_total - of listeners that were released
 * @name, @file: the ruleset's
 * @index:	in the ruleset
 */
struct rule_total {
	const char *name;
	const char *file;
	size_t index;
	struct stats_part *parts;
};

/** struct sample_part - what one connection counted */
struct sample_part {
	uint64_t connection;
	struct berth_counts counts;
	struct sample_part *next;
};

/**
 * struct sample - what was collected of listener @id
 * @protocol:	enum protocol
 * @service:	a reference
 * @parts:	of the connections that have it or still have connections of it
 * @counts:	their sum
 */
struct sample {
	uint64_t id;
	unsigned int protocol;
	struct service *service;
	struct sample_part *parts;
	struct berth_counts counts;
	UT_hash_handle hh;
};

/**
 * struct stats_result - what is told; while it is added up, see struct adding
 * @totals:	as those of the stats, in the same order; copies
 * @gone:	of rules that are not in force
 * @by_index:	the total of each rule of @ruleset
 * @rules:	the sum of each total's parts, by index
 */
struct stats_result {
	struct stats *stats;
	unsigned int refs;
	struct ruleset *ruleset;
	struct sample *samples;
	struct rule_total *totals;
	size_t n_totals;
	struct stats_part gone;
	struct rule_total **by_index;
	struct berth_counts *rules;
	struct berth_counts total;
	char **silent;
	size_t n_silent;
	struct stats_result *next;
};

/**
 * struct adding - the samples of a result that are being added up
 * @result:	NULL: none is
 * @at:		the next of its samples; NULL: that was all
 * @complete:	it may be told
 * @service, @protocol, @part: of the last sample
 */
struct adding {
	struct stats_result *result;
	struct sample *at;
	bool complete;
	const struct service *service;
	unsigned int protocol;
	struct stats_part *part;
};

/**
 * struct stats - see the file's head
 * @totals:	of the rules in @ruleset, by name and file
 * @gone:	of rules that are not in force any more
 * @kept:	the file of the totals, or NULL
 * @keep_us:	how long after a change it is written
 * @keep_timer:	set while the totals are others than those in the file
 * @request:	of the last collection
 * @deadline_us: of the collection that runs; 0: none does
 * @failed:	there was no memory for a sample of it
 * @adding:	the end of the collection
 * @waiters:	for the collection that runs, and for the next
 * @dead:	results that nobody has any more, and whose samples are freed by
 *		@free_timer
 */
struct stats {
	struct consumers *consumers;
	struct loop *loop;
	struct loop_timer *timer;
	struct ruleset *ruleset;
	struct rule_total *totals;
	size_t n_totals;
	struct stats_part gone;
	char *kept;
	uint64_t keep_us;
	struct loop_timer *keep_timer;
	uint64_t request;
	uint64_t deadline_us;
	struct sample *samples;
	bool failed;
	struct adding adding;
	struct stats_waiter *waiters;
	struct stats_result *dead;
	struct loop_timer *free_timer;
};

/* stats_result.c */

/** stats_total_compare() - the order of totals, for qsort(3) */
int stats_total_compare(const void *a, const void *b);

/** stats_total_find() - of a rule, among @n sorted ones; NULL: there is none */
struct rule_total *stats_total_find(const struct rule_total *totals, size_t n,
				    const char *name, const char *file);

/** stats_totals_free() - with their parts */
void stats_totals_free(struct rule_total *totals, size_t n);

/** stats_sample_find() - of listener @id, or NULL */
struct sample *stats_sample_find(struct sample *samples, uint64_t id);

/** stats_sample_free() - frees one that is in no table any more */
void stats_sample_free(struct sample *sample);

/** stats_samples_clear() - frees those that were collected */
void stats_samples_clear(struct stats *stats);

/** stats_adding_begin() - the answers are there, or it is too late for them:
 * takes the samples. Without memory it is complete, without a result. */
void stats_adding_begin(struct stats *stats);

/** stats_adding_step() - adds up some of them */
void stats_adding_step(struct stats *stats);

/** stats_adding_finish() - what is added up is about to change: it is completed
 * before */
void stats_adding_finish(struct stats *stats);

/** stats_free_some() - frees some samples of results that nobody has any more;
 * the handler of @free_timer */
void stats_free_some(void *user_data);

/** stats_results_free() - frees those results, and the one that is added up */
void stats_results_free(struct stats *stats);

#endif
