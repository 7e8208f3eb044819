// SPDX-License-Identifier: Apache-2.0
/* describe.c - namespaces and listeners as JSON */
#include "daemon/control/describe.h"

#include <linux/rtnetlink.h>
#include <string.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/stats_counts.h"
#include "daemon/control/describe_containers.h"
#include "daemon/health.h"
#include "daemon/json_build.h"
#include "watcher/watcher.h"

json_t *describe_errno(int error)
{
	const char *name = error ? strerrorname_np(error) : NULL;

	return name ? json_string(name) : json_null();
}

void describe_count(struct describe_counts *counts,
		    const struct listener *listener)
{
	switch (listener->state) {
	case LISTENER_OPEN:
		counts->open++;
		break;
	case LISTENER_WAITING:
		counts->waiting++;
		break;
	case LISTENER_REFUSED:
		counts->refused++;
		break;
	}
}

struct describe_counts describe_count_in(struct binder *binder,
					 uint64_t netns_id)
{
	struct describe_counts counts = { .open = 0 };
	struct listener *listener = NULL;

	while ((listener = binder_next_in(binder, netns_id, listener)))
		describe_count(&counts, listener);
	return counts;
}

json_t *describe_counts(const struct describe_counts *counts)
{
	return json_pack("{s:o, s:o, s:o}", "open", json_count(counts->open),
			 "waiting", json_count(counts->waiting), "refused",
			 json_count(counts->refused));
}

static json_t *describe_name(const struct netns_name *name)
{
	return json_pack("{s:o, s:o, s:I}", "directory", json_text(name->dir),
			 "name", json_text(name->name), "uid",
			 (json_int_t)name->uid);
}

static const char *scope_name(uint8_t scope)
{
	switch (scope) {
	case RT_SCOPE_UNIVERSE:
		return "global";
	case RT_SCOPE_SITE:
		return "site";
	case RT_SCOPE_LINK:
		return "link";
	case RT_SCOPE_HOST:
		return "host";
	default:
		return "nowhere";
	}
}

static json_t *describe_address(const struct netns *netns,
				const struct netns_address *address)
{
	const struct netns_interface *interface =
		netns_find_interface(netns, address->ifindex);
	char text[IP_TEXT_MAX];

	return json_pack("{s:s, s:i, s:o, s:s, s:b}", "address",
			 ip_addr_fmt(&address->addr, text), "prefix",
			 address->prefix_bits, "interface",
			 json_text(interface ? interface->ifname : ""), "scope",
			 scope_name(address->scope), "usable",
			 netns_address_usable(address));
}

static json_t *describe_addresses(const struct netns *netns)
{
	json_t *array = json_array();

	for (size_t i = 0; netns->observed && i < netns->n_addresses; i++)
		json_add(&array, describe_address(netns, &netns->addresses[i]));
	return array;
}

static json_t *describe_names(const struct netns *netns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < netns->n_names; i++)
		json_add(&array, describe_name(&netns->names[i]));
	return array;
}

static json_t *describe_nsid(int nsid)
{
	return nsid < 0 ? json_null() : json_integer(nsid);
}

json_t *describe_namespace(const struct netns *netns, int nsid,
			   const struct describe_counts *counts, size_t omitted)
{
	uint64_t now_us = monotonic_us();

	return json_pack(
		"{s:o, s:b, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, "
		"s:o}",
		"id", json_count(netns->id), "host", netns->host, "names",
		describe_names(netns), "containers", describe_containers(netns),
		"nsid", describe_nsid(nsid), "addresses_known", netns->observed,
		"addresses", describe_addresses(netns), "addresses_omitted",
		json_count(netns->addresses_omitted), "listeners",
		describe_counts(counts), "listeners_omitted",
		json_count(omitted), "age_us",
		json_count(now_us > netns->since_us ? now_us - netns->since_us
						    : 0));
}

json_t *describe_pending(const struct watcher_pending *pending, uint64_t now_us)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o}", "directory",
			 json_text(pending->dir), "name",
			 json_text(pending->name), "reason", pending->reason,
			 "error", describe_errno(pending->error), "since_us",
			 json_count(now_us - pending->since_us));
}

static json_t *describe_ago(uint64_t us, uint64_t now_us)
{
	return us ? json_count(now_us > us ? now_us - us : 0) : json_null();
}

static json_t *describe_pin(const struct consumer_pin *info, uint64_t now_us)
{
	const struct pin *pin = &info->pin;
	json_t *endpoints = json_array();

	for (size_t i = 0; i < pin->n_listeners && i < PIN_ENDPOINTS_MAX; i++)
		json_add(&endpoints, describe_endpoint(&pin->endpoints[i]));
	return json_pack("{s:o, s:i, s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o}",
			 "consumer", json_text(info->consumer), "pid",
			 (int)info->peer->pid, "uid",
			 json_count(info->peer->uid), "program",
			 json_text(info->peer->name), "alive", (int)info->alive,
			 "disconnected_us",
			 describe_ago(info->ended_us, now_us), "told_us",
			 describe_ago(pin->told_us, now_us), "listeners",
			 json_count(pin->n_listeners), "backend_sockets",
			 (int)pin->sockets, "endpoints", endpoints);
}

static json_t *describe_pins(const struct consumers *consumers,
			     uint64_t netns_id, uint64_t now_us)
{
	struct consumer_pin list[CONSUMER_PINS_MAX];
	size_t n = consumers_pins(consumers, netns_id, list);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_add(&array, describe_pin(&list[i], now_us));
	return array;
}

