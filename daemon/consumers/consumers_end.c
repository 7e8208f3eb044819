// SPDX-License-Identifier: Apache-2.0
/* consumers_end.c - berthd ends, and every consumer lets go of what it has
 *
 * A consumer whose connection just closes goes on: it cannot know that no
 * berthd comes back. So each listener is withdrawn from it, as if its namespace
 * went, and each namespace that it got sockets of goes.
 */
#include "daemon/consumers/consumers_internal.h"

#include <utlist.h>

#include "common/util.h"

static void end_connection(struct consumer_connection *conn)
{
	struct withdrawal *withdrawal = conn->withdrawals.by_id;
	uint64_t now_us = monotonic_us();

	for (; withdrawal; withdrawal = withdrawal->hh.next)
		(void)withdrawals_end(&conn->withdrawals, withdrawal,
				      BERTH_ENDING_RELAY_END, now_us);
	consumer_sockets_all_gone(&conn->sockets, now_us);
}

void consumers_end(struct consumers *consumers)
{
	struct consumer_connection *conn, *next;
	struct consumer *consumer;

	/* Without a directory no socket is opened any more. */
	free(TAKE_PTR(consumers->dir));
	consumers_update_doors(consumers);
	LL_FOREACH (consumers->list, consumer) {
		if (consumer->current)
			consumer_retire(consumer);
	}
	for (conn = connection_first(consumers); conn; conn = next) {
		next = connection_next(conn);
		end_connection(conn);
	}
}

bool consumers_hold(const struct consumers *consumers)
{
	const struct consumer_connection *conn;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		if (withdrawals_count(&conn->withdrawals) > 0 ||
		    conn->sockets.grants)
			return true;
	}
	return false;
}
