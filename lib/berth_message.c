// SPDX-License-Identifier: Apache-2.0
/* berth_message.c - libberth: berthd's messages, from JSON */
#include "lib/berth.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/berth_endings.h"
#include "lib/berth_internal.h"

/* What a welcome says that does not say it. */
#define ORPHAN_TIMEOUT_MS 60000
#define DRAIN_TIMEOUT_MS 300000

#define VERSION_PROBLEM_BYTES 128

#define IPV6_BITS 128
#define WEIGHT_MAX 256
#define HTTP_STATUS_MAX 999 /* three digits */

/* The public part first; the rest owns what its pointers point into. */
struct message {
	struct berth_message public;
	struct berth_http http;
	json_t *root;
	char problem[VERSION_PROBLEM_BYTES];
};

/* Reads a text member, "" when it is absent. Return: false when it is no text.
 */
static bool get_text(const json_t *object, const char *key, const char **ret)
{
	const json_t *value = json_object_get(object, key);

	if (!value) {
		*ret = "";
		return true;
	}
	*ret = json_string_value(value);
	return *ret != NULL;
}

/* Reads a number member from 0 to @max, 0 when it is absent. */
static bool get_number(const json_t *object, const char *key, json_int_t max,
		       json_int_t *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_integer_value(value); /* 0 for NULL */
	return !value || (json_is_integer(value) && *ret >= 0 && *ret <= max);
}

/* Reads why connections are to be reset. A word that is not known, and none,
 * mean that the namespace goes. Return: false when it is no text. */
static bool get_ending(const json_t *object, enum berth_ending *ret)
{
	const char *word;

	if (!get_text(object, "ending", &word))
		return false;
	*ret = BERTH_ENDING_NETNS_GONE;
	for (unsigned int i = 0; i < BERTH_ENDINGS; i++) {
		if (strcmp(word, berth_ending_names[i]) == 0)
			*ret = (enum berth_ending)i;
	}
	return true;
}

static bool get_u32(const json_t *object, const char *key, uint32_t *ret)
{
	json_int_t number;

	if (!get_number(object, key, UINT32_MAX, &number))
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* The same, @otherwise when it is absent. */
static bool get_time(const json_t *object, const char *key, uint32_t otherwise,
		     uint32_t *ret_ms)
{
	*ret_ms = otherwise;
	return !json_object_get(object, key) || get_u32(object, key, ret_ms);
}

static bool get_bool(const json_t *object, const char *key, bool *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = json_is_true(value);
	return !value || json_is_boolean(value);
}

/* Reads a 64 bit number. JSON integers have a sign here, so one with the
 * highest bit set, such as a namespace's id, arrives as a negative number. */
static bool get_id(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	*ret = (uint64_t)json_integer_value(value);
	return json_is_integer(value);
}

/* Reads an array of texts, empty when it is absent. */
static int get_texts(const json_t *object, const char *key, const char ***ret,
		     size_t *ret_n)
{
	const json_t *array = json_object_get(object, key);
	size_t n = json_array_size(array);

	if (!array)
		return 0;
	if (!json_is_array(array))
		return -EBADMSG;
	*ret = calloc(n ? n : 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		(*ret)[i] = json_string_value(json_array_get(array, i));
		if (!(*ret)[i])
			return -EBADMSG;
	}
	*ret_n = n;
	return 0;
}

static int parse_netns(const json_t *root, struct berth_listener *listener)
{
	const json_t *netns = json_object_get(root, "netns");

	if (!json_is_object(netns) ||
	    !get_id(netns, "id", &listener->netns_id) ||
	    !get_bool(netns, "host", &listener->netns_host))
		return -EBADMSG;
	return get_texts(netns, "names", &listener->names, &listener->n_names);
}

/* There are as many as backends. */
static int parse_weights(const json_t *root, struct berth_listener *listener)
{
	const json_t *array = json_object_get(root, "weights");
	size_t n = json_array_size(array);
	json_int_t weight, sum = 0;

	if (!array)
		return 0;
	if (!json_is_array(array) || n != listener->n_to)
		return -EBADMSG;
	listener->weights = calloc(n ? n : 1, sizeof(*listener->weights));
	if (!listener->weights)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(array, i);

		weight = json_integer_value(value);
		if (!json_is_integer(value) || weight < 0 ||
		    weight > WEIGHT_MAX)
			return -EBADMSG;
		listener->weights[i] = (uint32_t)weight;
		sum += weight;
	}
	return sum > 0 ? 0 : -EBADMSG;
}

