// SPDX-License-Identifier: Apache-2.0
/* control_consumers.c - the method ListConsumers */
#include "daemon/control/control_consumers.h"

#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/handshake.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"

static json_t *describe_connection(const struct consumer_connection_info *info)
{
	const struct consumer_peer *peer = info->peer;
	uint64_t now_us = monotonic_us();

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
			 (int)peer->pid, "uid", json_count(peer->uid), "gid",
			 json_count(peer->gid), "program",
			 json_text(peer->name), "since_us",
			 json_count(now_us - info->since_us),
			 "draining_since_us",
			 info->draining_since_us
				 ? json_count(now_us - info->draining_since_us)
				 : json_null(),
			 "withdrawn", json_count(info->withdrawn), "overdue",
			 json_count(info->overdue));
}

static json_t *describe_consumer(const struct consumers *consumers,
				 size_t index)
{
	struct consumer_connection_info connection;
	json_t *connections = json_array();
	struct consumer_info info;

	consumers_get_info(consumers, index, &info);
	for (size_t i = 0;
	     consumers_connection_info(consumers, index, i, &connection); i++)
		json_add(&connections, describe_connection(&connection));
	return json_pack("{s:o, s:s, s:o, s:o, s:o}", "name",
			 json_text(info.name), "when_absent",
			 info.close_when_absent ? "close" : "hold", "delivered",
			 json_count(info.delivered), "undelivered",
			 json_count(info.undelivered), "connections",
			 connections);
}

void control_consumers(struct varlink_call *call,
		       const struct consumers *consumers)
{
	json_t *array = json_array();

	for (size_t i = 0; i < consumers_count(consumers); i++)
		json_add(&array, describe_consumer(consumers, i));
	varlink_reply(call, json_pack("{s:o}", "consumers", array));
}
