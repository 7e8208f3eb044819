// SPDX-License-Identifier: Apache-2.0
/* consumers_stats.c - asks consumers what they counted
 *
 * Theory of operation: a connection has one request at a time. stats.c waits
 * for the answers, not this file. A consumer that has answered is asked only
 * for what has changed since. An answer to an earlier request is dropped:
 * whoever is asked again before he has answered is asked for all, and so is one
 * of whose answer not all could be kept. What an answer can cost is bounded by
 * what the consumer has: ids of other listeners are ignored, and a listener
 * that comes twice replaces itself.
 */
#include "daemon/consumers/consumers_internal.h"

#include <errno.h>
#include <utlist.h>

#include "common/util.h"

/* After this a consumer that does not answer is asked again, if it ever did. */
#define STATS_RETRY_US (10 * USEC_PER_SEC)

/* Fills in what is known of the listener @count->id, if the consumer has it.
 * Return: has it? */
static bool consumer_knows(const struct consumer_connection *conn,
			   struct consumer_count *count)
{
	struct withdrawal *withdrawal =
		withdrawals_find(&conn->withdrawals, count->id);
	const struct delivery *delivery;

	if (withdrawal) {
		count->service = withdrawal->service;
		count->protocol = (enum protocol)withdrawal->endpoint.protocol;
		return true;
	}
	delivery = consumer_delivery(conn, count->id);
	if (!delivery || delivery->state == DELIVERY_PENDING)
		return false;
	count->service = delivery->listener->service;
	count->protocol = (enum protocol)delivery->listener->endpoint.protocol;
	return true;
}

int consumer_counted(struct consumer_connection *conn,
		     struct consumer_reply *reply)
{
	struct consumers *consumers = conn->consumer->all;
	struct berth_counts counts;
	struct consumer_count count = {
		.connection = conn->number,
		.counts = &counts,
	};
	int r;

	if (!conn->stats.since_us || reply->request != conn->stats.number)
		return 0; /* nobody waits for it any more */
	while ((r = consumer_reply_next(reply, &count.id, &counts)) > 0) {
		if (!consumer_knows(conn, &count) ||
		    consumers->ops.counted(&count, consumers->user_data) < 0)
			conn->stats.incomplete = true;
	}
	if (r == 0 && !reply->more) {
		conn->stats.since_us = 0;
		conn->stats.answers = true;
		consumers->ops.stats_changed(consumers->user_data);
	}
	return r;
}

static bool connection_may_be_asked(const struct consumer_connection *conn,
				    uint64_t now_us)
{
	const struct stats_request *stats = &conn->stats;

	return !stats->since_us || (stats->answers && !stats->queued &&
				    stats->since_us + STATS_RETRY_US <= now_us);
}

void consumers_ask_stats(struct consumers *consumers, uint64_t request)
{
	uint64_t now_us = monotonic_us();
	struct consumer_connection *conn;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		if (!connection_may_be_asked(conn, now_us))
			continue;
		conn->stats.changed = conn->stats.answers &&
				      !conn->stats.since_us &&
				      !conn->stats.incomplete;
		conn->stats.incomplete = false;
		conn->stats.number = request;
		conn->stats.since_us = now_us;
		conn->stats.queued = true;
	}
}

size_t consumers_stats_waiting(const struct consumers *consumers,
			       uint64_t request)
{
	const struct consumer_connection *conn;
	size_t n = 0;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn))
		n += conn->stats.since_us && conn->stats.number == request;
	return n;
}

bool consumers_is_silent(const struct consumers *consumers, uint64_t connection)
{
	const struct consumer_connection *conn;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		if (conn->number == connection)
			return conn->stats.since_us != 0;
	}
	return false;
}