json_t *describe_lingering(const struct watcher_lingering *lingering,
			   size_t open, const struct consumers *consumers,
			   uint64_t now_us)
{
	uint64_t netns_id = lingering->netns_id;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
		json_count(netns_id), "name", json_text(lingering->name),
		"nsid", describe_nsid(lingering->nsid), "since_us",
		json_count(now_us - lingering->since_us), "open_listeners",
		json_count(open), "withdrawn_listeners",
		json_count(consumers_holds(consumers, netns_id)), "pinned_by",
		describe_pins(consumers, netns_id, now_us));
}

json_t *describe_endpoint(const struct endpoint *endpoint)
{
	char address[IP_TEXT_MAX];

	return json_pack("{s:s, s:s, s:i}", "protocol",
			 protocol_name(endpoint->protocol), "address",
			 endpoint_addr_fmt(endpoint, address), "port",
			 endpoint->port);
}

void describe_attempt(json_t **object, const struct listener *listener,
		      uint64_t now_us)
{
	bool waiting = listener->state == LISTENER_WAITING;
	bool open = listener->state == LISTENER_OPEN;
	uint64_t next_us = waiting ? listener->next_attempt_us : 0;

	json_put(object, "state",
		 json_string(listener_state_name(listener->state)));
	json_put(object, "reason",
		 open || !listener->reason ? json_null()
					   : json_text(listener->reason));
	json_put(object, "error",
		 describe_errno(waiting ? listener->error : 0));
	json_put(object, "next_attempt_us",
		 !next_us
			 ? json_null()
			 : json_count(next_us > now_us ? next_us - now_us : 0));
	json_put(object, "delivered",
		 json_boolean(consumers_delivered(listener)));
}

/* Put together without json_pack(), which takes twice as long: there may be
 * very many of them. */
static json_t *describe_served(uint64_t id, uint64_t netns_id,
			       const char *label,
			       const struct endpoint *endpoint,
			       const struct service *service)
{
	json_t *object = json_object();
	char address[IP_TEXT_MAX];

	json_put(&object, "id", json_count(id));
	json_put(&object, "namespace", json_text(label));
	json_put(&object, "namespace_id", json_count(netns_id));
	json_put(&object, "protocol",
		 json_string(protocol_name(endpoint->protocol)));
	json_put(&object, "address",
		 json_string(endpoint_addr_fmt(endpoint, address)));
	json_put(&object, "port", json_count(endpoint->port));
	json_put(&object, "rule", json_text(service->rule));
	json_put(&object, "action",
		 json_string(service_action_name(service->action)));
	json_put(&object, "consumer", json_text(service->consumer));
	return object;
}

void describe_container_of(json_t **object, const struct listener *listener)
{
	if (listener->container)
		json_put(object, "container", json_text(listener->container));
}

void describe_health(json_t **object, const struct health_facts *facts)
{
	const struct health health = health_of(facts);
	char buffer[HEALTH_TEXT_MAX];
	const char *text = health_text(&health, facts, buffer);

	json_put(object, "health",
		 json_string(health_state_name(health.state)));
	json_put(object, "health_reason", text ? json_text(text) : json_null());
}

json_t *describe_listener(const struct health_facts *facts, const char *label,
			  uint64_t now_us)
{
	const struct listener *listener = facts->listener;
	json_t *object = describe_served(listener->id, listener->netns_id,
					 label, &listener->endpoint,
					 listener->service);

	json_put(&object, "interface", json_text(listener->ifname));
	describe_attempt(&object, listener, now_us);
	json_put(&object, "blocked_by",
		 listener->blocked_by ? json_count(listener->blocked_by)
				      : json_null());
	json_put(&object, "attempts", json_count(listener->attempts));
	json_put(&object, "draining", json_null());
	describe_health(&object, facts);
	json_put(&object, "counters",
		 facts->counts ? stats_counts_json(facts->counts)
			       : json_null());
	json_put(&object, "age_us", json_count(now_us - listener->since_us));
	describe_container_of(&object, listener);
	return object;
}

static json_t *describe_drain(const struct consumer_draining *info,
			      uint64_t now_us)
{
	uint64_t ends_us = info->ends_us;

	return json_pack(
		"{s:i, s:o, s:o}", "pid", (int)info->pid, "since_us",
		json_count(now_us - info->since_us), "ends_us",
		!ends_us ? json_null()
			 : json_count(ends_us > now_us ? ends_us - now_us : 0));
}

json_t *describe_draining(const struct consumer_draining *info,
			  const char *label, const struct berth_counts *counts,
			  uint64_t now_us)
{
	json_t *object = describe_served(info->id, info->netns_id, label,
					 info->endpoint, info->service);

	json_put(&object, "interface", json_string(""));
	json_put(&object, "state", json_string("draining"));
	json_put(&object, "reason",
		 json_string(info->ends_us ? "the listener is closed, its "
					     "connections may finish"
					   : "the listener is closed, its "
					     "connections are being reset"));
	json_put(&object, "error", json_null());
	json_put(&object, "next_attempt_us", json_null());
	json_put(&object, "delivered", json_true());
	json_put(&object, "blocked_by", json_null());
	json_put(&object, "attempts", json_integer(0));
	json_put(&object, "draining", describe_drain(info, now_us));
	json_put(&object, "health",
		 json_string(health_state_name(HEALTH_UNKNOWN)));
	json_put(&object, "health_reason", json_null());
	json_put(&object, "counters",
		 counts ? stats_counts_json(counts) : json_null());
	json_put(&object, "age_us", json_count(now_us - info->since_us));
	return object;
}
