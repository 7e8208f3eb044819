// SPDX-License-Identifier: Apache-2.0
/* consumer_message.c - berthd's side of doc/consumer-protocol.md, as text */
#include "daemon/consumers/consumer_message.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>

#include "binder/binder.h"
#include "common/address_pattern.h"
#include "common/backend_source.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/json_build.h"
#include "daemon/consumers/held_text.h"
#include "daemon/consumers/service_json.h"
#include "daemon/consumers/stats_counts.h"
#include "lib/berth_endings.h"

/* A message has room for 64 KiB, and a namespace may have any number of names.
 * Consumers use them as a label, for which the first ones will do. */
#define NAMES_MAX 32

/* What a consumer may say of a client: a backend may be a list of addresses.
 * Times of up to centuries. */
#define CLIENT_TEXT_MAX 127
#define BACKEND_TEXT_MAX 1023
#define STATE_TEXT_MAX 31
#define AGE_MAX_MS (INT64_C(1) << 43)

/* The kernel's errnos end here. */
#define ERRNO_MAX 4095
#define HTTP_STATUS_MAX 999 /* three digits */

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(json_cleanup)

static int parse_released(const json_t *message, struct consumer_reply *reply)
{
	reply->type = CONSUMER_REPLY_RELEASED;
	return stats_counts_parse(message, &reply->counts);
}

static int parse_stats(json_t *message, struct consumer_reply *reply)
{
	json_t *listeners;
	json_int_t request;
	int more = 0;

	if (json_unpack(message, "{s:I, s?b, s:o}", "request", &request, "more",
			&more, "listeners", &listeners) < 0 ||
	    !json_is_array(listeners))
		return -EPROTO;
	reply->type = CONSUMER_REPLY_STATS;
	reply->request = (uint64_t)request;
	reply->more = more;
	reply->listeners = json_incref(listeners);
	return 0;
}

static bool fits(const char *text, size_t max)
{
	return strlen(text) <= max;
}

int consumer_client_parse(json_t *object, struct berth_connection *ret_client)
{
	struct berth_connection client = {
		.local = "",
		.backend = "",
		.state = "open",
	};
	json_int_t id, listener, age = 0, idle = 0, in = 0, out = 0;

	if (json_unpack(object,
			"{s:I, s:I, s:s, s?s, s?s, s?s, s?I, s?I, s?I, s?I}",
			"id", &id, "listener", &listener, "client",
			&client.client, "local", &client.local, "backend",
			&client.backend, "state", &client.state, "age_ms", &age,
			"idle_ms", &idle, "bytes_in", &in, "bytes_out",
			&out) < 0)
		return -EPROTO;
	if (id < 0 || age < 0 || idle < 0 || in < 0 || out < 0 ||
	    age > AGE_MAX_MS || idle > AGE_MAX_MS ||
	    !fits(client.client, CLIENT_TEXT_MAX) ||
	    !fits(client.local, CLIENT_TEXT_MAX) ||
	    !fits(client.backend, BACKEND_TEXT_MAX) ||
	    !fits(client.state, STATE_TEXT_MAX))
		return -EPROTO;
	client.id = (uint64_t)id;
	client.listener = (uint64_t)listener;
	client.age_ms = (uint64_t)age;
	client.idle_ms = (uint64_t)idle;
	client.bytes_in = (uint64_t)in;
	client.bytes_out = (uint64_t)out;
	*ret_client = client;
	return 0;
}

static int parse_connections(json_t *message, struct consumer_reply *reply)
{
	json_int_t request, next = 0;
	struct berth_connection client;
	json_t *array, *object;
	size_t i;

	if (json_unpack(message, "{s:I, s?I, s:o}", "request", &request, "next",
			&next, "connections", &array) < 0 ||
	    !json_is_array(array) || next < 0)
		return -EPROTO;
	json_array_foreach (array, i, object) {
		if (consumer_client_parse(object, &client) < 0)
			return -EPROTO;
	}
	reply->type = CONSUMER_REPLY_CONNECTIONS;
	reply->request = (uint64_t)request;
	reply->cursor = (uint64_t)next;
	reply->connections = json_incref(array);
	return 0;
}