static int parse_tlvs(const json_t *root, struct berth_listener *listener)
{
	const json_t *array = json_object_get(root, "proxy_tlvs");
	size_t n = json_array_size(array);
	json_int_t type;

	if (!array)
		return 0;
	if (!json_is_array(array))
		return -EBADMSG;
	listener->proxy_tlvs = calloc(n ? n : 1, sizeof(struct berth_tlv));
	if (!listener->proxy_tlvs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *object = json_array_get(array, i);
		struct berth_tlv *tlv = &listener->proxy_tlvs[i];

		if (!json_is_object(object) ||
		    !get_number(object, "type", UINT8_MAX, &type) ||
		    !get_text(object, "value", &tlv->value))
			return -EBADMSG;
		tlv->type = (uint8_t)type;
	}
	listener->n_proxy_tlvs = n;
	return 0;
}

static int parse_check_http(const json_t *check,
			    struct berth_listener *listener)
{
	const json_t *http = json_object_get(check, "http");
	json_int_t min, max;

	if (!http)
		return 0;
	if (!json_is_object(http) ||
	    !get_text(http, "path", &listener->check_http_path) ||
	    !get_text(http, "host", &listener->check_http_host) ||
	    !get_number(http, "status_min", HTTP_STATUS_MAX, &min) ||
	    !get_number(http, "status_max", HTTP_STATUS_MAX, &max) ||
	    !*listener->check_http_path)
		return -EBADMSG;
	listener->check_status_min = (uint16_t)min;
	listener->check_status_max = (uint16_t)max;
	return 0;
}

static int parse_check(const json_t *root, struct berth_listener *listener)
{
	const json_t *check = json_object_get(root, "check");

	listener->check_http_path = "";
	listener->check_http_host = "";
	listener->check_send = "";
	if (!check)
		return 0;
	if (!json_is_object(check) ||
	    !get_u32(check, "every_ms", &listener->check_every_ms) ||
	    !get_u32(check, "timeout_ms", &listener->check_timeout_ms) ||
	    !get_u32(check, "rise", &listener->check_rise) ||
	    !get_u32(check, "fall", &listener->check_fall) ||
	    !get_text(check, "send", &listener->check_send))
		return -EBADMSG;
	return parse_check_http(check, listener);
}

/* @unit: what is counted. *ret_rates belongs to the message, also on failure.
 */
static int parse_rates(const json_t *object, const char *unit,
		       struct berth_rate **ret_rates, size_t *ret_n)
{
	const json_t *array = json_object_get(object, "rate_limit");
	size_t n = json_array_size(array);
	json_int_t prefix;

	if (!array)
		return 0;
	if (!json_is_array(array))
		return -EBADMSG;
	*ret_rates = calloc(n ? n : 1, sizeof(**ret_rates));
	if (!*ret_rates)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(array, i);
		struct berth_rate *rate = &(*ret_rates)[i];

		if (!json_is_object(entry) ||
		    !get_u32(entry, unit, &rate->count) ||
		    !get_u32(entry, "per_ms", &rate->per_ms) ||
		    !get_number(entry, "ipv6_prefix", IPV6_BITS, &prefix))
			return -EBADMSG;
		rate->ipv6_prefix = prefix ? (uint8_t)prefix : IPV6_BITS;
	}
	*ret_n = n;
	return 0;
}

static int parse_headers(const json_t *http, struct berth_http *ret_http)
{
	const json_t *array = json_object_get(http, "set_headers");
	size_t n = json_array_size(array);

	if (!array)
		return 0;
	if (!json_is_array(array))
		return -EBADMSG;
	ret_http->set_headers = calloc(n ? n : 1, sizeof(struct berth_header));
	if (!ret_http->set_headers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *object = json_array_get(array, i);
		struct berth_header *header = &ret_http->set_headers[i];

		if (!json_is_object(object) ||
		    !get_text(object, "name", &header->name) ||
		    !get_text(object, "value", &header->value))
			return -EBADMSG;
	}
	ret_http->n_set_headers = n;
	return 0;
}

/* Into @ret_http, which is cleared and belongs to the message. */
static int parse_http(const json_t *root, struct berth_http *ret_http,
		      struct berth_listener *listener)
{
	const json_t *http = json_object_get(root, "http");
	int r;

