/* SPDX-License-Identifier: Apache-2.0 */
/* control_stats.h - replies of io.berth that have to ask the consumers first */
#ifndef DAEMON_CONTROL_CONTROL_STATS_H
#define DAEMON_CONTROL_CONTROL_STATS_H

#include <jansson.h>

struct stats;
struct stats_result;
struct varlink_call;

/**
 * struct stats_reply - what to do once the consumers were asked
 * @reply:	replies to @call; takes @state
 * @free:	when there is nothing to reply to any more; takes @state
 */
struct stats_reply {
	void (*reply)(struct varlink_call *call, struct stats_result *result,
		      void *state);
	void (*free)(void *state);
	void *state;
};

/** control_ask_stats() - defers @call; @reply is copied */
void control_ask_stats(struct varlink_call *call, struct stats *stats,
		       const struct stats_reply *reply);

/** control_silent_json() - who did not answer. Return: a new reference, NULL
 * when out of memory. */
json_t *control_silent_json(const struct stats_result *result);

/** control_stats() - the method GetStats */
void control_stats(struct varlink_call *call, struct stats *stats);

#endif
