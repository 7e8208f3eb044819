/* SPDX-License-Identifier: Apache-2.0 */
/* control_stats.h - the method GetStats, and asking the consumers first */
#ifndef DAEMON_CONTROL_CONTROL_STATS_H
#define DAEMON_CONTROL_CONTROL_STATS_H

#include <jansson.h>

struct stats;
struct stats_result;
struct varlink_call;

/**
 * struct control_asking - what to do once the consumers were asked
 * @reply:	replies to @call; takes @state; @result is borrowed
 * @free:	when there is nothing to reply to any more; takes @state
 */
struct control_asking {
	void (*reply)(struct varlink_call *call, struct stats_result *result,
		      void *state);
	void (*free)(void *state);
	void *state;
};

/** control_ask() - defers @call until they have answered; @asking is copied */
void control_ask(struct varlink_call *call, struct stats *stats,
		 const struct control_asking *asking);

/** control_silent() - an array of the names of those that did not answer
 * Return: a new reference, or NULL: no memory. */
json_t *control_silent(const struct stats_result *result);

/** control_stats() - replies to @call, once the consumers were asked */
void control_stats(struct varlink_call *call, struct stats *stats);

#endif