static int parse_closed(json_t *message, struct consumer_reply *reply)
{
	json_int_t request, connection;
	int closed;

	if (json_unpack(message, "{s:I, s:I, s:b}", "request", &request,
			"connection", &connection, "closed", &closed) < 0)
		return -EPROTO;
	reply->type = CONSUMER_REPLY_CLOSED;
	reply->request = (uint64_t)request;
	reply->cursor = (uint64_t)connection;
	reply->closed = closed;
	return 0;
}

/* How long ago is a time of the monotonic clock? */
static uint64_t ago(json_int_t ago_ms, uint64_t now_us)
{
	uint64_t us = (uint64_t)ago_ms * USEC_PER_MSEC;

	return us < now_us ? now_us - us : 1;
}

static int parse_backend_state(const char *state, struct consumer_backend *told)
{
	told->status.state = strcmp(state, "down") == 0 ? BACKEND_DOWN
							: BACKEND_UP;
	told->gone = strcmp(state, "gone") == 0;
	return told->gone || told->status.state == BACKEND_DOWN ||
			       strcmp(state, "up") == 0
		       ? 0
		       : -EPROTO;
}

static int parse_backend(json_t *message, struct consumer_reply *reply)
{
	const uint64_t now_us = monotonic_us();
	struct backend_status *status = &reply->backend.status;
	json_int_t failures = 0, error = 0, failed = -1, since = 0, http = 0;
	json_int_t n = 0;
	const char *protocol, *state;
	int checked = 0;

	status->netns = "";
	if (json_unpack(message,
			"{s:s, s:s, s:s, s:s, s?s, s?b, s?I, s?I, s?I, s?I, "
			"s?I, s?I}",
			"rule", &status->rule, "backend", &status->backend,
			"protocol", &protocol, "state", &state,
			"backend_namespace", &status->netns, "checked",
			&checked, "failures", &failures, "error", &error,
			"failed_ms", &failed, "since_ms", &since, "http_status",
			&http, "connections", &n) < 0 ||
	    protocol_parse(protocol, &status->protocol) < 0 ||
	    parse_backend_state(state, &reply->backend) < 0)
		return -EPROTO;
	if (failures < 0 || error < 0 || error > ERRNO_MAX || failed < -1 ||
	    http < 0 || http > HTTP_STATUS_MAX || since < 0 || n < 0 ||
	    failed > AGE_MAX_MS || since > AGE_MAX_MS ||
	    !fits(status->rule, CLIENT_TEXT_MAX) ||
	    !fits(status->netns, BACKEND_TEXT_MAX) ||
	    !fits(status->backend, BACKEND_TEXT_MAX))
		return -EPROTO;
	status->checked = checked;
	status->failures = (uint64_t)failures;
	status->error = (int)error;
	status->http_status = (unsigned int)http;
	status->failed_us = failed < 0 ? 0 : ago(failed, now_us);
	status->since_us = ago(since, now_us);
	status->connections = (uint64_t)n;
	reply->type = CONSUMER_REPLY_BACKEND;
	reply->message = json_incref(message);
	return 0;
}

static int parse_socket(json_t *message, struct consumer_reply *reply)
{
	const char *backend = NULL, *netns = NULL, *client_text = NULL,
		   *from_text = NULL;
	struct ip_addr client = { .family = AF_UNSPEC };
	struct backend_source from = { .addr.family = AF_UNSPEC };
	json_int_t request, id, to, port = 0;
	int check = 0;

	if (json_unpack(message,
			"{s:I, s:I, s:I, s?s, s?s, s?s, s?I, s?s, s?b}",
			"request", &request, "id", &id, "to", &to, "backend",
			&backend, "backend_namespace", &netns, "client",
			&client_text, "client_port", &port, "from", &from_text,
			"check", &check) < 0 ||
	    to < 0 || to >= (json_int_t)SERVICE_BACKENDS_MAX || port < 0 ||
	    port > UINT16_MAX)
		return -EPROTO;
	if (client_text && ip_addr_parse(client_text, &client) < 0)
		return -EPROTO;
	if (from_text && backend_source_parse(from_text, &from, NULL) < 0)
		return -EPROTO;
	reply->type = CONSUMER_REPLY_SOCKET;
	reply->socket = (struct socket_request){
		.number = (uint64_t)request,
		.id = (uint64_t)id,
		.to = (unsigned int)to,
		.backend = backend,
		.netns = netns,
		.client = client,
		.client_port = (uint16_t)port,
		.from = from.addr,
		.check = check,
	};
	reply->message = json_incref(message);
	return 0;
}

