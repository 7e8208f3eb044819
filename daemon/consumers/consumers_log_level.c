// SPDX-License-Identifier: Apache-2.0
/* consumers_log_level.c - how much berth-relay logs, while it runs */
#include <string.h>

#include "common/log.h"
#include "common/service.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/consumers_internal.h"

void consumer_queue_log_level(struct consumer_connection *conn)
{
	const struct consumer *consumer = conn->consumer;

	conn->log_level_queued = consumer->all->log_level &&
				 strcmp(consumer->name, SERVICE_RELAY) == 0;
}

bool consumers_set_log_level(struct consumers *consumers, enum log_level level)
{
	struct consumer_connection *conn;
	bool is_told = false;

	consumers->log_level = log_level_name(level);
	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		consumer_queue_log_level(conn);
		is_told |= conn->log_level_queued;
	}
	return is_told;
}
