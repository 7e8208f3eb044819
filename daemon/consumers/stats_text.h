/* SPDX-License-Identifier: Apache-2.0 */
/* stats_text.h - `stats` as libberth writes it, read where it lies */
#ifndef DAEMON_CONSUMERS_STATS_TEXT_H
#define DAEMON_CONSUMERS_STATS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct berth_counts;

/**
 * struct stats_text - an answer that is being read
 * @at, @end:	what is left of its list
 * @request:	which request it answers
 * @more:	another part follows
 */
struct stats_text {
	const char *at;
	const char *end;
	uint64_t request;
	bool more;
};

/**
 * stats_text_begin() - reads all but the list
 * @text:	of a message; stays the caller's, and is to stay where it is
 *
 * Return: 0; -EOPNOTSUPP: jansson is to read it.
 */
int stats_text_begin(const char *text, size_t len,
		     struct stats_text *ret_stats);

/**
 * stats_text_next() - the next listener of the list
 * Return: 1; 0: that was all; -EOPNOTSUPP: it is written differently: jansson
 * is to read all of the message, and its list from the beginning.
 */
int stats_text_next(struct stats_text *stats, uint64_t *ret_id,
		    struct berth_counts *ret_counts);

#endif