	if (!http)
		return 0;
	listener->http = ret_http;
	if (!json_is_object(http) ||
	    !get_u32(http, "request_timeout_ms",
		     &ret_http->request_timeout_ms) ||
	    !get_u32(http, "response_timeout_ms",
		     &ret_http->response_timeout_ms) ||
	    !get_u32(http, "max_request", &ret_http->max_request))
		return -EBADMSG;
	r = parse_headers(http, ret_http);
	if (r == 0)
		r = parse_rates(http, "requests", &ret_http->rates,
				&ret_http->n_rates);
	if (r == 0)
		r = get_texts(http, "remove_headers", &ret_http->remove_headers,
			      &ret_http->n_remove_headers);
	if (r == 0)
		r = get_texts(http, "path", &ret_http->paths,
			      &ret_http->n_paths);
	return r < 0 ? r
		     : get_texts(http, "host", &ret_http->hosts,
				 &ret_http->n_hosts);
}

static int parse_listener(const json_t *root, struct berth_listener *listener)
{
	json_int_t port;
	int r;

	if (!get_text(root, "protocol", &listener->protocol) ||
	    !get_text(root, "address", &listener->address) ||
	    !get_text(root, "interface", &listener->interface) ||
	    !get_text(root, "rule", &listener->rule) ||
	    !get_text(root, "action", &listener->action) ||
	    !get_text(root, "text", &listener->text) ||
	    !get_text(root, "log", &listener->log) ||
	    !get_text(root, "container", &listener->container) ||
	    !get_text(root, "balance", &listener->balance) ||
	    !get_text(root, "proxy_protocol", &listener->proxy_protocol) ||
	    !get_text(root, "backend_namespace", &listener->backend_netns) ||
	    !get_bool(root, "transparent", &listener->transparent) ||
	    !get_number(root, "port", UINT16_MAX, &port) || port == 0 ||
	    !get_u32(root, "connect_timeout_ms",
		     &listener->connect_timeout_ms) ||
	    !get_u32(root, "idle_timeout_ms", &listener->idle_timeout_ms) ||
	    !get_u32(root, "max_lifetime_ms", &listener->max_lifetime_ms) ||
	    !get_u32(root, "max_connections", &listener->max_connections))
		return -EBADMSG;
	listener->port = (uint16_t)port;
	r = parse_check(root, listener);
	if (r == 0)
		r = parse_netns(root, listener);
	if (r < 0)
		return r;
	r = get_texts(root, "from", &listener->from, &listener->n_from);
	if (r == 0)
		r = get_texts(root, "clients", &listener->clients,
			      &listener->n_clients);
	if (r == 0)
		r = parse_tlvs(root, listener);
	if (r == 0)
		r = parse_rates(root, "connections", &listener->rates,
				&listener->n_rates);
	if (r < 0)
		return r;
	r = get_texts(root, "to", &listener->to, &listener->n_to);
	return r < 0 ? r : parse_weights(root, listener);
}

static int parse_socket(const json_t *root, struct berth_message *message)
{
	json_int_t error;

	if (!get_id(root, "request", &message->request) ||
	    !get_number(root, "error", INT_MAX, &error))
		return -EBADMSG;
	message->error = (int)error;
	/* Absent with an error. */
	(void)get_id(root, "netns", &message->netns_id);
	return 0;
}

/* berthd's protocol is another one: the program is told so as if berthd had
 * said it. */
static void deny_version(struct message *message)
{
	struct berth_message *public = &message->public;

	(void)snprintf(message->problem, sizeof(message->problem),
		       "berthd speaks version %u of the consumer protocol, "
		       "this libberth version %d",
		       public->version, BERTH_PROTOCOL_VERSION);
	public->type = BERTH_DENIED;
	public->reason = "version";
	public->text = message->problem;
}

static int parse_welcome(const json_t *root, struct berth_message *message)
{
	if (!get_u32(root, "version", &message->version) ||
	    !get_time(root, "orphan_timeout_ms", ORPHAN_TIMEOUT_MS,
		      &message->orphan_timeout_ms) ||
	    !get_time(root, "drain_timeout_ms", DRAIN_TIMEOUT_MS,
		      &message->drain_timeout_ms))
		return -EBADMSG;
	if (message->version != BERTH_PROTOCOL_VERSION)
		deny_version((struct message *)message);
	return 0;
}

