/* SPDX-License-Identifier: Apache-2.0 */
/* stats_counts.h - what a consumer counted: parsed, added up, as JSON */
#ifndef DAEMON_CONSUMERS_STATS_COUNTS_H
#define DAEMON_CONSUMERS_STATS_COUNTS_H

#include <jansson.h>
#include <stddef.h>

#include "lib/berth.h"

/* All counts but the errors, which struct berth_counts begins with. */
#define STATS_VALUES \
	(offsetof(struct berth_counts, n_errors) / sizeof(uint64_t))

/** struct stats_member - one of the counts that are plain numbers, or several
 * that are told apart by words
 * @value:	which of the values it is, or the first of them
 * @words:	of so many values; NULL: it is one number
 */
struct stats_member {
	const char *name;
	size_t value;
	const char *const *words;
	size_t n;
};

#define STATS_MEMBERS 14

/** All of them, in the order in which libberth says them. */
extern const struct stats_member stats_members[STATS_MEMBERS];

/** stats_counts_values() - the STATS_VALUES values */
static inline uint64_t *stats_counts_values(struct berth_counts *counts)
{
	return (uint64_t *)(void *)counts;
}

/** stats_counts_value() - one of them */
static inline uint64_t stats_counts_value(const struct berth_counts *counts,
					  size_t i)
{
	return ((const uint64_t *)(const void *)counts)[i];
}

/**
 * stats_counts_parse() - the members of @object that are counts
 *
 * An absent member is 0. Errors beyond those that there are places for, and
 * keys that are no errno, are added up under 0.
 * Return: 0, or -EPROTO for what doc/consumer-protocol.md does not allow.
 */
int stats_counts_parse(const json_t *object, struct berth_counts *ret_counts);

/** stats_counts_complete() - what was dropped or limited and is not in the
 * lists by reason is added there to the others */
void stats_counts_complete(struct berth_counts *counts);

/** stats_counts_add_error() - @n more failures with @error; without a place for
 * one more error, they are added up under 0 */
void stats_counts_add_error(struct berth_counts *counts, int error, uint64_t n);

/** stats_counts_add() - adds @more to @sum; a sum that is too large for JSON is
 * the largest number that JSON has */
void stats_counts_add(struct berth_counts *sum,
		      const struct berth_counts *more);

/** stats_counts_add_more() - adds to @sum what @now has more than @before, as
 * stats_counts_add() does */
void stats_counts_add_more(struct berth_counts *sum,
			   const struct berth_counts *before,
			   const struct berth_counts *now);

/** stats_counts_subtract() - takes @less off @counts, down to 0 */
void stats_counts_subtract(struct berth_counts *counts,
			   const struct berth_counts *less);

/** stats_counts_raise() - no count, but for those that are active, is less than
 * in @least */
void stats_counts_raise(struct berth_counts *counts,
			const struct berth_counts *least);

/** stats_counts_failed() - all failures of backends */
uint64_t stats_counts_failed(const struct berth_counts *counts);

/** stats_counts_members() - as stats_counts_parse() reads them. Return: a new
 * reference, NULL when out of memory. */
json_t *stats_counts_members(const struct berth_counts *counts);

/** stats_counts_json() - the type Counters of io.berth. Return: a new
 * reference, NULL when out of memory. */
json_t *stats_counts_json(const struct berth_counts *counts);

#endif