static int parse_netns_closed(json_t *message, struct consumer_reply *reply)
{
	json_int_t netns_id;

	if (json_unpack(message, "{s:I}", "netns", &netns_id) < 0)
		return -EPROTO;
	reply->type = CONSUMER_REPLY_NETNS_CLOSED;
	reply->netns_id = (uint64_t)netns_id;
	return 0;
}

static int parse_held_netns(json_t *message, struct consumer_reply *reply)
{
	int r = parse_netns_closed(message, reply);

	reply->type = CONSUMER_REPLY_HELD_NETNS;
	return r;
}

/* The reverse of endpoint_addr_fmt(). */
static int parse_address(const char *text, struct endpoint *endpoint)
{
	const char *scope = strchr(text, '%');
	char bare[IP_TEXT_MAX];
	struct ip_addr addr;
	char *end;
	unsigned long ifindex = 0;

	endpoint->multihomed = strcmp(text, "all") == 0;
	if (endpoint->multihomed || strcmp(text, "*") == 0)
		return 0;
	if (scope) {
		ifindex = strtoul(scope + 1, &end, 10);
		if (scope[1] < '1' || scope[1] > '9' || *end != '\0' ||
		    ifindex > INT32_MAX)
			return -EPROTO;
	}
	if (snprintf(bare, sizeof(bare), "%.*s",
		     (int)(scope ? scope - text : (ptrdiff_t)strlen(text)),
		     text) >= (int)sizeof(bare) ||
	    ip_addr_parse(bare, &addr) < 0)
		return -EPROTO;
	endpoint->scope_id = (uint32_t)ifindex;
	endpoint->family = addr.family;
	memcpy(endpoint->addr, addr.bytes, sizeof(endpoint->addr));
	return 0;
}

static int parse_held_endpoint(const struct held_members *members,
			       struct endpoint *endpoint)
{
	enum protocol protocol;

	if (members->port <= 0 || members->port > UINT16_MAX ||
	    protocol_parse(members->protocol, &protocol) < 0)
		return -EPROTO;
	endpoint->protocol = (uint8_t)protocol;
	endpoint->port = (uint16_t)members->port;
	return parse_address(members->address, endpoint);
}

static int take_held(const struct held_members *members,
		     struct consumer_reply *reply)
{
	struct consumer_held *held = &reply->held;

	*held = (struct consumer_held){
		.claim.id = (uint64_t)members->id,
		.claim.netns_id = (uint64_t)members->netns_id,
		.rule = members->rule,
		.draining = members->draining,
	};
	reply->type = CONSUMER_REPLY_HELD;
	reply->id = held->claim.id;
	return parse_held_endpoint(members, &held->claim.endpoint);
}

/* What `held` leaves out. A draining one has no address and no port. */
static const struct held_members held_defaults = {
	.protocol = "tcp",
	.address = "*",
	.rule = "",
	.port = 1,
};

static int parse_held(json_t *message, struct consumer_reply *reply)
{
	struct held_members members = held_defaults;
	json_int_t id, netns_id, port = members.port;
	int draining = 0;

	if (json_unpack(message, "{s:I, s:I, s?s, s?s, s?I, s?s, s?b}", "id",
			&id, "netns", &netns_id, "protocol", &members.protocol,
			"address", &members.address, "port", &port, "rule",
			&members.rule, "draining", &draining) < 0)
		return -EPROTO;
	members.id = id;
	members.netns_id = netns_id;
	members.port = port;
	members.draining = draining;
	if (take_held(&members, reply) < 0)
		return -EPROTO;
	reply->message = json_incref(message);
	return 0;
}

