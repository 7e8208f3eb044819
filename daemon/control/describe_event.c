// SPDX-License-Identifier: Apache-2.0
/* describe_event.c - an event as JSON */
#include "daemon/control/describe_event.h"

#include "common/endpoint.h"
#include "common/ip.h"
#include "daemon/events.h"
#include "daemon/json_build.h"

static void put_text(json_t **object, const char *key, const char *text)
{
	if (text)
		json_put(object, key, json_text(text));
}

static void put_count(json_t **object, const char *key, uint64_t count)
{
	if (count)
		json_put(object, key, json_count(count));
}

static void put_endpoint(json_t **object, const struct endpoint *endpoint)
{
	char address[IP_TEXT_MAX];

	json_put(object, "protocol",
		 json_string(protocol_name(endpoint->protocol)));
	json_put(object, "address",
		 json_string(endpoint_addr_fmt(endpoint, address)));
	json_put(object, "port", json_count(endpoint->port));
}

json_t *describe_event(const struct event *event)
{
	json_t *object = json_object();
	char address[IP_TEXT_MAX];

	json_put(&object, "event", json_string(event_kind_name(event->kind)));
	json_put(&object, "time_us", json_count(event->time_us));
	put_text(&object, "namespace", event->netns);
	put_count(&object, "namespace_id", event->netns_id);
	put_text(&object, "container", event->container);
	put_text(&object, "rule", event->rule);
	put_count(&object, "listener", event->listener);
	if (event->endpoint)
		put_endpoint(&object, event->endpoint);
	if (event->address) {
		json_put(&object, "address",
			 json_string(ip_addr_fmt(event->address, address)));
		json_put(&object, "prefix", json_count(event->prefix_bits));
	}
	put_text(&object, "interface", event->ifname);
	put_text(&object, "backend", event->backend);
	put_text(&object, "consumer", event->consumer);
	put_count(&object, "pid", (uint64_t)event->pid);
	put_text(&object, "file", event->file);
	put_text(&object, "reason", event->reason);
	return object;
}
