// SPDX-License-Identifier: Apache-2.0
/* consumers_draining.c - listeners that drain, of all consumers */
#include "daemon/consumers/consumers_internal.h"

#include <string.h>

#include "common/util.h"

static struct consumer_draining info_of(const struct consumer_connection *conn,
					const struct withdrawal *withdrawal)
{
	bool ended = withdrawal->abort_since_us != 0;

	return (struct consumer_draining){
		.id = withdrawal->id,
		.netns_id = withdrawal->netns_id,
		.endpoint = &withdrawal->endpoint,
		.service = withdrawal->service,
		.pid = conn->peer.pid,
		.since_us = withdrawal->since_us,
		.ends_us = ended ? 0 : withdrawal->end.key,
	};
}

static int each_of(const struct consumer_connection *conn, uint64_t netns_id,
		   consumers_draining_t handler, void *user_data)
{
	const struct withdrawal *withdrawal =
		netns_id ? withdrawals_of(&conn->withdrawals, netns_id)
			 : conn->withdrawals.by_id;
	struct consumer_draining info;
	int r = 0;

	while (r == 0 && withdrawal) {
		info = info_of(conn, withdrawal);
		r = handler(&info, user_data);
		withdrawal = netns_id ? withdrawal->netns_next
				      : withdrawal->hh.next;
	}
	return r;
}

int consumers_each_draining(const struct consumers *consumers,
			    uint64_t netns_id, consumers_draining_t handler,
			    void *user_data)
{
	const struct consumer_connection *conn;
	int r = 0;

	for (conn = connection_first(consumers); conn && r == 0;
	     conn = connection_next(conn))
		r = each_of(conn, netns_id, handler, user_data);
	return r;
}

bool consumers_find_draining(const struct consumers *consumers, uint64_t id,
			     pid_t pid, struct consumer_draining *ret_info)
{
	const struct consumer_connection *conn;
	const struct withdrawal *withdrawal;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		withdrawal = conn->peer.pid == pid
				     ? withdrawals_find(&conn->withdrawals, id)
				     : NULL;
		if (!withdrawal)
			continue;
		*ret_info = info_of(conn, withdrawal);
		return true;
	}
	return false;
}

static size_t end_of_rule(struct consumer_connection *conn, const char *rule)
{
	struct withdrawal *withdrawal = conn->withdrawals.by_id;
	size_t n = 0;

	for (; withdrawal; withdrawal = withdrawal->hh.next)
		n += strcmp(withdrawal->service->rule, rule) == 0 &&
		     withdrawals_end(&conn->withdrawals, withdrawal,
				     BERTH_ENDING_CLOSED_BY_HAND,
				     monotonic_us());
	return n;
}

static size_t end_of_id(struct consumer_connection *conn, uint64_t id)
{
	struct withdrawal *withdrawal =
		withdrawals_find(&conn->withdrawals, id);

	return withdrawal &&
	       withdrawals_end(&conn->withdrawals, withdrawal,
			       BERTH_ENDING_CLOSED_BY_HAND, monotonic_us());
}

size_t consumers_end_draining(struct consumers *consumers, const char *rule,
			      uint64_t id)
{
	struct consumer_connection *conn;
	size_t n = 0;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		n += rule ? end_of_rule(conn, rule) : end_of_id(conn, id);
		consumer_watch(conn);
	}
	return n;
}