/* Reads a `held` without jansson, if that is possible. Return: 0; -EPROTO;
 * -EOPNOTSUPP: jansson is to read it. */
static int parse_plain_held(const char *text, size_t len,
			    struct consumer_reply *ret_reply)
{
	struct consumer_reply reply = { .type = CONSUMER_REPLY_HELD };
	struct held_members members = held_defaults;
	_cleanup_free_ char *copy = NULL;

	if (!held_text_likely(text, len))
		return -EOPNOTSUPP;
	copy = malloc(len);
	if (!copy)
		return -EPROTO;
	memcpy(copy, text, len);
	if (held_text_read(copy, len, &members) < 0)
		return -EOPNOTSUPP;
	if (take_held(&members, &reply) < 0)
		return -EPROTO;
	reply.text = TAKE_PTR(copy);
	*ret_reply = reply;
	return 0;
}

static int parse_hello(json_t *message, struct consumer_reply *reply)
{
	struct consumer_hello *hello = &reply->hello;
	json_int_t version = 0, held = 0;
	const char *name = "";
	int takeover = 0, draining = 0;

	if (json_unpack(message, "{s?I, s?s, s?b, s?b, s?I}", "version",
			&version, "name", &name, "takeover", &takeover,
			"draining", &draining, "held", &held) < 0 ||
	    held < 0)
		return -EPROTO;
	reply->type = CONSUMER_REPLY_HELLO;
	hello->version = version;
	hello->takeover = takeover;
	hello->draining = draining;
	hello->held = (uint64_t)held;
	(void)snprintf(hello->name, sizeof(hello->name), "%s",
		       name); /* cut is fine: for people */
	return 0;
}

/* Reads a `stats` without jansson, if that is possible. Return: 0; -EOPNOTSUPP:
 * jansson is to read it. */
static int parse_plain_stats(const char *text, size_t len,
			     struct consumer_reply *ret_reply)
{
	struct consumer_reply reply = { .type = CONSUMER_REPLY_STATS };

	if (stats_text_begin(text, len, &reply.stats) < 0)
		return -EOPNOTSUPP;
	reply.whole = text;
	reply.len = len;
	reply.request = reply.stats.request;
	reply.more = reply.stats.more;
	*ret_reply = reply;
	return 0;
}

/* As parse_plain_stats(), after all: from its first listener on. */
static int parse_whole_stats(struct consumer_reply *reply)
{
	_cleanup_json_ json_t *message = json_loadb(
		reply->whole, reply->len, JSON_REJECT_DUPLICATES, NULL);

	return message ? parse_stats(message, reply) : -EPROTO;
}

static int parse_by_type(const char *type, json_t *message,
			 struct consumer_reply *reply)
{
	if (strcmp(type, "released") == 0)
		return parse_released(message, reply);
	if (strcmp(type, "stats") == 0)
		return parse_stats(message, reply);
	if (strcmp(type, "socket") == 0)
		return parse_socket(message, reply);
	if (strcmp(type, "netns_closed") == 0)
		return parse_netns_closed(message, reply);
	if (strcmp(type, "hello") == 0)
		return parse_hello(message, reply);
	if (strcmp(type, "held") == 0)
		return parse_held(message, reply);
	if (strcmp(type, "held_netns") == 0)
		return parse_held_netns(message, reply);
	if (strcmp(type, "connections") == 0)
		return parse_connections(message, reply);
	if (strcmp(type, "closed") == 0)
		return parse_closed(message, reply);
	if (strcmp(type, "backend") == 0)
		return parse_backend(message, reply);
	if (strcmp(type, "refused") == 0)
		reply->type = CONSUMER_REPLY_REFUSED;
	else if (strcmp(type, "repeat") == 0)
		reply->type = CONSUMER_REPLY_REPEAT;
	return 0;
}