static bool parse_connections(const json_t *root, struct berth_message *message)
{
	json_int_t after, min_age_ms;

	if (!get_id(root, "request", &message->request) ||
	    !get_number(root, "after", INT64_MAX, &after) ||
	    !get_number(root, "min_age_ms", INT64_MAX, &min_age_ms))
		return false;
	message->after = (uint64_t)after;
	message->min_age_ms = (uint64_t)min_age_ms;
	return !json_object_get(root, "listener") ||
	       get_id(root, "listener", &message->id);
}

static enum berth_message_type type_parse(const char *type)
{
	static const struct {
		const char *name;
		enum berth_message_type type;
	} types[] = {
		{ "listener", BERTH_LISTENER },
		{ "withdraw", BERTH_WITHDRAW },
		{ "stats", BERTH_STATS },
		{ "socket", BERTH_SOCKET },
		{ "netns_gone", BERTH_NETNS_GONE },
		{ "welcome", BERTH_WELCOME },
		{ "denied", BERTH_DENIED },
		{ "taken_over", BERTH_TAKEN_OVER },
		{ "connections", BERTH_CONNECTIONS },
		{ "close", BERTH_CLOSE },
		{ "log_level", BERTH_LOG_LEVEL },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].name, type) == 0)
			return types[i].type;
	}
	return BERTH_UNKNOWN;
}

static int parse_root(const json_t *root, struct berth_message *message)
{
	const char *type;
	bool good = true;
	int r;

	if (!json_is_object(root) || !get_text(root, "type", &type))
		return -EBADMSG;
	message->type = type_parse(type);
	switch (message->type) {
	case BERTH_UNKNOWN:
	case BERTH_TAKEN_OVER:
		break;
	case BERTH_LISTENER:
		if (!get_id(root, "id", &message->id))
			return -EBADMSG;
		r = parse_http(root, &((struct message *)message)->http,
			       &message->listener);
		return r < 0 ? r : parse_listener(root, &message->listener);
	case BERTH_WITHDRAW:
		good = get_id(root, "id", &message->id) &&
		       get_bool(root, "abort", &message->abort) &&
		       get_ending(root, &message->ending) &&
		       get_time(root, "drain_timeout_ms", 0,
				&message->drain_timeout_ms) &&
		       get_text(root, "reason", &message->text);
		break;
	case BERTH_STATS:
		good = get_id(root, "request", &message->request) &&
		       get_bool(root, "changed", &message->changed);
		break;
	case BERTH_SOCKET:
		return parse_socket(root, message);
	case BERTH_NETNS_GONE:
		good = get_id(root, "netns", &message->netns_id);
		break;
	case BERTH_CONNECTIONS:
		good = parse_connections(root, message);
		break;
	case BERTH_CLOSE:
		good = get_id(root, "request", &message->request) &&
		       get_id(root, "connection", &message->connection);
		break;
	case BERTH_LOG_LEVEL:
		good = get_text(root, "level", &message->text);
		break;
	case BERTH_WELCOME:
		return parse_welcome(root, message);
	case BERTH_DENIED:
		good = get_text(root, "reason", &message->reason) &&
		       get_text(root, "error", &message->text);
		break;
	}
	return good ? 0 : -EBADMSG;
}

struct berth_message *berth_message_new(enum berth_message_type type)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message)
		return NULL;
	message->public.type = type;
	message->public.fd = -1;
	message->public.held_fd = -1;
	message->public.reason = "";
	message->public.text = "";
	return &message->public;
}

int berth_message_parse(const char *text, size_t size_bytes,
			struct berth_message **ret_message)
{
	struct berth_message *public = berth_message_new(BERTH_UNKNOWN);
	struct message *message = (struct message *)public;
	int r;

	if (!message)
		return -ENOMEM;
	message->root =
		json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, NULL);
	r = parse_root(message->root, public);
	if (r < 0) {
		(void)berth_message_free(public);
		return r;
	}
	*ret_message = public;
	return 0;
}

struct berth_message *berth_message_free(struct berth_message *public)
{
	struct message *message = (struct message *)public;

	if (!message)
		return NULL;
	if (public->fd >= 0)
		(void)close(public->fd); /* a copy: berthd has its own */
	free(public->listener.names);
	free(public->listener.to);
	free(public->listener.weights);
	free(public->listener.from);
	free(public->listener.clients);
	free(public->listener.rates);
	free(public->listener.proxy_tlvs);
	free(message->http.set_headers);
	free(message->http.remove_headers);
	free(message->http.paths);
	free(message->http.hosts);
	free(message->http.rates);
	json_decref(message->root);
	free(message);
	return NULL;
}