int consumer_reply_parse(const char *text, size_t len,
			 struct consumer_reply *ret_reply)
{
	struct consumer_reply reply = { .type = CONSUMER_REPLY_OTHER };
	_cleanup_json_ json_t *message = NULL;
	const char *type;
	json_int_t id = 0;
	int r = parse_plain_stats(text, len, ret_reply);

	if (r == -EOPNOTSUPP)
		r = parse_plain_held(text, len, ret_reply);
	if (r != -EOPNOTSUPP)
		return r;
	message = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!message ||
	    json_unpack(message, "{s:s, s?I}", "type", &type, "id", &id) < 0)
		return -EPROTO;
	if (parse_by_type(type, message, &reply) < 0)
		return -EPROTO;
	reply.id = (uint64_t)id;
	*ret_reply = reply;
	return 0;
}

void consumer_reply_done(struct consumer_reply *reply)
{
	json_decref(reply->listeners);
	reply->listeners = NULL;
	json_decref(reply->connections);
	reply->connections = NULL;
	json_decref(reply->message);
	reply->message = NULL;
	free(TAKE_PTR(reply->text));
}

int consumer_reply_next(struct consumer_reply *reply, uint64_t *ret_id,
			struct berth_counts *ret_counts)
{
	const json_t *listener, *id;
	int r;

	if (!reply->listeners) {
		r = stats_text_next(&reply->stats, ret_id, ret_counts);
		if (r != -EOPNOTSUPP)
			return r;
		r = parse_whole_stats(reply);
		if (r < 0)
			return r;
	}
	if (reply->next >= json_array_size(reply->listeners))
		return 0;
	listener = json_array_get(reply->listeners, reply->next++);
	id = json_object_get(listener, "id");
	if (!json_is_integer(id) ||
	    stats_counts_parse(listener, ret_counts) < 0)
		return -EPROTO;
	*ret_id = (uint64_t)json_integer_value(id);
	return 1;
}

static json_t *netns_json(const struct listener *listener,
			  const struct netns *netns)
{
	json_t *names = json_array();

	for (size_t i = 0; netns && i < netns->n_names && i < NAMES_MAX; i++)
		json_add(&names, json_text(netns->names[i].name));
	return json_pack("{s:I, s:b, s:o}", "id",
			 (json_int_t)listener->netns_id, "host",
			 netns && netns->host, "names", names);
}

static int add_from(json_t *message, const struct service *service)
{
	char text[BACKEND_SOURCE_TEXT_MAX];
	json_t *from = json_array();

	for (size_t i = 0; i < service->n_from; i++)
		json_add(&from, json_string(backend_source_fmt(
					&service->from[i], text)));
	return json_object_set_new(message, "from", from) < 0 ? -ENOMEM : 0;
}

static int add_clients(json_t *message, const struct service *service)
{
	char text[ADDRESS_PATTERN_TEXT_MAX];
	json_t *clients = json_array();

	for (size_t i = 0; i < service->n_clients; i++)
		json_add(&clients, json_string(address_pattern_fmt(
					   &service->clients[i], text)));
	return json_object_set_new(message, "clients", clients) < 0 ? -ENOMEM
								    : 0;
}

static int add_tlvs(json_t *message, const struct service *service)
{
	json_t *tlvs = json_array();

	for (size_t i = 0; i < service->n_tlvs; i++)
		json_add(&tlvs, json_pack("{s:i, s:o}", "type",
					  (int)service->tlvs[i].type, "value",
					  json_text(service->tlvs[i].value)));
	return json_object_set_new(message, "proxy_tlvs", tlvs) < 0 ? -ENOMEM
								    : 0;
}

static int add_forward(json_t *message, const struct service *service)
{
	json_t *to = json_array();

	for (size_t i = 0; i < service->n_to; i++)
		json_add(&to, json_text(service->to[i]));
	if (service->proxy &&
	    json_object_set_new(
		    message, "proxy_protocol",
		    json_string(service_proxy_name(service->proxy))) < 0)
		return json_decref(to), -ENOMEM;
	if (service->n_tlvs && add_tlvs(message, service) < 0)
		return json_decref(to), -ENOMEM;
	if (service_json_balance(message, service) < 0)
		return json_decref(to), -ENOMEM;
	if (service->netns &&
	    json_object_set_new(message, "backend_namespace",
				json_text(service->netns)) < 0)
		return json_decref(to), -ENOMEM;
	if (service->transparent &&
	    json_object_set_new(message, "transparent", json_true()) < 0)
		return json_decref(to), -ENOMEM;
	if (service->n_from && add_from(message, service) < 0)
		return json_decref(to), -ENOMEM;
	if (service->n_rates &&
	    json_object_set_new(message, "rate_limit",
				service_json_rates(service->rates,
						   service->n_rates,
						   "connections")) < 0)
		return json_decref(to), -ENOMEM;
	if (service->max_lifetime_ms &&
	    json_object_set_new(message, "max_lifetime_ms",
				json_integer(service->max_lifetime_ms)) < 0)
		return json_decref(to), -ENOMEM;
	if (service->check.every_ms &&
	    json_object_set_new(message, "check",
				service_json_check(&service->check)) < 0)
		return json_decref(to), -ENOMEM;
	if (service->http &&
	    json_object_set_new(message, "http",
				service_json_http(service->http)) < 0)
		return json_decref(to), -ENOMEM;
	if (json_object_set_new(message, "to", to) < 0 ||
	    json_object_set_new(message, "connect_timeout_ms",
				json_integer(service->connect_timeout_ms)) <
		    0 ||
	    json_object_set_new(message, "idle_timeout_ms",
				json_integer(service->idle_timeout_ms)) < 0 ||
	    json_object_set_new(message, "max_connections",
				json_integer(service->max_connections)) < 0)
		return -ENOMEM;
	return 0;
}

/* The first container is the one that is named: mostly it is the only one, or
 * all of them are of one pod. */
static int add_log(json_t *message, const struct service *service,
		   const struct netns *netns)
{
	if (json_object_set_new(message, "log",
				json_string(service_log_name(service->log))) <
	    0)
		return -ENOMEM;
	if (!netns || netns->n_containers == 0)
		return 0;
	return json_object_set_new(message, "container",
				   json_text(netns->containers[0]->name)) < 0
		       ? -ENOMEM
		       : 0;
}

char *consumer_listener_text(const struct listener *listener,
			     const struct netns *netns)
{
	const struct service *service = listener->service;
	char address[IP_TEXT_MAX];
	_cleanup_json_ json_t *message = NULL;

	message = json_pack(
		"{s:s, s:I, s:o, s:s, s:s, s:i, s:o, s:s, s:s}", "type",
		"listener", "id", (json_int_t)listener->id, "netns",
		netns_json(listener, netns), "protocol",
		protocol_name(listener->endpoint.protocol), "address",
		endpoint_addr_fmt(&listener->endpoint, address), "port",
		(int)listener->endpoint.port, "interface",
		json_text(listener->ifname), "rule", service->rule, "action",
		service->http ? "http" : service_action_name(service->action));
	if (!message)
		return NULL;
	if (service->action == SERVICE_FORWARD &&
	    add_forward(message, service) < 0)
		return NULL;
	if (service->n_clients && add_clients(message, service) < 0)
		return NULL;
	if (service->log && add_log(message, service, netns) < 0)
		return NULL;
	if (service->action == SERVICE_RESPOND &&
	    json_object_set_new(message, "text", json_text(service->text)) < 0)
		return NULL;
	return json_dumps(message, JSON_COMPACT);
}

char *consumer_welcome_text(const char *consumer, uint64_t orphan_timeout_ms,
			    uint64_t drain_timeout_ms)
{
	_cleanup_json_ json_t *message = json_pack(
		"{s:s, s:i, s:o, s:o, s:o}", "type", "welcome", "version",
		BERTH_PROTOCOL_VERSION, "consumer", json_text(consumer),
		"orphan_timeout_ms", json_count(orphan_timeout_ms),
		"drain_timeout_ms", json_count(drain_timeout_ms));

	return message ? json_dumps(message, JSON_COMPACT) : NULL;
}

char *consumer_denied_text(const char *reason, const char *error)
{
	_cleanup_json_ json_t *message =
		json_pack("{s:s, s:i, s:s, s:o}", "type", "denied", "version",
			  BERTH_PROTOCOL_VERSION, "reason", reason, "error",
			  json_text(error));

	return message ? json_dumps(message, JSON_COMPACT) : NULL;
}

char *consumer_withdraw_text(uint64_t id, uint64_t drain_ms,
			     enum berth_ending ending, const char *reason)
{
	bool says_why = drain_ms == 0 && ending != BERTH_ENDING_NETNS_GONE;
	_cleanup_json_ json_t *message = json_pack(
		"{s:s, s:I, s:b, s:s*, s:o*, s:o*}", "type", "withdraw", "id",
		(json_int_t)id, "abort", drain_ms == 0, "ending",
		says_why ? berth_ending_names[ending] : NULL,
		"drain_timeout_ms", drain_ms ? json_count(drain_ms) : NULL,
		"reason", reason ? json_text(reason) : NULL);

	return message ? json_dumps(message, JSON_COMPACT) : NULL;
}

void consumer_log_level_fmt(const char *level, char *buffer)
{
	(void)snprintf(buffer, CONSUMER_LOG_LEVEL_MAX,
		       "{\"type\":\"log_level\",\"level\":\"%s\"}",
		       level); /* fits */
}

void consumer_stats_fmt(uint64_t request, bool changed, char *buffer)
{
	(void)snprintf(buffer, CONSUMER_STATS_MAX,
		       "{\"type\":\"stats\",\"request\":%" PRIu64 "%s}",
		       request, changed ? ",\"changed\":true" : ""); /* fits */
}

void consumer_connections_fmt(uint64_t request, uint64_t after,
			      uint64_t min_age_ms, uint64_t listener,
			      char *buffer)
{
	char only[40] = "";

	/* Both fit. An id above INT64_MAX is written as a negative number, and
	 * the consumer reads it the same way. */
	if (listener)
		(void)snprintf(only, sizeof(only), ",\"listener\":%" PRId64,
			       (int64_t)listener);
	(void)snprintf(buffer, CONSUMER_QUESTION_MAX,
		       "{\"type\":\"connections\",\"request\":%" PRIu64
		       ",\"after\":%" PRIu64 ",\"min_age_ms\":%" PRIu64 "%s}",
		       request, after, min_age_ms, only);
}

void consumer_close_fmt(uint64_t request, uint64_t number, char *buffer)
{
	(void)snprintf(buffer, CONSUMER_QUESTION_MAX,
		       "{\"type\":\"close\",\"request\":%" PRIu64
		       ",\"connection\":%" PRIu64 "}",
		       request, number); /* fits */
}

void consumer_socket_fmt(uint64_t request, uint64_t netns_id, int error,
			 char *buffer)
{
	static const char head[] = "{\"type\":\"socket\",\"request\":";

	/* Both fit. A number above INT64_MAX is written as a negative one, and
	 * the consumer reads it the same way. */
	if (error)
		(void)snprintf(buffer, CONSUMER_SOCKET_MAX,
			       "%s%" PRId64 ",\"error\":%d}", head,
			       (int64_t)request, error);
	else
		(void)snprintf(buffer, CONSUMER_SOCKET_MAX,
			       "%s%" PRId64 ",\"netns\":%" PRId64 "}", head,
			       (int64_t)request, (int64_t)netns_id);
}

void consumer_netns_gone_fmt(uint64_t netns_id, char *buffer)
{
	(void)snprintf(buffer, CONSUMER_NETNS_GONE_MAX,
		       "{\"type\":\"netns_gone\",\"netns\":%" PRId64 "}",
		       (int64_t)netns_id); /* fits */
}

int consumer_message_send(int socket_fd, const char *text, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = {
		.iov_base = (char *)text,
		.iov_len = strlen(text),
	};
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (fd >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	if (sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}
